//! The archive of finished things: what goes, what stays, and that nothing is lost in between.

use std::collections::BTreeSet;
use std::time::Duration;

use dynoxide::AttributeValue;
use largesse_app::archive::Pass;
use largesse_app::archive::daily::{self, Policy, Ran};
use largesse_app::drop::enter;
use largesse_app::ports::{
    ArchivePasses, Clock, Freezes, FrozenPool, Money, Payment, Replaced, Things, Tombstone,
    Tombstones, Written,
};
use largesse_aws::Store;
use largesse_domain::drop::Drop as SlotDrop;
use largesse_domain::grant::Grant;
use largesse_domain::id::PoolId;
use largesse_domain::spray::Spray;
use largesse_tests::{Sandbox, money, user};

use crate::product::scene::{OPEN_MS, invested, limits, made_of};
use crate::reconcile::{drawn_somewhere, pay};
use crate::scene::{Table, given_up, key, key_with, s, sprayed};

pub(crate) mod campaigns;
mod clauses;
mod damaged;
pub(crate) mod deadline;
mod held;
mod killed;
mod shown;
mod whole;

/// The youngest age that may be set.
pub(crate) const POLICY: Policy = Policy { after_days: 30, every_days: 7 };
/// Longer than that age.
const LATER: Duration = Duration::from_secs(40 * 86_400);

/// What is in the tables of things: table, pk and sk.
pub(crate) fn stored(sandbox: &Sandbox) -> BTreeSet<String> {
    let tables = ["sprays", "drops", "pools", "grants", "products", "campaigns", "campaign-rows"];
    let mut all = BTreeSet::new();
    for table in tables {
        for item in sandbox.world.database().scan(&format!("largesse-{table}")).unwrap() {
            let text = |name: &str| match item.get(name) {
                Some(AttributeValue::S(text)) => text.clone(),
                _ => String::new(),
            };
            all.insert(format!("{table} {} {}", text("pk"), text("sk")));
        }
    }
    all
}

/// Those of a thing: by the id in its keys.
pub(crate) fn of(all: &BTreeSet<String>, pool: PoolId) -> BTreeSet<String> {
    let id = pool.ulid().to_string();
    all.iter().filter(|key| key.contains(&id)).cloned().collect()
}

/// A spray of forty shares of which two are paid, and whose rest was returned.
pub(crate) async fn over_spray(sandbox: &Sandbox) -> Spray {
    let spray = sprayed(sandbox, 40).await;
    for member in ["m1", "m2"] {
        let grant = drawn_somewhere(sandbox, &spray, member).await;
        pay(sandbox, &grant).await;
    }
    spray
}

/// A drop whose slot was passed on, and is paid.
pub(crate) async fn over_drop(sandbox: &Sandbox) -> SlotDrop {
    let store = &*sandbox.store;
    let drop = sandbox.open_drop(1, 1).await;
    for member in ["d1", "d2"] {
        enter::enter(store, drop.id, user(member)).await.unwrap();
    }
    let failed = given_up(sandbox, &grant_of(sandbox, &drop, "d1")).await;
    largesse_app::drop::promote::pass_on(store, &failed).await.unwrap();
    pay(sandbox, &grant_of(sandbox, &drop, "d2")).await;
    drop
}

pub(crate) fn grant_of(sandbox: &Sandbox, drop: &SlotDrop, member: &str) -> Grant {
    let books = money::books(&sandbox.world);
    let mut grants = books.grants();
    grants.find(|g| g.source == drop.pool() && g.member == user(member)).unwrap()
}

/// What is due is returned and settled, and then the age passes.
pub(crate) async fn age(sandbox: &Sandbox) {
    tokio::time::advance(Duration::from_millis(OPEN_MS + 700_000)).await;
    let store = sandbox.another_process(70);
    // A product that missed its minimum is settled first, and then refunded.
    for _ in 0..3 {
        refund_batch::handle(&*store, store.now().plus_ms(60_000)).await.unwrap();
    }
    tokio::time::advance(LATER).await;
}

/// A run of the archive, as another process.
pub(crate) async fn ran(sandbox: &Sandbox, seed: u64) -> Pass {
    let store = sandbox.another_process(seed);
    match daily::run(&*store, store.now().plus_ms(600_000), POLICY).await.unwrap() {
        Ran::Worked(pass) => *pass,
        other => panic!("{other:?}"),
    }
}

/// Fails unless reconcile finds nothing.
pub(crate) async fn proved(sandbox: &Sandbox) {
    let pass = largesse::verify::prove(&sandbox.another_process(71)).await.unwrap();
    assert_eq!(pass.found, 0, "{:#?}", pass.findings);
}

/// The keys of all items that the members of a thing hold.
pub(crate) async fn archived(store: &Store, pool: PoolId) -> BTreeSet<String> {
    let tombstone = store.tombstone(pool).await.unwrap().expect("a tombstone");
    keys_in(store, &tombstone).await
}

pub(crate) async fn keys_in(store: &Store, tombstone: &Tombstone) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for part in &tombstone.parts {
        let table = part.object.split('/').nth(1).unwrap();
        for line in store.lines_of(part).await.unwrap() {
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            let text = |name: &str| line["Item"][name]["S"].as_str().unwrap_or_default().to_owned();
            assert!(keys.insert(format!("{table} {} {}", text("pk"), text("sk"))));
        }
    }
    keys
}
