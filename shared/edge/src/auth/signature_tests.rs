use proptest::prelude::*;
use rstest::rstest;

use super::*;

const MASTER: &str = "0123456789abcdef0123456789abcdef";
const KEY_ID: &str = "01K9Z3NDEKTSV4RRFFQ69G5FAV";

fn parts() -> Parts<'static> {
    Parts {
        method: "POST",
        path: "/api/v2/wallets/ann/deposits",
        query: "",
        timestamp: "1700000000",
        nonce: "0123456789abcdef",
        user: "ann",
        room: "",
        body: br#"{"amount":1000}"#,
    }
}

#[test]
fn the_text_has_nine_lines_in_a_fixed_order() {
    assert_eq!(
        signed_text(&parts()),
        "v1\nPOST\n/api/v2/wallets/ann/deposits\n\n1700000000\n0123456789abcdef\nann\n\n\
         612612d208fb618eb2b007d2a7f8d7a1cfb511532389298f1cc33322c3094bcc"
    );
}

/// The figures come from `openssl dgst -sha256 -hmac`: a client of another maker finds the same.
#[test]
fn a_signature_is_what_another_implementation_finds() {
    let secret = derive_secret(MASTER, KEY_ID);
    assert_eq!(secret, "6361417eb15fb9a900720404e8d9e0d6aa32c11f1bb42574ac196c1e8f249209");
    assert_eq!(
        sign(&secret, &signed_text(&parts())),
        "v1=49769ddb9d94173527726c06fefacc59b45db2b6f784a763c349555b79f0b26b"
    );
}

#[test]
fn a_request_that_differs_in_one_byte_does_not_verify() {
    let secret = derive_secret(MASTER, KEY_ID);
    let signatures = Signatures::parse(&sign(&secret, &signed_text(&parts()))).unwrap();
    assert!(signatures.verify(&secret, &signed_text(&parts())));
    let changed = [
        Parts { method: "PUT", ..parts() },
        Parts { path: "/api/v2/wallets/bob/deposits", ..parts() },
        Parts { query: "a", ..parts() },
        Parts { timestamp: "1700000001", ..parts() },
        Parts { nonce: "0123456789abcdeg", ..parts() },
        Parts { user: "bob", ..parts() },
        Parts { room: KEY_ID, ..parts() },
        Parts { user: "", room: "ann", ..parts() },
        Parts { body: br#"{"amount":1001}"#, ..parts() },
        Parts { body: b"", ..parts() },
    ];
    for parts in changed {
        assert!(!signatures.verify(&secret, &signed_text(&parts)), "{parts:?}");
    }
    for other in ["", &derive_secret(MASTER, "01K9Z3NDEKTSV4RRFFQ69G5FAW"), MASTER] {
        assert!(!signatures.verify(other, &signed_text(&parts())));
    }
}

/// A comparison of a part of the signature would let the rest be anything.
#[test]
fn a_signature_that_differs_in_one_byte_does_not_verify() {
    let text = signed_text(&parts());
    let signatures = Signatures::parse(&sign("secret", &text)).unwrap();
    for place in 0..MAC_LEN {
        let mut changed = signatures.clone();
        changed.0[0][place] ^= 1;
        assert!(!changed.verify("secret", &text), "byte {place}");
    }
}

#[test]
fn one_of_several_signatures_is_enough() {
    let text = signed_text(&parts());
    let both = format!("{}, {}", sign("old", &text), sign("new", &text));
    let signatures = Signatures::parse(&both).unwrap();
    assert!(signatures.verify("old", &text) && signatures.verify("new", &text));
    assert!(!signatures.verify("other", &text));
}

#[rstest]
#[case::empty("")]
#[case::without_digits("v1=")]
#[case::other_version("v2=00")]
#[case::short("v1=00")]
#[case::not_ascii("v1=뿌리기")]
#[case::not_hex("v1=zz")]
#[case::only_commas(",,")]
fn a_malformed_header_holds_no_signature(#[case] value: &str) {
    assert_eq!(Signatures::parse(value), None);
}

#[test]
fn a_header_holds_at_most_four_signatures() {
    let one = format!("v1={}", "0".repeat(64));
    assert!(Signatures::parse(&vec![one.clone(); 4].join(",")).is_some());
    assert!(Signatures::parse(&vec![one.clone(); 5].join(",")).is_none());
    assert!(Signatures::parse(&format!("{one},")).is_none());
    assert!(Signatures::parse(&format!("{one}0")).is_none());
}

#[test]
fn the_debug_text_of_signatures_is_redacted() {
    let signatures = Signatures::parse(&sign("secret", "text")).unwrap();
    assert_eq!(format!("{signatures:?}"), "Signatures(..)");
}

#[rstest]
#[case("/a%2Fb", Some("/a/b"))]
#[case("/%252F", Some("/%2F"))]
#[case("/%EB%BF%8C", Some("/뿌"))]
#[case("/a+b", Some("/a+b"))]
#[case("/%zz%2", Some("/%zz%2"))]
#[case("/%FF", None)]
fn a_path_is_decoded_once(#[case] path: &str, #[case] decoded: Option<&str>) {
    assert_eq!(decoded_path(path).as_deref(), decoded);
}

proptest! {
    /// Only the path may hold line feeds. The other parts cannot: the kernel takes a query of visible
    /// ASCII, and headers hold no line feed.
    #[test]
    fn no_two_requests_have_the_same_text(
        left in ("[A-Z]{1,3}", "[a/\n]{0,6}", "[a=]{0,2}", "[1]{0,2}", "[a]{0,2}", "[a]{0,2}"),
        right in ("[A-Z]{1,3}", "[a/\n]{0,6}", "[a=]{0,2}", "[1]{0,2}", "[a]{0,2}", "[a]{0,2}"),
    ) {
        let text = |(method, path, query, timestamp, user, room): &(
            String, String, String, String, String, String,
        )| {
            signed_text(&Parts { method, path, query, timestamp, user, room, ..parts() })
        };
        prop_assert_eq!(left == right, text(&left) == text(&right));
    }
}
