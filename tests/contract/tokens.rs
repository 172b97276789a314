//! Finding a free token: the index, the lease of the scan, and what a scan adds. One test for each
//! clause of the conditions.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::{Clock, PortErrorKind, Replenished, Sprays, TOKEN_SHARDS, TokenSpace};
use largesse_app::spray::token::{self, Found};
use largesse_domain::id::{TOKEN_COUNT, Token};
use largesse_domain::time::Timestamp;
use largesse_emulator::{Fault, Faults, Matching, Service};
use largesse_tests::Sandbox;

use crate::meanwhile::{Before, meanwhile};
use crate::scene::{Item, Table, key, n, number};
use crate::sprays::{made, wish};

/// The scan's item: until when the lease holds, and what was found.
async fn lease(sandbox: &Sandbox) -> (Option<i64>, Option<i64>) {
    let item = Table::of(sandbox, "tokens").get(&key("SCAN")).await.unwrap_or_default();
    let ms = |name: &str| item.contains_key(name).then(|| number(&item, name));
    (ms("until_ms"), ms("earliest_ms"))
}

/// Another process's scan: its lease, and what it found, if it has ended.
async fn leased(sandbox: &Sandbox, until: Timestamp, earliest: Option<Timestamp>) {
    let mut item = key("SCAN");
    item.insert("until_ms".to_owned(), n(until.ms()));
    if let Some(earliest) = earliest {
        item.insert("earliest_ms".to_owned(), n(earliest.ms()));
    }
    Table::of(sandbox, "tokens").put(item).await;
}

fn token_key(token: Token) -> Item {
    key(format!("TOKEN#{token}"))
}

fn scans(sandbox: &Sandbox) -> u64 {
    sandbox.world.recorder().operation(Service::DynamoDb, "Scan").calls
}

fn free(replenished: Replenished) -> Vec<Token> {
    match replenished {
        Replenished::Free(tokens) => tokens,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn one_process_scans_and_the_others_wait_until_its_lease_is_over() {
    let sandbox = Sandbox::new(1);
    let (store, now) = (&sandbox.store, sandbox.store.now());
    // The first of all: there is no lease.
    assert_eq!(free(store.replenish(now).await.unwrap()).len(), 512);
    let until = now.plus_ms(5_000);
    leased(&sandbox, until, None).await;
    let other = sandbox.another_process(2);
    let early = other.replenish(until.minus_ms(1)).await.unwrap();
    assert_eq!(early, Replenished::Underway);
    assert!(!free(other.replenish(until).await.unwrap()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn none_is_free_is_said_while_it_is_sure_and_no_longer() {
    let sandbox = Sandbox::new(2);
    let (store, now) = (&sandbox.store, sandbox.store.now());
    let (until, earliest) = (now.plus_ms(5_000), now.plus_ms(3_000));
    leased(&sandbox, until, Some(earliest)).await;
    for at in [now, earliest.minus_ms(1)] {
        assert_eq!(store.replenish(at).await.unwrap(), Replenished::NoneFree { earliest });
    }
    assert_eq!(store.replenish(earliest).await.unwrap(), Replenished::Underway);
    assert_eq!(scans(&sandbox), 0);
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_scan_found_is_not_said_during_a_later_one() {
    let sandbox = Sandbox::new(3);
    let (store, now) = (&sandbox.store, sandbox.store.now());
    leased(&sandbox, now, Some(now.plus_ms(60_000))).await;
    // The later one ends in the middle.
    let broken = Faults::seeded(0).always(Matching::operation("Scan"), Fault::Throttle);
    sandbox.world.set_fault_hook(Some(Arc::new(broken)));
    assert_eq!(store.replenish(now).await.unwrap_err().kind, PortErrorKind::Throttled);
    sandbox.world.set_fault_hook(None);
    assert_eq!(lease(&sandbox).await, (Some(now.plus_ms(5_000).ms()), None));
    assert_eq!(store.replenish(now).await.unwrap(), Replenished::Underway);
}

#[tokio::test(start_paused = true)]
async fn a_scan_ends_its_own_lease_and_no_other() {
    let sandbox = Arc::new(Sandbox::new(4));
    let (store, now) = (&sandbox.store, sandbox.store.now());
    let earliest = now.plus_ms(3_600_000);
    sandbox.take_all_tokens_but(&[], earliest).await;
    // Its own lease is over before it ends, and another one's begins.
    let (later, between) = (now.plus_ms(10_000), sandbox.clone());
    meanwhile(&sandbox, Before(1, "Scan", "largesse-tokens"), async move {
        leased(&between, later, None).await;
    });
    assert_eq!(store.replenish(now).await.unwrap(), Replenished::NoneFree { earliest });
    sandbox.world.set_fault_hook(None);
    assert_eq!(lease(&sandbox).await, (Some(later.ms()), None));
    // Without such a one, what it found stands for as long as its lease would have.
    leased(&sandbox, now, None).await;
    assert_eq!(store.replenish(now).await.unwrap(), Replenished::NoneFree { earliest });
    assert_eq!(lease(&sandbox).await, (Some(now.plus_ms(5_000).ms()), Some(earliest.ms())));
}

#[tokio::test(start_paused = true)]
async fn a_scan_that_found_some_ends_its_lease_at_once() {
    let sandbox = Sandbox::new(5);
    let (store, now) = (&sandbox.store, sandbox.store.now());
    let added: BTreeSet<Token> = free(store.replenish(now).await.unwrap()).into_iter().collect();
    assert_eq!((added.len(), lease(&sandbox).await), (512, (Some(now.ms()), None)));
    // They are in the index, in all its shards, and another scan adds others.
    let mut all: Vec<Token> = (0..TOKEN_COUNT).map(Token::from_index).collect();
    all.sort_unstable();
    let after = |token| all.get(all.partition_point(|t| *t <= token)).copied().unwrap_or(all[0]);
    let mut indexed = BTreeSet::new();
    for shard in 0..TOKEN_SHARDS {
        let mut from = all[0];
        while let Some(token) = store.indexed_token(shard, from).await.unwrap() {
            if !indexed.insert(token) {
                break;
            }
            from = after(token);
        }
    }
    assert_eq!(indexed, added);
    let more = free(store.replenish(now).await.unwrap());
    assert_eq!(more.len(), 1_024);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_a_spray_took_during_the_scan_stays_the_sprays() {
    let sandbox = Arc::new(Sandbox::new(6));
    let now = sandbox.store.now();
    sandbox.deposit("s", 100).await;
    let last: Token = "XYZ".parse().unwrap();
    sandbox.take_all_tokens_but(&[last], now.plus_ms(3_600_000)).await;
    let (other, (spray, order)) = (sandbox.another_process(61), wish(&sandbox, "XYZ", 50));
    let theirs = spray.clone();
    meanwhile(&sandbox, Before(1, "PutItem", "largesse-tokens"), async move {
        other.create_spray(&theirs, &order).await.unwrap().unwrap();
    });
    // Stale, which the spray's own transaction finds out.
    assert_eq!(free(sandbox.store.replenish(now).await.unwrap()), [last]);
    sandbox.world.set_fault_hook(None);
    let entry = sandbox.store.token_entry(last).await.unwrap().unwrap();
    assert_eq!((entry.spray, entry.refunded), (spray.id, false));
}

#[tokio::test(start_paused = true)]
async fn a_token_is_free_if_it_was_never_used_or_is_refunded_and_over() {
    let sandbox = Sandbox::new(7);
    let (store, now) = (&sandbox.store, sandbox.store.now());
    sandbox.deposit("s", 100).await;
    let live = made(&sandbox, "AAA", 50).await.token;
    let never = Token::from_index(9);
    let among = async |tokens, at| store.free_among(tokens, at).await.unwrap();
    assert_eq!(among([live, never], now).await, [never]);
    assert_eq!(among([live, live], now).await, []);
    assert_eq!(among([never, never], now).await, [never]);
    let tokens = Table::of(&sandbox, "tokens");
    let over = now.plus_ms(10_000);
    assert_eq!(among([live, live], over).await, [], "it is over and not refunded");
    tokens.set(&token_key(live), "refunded", Av::Bool(true)).await;
    assert_eq!(among([live, live], over.minus_ms(1)).await, []);
    assert_eq!(among([live, live], over).await, [live]);
    // An item that was made for the index stands for no spray.
    let added = free(store.replenish(now).await.unwrap())[0];
    assert_eq!(store.token_entry(added).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_crowd_that_finds_the_index_empty_waits_for_the_scan_and_gets_its_tokens() {
    let sandbox = Arc::new(Sandbox::new(8));
    sandbox.deposit("s", 10_000).await;
    let closes = sandbox.store.now().plus_ms(3_600_000);
    let left: Vec<Token> = (0..40).map(|n| Token::from_index(n * 1_000)).collect();
    sandbox.take_all_tokens_but(&left, closes).await;
    // A scan takes its time.
    let slow = Fault::DelayReply(Duration::from_millis(300));
    let slow = Faults::seeded(0).always(Matching::operation("Scan"), slow);
    sandbox.world.set_fault_hook(Some(Arc::new(slow)));
    sandbox.world.recorder().reset();
    // As many processes as tokens: each finds one, and takes it or searches again.
    let crowd = (0..40).map(|n| {
        let sandbox = sandbox.clone();
        async move {
            let store = sandbox.another_process(800 + n);
            loop {
                let Found::Token(token) = token::search(&*store).await.unwrap() else {
                    panic!("tokens are free")
                };
                let (spray, order) = wish(&sandbox, token.as_str(), 10);
                if store.create_spray(&spray, &order).await.unwrap().is_ok() {
                    return token;
                }
            }
        }
    });
    let got: BTreeSet<Token> = futures::future::join_all(crowd).await.into_iter().collect();
    sandbox.world.set_fault_hook(None);
    assert_eq!(got, left.into_iter().collect());
    let pages = 64;
    assert!(scans(&sandbox) < pages, "one of them scanned: {} pages", scans(&sandbox));
    // Now none is free: the next one is told so, and until when.
    let late = sandbox.another_process(900);
    let Found::Full { earliest } = token::search(&*late).await.unwrap() else { panic!() };
    assert_eq!(earliest, sandbox.store.now().plus_ms(10_000).min(earliest));
    assert_eq!(late.known_full(late.now()), Some(earliest));
    sandbox.world.recorder().reset();
    assert_eq!(token::find(&*late).await.unwrap(), Found::Full { earliest });
    assert_eq!(sandbox.world.recorder().total().calls, 0, "this process knows");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_waits_in_vain_for_a_scan_is_told_to_try_again() {
    let sandbox = Sandbox::new(9);
    let began = sandbox.store.now();
    // Another process has the lease and never ends.
    leased(&sandbox, began.plus_ms(3_600_000), None).await;
    let error = token::search(&*sandbox.store).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Contended);
    assert!(error.is_retryable());
    let waited = sandbox.store.now().ms_since(began);
    assert!((1_200..=3_700).contains(&waited), "{waited} ms");
    assert_eq!(scans(&sandbox), 0);
}

#[tokio::test(start_paused = true)]
async fn that_none_is_free_is_remembered_for_two_seconds_or_until_the_first_one_is() {
    let sandbox = Sandbox::new(10);
    let (store, now) = (&sandbox.store, sandbox.store.now());
    for (earliest, until) in
        [(now.plus_ms(60_000), now.plus_ms(2_000)), (now.plus_ms(500), now.plus_ms(500))]
    {
        store.remember_full(now, earliest);
        assert_eq!(store.known_full(until.minus_ms(1)), Some(earliest));
        assert_eq!(store.known_full(until), None);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_token_stands_for_is_read_once_until_its_window_closes() {
    let sandbox = Sandbox::new(11);
    sandbox.deposit("s", 100).await;
    let spray = made(&sandbox, "ABC", 50).await;
    let store = sandbox.another_process(12);
    let reads = || sandbox.world.recorder().operation(Service::DynamoDb, "GetItem").calls;
    for (advance_ms, expected) in [(0, 1), (9_999, 1), (1, 2), (0, 3)] {
        tokio::time::advance(Duration::from_millis(advance_ms)).await;
        if expected == 1 && advance_ms == 0 {
            sandbox.world.recorder().reset();
        }
        let entry = store.token_entry(spray.token).await.unwrap().unwrap();
        assert_eq!((entry.spray, reads()), (spray.id, expected));
    }
    // A token that stands for nothing is not remembered: a spray may take it at any moment.
    for expected in [4, 5] {
        assert_eq!(store.token_entry("XYZ".parse().unwrap()).await.unwrap(), None);
        assert_eq!(reads(), expected);
    }
}
