//! The description of the API is what is stored. `UPDATE=1` writes docs/money-openapi.json anew.

use serde_json::Value;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/money-openapi.json");

#[test]
fn the_stored_description_is_up_to_date() {
    let described = largesse_money_server::api();
    if std::env::var_os("UPDATE").is_some() {
        let text = serde_json::to_string_pretty(&described).unwrap() + "\n";
        std::fs::write(PATH, text).unwrap();
    }
    // Compared as values: the order of the members is for readers.
    let stored: Value = serde_json::from_str(&std::fs::read_to_string(PATH).unwrap()).unwrap();
    let described = serde_json::to_value(described).unwrap();
    assert!(stored == described, "run this test with UPDATE=1, then again");
}
