//! The wire format of v1, as its clients have always known it.

mod bodies;
mod history;
mod order;
mod table;

use std::time::Duration;

use largesse_tests::http::{Api, Reply};
use serde_json::json;

/// The calls of v1, with integers for users.
struct V1 {
    api: Api,
}

impl V1 {
    fn new(seed: u64) -> Self {
        Self { api: Api::new(seed) }
    }

    async fn charge(&self, user: u64, amount: u64) -> Reply {
        let ask = self.api.post(&user.to_string(), "/api/v1/wallet/charge");
        self.later(ask.json(json!({ "amount": amount })).await).await
    }

    /// A room of these users, the first of whom makes it and invites the others.
    async fn room(&self, users: &[u64]) -> String {
        let owner = users[0].to_string();
        let ask = self.api.post(&owner, "/api/v1/rooms").json(json!({ "room_name": "Lunch" }));
        let room = ask.await.expect(200).string("room_id");
        for user in &users[1..] {
            let ask = self.api.post(&owner, format!("/api/v1/rooms/{room}/invite"));
            ask.json(json!({ "user_id": user })).await.expect(200);
        }
        room
    }

    async fn try_spray(&self, user: u64, room: &str, total: u64, count: u64) -> Reply {
        let ask = self.api.post(&user.to_string(), "/api/v1/spray").room(room);
        self.later(ask.json(json!({ "total_amount": total, "recipient_count": count })).await).await
    }

    /// Charges and sprays.
    async fn spray(&self, user: u64, room: &str, total: u64, count: u64) -> String {
        self.charge(user, total).await.expect(200);
        self.try_spray(user, room, total, count).await.expect(200).string("token")
    }

    async fn receive(&self, user: u64, room: &str, token: &str) -> Reply {
        let ask = self.api.post(&user.to_string(), "/api/v1/receive").room(room);
        self.later(ask.json(json!({ "token": token })).await).await
    }

    /// A millisecond passes, so that histories have one order.
    async fn later(&self, reply: Reply) -> Reply {
        tokio::time::advance(Duration::from_millis(1)).await;
        reply
    }

    async fn look(&self, user: u64, room: &str, token: &str) -> Reply {
        self.api.get(&user.to_string(), format!("/api/v1/spray/{token}")).room(room).await
    }

    async fn get(&self, user: u64, path: &str) -> Reply {
        self.api.get(&user.to_string(), format!("/api/v1/{path}")).await
    }
}

/// Fails unless it is a refusal of v1 with that status and code and a sentence for people.
fn refused(reply: &Reply, status: u16, code: &str) {
    assert_eq!(reply.verdict(), (status, code), "{}", reply.text);
    assert_eq!(reply.header("content-type"), "application/json");
    let detail = &reply.body["detail"];
    if status == 422 {
        let issues = detail.as_array().unwrap_or_else(|| panic!("no list: {}", reply.text));
        assert!(!issues.is_empty());
        for issue in issues {
            let members: Vec<&str> = issue.as_object().unwrap().keys().map(|k| &**k).collect();
            assert_eq!(members.len(), 3, "{issue}");
            assert!(issue["loc"].is_array(), "{issue}");
            assert!(issue["msg"].is_string() && issue["type"].is_string(), "{issue}");
        }
    } else {
        assert!(detail.as_str().is_some_and(|text| !text.is_empty()), "{}", reply.text);
    }
    let is_over = code == "ERR104";
    let expected = if is_over { json!(-2) } else { serde_json::Value::Null };
    assert_eq!(reply.body["token_status"], expected, "{}", reply.text);
}
