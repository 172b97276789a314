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

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Every page and every file of code.
fn texts() -> Vec<String> {
    let mut found = vec![root().join("README.md"), root().join("CONTRIBUTING.md")];
    for folder in ["docs", "functions", "local", "shared", "tests"] {
        files(&root().join(folder), &mut found);
    }
    found.iter().map(|file| fs::read_to_string(file).unwrap()).collect()
}

#[test]
fn every_test_that_a_page_names_exists() {
    let texts = texts();
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

/// The names of the functions that are tests: an attribute says so, right above.
fn tests(text: &str) -> BTreeSet<String> {
    let (mut names, mut is_test) = (BTreeSet::new(), false);
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[") && line.contains("test") {
            is_test = true;
        } else if let Some((_, rest)) = line.split_once("fn ") {
            let name = rest.split(['(', '<']).next().unwrap_or_default();
            if std::mem::take(&mut is_test) {
                names.insert(name.to_owned());
            }
        } else if line.is_empty() || line == "}" {
            is_test = false;
        }
    }
    names
}

/// The rows of a section's table: the cell of what is said, and that of what shows it.
fn rows<'a>(page: &'a str, heading: &str) -> Vec<(&'a str, &'a str)> {
    let (_, section) = page.split_once(heading).expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| "));
    let rows = rows.filter_map(|row| {
        let (said, shown) = row.trim_end_matches(" |").rsplit_once(" | ")?;
        Some((said, shown))
    });
    // Below the names of the columns and the line under them.
    rows.skip(2).collect()
}

#[test]
fn every_promise_attack_and_bad_input_names_a_test_that_shows_it() {
    let page = fs::read_to_string(root().join("docs/guarantees.md")).unwrap();
    let tests: BTreeSet<String> = texts().iter().flat_map(|text| tests(text)).collect();
    let sections =
        [("# Guarantees", 16), ("## Of single parts", 40), ("## Attacks", 14), ("## Bad input", 6)];
    for (heading, least) in sections {
        let rows = rows(&page, heading);
        assert!(rows.len() >= least, "{heading}: {} rows", rows.len());
        for (said, shown) in rows {
            let named = shown.split('`').skip(1).step_by(2);
            let (files, names): (Vec<_>, Vec<_>) = named.partition(|part| part.contains('/'));
            for file in &files {
                assert!(root().join(file).exists(), "there is no {file}: {said}");
            }
            for name in &names {
                assert!(tests.contains(*name), "{name} is no test: {said}");
            }
            assert!(!(files.is_empty() && names.is_empty()), "no test: {said}");
        }
    }
}

/// A version with a known hole, and one that was withdrawn, are no warnings; CI never goes on
/// without the list of holes; and it looks when nothing is pushed.
#[test]
fn a_known_hole_in_a_dependency_stops_the_build() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let deny = read("deny.toml");
    let (_, advisories) = deny.split_once("[advisories]\n").expect("a section");
    let advisories = advisories.split("\n[").next().unwrap_or_default();
    for setting in ["yanked = \"deny\"", "ignore = []"] {
        assert!(advisories.lines().any(|line| line == setting), "{setting}");
    }
    let run = read(".ci/run");
    assert!(run.lines().any(|line| line == "set -euo pipefail"));
    assert!(run.lines().any(|line| line == "step \"known holes\" advisories"));
    assert!(run.contains("cargo deny check --disable-fetch advisories\n"));
    let ci = read(".github/workflows/ci.yml");
    for start in ["run: .ci/run", "ADVISORIES: required", "- cron: "] {
        assert!(ci.lines().any(|line| line.trim().starts_with(start)), "{start}");
    }
    assert!(!ci.contains("continue-on-error"));
}
