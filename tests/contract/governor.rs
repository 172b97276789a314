//! The shared rate and the circuit breaker: one test for each clause of their conditions, what a lost
//! reply does, and what they cost.

use std::sync::Arc;

use futures::future::join_all;
use largesse_app::ports::{
    BreakerWritten, Breakers, Clock, Leased, Permits, PortErrorKind, StoredBreaker,
};
use largesse_aws::Store;
use largesse_domain::breaker::Breaker;
use largesse_domain::id::{ServiceId, Ulid};
use largesse_domain::rate::{Block, Moment, Rate, Tolerance, Wish};
use largesse_domain::time::Timestamp;
use largesse_emulator::{Fault, Faults, Matching, Service};
use largesse_tests::Sandbox;
use rstest::rstest;

use crate::meanwhile::{Before, meanwhile};
use crate::scene::{Table, key, n, number};

pub(crate) fn service() -> ServiceId {
    "bank".parse().unwrap()
}

pub(crate) fn rate(limit: u32) -> Rate {
    Rate::new(limit, Tolerance::default()).unwrap()
}

/// From which moment on the tests want permits: their worlds begin long after it.
const FROM: Moment = Moment(1_000_000_000_000);

fn wish(wanted: u32) -> Wish {
    Wish { wanted, from: FROM, until: FROM.plus_ms(10_000) }
}

async fn leased(store: &Store, limit: u32, wish: &Wish) -> Block {
    match store.lease(&service(), rate(limit), wish).await.unwrap() {
        Leased::Block(block) => block,
        none @ Leased::None { .. } => panic!("{none:?}"),
    }
}

async fn tat(sandbox: &Sandbox) -> Moment {
    let item = Table::of(sandbox, "edge").get(&key("RATE#bank")).await.unwrap();
    Moment(number(&item, "tat_ns").try_into().unwrap())
}

/// The first write is refused: the second is the one that follows what it found.
const SECOND_WRITE: Before = Before(2, "UpdateItem", "largesse-edge");
const FIRST_WRITE: Before = Before(1, "UpdateItem", "largesse-edge");

#[tokio::test]
async fn leases_follow_each_other_without_a_read_and_the_first_begins_where_it_is_of_use() {
    let sandbox = Sandbox::new(1);
    let first = leased(&sandbox.store, 1_000, &wish(10)).await;
    assert_eq!((first.first, first.count), (FROM, 10));
    sandbox.world.recorder().reset();
    let second = leased(&sandbox.store, 1_000, &wish(1_000)).await;
    assert_eq!((second.first, second.count), (first.end(), 245));
    assert_eq!(tat(&sandbox).await, second.end());
    let recorder = sandbox.world.recorder();
    assert_eq!(recorder.operation(Service::DynamoDb, "UpdateItem").calls, 1);
}

#[tokio::test]
async fn workers_that_lease_at_once_share_no_permit() {
    let sandbox = Sandbox::new(2);
    let workers: Vec<_> = (0..16).map(|seed| sandbox.another_process(seed)).collect();
    let wish = wish(10);
    let lease = async |worker: &Arc<Store>| {
        let mut blocks = Vec::new();
        for _ in 0..5 {
            blocks.push(leased(worker, 1_000, &wish).await);
        }
        blocks
    };
    let blocks = join_all(workers.iter().map(lease)).await;
    let mut blocks: Vec<Block> = blocks.into_iter().flatten().collect();
    blocks.sort_by_key(|block| block.first);
    assert_eq!(blocks.len(), 80);
    // None is shared, and none is left out.
    assert!(blocks.windows(2).all(|pair| pair[0].end() == pair[1].first));
}

/// The rate's clause of a lease behind others.
#[rstest]
#[case::limit(rate(10))]
#[case::skew(Rate::new(1_000, Tolerance { skew_us: 6_000, ..Tolerance::default() }).unwrap())]
#[case::lateness(Rate::new(1_000, Tolerance { lateness_us: 0, ..Tolerance::default() }).unwrap())]
#[tokio::test]
async fn a_lease_goes_by_the_rate_that_stands_and_not_by_the_workers(#[case] stands: Rate) {
    let sandbox = Sandbox::new(3);
    let first = leased(&sandbox.store, 1_000, &wish(10)).await;
    sandbox.another_process(4).set_rate(&service(), stands).await.unwrap();
    let next = leased(&sandbox.store, 1_000, &wish(2)).await;
    assert_eq!(next.rate, stands);
    // A second between the last permit of the one rate and the first of the other, and the tolerances.
    let last = first.end().0 - first.rate.interval_ns();
    assert!(next.first.0 - last >= 1_010_000_000, "{next:?} after {first:?}");
    assert_eq!(tat(&sandbox).await.0, next.first.0 + stands.span_ns(next.count));
}

/// The clause `tat >= from` of a lease behind others.
#[tokio::test]
async fn what_lies_before_the_wish_is_not_leased() {
    let sandbox = Sandbox::new(4);
    leased(&sandbox.store, 1_000, &wish(10)).await;
    let later = Wish { from: FROM.plus_ms(5_000), ..wish(10) };
    assert_eq!(leased(&sandbox.store, 1_000, &later).await.first, later.from);
}

/// The clause `tat <= last` of a lease behind others.
#[tokio::test]
async fn what_lies_beyond_the_wish_is_not_leased() {
    let sandbox = Sandbox::new(5);
    let first = leased(&sandbox.store, 1_000, &wish(10)).await;
    // Two permits are within it: of ten, two are leased.
    let until = Moment(first.end().0 + rate(1_000).interval_ns());
    let two = leased(&sandbox.store, 1_000, &Wish { until, ..wish(10) }).await;
    assert_eq!((two.first, two.count), (first.end(), 2));
    let none = sandbox.store.lease(&service(), rate(1_000), &Wish { until, ..wish(10) }).await;
    assert_eq!(none.unwrap(), Leased::None { next: two.end() });
    assert_eq!(tat(&sandbox).await, two.end());
}

/// The clause `attribute_not_exists` of a lease anew, when it does not hold any more.
#[tokio::test]
async fn the_first_lease_of_all_is_one_workers() {
    let sandbox = Sandbox::new(6);
    let other = sandbox.another_process(7);
    let before = meanwhile_leased(&sandbox, other, wish(20)).await;
    let mine = leased(&sandbox.store, 1_000, &wish(10)).await;
    assert_eq!(before.await.unwrap(), Moment(mine.first.0 - rate(1_000).span_ns(20)));
}

/// The clause `tat < first` of a lease anew.
#[tokio::test]
async fn a_lease_after_a_pause_begins_behind_one_that_came_meanwhile() {
    let sandbox = Sandbox::new(7);
    leased(&sandbox.store, 1_000, &wish(10)).await;
    let later = Wish { from: FROM.plus_ms(5_000), ..wish(10) };
    let other = sandbox.another_process(8);
    let before = meanwhile_leased(&sandbox, other, Wish { wanted: 20, ..later }).await;
    let mine = leased(&sandbox.store, 1_000, &later).await;
    assert_eq!(before.await.unwrap(), later.from);
    assert_eq!(mine.first.0, later.from.0 + rate(1_000).span_ns(20));
}

/// Another worker leases before the second write of this one; gives the first of its permits.
async fn meanwhile_leased(
    sandbox: &Sandbox,
    other: Arc<Store>,
    wish: Wish,
) -> tokio::sync::oneshot::Receiver<Moment> {
    let (send, receive) = tokio::sync::oneshot::channel();
    meanwhile(sandbox, SECOND_WRITE, async move {
        send.send(leased(&other, 1_000, &wish).await.first).unwrap();
    });
    receive
}

/// The rate's clause of a lease anew.
#[tokio::test]
async fn a_lease_after_a_pause_goes_by_a_rate_that_was_set_meanwhile() {
    let sandbox = Sandbox::new(8);
    leased(&sandbox.store, 1_000, &wish(10)).await;
    let (other, later) =
        (sandbox.another_process(9), Wish { from: FROM.plus_ms(5_000), ..wish(2) });
    meanwhile(&sandbox, SECOND_WRITE, async move {
        other.set_rate(&service(), rate(10)).await.unwrap();
    });
    let block = leased(&sandbox.store, 1_000, &later).await;
    assert_eq!((block.rate, block.first), (rate(10), later.from));
    assert_eq!(tat(&sandbox).await, block.end());
}

/// The rate's clause of a change: the gap is that of the rate that stands.
#[tokio::test]
async fn of_two_changes_at_once_each_begins_behind_the_other() {
    let sandbox = Sandbox::new(9);
    let first = leased(&sandbox.store, 1_000, &wish(10)).await;
    let other = sandbox.another_process(10);
    meanwhile(&sandbox, FIRST_WRITE, async move {
        other.set_rate(&service(), rate(1)).await.unwrap();
    });
    sandbox.store.set_rate(&service(), rate(500)).await.unwrap();
    // The interval of one call a second is as long as the pause: the second change adds nothing.
    let one = largesse_domain::rate::RateState { rate: rate(1_000), tat: first.end() };
    assert_eq!(tat(&sandbox).await, one.change(rate(1)).change(rate(500)).tat);
    assert_eq!(leased(&sandbox.store, 1, &wish(1)).await.rate, rate(500));
}

/// The clause `attribute_not_exists` of a change.
#[tokio::test]
async fn a_rate_that_is_set_before_the_first_lease_takes_no_permit_back() {
    let sandbox = Sandbox::new(10);
    let other = sandbox.another_process(11);
    meanwhile(&sandbox, FIRST_WRITE, async move {
        leased(&other, 1_000, &wish(10)).await;
    });
    sandbox.store.set_rate(&service(), rate(500)).await.unwrap();
    let mine = leased(&sandbox.store, 500, &wish(1)).await;
    let last = FROM.0 + rate(1_000).span_ns(9);
    assert_eq!(mine.first.0, last + 1_020_000_000);
}

#[tokio::test]
async fn a_rate_can_be_set_before_any_lease_and_again_without_effect() {
    let sandbox = Sandbox::new(11);
    for _ in 0..2 {
        sandbox.store.set_rate(&service(), rate(7)).await.unwrap();
    }
    assert_eq!(tat(&sandbox).await, Moment(0));
    let block = leased(&sandbox.store, 1_000, &wish(1)).await;
    assert_eq!((block.rate, block.first), (rate(7), FROM));
}

/// The SDK repeats a write whose reply was lost: the first lease of all, and one behind others.
#[tokio::test(start_paused = true)]
async fn permits_of_a_lost_reply_are_leased_to_nobody() {
    let sandbox = Sandbox::new(12);
    let mut end = FROM;
    // The write that takes effect is the second one of the first lease, the first of the others.
    for nth in [2, 1] {
        let lost = Faults::seeded(0).nth(nth, Matching::operation("UpdateItem"), Fault::ReplyLost);
        sandbox.world.set_fault_hook(Some(Arc::new(lost)));
        let block = leased(&sandbox.store, 1_000, &wish(10)).await;
        assert_eq!(block.first.0, end.0 + rate(1_000).span_ns(10));
        assert_eq!(tat(&sandbox).await, block.end());
        end = block.end();
    }
}

#[tokio::test]
async fn a_rate_that_cannot_be_read_is_corrupt_and_leases_nothing() {
    let sandbox = Sandbox::new(13);
    leased(&sandbox.store, 1_000, &wish(10)).await;
    Table::of(&sandbox, "edge").set(&key("RATE#bank"), "rate", n(1)).await;
    let error = sandbox.store.lease(&service(), rate(1_000), &wish(1)).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Corrupt);
    let error = sandbox.store.set_rate(&service(), rate(1)).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Corrupt);
}

#[tokio::test]
async fn each_service_has_its_own_rate_and_breaker() {
    let sandbox = Sandbox::new(14);
    let other: ServiceId = "points".parse().unwrap();
    leased(&sandbox.store, 1_000, &wish(10)).await;
    let lease = sandbox.store.lease(&other, rate(10), &wish(1)).await.unwrap();
    assert_eq!(lease, Leased::Block(Block { rate: rate(10), first: FROM, count: 1 }));
    put(&sandbox.store, StoredBreaker::default(), open(1)).await;
    assert_eq!(sandbox.store.breaker(&other).await.unwrap(), StoredBreaker::default());
}

/// 1,000 calls a second for 1,000 seconds: 980,392 permits of the 1,000,000, since the tolerances take
/// 2 %.
#[tokio::test(start_paused = true)]
async fn a_million_permits_cost_four_thousand_write_units() {
    let sandbox = Sandbox::new(15);
    sandbox.world.recorder().measure_units(true);
    let end = FROM.plus_ms(1_000_000);
    let (mut from, mut permits) = (FROM, 0);
    while from < end {
        let wish = Wish { wanted: 1_000, from, until: end };
        let block = leased(&sandbox.store, 1_000, &wish).await;
        permits += block.count;
        from = block.end();
    }
    let table = sandbox.world.recorder().table("largesse-edge");
    println!("{permits} permits: {} write units, {} calls", table.write, table.calls);
    assert_eq!(permits, 980_393);
    // One for each block of 245. The first lease finds no item: a call more, whose refusal costs a
    // unit too, which the emulator does not count.
    assert_eq!((table.write, table.read, table.calls), (4_002.0, 0.0, 4_003));
    assert!(table.write * 4.0 < f64::from(permits) * 0.02);
}

fn open(ms: i64) -> Breaker {
    Breaker::Open { until: Timestamp::from_ms(ms), openings: 1 }
}

fn half_open(probe: u128) -> Breaker {
    let (probe, until) = (Ulid::from_parts(1, probe), Timestamp::from_ms(9));
    Breaker::HalfOpen { probe, until, openings: 3 }
}

async fn put(store: &Store, seen: StoredBreaker, breaker: Breaker) -> BreakerWritten {
    store.put_breaker(&service(), seen, breaker).await.unwrap()
}

#[tokio::test]
async fn a_breaker_is_read_as_it_was_written() {
    let sandbox = Sandbox::new(16);
    let mut seen = sandbox.store.breaker(&service()).await.unwrap();
    assert_eq!(seen, StoredBreaker::default());
    for (version, breaker) in (1..).zip([open(5), half_open(7), Breaker::Closed, open(6)]) {
        let stored = StoredBreaker { breaker, version };
        assert_eq!(put(&sandbox.store, seen, breaker).await, BreakerWritten::Done(stored));
        seen = sandbox.another_process(1).breaker(&service()).await.unwrap();
        assert_eq!(seen, stored);
    }
}

/// The clause `attribute_not_exists`.
#[tokio::test]
async fn the_first_to_open_a_breaker_decides_how_long() {
    let sandbox = Sandbox::new(17);
    put(&sandbox.store, StoredBreaker::default(), open(5)).await;
    let second = put(&sandbox.store, StoredBreaker::default(), open(6)).await;
    let stands = StoredBreaker { breaker: open(5), version: 1 };
    assert_eq!(second, BreakerWritten::Changed(stands));
    assert_eq!(sandbox.store.breaker(&service()).await.unwrap(), stands);
}

/// The clause `version = seen`.
#[tokio::test]
async fn one_of_sixteen_workers_gets_the_probe() {
    let sandbox = Sandbox::new(18);
    put(&sandbox.store, StoredBreaker::default(), open(5)).await;
    let seen = sandbox.store.breaker(&service()).await.unwrap();
    let workers: Vec<_> = (0..16).map(|seed| sandbox.another_process(seed)).collect();
    let probes = (0..).zip(&workers).map(|(probe, worker)| put(worker, seen, half_open(probe)));
    let written = join_all(probes).await;
    let done = written.iter().filter(|written| matches!(written, BreakerWritten::Done(_)));
    assert_eq!(done.count(), 1);
    // All know whose it is.
    let stands = sandbox.store.breaker(&service()).await.unwrap();
    let tell = |written: &BreakerWritten| match *written {
        BreakerWritten::Done(stored) | BreakerWritten::Changed(stored) => stored == stands,
    };
    assert!(written.iter().all(tell));
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_reply_was_lost_is_the_workers_all_the_same() {
    let sandbox = Sandbox::new(19);
    let mut seen = StoredBreaker::default();
    for breaker in [open(5), half_open(7)] {
        let lost = Faults::seeded(0).nth(1, Matching::operation("UpdateItem"), Fault::ReplyLost);
        sandbox.world.set_fault_hook(Some(Arc::new(lost)));
        let stored = StoredBreaker { breaker, version: seen.version + 1 };
        assert_eq!(put(&sandbox.store, seen, breaker).await, BreakerWritten::Done(stored));
        seen = stored;
    }
}

#[tokio::test]
async fn a_breaker_that_cannot_be_read_is_corrupt() {
    let sandbox = Sandbox::new(20);
    put(&sandbox.store, StoredBreaker::default(), half_open(5)).await;
    let (table, key) = (Table::of(&sandbox, "edge"), key("BREAKER#bank"));
    for (name, bad) in [("state", "AJAR"), ("state", "HALF_OPEN"), ("probe", "x")] {
        let is_whole = bad == "HALF_OPEN";
        table.set(&key, name, crate::scene::s(bad)).await;
        let read = sandbox.store.breaker(&service()).await;
        assert_eq!(
            read.err().map(|error| error.kind),
            (!is_whole).then_some(PortErrorKind::Corrupt)
        );
    }
}

/// A clock that is off by more than the rate's skew: out of contract, and of no profit.
#[tokio::test(start_paused = true)]
async fn a_worker_whose_clock_is_minutes_late_gets_no_permit() {
    let sandbox = Sandbox::new(21);
    let lease = async |store: &Store| {
        let now = Moment::of(store.now());
        let wish = Wish { wanted: 5, from: now, until: now.plus_ms(5_000) };
        store.lease(&service(), rate(1_000), &wish).await.unwrap()
    };
    assert!(matches!(lease(&sandbox.store).await, Leased::Block(_)));
    let late = sandbox.skewed_process(22, -300_000);
    assert!(matches!(lease(&late).await, Leased::None { .. }));
    assert!(matches!(lease(&sandbox.store).await, Leased::Block(_)));
}
