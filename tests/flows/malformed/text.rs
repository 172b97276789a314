//! Text: what is refused, and what is kept exactly as it came.

use rstest::rstest;
use serde_json::{Value, json};

use super::Scene;

fn long(count: usize) -> String {
    "가".repeat(count)
}

#[rstest]
#[case::nul("a\0b".to_owned())]
#[case::line_feed("a\nb".to_owned())]
#[case::escape("a\u{1b}[31m".to_owned())]
#[case::delete("a\u{7f}".to_owned())]
#[case::next_line("a\u{85}".to_owned())]
#[case::too_long(long(201))]
#[tokio::test]
async fn control_characters_and_long_text_are_refused(#[case] text: String) {
    let scene = Scene::set().await;
    for (path, body, status) in [
        ("/api/v2/wallets/2/deposits", json!({ "amount": 5, "memo": text }), 400),
        ("/api/v2/rooms", json!({ "name": text }), 400),
        ("/api/v2/campaigns", json!({ "name": text }), 400),
        ("/api/v2/campaigns", json!({ "name": "n", "default_reason": text }), 400),
        ("/api/v1/rooms", json!({ "room_name": text }), 422),
    ] {
        let reply = scene.ask("POST", path).json(&body).await;
        scene.refused(&reply, status, "ERR001", &format!("{path} {text:?}"));
    }
}

#[rstest]
#[case::composed("caf\u{e9}".to_owned())]
#[case::right_to_left("\u{5e9}\u{5dc}\u{5d5}\u{5dd}".to_owned())]
#[case::family("\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}".to_owned())]
#[case::korean_as_long_as_allowed(long(100))]
#[case::quotes("\"\\\u{2028}<script>'; DROP TABLE--".to_owned())]
#[tokio::test]
async fn text_of_any_script_is_kept_as_it_came(#[case] text: String) {
    let scene = Scene::set().await;
    let api = &scene.api;
    let room = scene.ask("POST", "/api/v2/rooms").json(json!({ "name": text })).await.expect(201);
    let path = format!("/api/v2/rooms/{}", room.string("room_id"));
    assert_eq!(api.get("2", path).await.expect(200).string("name"), text);
    let v1 = scene.ask("POST", "/api/v1/rooms").json(json!({ "room_name": text })).await;
    assert_eq!(v1.expect(200).string("room_name"), text);
    let wish = json!({ "amount": 5, "memo": text });
    let made = scene.ask("POST", "/api/v2/wallets/2/deposits").json(wish).await.expect(201);
    let path = format!("/api/v2/wallets/2/transactions/{}", made.string("transaction_id"));
    assert_eq!(api.get("2", path).await.expect(200).string("memo"), text);
}

/// 회, in its two spellings.
#[rstest]
#[case::composed("\u{d68c}")]
#[case::decomposed("\u{1112}\u{116c}")]
#[tokio::test]
async fn a_room_name_of_100_syllables_is_one_name_in_both_spellings(#[case] syllable: &str) {
    let scene = Scene::set().await;
    let (v1, v2) = ("/api/v1/rooms", "/api/v2/rooms");
    for (path, field, status) in [(v1, "room_name", 200), (v2, "name", 201)] {
        let name = json!({ field: syllable.repeat(100) });
        let made = scene.ask("POST", path).json(&name).await.expect(status);
        assert_eq!(made.string(field), "\u{d68c}".repeat(100));
        let look = scene.api.get("2", format!("/api/v2/rooms/{}", made.string("room_id"))).await;
        assert_eq!(look.expect(200).string("name"), "\u{d68c}".repeat(100));
        let name = json!({ field: syllable.repeat(101) });
        let reply = scene.ask("POST", path).json(&name).await;
        let refused = if status == 200 { 422 } else { 400 };
        assert_eq!(reply.verdict(), (refused, "ERR001"), "{}", reply.text);
        assert!(reply.text.contains("at most 100 characters"), "{}", reply.text);
    }
}

#[rstest]
#[case::zero_width("\u{200b}\u{200d}\u{feff}", "visible")]
#[case::hangul_filler(" \u{3164} ", "visible")]
#[case::override_of_direction("a\u{202e}b", "direction")]
#[case::isolate("\u{2066}a\u{2069}", "direction")]
#[case::mark("a\u{200f}", "direction")]
#[case::arabic_mark("a\u{61c}", "direction")]
#[tokio::test]
async fn a_room_name_that_looks_blank_or_like_another_is_refused(
    #[case] name: &str,
    #[case] reason: &str,
) {
    let scene = Scene::set().await;
    let reply = scene.ask("POST", "/api/v1/rooms").json(json!({ "room_name": name })).await;
    scene.refused(&reply, 422, "ERR001", name);
    let issue = reply.body["detail"][0]["msg"].as_str().unwrap();
    assert!(issue.contains(reason), "{issue}");
    let reply = scene.ask("POST", "/api/v2/rooms").json(json!({ "name": name })).await;
    scene.refused(&reply, 400, "ERR001", name);
    let issue = reply.body["errors"][0]["detail"].as_str().unwrap();
    assert!(issue.contains(reason), "{issue}");
}

/// A memo is the sender's own words: nobody looks it up, so it needs no normal form.
#[tokio::test]
async fn a_memo_is_kept_in_its_spelling() {
    let scene = Scene::set().await;
    let wish = json!({ "amount": 5, "memo": "cafe\u{301}" });
    let made = scene.ask("POST", "/api/v2/wallets/2/deposits").json(wish).await.expect(201);
    let path = format!("/api/v2/wallets/2/transactions/{}", made.string("transaction_id"));
    assert_eq!(scene.api.get("2", path).await.expect(200).string("memo"), "cafe\u{301}");
}

/// Nothing but three of `[A-Z0-9]` is a token; what is none looks like one that nobody carries.
#[rstest]
#[case("")]
#[case("A")]
#[case("ABCD")]
#[case("abc")]
#[case("A B")]
#[case("\u{ff21}\u{ff22}\u{ff23}")]
#[case("AB\0")]
#[case("AB\u{301}")]
#[case("\u{202e}AB")]
#[tokio::test]
async fn what_is_no_token_is_one_that_does_not_exist(#[case] token: &str) {
    let scene = Scene::set().await;
    let reply = scene.ask("POST", "/api/v1/receive").json(json!({ "token": token })).await;
    scene.refused(&reply, 400, "ERR005", token);
    assert_eq!(reply.body["token_status"], Value::Null);
    let long = json!({ "token": "A".repeat(60_000) });
    scene.refused(&scene.ask("POST", "/api/v1/receive").json(long).await, 400, "ERR005", "long");
    let encoded: String = token.bytes().map(|byte| format!("%{byte:02X}")).collect();
    if !token.is_empty() {
        let claim = scene.ask("POST", &format!("/api/v2/sprays/{encoded}/claims")).await;
        scene.refused(&claim, 404, "ERR005", token);
        let look = scene.ask("GET", &format!("/api/v2/sprays/{encoded}")).await;
        scene.refused(&look, 404, "ERR005", token);
        let look = scene.ask("GET", &format!("/api/v1/spray/{encoded}")).await;
        scene.refused(&look, 404, "ERR005", token);
    }
}
