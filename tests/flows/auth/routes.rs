//! Every route of the OpenAPI document, with every scope, and with another member's resource.

use std::collections::BTreeSet;

use largesse_domain::key::Scope;
use largesse_edge::auth::table::{RULES, Relation};
use largesse_tests::http::{Api, Ask};
use largesse_tests::signed::Holder;
use serde_json::{Value, json};

use super::{ALL, MASTER};

/// The document in the repository.
const STORED: &str = include_str!("../../../docs/openapi.json");

/// Method and path of every operation.
fn operations() -> BTreeSet<(String, String)> {
    let document: Value = serde_json::from_str(STORED).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys();
        methods.map(|method| (method.to_uppercase(), path.clone())).collect::<Vec<_>>()
    });
    operations.collect()
}

#[test]
fn the_table_has_every_route_and_no_other() {
    let table = RULES.iter().map(|rule| (rule.method.to_owned(), rule.path.to_owned()));
    assert_eq!(table.collect::<BTreeSet<_>>(), operations());
    let public: Vec<_> = RULES.iter().filter(|rule| rule.scope.is_none()).collect();
    let public: BTreeSet<_> = public.iter().map(|rule| rule.path).collect();
    assert_eq!(public, BTreeSet::from(["/", "/api/openapi.json", "/api/v2/health", "/docs"]));
}

/// A path with a value for each parameter, none of which names anything.
fn filled(path: &str) -> String {
    let id = "01K9Z3NDEKTSV4RRFFQ69G5FAV";
    let values = [
        ("{user}", "ann"),
        ("{token}", "ZZZ"),
        ("{room}", id),
        ("{room_id}", id),
        ("{id}", id),
        ("{member}", "ann"),
        ("{n}", "1"),
    ];
    values.iter().fold(path.to_owned(), |path, (name, value)| path.replace(name, value))
}

#[tokio::test]
async fn every_route_refuses_every_scope_but_its_own() {
    let api = Api::signed(31, MASTER);
    let mut holders = Vec::new();
    for scope in Scope::ALL {
        let owner = scope.as_str().replace(':', "-");
        holders.push((scope, api.holder(MASTER, &owner, scope.as_str()).await));
    }
    let (mut refused, mut passed) = (0, 0);
    for (method, path) in operations() {
        let rule = RULES.iter().find(|rule| (rule.method, rule.path) == (&*method, &*path));
        let Some(needed) = rule.unwrap().scope else {
            let reply = api.ask(&method, filled(&path)).await;
            assert!(reply.status < 400, "{method} {path} is public");
            continue;
        };
        let reply = api.ask(&method, filled(&path)).user("ann").await;
        let verdict = (reply.status, reply.body["reason"].as_str());
        assert_eq!(verdict, (401, Some("missing")), "{method} {path} without a key");
        for (scope, holder) in &holders {
            let ask = api.sign(holder, api.ask(&method, filled(&path)).user("ann"));
            let reply = ask.await;
            let says_scope = reply.text.contains("has no scope");
            assert_eq!(says_scope, *scope != needed, "{method} {path} with {}", scope.as_str());
            if *scope == needed {
                // It reached its route, which refuses it for other reasons or serves it.
                assert_ne!(reply.status, 401, "{method} {path}: {}", reply.text);
                passed += 1;
            } else {
                assert_eq!(reply.verdict(), (403, "ERR004"), "{method} {path}");
                refused += 1;
            }
        }
    }
    assert!(refused == passed * 8 && passed > 40, "{refused} {passed}");
}

/// What ann has, and the key of the chat.
struct Scene {
    api: Api,
    chat: Holder,
    room: String,
    token: String,
    transaction: String,
    drop: String,
    campaign: String,
    hash: String,
}

impl Scene {
    async fn new() -> Self {
        let api = Api::signed(32, MASTER);
        let chat = api.holder(MASTER, "chat", ALL).await;
        let send = |ask: Ask| api.sign(&chat, ask);
        let deposit = api.post("ann", "/api/v2/wallets/ann/deposits").key("d");
        let deposited = send(deposit.json(json!({ "amount": 10_000 }))).await.expect(201);
        let room = api.post("ann", "/api/v2/rooms");
        let room = send(room.json(json!({ "name": "room", "members": ["bob"] }))).await.expect(201);
        let room = room.string("room_id");
        let wish = json!({ "amount": 100, "recipients": 2, "split": "equal", "expires_in_s": 600 });
        let spray = api.post("ann", "/api/v2/sprays").room(&room).key("s").json(wish);
        let token = send(spray).await.expect(201).string("token");
        let drop = json!({
            "name": "drop", "slots": 2, "amount": 10,
            "opens_at": "2026-01-01T00:00:00Z", "closes_at": "2026-01-01T01:00:00Z",
        });
        let drop = api.post("ann", "/api/v2/drops").key("p").json(drop);
        let drop = send(drop).await.expect(201).string("drop_id");
        let wish = json!({ "name": "c", "default_reason": "r", "approvals": 1 });
        let made = send(api.post("ann", "/api/v2/campaigns").key("c").json(wish)).await.expect(201);
        let campaign = made.string("campaign_id");
        let path = format!("/api/v2/campaigns/{campaign}/parts/1");
        let part = api.ask("PUT", path).user("ann").header("content-type", "text/csv");
        send(part.raw("member_id,amount\nbob,5\n")).await.expect(200);
        send(api.post("ann", format!("/api/v2/campaigns/{campaign}/seal"))).await.expect(202);
        api.settle().await;
        let path = format!("/api/v2/campaigns/{campaign}");
        let sealed = send(api.get("ann", path)).await.expect(200);
        let hash = sealed.body["sealed"]["content_hash"].as_str().unwrap().to_owned();
        let transaction = deposited.string("transaction_id");
        Self { chat, room, token, transaction, drop, campaign, hash, api }
    }

    /// A request that is well-formed but for who sends it.
    fn ask(&self, method: &str, path: &str, user: &str) -> Ask {
        let named = path
            .replace("{user}", "ann")
            .replace("{room}", &self.room)
            .replace("{room_id}", &self.room)
            .replace("{token}", &self.token)
            .replace("/transactions/{id}", &format!("/transactions/{}", self.transaction))
            .replace("/drops/{id}", &format!("/drops/{}", self.drop))
            .replace("/campaigns/{id}", &format!("/campaigns/{}", self.campaign));
        let ask = self.api.ask(method, named).user(user).key("k");
        let is_v1 = path.starts_with("/api/v1/");
        // Rooms stand in the header where the path names none.
        let ask = if path.contains("spray") || path.ends_with("/receive") {
            ask.room(&self.room)
        } else {
            ask
        };
        let body = match (is_v1, path.rsplit('/').next().unwrap()) {
            (_, "deposits") => json!({ "amount": 1 }),
            (true, "spray") => json!({ "total_amount": 10, "recipient_count": 2 }),
            (true, "receive") => json!({ "token": self.token }),
            (true, "invite") => json!({ "user_id": 8 }),
            (false, "sprays") => json!({
                "amount": 100, "recipients": 2, "split": "equal", "expires_in_s": 600,
            }),
            (false, "approve") => json!({ "content_hash": self.hash }),
            _ => return ask,
        };
        if method == "POST" { ask.json(body) } else { ask }
    }
}

#[tokio::test]
async fn every_route_refuses_the_resource_of_another_member() {
    let scene = Scene::new().await;
    let before = scene.api.dump_business();
    let mut tried = 0;
    for rule in RULES {
        // Eve is in no room, has no wallet, sent nothing. In v1 she is a number.
        let stranger = if rule.path.starts_with("/api/v1/") { "9" } else { "eve" };
        let user = match rule.relation {
            Relation::Anyone | Relation::Own => continue,
            Relation::NotCreator => "ann",
            Relation::WalletOwner
            | Relation::RoomMember
            | Relation::Sender
            | Relation::MemberOrFunder => stranger,
        };
        let path = rule.path.replace("/entries/{user}", "/entries/bob");
        let ask = scene.ask(rule.method, &path, user);
        let reply = scene.api.sign(&scene.chat, ask).await;
        let expected = [403, 404].contains(&reply.status);
        assert!(expected, "{} {}: {} {}", rule.method, rule.path, reply.status, reply.text);
        assert!(!reply.text.contains("scope"), "{} {}", rule.method, rule.path);
        tried += 1;
    }
    assert!(tried >= 17, "{tried} routes");
    assert!(before == scene.api.dump_business(), "a refused request changes nothing");
}
