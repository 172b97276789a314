//! template.yaml, infra/ and the pages, as the tests read them.

use std::fs;
use std::path::{Path, PathBuf};

use largesse_emulator::template_json;
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A file of the repository.
pub(crate) fn read_text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// A template, as JSON.
pub(crate) fn read(path: &str) -> Value {
    template_json(&read_text(path)).unwrap()
}

/// The resources of a type, by their logical ids.
pub(crate) fn of_type<'a>(template: &'a Value, kind: &str) -> Vec<(&'a str, &'a Value)> {
    let resources = template["Resources"].as_object().unwrap().iter();
    let found = resources.filter(|(_, resource)| resource["Type"] == kind);
    found.map(|(id, resource)| (id.as_str(), resource)).collect()
}
