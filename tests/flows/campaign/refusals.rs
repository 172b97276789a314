//! Every refusal of an action, and which comes first.

use std::sync::Arc;

use axum::body::Body;
use http::Request;
use largesse::compose;
use largesse_edge::cursor::CursorKey;
use largesse_edge::{EdgeConfig, kernel};
use largesse_tests::http::{Api, Reply};
use rstest::rstest;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{act, put, ready, sealed, shown, simple};
use crate::campaign::ROWS;

const NOBODYS: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

fn content(hash: &str) -> Value {
    json!({ "content_hash": hash })
}

/// What each action needs besides the campaign.
fn body_of(action: &str) -> Value {
    match action {
        "approve" | "start" => content(ZEROS),
        "force" => json!({ "content_hash": ZEROS, "memo": "m" }),
        "stop" | "rollback" => json!({ "memo": "m" }),
        _ => Value::Null,
    }
}

const ACTIONS: [&str; 7] = ["seal", "approve", "start", "stop", "retry", "force", "rollback"];

#[tokio::test]
async fn a_campaign_that_is_not_there_is_not_found() {
    let api = Api::new(31);
    let before = api.dump_business();
    for action in ACTIONS.into_iter().filter(|action| *action != "force") {
        for id in [NOBODYS, "none"] {
            let ask = act(&api, "ann", id, action).key(api.new_key()).json(body_of(action));
            assert_eq!(ask.await.verdict(), (404, "ERR005"), "{action} {id}");
        }
    }
    assert_eq!(put(&api, NOBODYS, "1", ROWS).await.verdict(), (404, "ERR005"));
    let id = simple(&api).await;
    for number in ["0", "01", "+1", "10001", "x", "1.0"] {
        assert_eq!(put(&api, &id, number, ROWS).await.verdict(), (404, "ERR005"), "{number}");
    }
    for path in ["", "/audit", "/duplicates.csv"] {
        let reply = api.get("ann", format!("/api/v2/campaigns/{NOBODYS}{path}")).await;
        assert_eq!(reply.verdict(), (404, "ERR005"), "{path}");
    }
    let after = api.dump_business();
    assert_eq!(before["largesse-campaign-rows"], after["largesse-campaign-rows"]);
}

#[tokio::test]
async fn an_action_in_a_state_that_does_not_take_it_is_refused_with_the_state() {
    let api = Api::new(32);
    let id = simple(&api).await;
    for action in ["approve", "start", "stop", "retry", "rollback"] {
        let ask = act(&api, "bob", &id, action).key(api.new_key()).json(body_of(action));
        let refused = ask.await;
        assert_eq!(refused.verdict(), (409, "ERR201"), "{action}: {}", refused.text);
        assert_eq!(refused.body["state"], "DRAFT");
    }
    let (id, _) = ready(&api).await;
    for action in ["retry", "rollback", "stop"] {
        let ask = act(&api, "bob", &id, action).key(api.new_key()).json(body_of(action));
        let refused = ask.await;
        assert_eq!(refused.verdict(), (409, "ERR201"), "{action}");
        assert_eq!(refused.body["state"], "WAITING");
    }
}

#[tokio::test]
async fn a_seal_that_is_repeated_when_it_is_done_is_answered_and_changes_nothing() {
    let api = Api::new(32);
    let (id, hash) = ready(&api).await;
    let before = api.dump_business();
    let again = act(&api, "ann", &id, "seal").await.expect(202);
    assert_eq!(again.body["state"], "WAITING");
    assert_eq!(again.body["sealed"]["content_hash"], hash.as_str());
    assert!(api.dump_business() == before);
}

#[tokio::test]
async fn refusals_come_in_their_order() {
    let api = Api::new(33);
    let terms = json!({ "name": "n", "default_reason": "r", "approvals": 1 });
    let (id, hash) = sealed(&api, terms, ROWS).await;
    let ask = |user: &'static str, action: &str, hash: &str| {
        act(&api, user, &id, action).json(content(hash))
    };
    // Start: the content comes before the approval.
    let refused = ask("ann", "start", ZEROS).await;
    assert_eq!(refused.verdict(), (409, "ERR202"));
    assert_eq!(refused.body["content_hash"], hash.as_str());
    assert_eq!(ask("ann", "start", &hash).await.verdict(), (409, "ERR205"));
    // Approve: the content comes before the approver.
    assert_eq!(ask("ann", "approve", ZEROS).await.verdict(), (409, "ERR202"));
    assert_eq!(ask("ann", "approve", &hash).await.verdict(), (403, "ERR204"));
    let approved = ask("eve", "approve", &hash).await.expect(202);
    assert_eq!(approved.body["approval"]["by"], "eve");
    ask("ann", "start", &hash).await.expect(202);
    // While it runs, a start of its content is a repeat, and the state comes first for the rest.
    assert_eq!(ask("ann", "start", ZEROS).await.verdict(), (409, "ERR202"));
    assert_eq!(ask("ann", "start", &hash).await.expect(202).body["state"], "RUNNING");
    assert_eq!(ask("ann", "approve", ZEROS).await.verdict(), (409, "ERR201"));
    // A campaign without approvals takes none.
    let (other, hash) = ready(&api).await;
    let refused = act(&api, "eve", &other, "approve").json(content(&hash)).await;
    assert_eq!(refused.verdict(), (409, "ERR203"));
}

#[tokio::test]
async fn a_retry_waits_for_open_rows_and_replays_its_answer() {
    let api = Api::new(34);
    let (id, hash) = ready(&api).await;
    act(&api, "ann", &id, "start").json(content(&hash)).await.expect(202);
    act(&api, "ann", &id, "stop").json(json!({ "memo": "m" })).await.expect(202);
    let refused = act(&api, "ann", &id, "retry").key("k").await;
    assert_eq!((refused.verdict(), refused.number("rows")), ((409, "ERR206"), 2));
    assert_eq!(refused.header("retry-after"), "10");
    let again = act(&api, "ann", &id, "retry").key("k").await;
    assert_eq!(
        (again.text, again.headers["idempotency-replayed"].as_bytes()),
        (refused.text, b"true".as_slice())
    );
    let missing = act(&api, "ann", &id, "retry").await;
    assert_eq!(
        (missing.verdict(), &missing.body["errors"][0]["field"]),
        ((400, "ERR001"), &json!("Idempotency-Key"))
    );
}

#[rstest]
#[case("start", r#"{}"#, "content_hash")]
#[case("start", r#"{"content_hash":null}"#, "content_hash")]
#[case("start", r#"{"content_hash":"0A"}"#, "content_hash")]
#[case("start", r#"{"content_hash":7}"#, "content_hash")]
#[case("approve", r#"{"content_hash":"xyz"}"#, "content_hash")]
#[case("force", r#"{"memo":"m"}"#, "content_hash")]
#[case("stop", r#"{}"#, "memo")]
#[case("stop", r#"{"memo":" "}"#, "memo")]
#[case("stop", r#"{"memo":"a\nb"}"#, "memo")]
#[case("stop", r#"{"memo":"m","memo":"m"}"#, "memo")]
#[case("stop", r#"{"memo":"m","why":"x"}"#, "why")]
#[case("rollback", r#"{"memo":null}"#, "memo")]
#[case("rollback", r#"{"memo":"m","dry_run":null}"#, "dry_run")]
#[case("rollback", r#"{"memo":"m","dry_run":"yes"}"#, "dry_run")]
#[case("rollback", r#"["m"]"#, "")]
#[case("force", r#"{"content_hash""#, "")]
#[tokio::test]
async fn a_malformed_body_of_an_action_is_refused_and_names_the_field(
    #[case] action: &str,
    #[case] body: &str,
    #[case] field: &str,
) {
    let api = Api::new(35);
    let (id, _) = ready(&api).await;
    let before = api.dump();
    let refused = act(&api, "ann", &id, action).json(body).await;
    assert_eq!(refused.verdict(), (400, "ERR001"), "{}", refused.text);
    assert_eq!(refused.body["errors"][0]["field"], field, "{}", refused.text);
    let refused = act(&api, "ann", &id, action).raw(body).await;
    assert_eq!(refused.verdict(), (415, "ERR001"));
    assert!(api.dump() == before);
}

#[tokio::test]
async fn an_action_takes_no_query() {
    let api = Api::new(36);
    let (id, _) = ready(&api).await;
    let before = api.dump();
    for action in ACTIONS {
        let ask = act(&api, "ann", &id, &format!("{action}?now=1"));
        let refused = ask.key(api.new_key()).json(body_of(action)).await;
        assert_eq!(refused.verdict(), (400, "ERR001"), "{action}");
        assert_eq!(refused.body["errors"][0]["field"], "now");
    }
    assert_eq!(put(&api, &id, "1?now=1", ROWS).await.verdict(), (400, "ERR001"));
    assert!(api.dump() == before);
}

/// Forces by a function whose deployment lets boss do it.
async fn force(api: &Api, user: &str, id: &str, hash: &str) -> Reply {
    let function = api.sandbox.world.stack().function("campaign-control").unwrap().clone();
    let mut edge = EdgeConfig::open(CursorKey::new("a secret that only tests know").unwrap());
    edge.force_users = vec!["boss".parse().unwrap()];
    let store = api.sandbox.store.clone();
    let router = compose::routes_of(&function, &store, &Arc::new(edge)).unwrap();
    let request = Request::post(format!("/api/v2/campaigns/{id}/force"))
        .header("x-user-id", user)
        .header("content-type", "application/json")
        .body(Body::from(json!({ "content_hash": hash, "memo": "payday" }).to_string()));
    let router = kernel::wrap(router, store);
    Reply::read(router.oneshot(request.unwrap()).await.unwrap()).await
}

#[tokio::test]
async fn only_users_that_the_deployment_names_force_a_campaign() {
    let api = Api::new(37);
    let (id, hash) =
        sealed(&api, json!({ "name": "n" }), "member_id,amount,reason\nbob,1,r\n").await;
    let (first, firsts) = ready(&api).await;
    act(&api, "ann", &first, "start").json(content(&firsts)).await.expect(202);
    let before = api.dump();
    let body = json!({ "content_hash": hash, "memo": "m" });
    for user in ["ann", "boss"] {
        // Without the setting nobody may, and whether the campaign is there is not told.
        let refused = act(&api, user, &id, "force").json(&body).await;
        assert_eq!(refused.verdict(), (403, "ERR004"));
        let refused = act(&api, user, NOBODYS, "force").json(&body).await;
        assert_eq!(refused.verdict(), (403, "ERR004"));
    }
    assert_eq!(force(&api, "ann", &id, &hash).await.verdict(), (403, "ERR004"));
    assert!(api.dump() == before);
    assert_eq!(force(&api, "boss", &id, ZEROS).await.verdict(), (409, "ERR202"));
    assert_eq!(force(&api, "boss", &id, &hash).await.expect(202).body["state"], "RUNNING");
    assert_eq!(shown(&api, &first).await.body["state"], "RUNNING");
}
