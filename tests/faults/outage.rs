//! Outages: of the ledger, of the outbox's mapping. Everything is paid when they are over.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::pool::sweep::SWEEP_AFTER_MS;
use largesse_app::ports::Clock;
use largesse_app::spray::create::{self, Create};
use largesse_domain::id::SprayId;
use largesse_domain::pool::{BUCKET_PARTS, Entry, Nonce};
use largesse_domain::split::Split;
use largesse_domain::spray::{Spray, Terms};
use largesse_emulator::{Fault, Faults, Matching};
use largesse_tests::{money, user};

use crate::client::claim_by;
use crate::rig::{GRANTS_DLQ, Kill, OUTBOX, OUTBOX_DLQ, Rig, sweep_all};

const LEDGER: &str = "largesse-ledger";
const HOUR_S: u64 = 3_600;

/// Draws every part of a spray, each for a member of its own: a bucket at a time, as sixteen draws
/// would leave it.
async fn draw_all(rig: &Rig, spray: &Spray, prefix: u64) {
    let at = rig.sandbox.store.now();
    let number = |n: i128| Av::N(n.to_string());
    for (bucket, first) in (0..spray.recipients).step_by(BUCKET_PARTS as usize).enumerate() {
        let parts = BUCKET_PARTS.min(spray.recipients - first);
        let entries = (0..parts).map(|index| {
            let entry = Entry { index, at, nonce: Nonce::from_bits(u64::from(index)) };
            (format!("{prefix}-{}", first + index), Av::N(entry.pack().to_string()))
        });
        let values = [
            (":draws", Av::M(entries.collect())),
            (":taken", number(i128::from(parts))),
            (":sweep", number(i128::from(at.plus_ms(SWEEP_AFTER_MS).ms()))),
        ];
        let key = [("pk", format!("{}#{bucket}", spray.pool()))];
        let update = "SET draws = :draws, taken = :taken, sweep_ms = :sweep";
        rig.edit("largesse-pools", &key, update, &values).await;
    }
}

/// So many sprays, of which every part is drawn; returns how many entries there are.
async fn drawn(rig: &Rig, sprays: u64, parts: u32) -> usize {
    let room = rig.sandbox.room(&["s"]).await;
    for n in 0..sprays {
        let spray = rig.sandbox.spray(room, "s", u64::from(parts) * 10, u64::from(parts)).await;
        draw_all(rig, &spray, n).await;
    }
    money::books(&rig.sandbox.world).grants().count()
}

/// Lets two thirds of an hour pass. The queue is polled every so often: messages that come back in
/// between make full batches, as they do for pollers that are busy.
async fn poll(rig: &Rig, every_s: u64) {
    for _ in 0..(2_400 / every_s) {
        rig.sandbox.world.settle().await;
        tokio::time::advance(Duration::from_secs(every_s)).await;
    }
}

/// These calls of the ledger fail for ten minutes, under a backlog of `sprays` times `parts` grants.
async fn fails_for_ten_minutes(
    calls: Matching,
    fault: Fault,
    sprays: u64,
    parts: u32,
    every_s: u64,
) {
    let rig = Rig::new(1, Kill::default());
    let entries = drawn(&rig, sprays, parts).await;
    assert_eq!(entries as u64, sprays * u64::from(parts));
    let down = Duration::from_secs(600);
    let plan = Faults::seeded(1).during(rig.sandbox.world.clock(), down, calls, fault);
    let plan = Arc::new(plan);
    rig.sandbox.world.set_fault_hook(Some(plan.clone()));
    rig.sandbox.world.settle().await;
    assert_eq!(money::books(&rig.sandbox.world).unpaid().len(), entries, "none is paid yet");
    // The longest delay after ten minutes is not much longer than they were.
    poll(&rig, every_s).await;
    rig.sandbox.world.set_fault_hook(None);
    assert!(plan.injected() > 0);
    // All paid; no grant item, so none was refused, and no queue has a message.
    rig.assert_all_paid();
    assert!(rig.sandbox.world.bus().events().is_empty());
    rig.wind_up().await;
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_grants_are_all_paid_after_the_ledger_was_throttled_for_ten_minutes() {
    fails_for_ten_minutes(Matching::any().on(LEDGER), Fault::Throttle, 10, 1_000, 150).await;
}

#[tokio::test(start_paused = true)]
async fn transactions_that_are_throttled_for_ten_minutes_count_as_no_refusal() {
    // Reads go through: only the payments themselves are throttled.
    let pay = Matching::operation("TransactWriteItems").on(LEDGER);
    fails_for_ten_minutes(pay, Fault::TransactionThrottled, 1, 320, 5).await;
}

#[tokio::test(start_paused = true)]
async fn a_permission_that_is_missing_for_ten_minutes_counts_as_no_refusal() {
    fails_for_ten_minutes(Matching::any().on(LEDGER), Fault::AccessDenied, 1, 320, 5).await;
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_answers_nothing_for_a_day_uses_up_no_message() {
    let rig = Rig::new(3, Kill::default());
    let entries = drawn(&rig, 1, 16).await;
    assert_eq!(entries, 16);
    let (ledger, day) = (Matching::any().on(LEDGER), Duration::from_secs(24 * HOUR_S));
    let fault = Fault::InternalError;
    let plan = Faults::seeded(1).during(rig.sandbox.world.clock(), day, ledger, fault);
    rig.sandbox.world.set_fault_hook(Some(Arc::new(plan)));
    rig.pay().await;
    rig.assert_all_paid();
    rig.wind_up().await;
}

/// A spray that is open for two days.
async fn long_spray(rig: &Rig, recipients: u64) -> Spray {
    let room = rig.sandbox.room(&["s", "a", "b", "c"]).await;
    rig.sandbox.deposit("s", recipients * 10).await;
    let terms = Terms::new(recipients * 10, recipients, Split::Random, 48 * HOUR_S).unwrap();
    let id = SprayId(rig.sandbox.id());
    let request = Create { id, room, sender: user("s"), terms };
    create::create(&*rig.sandbox.store, request).await.unwrap()
}

/// Lets the windows of long sprays pass, so that all is returned and audited.
async fn end(rig: &Rig) {
    tokio::time::advance(Duration::from_secs(48 * HOUR_S)).await;
    rig.wind_up().await;
}

/// Draws while the mapping is off: an hour after it was switched off, and an hour before it is on.
async fn drawn_while_the_mapping_is_off(rig: &Rig) -> Vec<(&'static str, u64)> {
    let spray = long_spray(rig, 60).await;
    rig.sandbox.world.set_stream_enabled(OUTBOX, false).unwrap();
    let mut shares = Vec::new();
    for (name, wait_s) in [("a", 0), ("b", 1_800), ("c", 23 * HOUR_S)] {
        tokio::time::advance(Duration::from_secs(wait_s)).await;
        let won = claim_by(&rig.sandbox.store, spray.room, &spray, name).await.unwrap();
        shares.push((name, won.get()));
        rig.pay().await;
    }
    tokio::time::advance(Duration::from_secs(5_400)).await;
    rig.pay().await;
    shares
}

async fn paid(rig: &Rig, shares: &[(&'static str, u64)]) -> Vec<&'static str> {
    let mut paid = Vec::new();
    for (name, share) in shares {
        match rig.balance(name) {
            0 => {}
            balance => {
                assert_eq!(balance, *share, "{name}");
                paid.push(*name);
            }
        }
    }
    paid
}

#[tokio::test(start_paused = true)]
async fn entries_that_the_stream_has_forgotten_are_paid_by_the_sweep() {
    let rig = Rig::new(4, Kill::default());
    let shares = drawn_while_the_mapping_is_off(&rig).await;
    assert_eq!(paid(&rig, &shares).await, [""; 0]);
    rig.sandbox.world.set_stream_enabled(OUTBOX, true).unwrap();
    rig.pay().await;
    // The two that are older than 24 hours are gone from the stream.
    assert_eq!(paid(&rig, &shares).await, ["c"]);
    let swept = sweep_all(&rig.sandbox.store).await.unwrap();
    assert_eq!((swept.resent, swept.failed), (2, 0));
    rig.pay().await;
    assert_eq!(paid(&rig, &shares).await, ["a", "b", "c"]);
    rig.assert_all_paid();
    end(&rig).await;
}

#[tokio::test(start_paused = true)]
async fn the_sweep_alone_pays_while_the_mapping_stays_off() {
    let rig = Rig::new(5, Kill::default());
    let shares = drawn_while_the_mapping_is_off(&rig).await;
    let store = &*rig.sandbox.store;
    let stop_at = store.now().plus_ms(60_000);
    let report = pool_sweep::handle(store, stop_at).await.unwrap();
    assert_eq!((report.resent, report.has_more), (3, false));
    rig.pay().await;
    assert_eq!(paid(&rig, &shares).await, ["a", "b", "c"]);
    assert!(rig.sandbox.world.queue(OUTBOX_DLQ).unwrap().is_empty());
    // What is paid leaves the index when it is looked up next.
    tokio::time::advance(Duration::from_secs(6 * HOUR_S)).await;
    let report = sweep_all(store).await.unwrap();
    assert!(report.buckets > 0 && report.resent == 0, "{report:?}");
    assert_eq!(sweep_all(store).await.unwrap().buckets, 0);
    end(&rig).await;
}

#[tokio::test(start_paused = true)]
async fn a_sweep_every_minute_pays_minutes_after_the_draw_while_the_mapping_is_off() {
    let rig = Rig::new(6, Kill::default());
    rig.sandbox.world.set_stream_enabled(OUTBOX, false).unwrap();
    let spray = long_spray(&rig, 3).await;
    let won = claim_by(&rig.sandbox.store, spray.room, &spray, "a").await.unwrap().get();
    let mut minutes = 0;
    while rig.balance("a") == 0 {
        tokio::time::advance(Duration::from_secs(60)).await;
        sweep_all(&rig.sandbox.store).await.unwrap();
        rig.sandbox.world.settle().await;
        minutes += 1;
        assert!(minutes <= 5, "not paid after {minutes} minutes");
    }
    assert_eq!((rig.balance("a"), minutes), (won, 5));
    assert!(rig.sandbox.world.queue(GRANTS_DLQ).unwrap().is_empty());
    end(&rig).await;
}
