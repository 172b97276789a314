use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::routing::get;
use http::HeaderMap;
use largesse_app::ports::Clock;
use largesse_domain::rate::Moment;
use largesse_domain::time::Timestamp;
use rstest::rstest;

use super::filter::{CALLERS_MAX, Callers};
use super::*;
use crate::cursor::CursorKey;
use crate::kernel;
use crate::testing::{Fixture, NOW_MS, send};

const SECOND_NS: u64 = 1_000_000_000;

/// A clock that a test moves.
#[derive(Default)]
struct Hand(AtomicU64);

impl Hand {
    fn advance(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(NOW_MS).plus_ms(self.0.load(Ordering::SeqCst))
    }
}

fn router(member_per_s: u32, owner_per_s: u32) -> (Router, Arc<Hand>) {
    let mut edge = EdgeConfig::open(CursorKey::from_bytes([0; 32]));
    edge.limits = Limits { member_per_s, owner_per_s, ..Limits::NONE };
    let router = Router::new()
        .route("/api/v2/echo", get(async || "echo"))
        .route("/api/v1/echo", get(async || "echo"));
    let clock = Arc::new(Hand::default());
    let router = filtered(router, Arc::clone(&clock), &edge);
    (kernel::wrap(router, Arc::new(Fixture::default())), clock)
}

async fn ask(router: &Router, path: &str, user: Option<&str>) -> (u16, HeaderMap, String) {
    let headers: Vec<_> = user.map(|user| ("x-user-id", user)).into_iter().collect();
    send(router.clone(), "GET", path, &headers, "").await
}

#[tokio::test]
async fn a_member_gets_the_burst_and_the_rate() {
    let (router, clock) = router(2, 1_000);
    for (later_ms, admitted) in [(0, 4), (499, 0), (1, 1), (1_000, 2), (60_000, 4)] {
        clock.advance(later_ms);
        let mut found = 0;
        for _ in 0..6 {
            let (status, _, _) = ask(&router, "/api/v2/echo", Some("ann")).await;
            found += usize::from(status == 200);
        }
        assert_eq!(found, admitted, "after {later_ms} ms");
        // Another member is not affected.
        assert_eq!(ask(&router, "/api/v2/echo", Some("bob")).await.0, 200);
    }
}

#[rstest]
#[case("/api/v2/echo", "application/problem+json")]
#[case("/api/v1/echo", "application/json")]
#[tokio::test]
async fn a_refusal_says_when_to_repeat_in_its_versions_shape(
    #[case] path: &str,
    #[case] kind: &str,
) {
    let (router, clock) = router(1, 1_000);
    for _ in 0..2 {
        assert_eq!(ask(&router, path, Some("ann")).await.0, 200);
    }
    clock.advance(1);
    let (status, headers, body) = ask(&router, path, Some("ann")).await;
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (429, kind));
    assert!(body.contains("ERR007"), "{body}");
    assert_eq!(headers["retry-after"], "1");
    assert_eq!(headers["ratelimit-policy"], "\"requests-member\";q=2;w=2");
    assert_eq!(headers["ratelimit"], "\"requests-member\";r=0;t=1");
}

#[tokio::test]
async fn an_owner_has_a_limit_over_all_members_and_those_without_one() {
    let (router, _) = router(100, 2);
    for user in [Some("ann"), Some("bob"), Some("not a user id"), None] {
        assert_eq!(ask(&router, "/api/v2/echo", user).await.0, 200);
    }
    let (status, headers, _) = ask(&router, "/api/v2/echo", Some("eve")).await;
    assert_eq!(status, 429);
    assert_eq!(headers["ratelimit-policy"], "\"requests-owner\";q=4;w=2");
    // What has no route costs nothing and is not counted.
    assert_eq!(ask(&router, "/api/v2/none", Some("eve")).await.0, 404);
}

#[test]
fn a_crowd_of_callers_takes_bounded_memory() {
    let callers = Callers::new(1);
    let begin = Moment(1_000 * SECOND_NS);
    // All of them come at once, so none can be forgotten for being idle.
    for n in 0..3 * CALLERS_MAX {
        assert!(callers.admit(&format!("u{n}"), begin).is_admitted());
        assert!(callers.len() <= CALLERS_MAX);
    }
    // One after another, the idle ones make room, and one who came a moment ago is not forgotten.
    let callers = Callers::new(1);
    for n in 0..CALLERS_MAX - 1 {
        callers.admit(&format!("u{n}"), begin);
    }
    let later = Moment(begin.0 + 10 * SECOND_NS);
    assert!(callers.admit("ann", later).is_admitted());
    assert!(callers.admit("ann", later).is_admitted());
    assert!(callers.admit("bob", later).is_admitted());
    assert_eq!(callers.len(), 2);
    assert!(!callers.admit("ann", later).is_admitted());
}

#[rstest]
#[case(1, 1)]
#[case(1_000, 1)]
#[case(1_001, 2)]
#[case(59_999, 60)]
#[case(60_000, 60)]
#[case(0, 1)]
fn a_wait_is_told_in_seconds_rounded_up(#[case] ms: u64, #[case] seconds: u32) {
    let used_up =
        UsedUp { spending: Spending::TokenMiss, scope: Scope::Member, max: 20, wait_ms: ms };
    let meta = crate::meta::Meta { request_id: "r".to_owned(), version: crate::meta::Version::V2 };
    let response = refuse(used_up).render(&meta);
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("retry-after"), seconds.to_string());
    assert_eq!(header("ratelimit-policy"), "\"token-misses-member\";q=20;w=60");
    assert_eq!(header("ratelimit"), format!("\"token-misses-member\";r=0;t={seconds}"));
}
