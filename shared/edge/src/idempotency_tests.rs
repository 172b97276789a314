use super::*;
use crate::testing::{Fixture, call};
use axum::body::to_bytes;
use rstest::rstest;
use std::sync::atomic::{AtomicU32, Ordering};

fn request(user: &str, key: &str, body: &str) -> Call {
    let headers = [("X-USER-ID", user), (KEY_HEADER, key)];
    call("POST", "/api/v2/wallets/u1/deposits", &headers, body)
}

async fn run(
    deps: &Fixture,
    call: &Call,
    outcome: Result<StatusCode, ApiError>,
) -> (u16, bool, String) {
    let user = call.caller().unwrap();
    let key = call.required_key().unwrap();
    let answer = once(deps, call, &user, key, async |op| {
        outcome.and_then(|status| Answer::json(status, &op.to_string()))
    });
    let response = answer.await.unwrap_or_else(|error| error.render(&call.meta));
    let replayed = response.headers().contains_key("idempotency-replayed");
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 10_000).await.unwrap();
    (status, replayed, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer() {
    let deps = Fixture::default();
    let call = request("u1", "k", "{}");
    let (status, replayed, body) = run(&deps, &call, Ok(StatusCode::CREATED)).await;
    assert_eq!((status, replayed), (201, false));
    let again = run(&deps, &call, Ok(StatusCode::OK)).await;
    assert_eq!(again, (201, true, body));
}

#[tokio::test]
async fn a_refusal_is_stored_and_a_request_to_repeat_is_not() {
    let deps = Fixture::default();
    let call = request("u1", "k", "{}");
    let busy = ApiError::unavailable("busy", 1);
    assert_eq!(run(&deps, &call, Err(busy)).await.0, 503);
    let limited = ApiError::new(Code::TooManyRequests, "slow down");
    assert_eq!(run(&deps, &call, Err(limited)).await.0, 429);
    let poor = ApiError::new(Code::InsufficientBalance, "poor").with("balance", 5);
    let (status, replayed, body) = run(&deps, &call, Err(poor)).await;
    assert_eq!((status, replayed), (409, false));
    assert!(body.contains("\"balance\":5"), "{body}");
    assert_eq!(run(&deps, &call, Ok(StatusCode::OK)).await, (409, true, body));
}

#[tokio::test]
async fn another_payload_is_refused() {
    let deps = Fixture::default();
    run(&deps, &request("u1", "k", "{}"), Ok(StatusCode::OK)).await;
    let (status, _, body) = run(&deps, &request("u1", "k", "{ }"), Ok(StatusCode::OK)).await;
    assert_eq!(status, 422);
    assert!(body.contains("ERR006"), "{body}");
}

/// The virtual time that `work` takes.
#[expect(clippy::disallowed_methods, reason = "this is tokio's virtual time")]
async fn timed<F: Future>(work: F) -> (F::Output, u128) {
    let begun = tokio::time::Instant::now();
    let output = work.await;
    (output, begun.elapsed().as_millis())
}

#[tokio::test(start_paused = true)]
async fn a_repeat_waits_for_its_twin_and_gets_its_answer() {
    let deps = Fixture::default();
    let call = request("u1", "k", "{}");
    let (user, key) = (call.caller().unwrap(), call.key().unwrap());
    let slow = once(&deps, &call, &user, key, |_op| async {
        deps.pause_ms(300).await;
        Answer::json(StatusCode::CREATED, &"done")
    });
    let twin = timed(run(&deps, &call, Ok(StatusCode::OK)));
    let (first, (second, waited_ms)) = futures::join!(slow, twin);
    assert_eq!(first.unwrap().status(), StatusCode::CREATED);
    assert_eq!(second, (201, true, "\"done\"".to_owned()));
    assert_eq!(waited_ms, 350, "three pauses: 50, 100 and 200 ms");
}

#[tokio::test(start_paused = true)]
async fn a_twin_that_runs_longer_than_two_seconds_is_a_conflict() {
    let deps = Fixture::default();
    let call = request("u1", "k", "{}");
    let (user, key) = (call.caller().unwrap(), call.key().unwrap());
    let slow = once(&deps, &call, &user, key, |_op| async {
        deps.pause_ms(2_500).await;
        Answer::json(StatusCode::CREATED, &"done")
    });
    let twin = timed(run(&deps, &call, Ok(StatusCode::OK)));
    let (first, ((status, replayed, body), waited_ms)) = futures::join!(slow, twin);
    assert_eq!(first.unwrap().status(), StatusCode::CREATED);
    assert_eq!((status, replayed, waited_ms), (409, false, 2_000));
    assert!(body.contains("ERR006"), "{body}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_run_is_resumed_under_its_own_id() {
    let deps = Fixture::default();
    let call = request("u1", "k", "{}");
    let user = call.caller().unwrap();
    let key = call.key().unwrap();
    let (name, payload) = (name_of(&call, &user, &key.unwrap()), payload_of(&call));
    let first = deps.begin(&name, &payload, Ulid(5), deps.now(), Retention::DAY).await;
    assert_eq!(first.unwrap(), Begun::Fresh(Ulid(5)));
    assert_eq!(run(&deps, &call, Ok(StatusCode::OK)).await.0, 409);
    deps.lose_all_leases();
    let (status, _, body) = run(&deps, &call, Ok(StatusCode::OK)).await;
    assert_eq!((status, body), (200, format!("\"{}\"", Ulid(5))));
}

#[tokio::test]
async fn a_key_belongs_to_one_caller_and_one_route() {
    let deps = Fixture::default();
    run(&deps, &request("u1", "k", "{}"), Ok(StatusCode::OK)).await;
    let (status, replayed, _) = run(&deps, &request("u2", "k", "{}"), Ok(StatusCode::OK)).await;
    assert_eq!((status, replayed), (200, false));
    let mut elsewhere = request("u1", "k", "{}");
    elsewhere.route = "/api/v2/sprays".to_owned();
    let (status, replayed, _) = run(&deps, &elsewhere, Ok(StatusCode::OK)).await;
    assert_eq!((status, replayed), (200, false));
    assert_eq!(deps.remembered(), 3);
}

#[tokio::test]
async fn the_key_itself_is_never_stored() {
    let call = request("u1", "my-secret-key", "{}");
    let name = name_of(&call, &call.caller().unwrap(), &call.key().unwrap().unwrap());
    assert!(!name.contains("secret"), "{name}");
}

#[tokio::test]
async fn without_a_key_every_request_runs() {
    let deps = Fixture::default();
    let runs = AtomicU32::new(0);
    let call = call("POST", "/api/v1/spray", &[("X-USER-ID", "1")], "{}");
    let user = call.caller().unwrap();
    for _ in 0..2 {
        let answer = once(&deps, &call, &user, None, |_| async {
            runs.fetch_add(1, Ordering::SeqCst);
            Ok(Answer::empty(StatusCode::OK))
        });
        assert!(answer.await.is_ok());
    }
    assert_eq!((runs.into_inner(), deps.remembered()), (2, 0));
}

#[rstest]
#[case(&["k"], true)]
#[case(&["!~"], true)]
#[case(&[""], false)]
#[case(&["a b"], false)]
#[case(&["k", "k"], false)]
fn a_key_is_short_visible_and_alone(#[case] keys: &[&str], #[case] fits: bool) {
    let headers: Vec<_> = keys.iter().map(|key| (KEY_HEADER, *key)).collect();
    assert_eq!(call("POST", "/api/v2/sprays", &headers, "").key().is_ok(), fits);
    assert!(is_key(&"x".repeat(255)) && !is_key(&"x".repeat(256)));
}
