//! What the tests of drops over HTTP share.

use std::time::Duration;

use largesse_tests::http::{Api, Reply};
use serde_json::Value;

/// The worlds of the tests begin at midnight.
pub(super) fn minute(minute: u32) -> String {
    format!("2026-01-01T00:{minute:02}:00.000Z")
}

/// A member enters, or tries to.
pub(super) async fn enter(api: &Api, drop: &str, member: &str) -> Reply {
    api.post(member, format!("/api/v2/drops/{drop}/entries")).await
}

/// The drop as its funder sees it.
pub(super) async fn read(api: &Api, drop: &str) -> Value {
    // What was read is remembered for a second.
    tokio::time::advance(Duration::from_secs(2)).await;
    api.get("ann", format!("/api/v2/drops/{drop}")).await.expect(200).body
}

/// Where a member stands.
pub(super) async fn entry(api: &Api, drop: &str, member: &str) -> Value {
    let path = format!("/api/v2/drops/{drop}/entries/{member}");
    api.get(member, path).await.expect(200).body
}
