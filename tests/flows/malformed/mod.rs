//! Bad input at every route that takes it: the documented code, never a 5xx, and nothing changed.

mod bodies;
mod cursors;
mod described;
mod headers;
mod recorded;
mod requests;
mod text;

use largesse_tests::http::{Api, Ask, Dump, Reply};

/// A world in which each request below would do something, were it not for what is wrong with it.
struct Scene {
    api: Api,
    room: String,
    token: String,
    before: Dump,
}

impl Scene {
    /// Users 1 and 2 in a room, both with money; a spray of user 1 that 2 could claim.
    async fn set() -> Self {
        let api = Api::new(1);
        let room = api.room(&["1", "2"]).await;
        let token = api.spray(&room, "1", 1_000, 3).await;
        api.deposit("1", 50_000).await;
        api.deposit("2", 50_000).await;
        api.settle().await;
        let before = api.dump();
        for table in ["rooms", "ledger", "tokens", "pools", "edge"] {
            assert!(!before[&format!("largesse-{table}")].is_empty(), "a dump that misses {table}");
        }
        Self { api, room, token, before }
    }

    /// Fills in this world's names.
    fn path(&self, pattern: &str) -> String {
        pattern.replace("{room}", &self.room).replace("{token}", &self.token)
    }

    /// A request with every header that any route needs.
    fn ask(&self, method: &str, pattern: &str) -> Ask {
        let ask = self.api.ask(method, self.path(pattern));
        ask.user("2").room(&self.room).key(self.api.new_key())
    }

    /// Fails unless the request was refused like that and changed nothing, not even what is
    /// remembered about requests.
    fn refused(&self, reply: &Reply, status: u16, code: &str, what: &str) {
        assert_eq!(reply.verdict(), (status, code), "{what}: {}", reply.text);
        assert!(!reply.header("x-request-id").is_empty(), "{what}");
        if reply.header("content-type") == "application/problem+json" {
            assert_eq!(reply.body["status"], status, "{what}");
            assert_eq!(reply.body["request_id"], reply.header("x-request-id"), "{what}");
            assert_eq!(reply.body["type"], format!("/docs#{code}"), "{what}");
        } else {
            assert_eq!(reply.header("content-type"), "application/json", "{what}");
            assert_eq!(reply.body["detail"].is_array(), status == 422, "{what}: {}", reply.text);
        }
        assert!(self.api.dump() == self.before, "{what} changed something");
        recorded::record(self, reply);
    }
}
