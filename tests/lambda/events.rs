//! The files in `events/`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::binaries::stack;

/// Functions whose two events are driven here; a new function is added with its tests.
const DRIVEN: [&str; 20] = [
    "admin",
    "archive",
    "campaign-control",
    "campaign-fanout",
    "campaign-pay",
    "campaign-retry",
    "campaign-seal",
    "campaign-start",
    "drop-enter",
    "grant-pay",
    "notify",
    "outbox",
    "pool-sweep",
    "product-invest",
    "query",
    "reconcile",
    "refund-batch",
    "spray-claim",
    "spray-create",
    "wallet",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../events")
}

/// One of the events.
pub(crate) fn event(function: &str, case: &str) -> Value {
    let path = folder().join(function).join(case).with_extension("json");
    let text = std::fs::read(&path);
    let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_function_of_the_template_is_driven_with_a_happy_and_a_hostile_event() {
    let deployed: BTreeSet<&str> = stack().functions.iter().map(|f| f.binary.as_str()).collect();
    assert_eq!(deployed, BTreeSet::from(DRIVEN));
    for function in deployed {
        for case in ["happy", "hostile"] {
            assert!(event(function, case).is_object(), "{function}/{case}");
        }
    }
}

#[test]
fn no_event_is_left_of_a_function_that_is_gone() {
    for entry in std::fs::read_dir(folder()).expect("events/") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("a name");
        let is_function = entry.path().is_dir() && name != "schemas";
        assert!(!is_function || DRIVEN.contains(&name.as_str()), "events/{name}");
    }
}
