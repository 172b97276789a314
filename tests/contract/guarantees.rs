//! What documents and module pages name as the proof of a promise is a test that exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use largesse_app::telemetry;

/// Shorter names in backticks may be anything; tests are named by sentences.
const SENTENCE_LEN_MIN: usize = 25;

fn files(under: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(under).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs" || kind == "md") {
            found.push(path);
        }
    }
}

fn is_name(text: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    text.len() >= SENTENCE_LEN_MIN && text.contains('_') && text.bytes().all(is_part)
}

#[test]
fn every_test_that_a_page_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = vec![root.join("README.md"), root.join("CONTRIBUTING.md")];
    for folder in ["docs", "functions", "local", "shared", "tests"] {
        files(&root.join(folder), &mut found);
    }
    let texts: Vec<String> = found.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let functions: BTreeSet<&str> = texts
        .iter()
        .flat_map(|text| text.split("fn ").skip(1))
        .filter_map(|rest| rest.split(['(', '<']).next())
        .collect();
    // A metric is named as a test is, and is none.
    let is_metric = |part: &&str| telemetry::ALL.iter().any(|metric| metric.name == *part);
    let parts = texts.iter().flat_map(|text| text.split('`'));
    let named: BTreeSet<&str> = parts.filter(|part| is_name(part) && !is_metric(part)).collect();
    assert!(named.len() > 30, "the pages name tests: {}", named.len());
    let missing: Vec<_> = named.difference(&functions).collect();
    assert!(missing.is_empty(), "no test has the name {missing:#?}");
}
