//! What the functions do about drops, for the test of their policies.

use largesse_app::drop::create::{Create, create};
use largesse_app::drop::enter::{self, Entered};
use largesse_app::ports::{Clock, Drops, Pools};
use largesse_domain::drop::{Drop, DropName, Terms};
use largesse_domain::grant::GrantStatus;
use largesse_domain::id::DropId;
use largesse_domain::pool::{BucketId, Walk, bucket_count};
use largesse_domain::time::Window;
use largesse_tests::http::Api;
use largesse_tests::{Sandbox, user};
use serde_json::json;

use crate::scene::{refused, request};

/// A drop of 10 a slot by `ann`, made over HTTP, open from now for ten minutes.
pub(crate) async fn make(api: &Api, slots: u64, waiting: u64) -> DropId {
    api.deposit("ann", slots * 10).await;
    let now = api.sandbox.store.now();
    let wish = json!({
        "name": "d", "slots": slots, "amount": 10, "waiting": waiting,
        "opens_at": largesse_edge::time::format(now),
        "closes_at": largesse_edge::time::format(now.plus_ms(600_000)),
    });
    let made = api.post("ann", "/api/v2/drops").key(api.new_key()).json(wish).await;
    made.expect(201).string("drop_id").parse().unwrap()
}

/// Enters over HTTP, and wins.
pub(crate) async fn enter(api: &Api, drop: DropId, name: &str) {
    api.post(name, format!("/api/v2/drops/{drop}/entries")).await.expect(201);
}

/// Others draw all parts of the bucket that the member tries first, by another process.
pub(crate) async fn fill_bucket(sandbox: &Sandbox, id: DropId, member: &str) {
    let process = sandbox.another_process(50);
    let drop = process.drop_terms(id).await.unwrap().unwrap();
    let mut walk = Walk::new(&drop.pool(), &user(member), bucket_count(drop.slots));
    let id = BucketId { pool: drop.pool(), number: walk.next().unwrap() };
    let size = process.buckets(id.pool, &[id.number]).await.unwrap()[0].size;
    for n in 0..size {
        let request = request(&format!("o{n}"), process.now(), 1);
        process.draw(id, &request).await.unwrap().unwrap();
    }
}

/// A drop with the unpaid entry of a member, who is known to no process of the API.
pub(crate) async fn entered(api: &Api, name: &str) -> DropId {
    let id = make(api, 20, 0).await;
    let process = api.sandbox.another_process(51);
    let entered = enter::enter(&*process, id, user(name)).await.unwrap();
    assert!(matches!(entered, Entered::Won { .. }));
    id
}

/// All reads of drops.
pub(crate) async fn read(api: &Api, drop: &DropId, name: &str) {
    for path in [
        "/api/v2/drops".to_owned(),
        format!("/api/v2/drops/{drop}"),
        format!("/api/v2/drops/{drop}/entries/{name}"),
    ] {
        api.get(name, path).await.expect(200);
    }
}

/// A drop of one slot and one place that opens now, made by another process.
async fn made_for_two(sandbox: &Sandbox) -> Drop {
    let process = sandbox.another_process(52);
    sandbox.deposit("ann", 10).await;
    let now = process.now();
    let window = Window { opens: now, closes: now.plus_ms(600_000) };
    let terms = Terms::new(DropName::new("d").unwrap(), 1, 10, window, Some(1)).unwrap();
    let request = Create { id: DropId(sandbox.id()), funder: user("ann"), terms };
    create(&*process, request).await.unwrap().drop
}

/// The first has the slot, the second waits.
pub(crate) async fn entered_by(sandbox: &Sandbox, names: [&str; 2]) -> Drop {
    let drop = made_for_two(sandbox).await;
    let process = sandbox.another_process(53);
    for name in names {
        enter::enter(&*process, drop.id, user(name)).await.unwrap();
    }
    drop
}

/// A slot that was given up without being passed on, with somebody who waits for it.
pub(crate) async fn given_up(api: &Api, name: &str) {
    let drop = entered_by(&api.sandbox, [name, "waits"]).await;
    let bucket = api.sandbox.store.buckets(drop.pool(), &[0]).await.unwrap().remove(0);
    let grant = bucket.grant(&user(name), bucket.draws[&user(name)]).unwrap();
    let failed = refused(&grant, GrantStatus::PermanentlyFailed, 4);
    let written =
        largesse_app::ports::Grants::put_failed(&*api.sandbox.store, &failed, 0).await.unwrap();
    assert_eq!(written, largesse_app::ports::Written::Done);
}
