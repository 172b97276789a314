//! Changes of a sample.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

/// The most changes of one sample.
const EDITS_MAX: usize = 8;

/// A change of a text, at a place that wraps around.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Edit {
    /// Another byte.
    Replace(u16, u8),
    /// One byte more.
    Insert(u16, u8),
    /// One byte less.
    Delete(u16),
    /// The text ends here.
    Cut(u16),
    /// What comes before it comes twice.
    Twice(u16),
}

/// As many rounds of a test as CI has time for; more, where PROPTEST_CASES says so.
pub(crate) fn rounds() -> ProptestConfig {
    let given = ProptestConfig::default();
    ProptestConfig { cases: given.cases.max(1_000), ..given }
}

/// Changes of a text, perhaps none.
pub(crate) fn edits() -> impl Strategy<Value = Vec<Edit>> {
    // A byte with a meaning in JSON, CSV or a path, or any.
    let byte = || prop_oneof![prop::sample::select(&br#""{}[],:;=%/\-+. 0v1"#[..]), any::<u8>()];
    let edit = prop_oneof![
        4 => (any::<u16>(), byte()).prop_map(|(at, byte)| Edit::Replace(at, byte)),
        4 => (any::<u16>(), byte()).prop_map(|(at, byte)| Edit::Insert(at, byte)),
        4 => any::<u16>().prop_map(Edit::Delete),
        1 => any::<u16>().prop_map(Edit::Cut),
        1 => any::<u16>().prop_map(Edit::Twice),
    ];
    vec(edit, 0..EDITS_MAX)
}

/// The sample after the edits.
pub(crate) fn edited(sample: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut bytes = sample.to_vec();
    for edit in edits {
        let len = bytes.len();
        let place = |at: u16| usize::from(at).checked_rem(len).unwrap_or(0);
        match *edit {
            Edit::Replace(at, byte) if !bytes.is_empty() => {
                let at = place(at);
                bytes[at] = byte;
            }
            Edit::Delete(at) if !bytes.is_empty() => drop(bytes.remove(place(at))),
            Edit::Replace(at, byte) | Edit::Insert(at, byte) => bytes.insert(place(at), byte),
            Edit::Delete(_) => {}
            Edit::Cut(at) => bytes.truncate(place(at)),
            Edit::Twice(at) => {
                let head = bytes[..place(at)].to_vec();
                drop(bytes.splice(0..0, head));
            }
        }
    }
    bytes
}

/// A change of a JSON value: one of its nodes becomes another value, or is taken away.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeEdit {
    node: u16,
    with: u8,
}

/// Changes of a JSON value, perhaps none.
pub(crate) fn node_edits() -> impl Strategy<Value = Vec<NodeEdit>> {
    let edit = (any::<u16>(), any::<u8>()).prop_map(|(node, with)| NodeEdit { node, with });
    vec(edit, 0..EDITS_MAX)
}

/// The sample after the edits.
pub(crate) fn with_nodes(sample: &Value, edits: &[NodeEdit]) -> Value {
    let mut value = sample.clone();
    for NodeEdit { node, with } in edits {
        let mut paths = Vec::new();
        collect(&value, String::new(), &mut paths);
        let path = &paths[usize::from(*node) % paths.len()];
        let odd = odd();
        let found = value.pointer_mut(path).unwrap();
        match odd.get(usize::from(*with) % (odd.len() + 1)) {
            Some(odd) => *found = odd.clone(),
            None => remove(&mut value, path),
        }
    }
    value
}

/// Values that are seldom right.
fn odd() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!("0"),
        json!("-0"),
        json!("99999999999999999999999999999999999999"),
        json!("뿌리기\u{0}\u{202e}"),
        json!("%2F..%2f?#"),
        json!("x".repeat(5_000)),
        json!([]),
        json!([[]]),
        json!({}),
        json!({ "S": "" }),
        json!({ "N": "NaN" }),
        json!({ "M": { "a": { "L": [] } } }),
    ]
}

fn collect(value: &Value, path: String, paths: &mut Vec<String>) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, format!("{path}/{index}"), paths);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                collect(member, format!("{path}/{name}"), paths);
            }
        }
        _ => {}
    }
    paths.push(path);
}

fn remove(value: &mut Value, path: &str) {
    let Some((parent, name)) = path.rsplit_once('/') else {
        *value = Value::Null;
        return;
    };
    match value.pointer_mut(parent) {
        Some(Value::Object(members)) => {
            drop(members.remove(&name.replace("~1", "/").replace("~0", "~")))
        }
        Some(Value::Array(items)) => drop(items.remove(name.parse().unwrap())),
        _ => {}
    }
}

#[test]
fn edits_stay_within_a_sample_and_reach_every_node() {
    let all = [
        Edit::Cut(3),
        Edit::Replace(9, b'x'),
        Edit::Delete(0),
        Edit::Insert(0, b'y'),
        Edit::Twice(2),
    ];
    assert_eq!(edited(b"abcdef", &all), b"ybybc");
    assert_eq!(edited(b"", &[Edit::Delete(7), Edit::Cut(7), Edit::Replace(7, b'x')]), b"x");
    let sample = json!({ "a/b": [1] });
    let reached = |node| with_nodes(&sample, &[NodeEdit { node, with: 0 }]);
    assert_eq!(reached(0), json!({ "a/b": [null] }));
    assert_eq!(reached(1), json!({ "a/b": null }));
    assert_eq!(reached(2), Value::Null);
    let gone = u8::try_from(odd().len()).unwrap();
    assert_eq!(with_nodes(&sample, &[NodeEdit { node: 0, with: gone }]), json!({ "a/b": [] }));
}
