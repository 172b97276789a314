//! What a caller sends to the edge: cursors and signatures.

use largesse_edge::auth::signature::{Parts, Signatures, decoded_path, sign, signed_text};
use largesse_edge::cursor::CursorKey;
use proptest::prelude::*;

use crate::edits::{Edit, edited, edits, rounds};

fn text_of(sample: &str, edits: &[Edit]) -> String {
    String::from_utf8_lossy(&edited(sample.as_bytes(), edits)).into_owned()
}

const PARTS: Parts<'_> = Parts {
    method: "POST",
    path: "/api/v2/sprays",
    query: "",
    timestamp: "1700000000",
    nonce: "0123456789abcdef",
    user: "ann",
    room: "",
    body: b"{}",
};

proptest! {
    #![proptest_config(rounds())]

    #[test]
    fn no_changed_cursor_opens(edits in edits()) {
        let key = CursorKey::new("a secret of sixteen").unwrap();
        let cursor = key.seal("GET /a\nann", "01K9Z3NDEKTSV4RRFFQ69G5FAV");
        let text = text_of(&cursor, &edits);
        let opened = key.open::<String>("GET /a\nann", &text);
        prop_assert_eq!(opened.is_ok(), text == cursor, "{}", text);
    }

    #[test]
    fn a_header_verifies_only_with_the_whole_signature_in_it(edits in edits()) {
        let text = signed_text(&PARTS);
        let signature = sign("secret", &text);
        let value = text_of(&format!("{}, {signature}", sign("old", &text)), &edits);
        let verifies = Signatures::parse(&value).is_some_and(|given| given.verify("secret", &text));
        // Hexadecimal digits may be capitals.
        let is_in_it = value.to_ascii_lowercase().contains(&signature);
        prop_assert!(!verifies || is_in_it, "{}", value);
    }

    #[test]
    fn a_path_without_an_escape_is_decoded_to_itself(edits in edits()) {
        let path = text_of("/api/v2/wallets/%EA%B9%80%2f/transactions/%zz%", &edits);
        let decoded = decoded_path(&path);
        prop_assert!(path.contains('%') || decoded.as_deref() == Some(&*path), "{}", path);
        prop_assert!(decoded.is_none_or(|decoded| decoded.len() <= path.len()), "{}", path);
    }
}
