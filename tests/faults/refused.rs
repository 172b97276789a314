//! A wallet that cannot hold a share or a refund: the payment is refused, given up, tried again or
//! voided; the refund waits.

use std::time::Duration;

use largesse_app::grant::dispatch::dispatch;
use largesse_app::grant::operate::{Retried, retry, void};
use largesse_app::ports::{Clock, GrantMessage, Grants, Money, Sprays, Standing, Void};
use largesse_app::spray::refund::BatchReport;
use largesse_domain::grant::{FailedGrant, Grant, GrantStatus};
use largesse_domain::ledger::TransferKind;
use largesse_domain::spray::Spray;
use largesse_runtime::RunError;
use largesse_tests::kill::{interleave, kill_at};
use largesse_tests::{money, user};
use serde_json::json;

use crate::client::claim_by;
use crate::kill::for_every_await;
use crate::race::{SCHEDULES_STEP, schedules};
use crate::rig::{GRANTS, GRANTS_DLQ, Kill, Rig, Strike, refund_all, sweep_all};

/// What the wallet of `a` holds, when it has room.
pub(crate) const HELD: u64 = 1;

/// A share that `a` has drawn, whose wallet is full.
pub(crate) async fn drawn_into_a_full_wallet(rig: &Rig) -> (Spray, Grant) {
    let (room, spray) = rig.spray(3).await;
    rig.sandbox.deposit("a", HELD).await;
    assert_eq!(rig.fill("a").await, HELD);
    claim_by(&rig.sandbox.store, room, &spray, "a").await.unwrap();
    let grant = money::books(&rig.sandbox.world).grants().next().unwrap();
    (spray, grant)
}

/// The same, given up.
pub(crate) async fn given_up(rig: &Rig) -> (Spray, Grant) {
    let (spray, grant) = drawn_into_a_full_wallet(rig).await;
    rig.pay().await;
    (spray, grant)
}

pub(crate) async fn failed(rig: &Rig, spray: &Spray) -> Option<FailedGrant> {
    rig.sandbox.store.failed_grant(spray.pool(), &user("a")).await.unwrap()
}

fn dead(rig: &Rig) -> usize {
    rig.sandbox.world.queue(GRANTS_DLQ).unwrap().messages.len()
}

/// Loses every message of the grants queue.
async fn lose_messages(rig: &Rig) {
    let url = rig.queue_url(GRANTS).await;
    while !rig.sandbox.world.queue(GRANTS).unwrap().is_empty() {
        let received = rig.sqs("ReceiveMessage", json!({ "QueueUrl": url })).await;
        for message in received["Messages"].as_array().into_iter().flatten() {
            let receipt = json!({ "QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"] });
            rig.sqs("DeleteMessage", receipt).await;
        }
        tokio::time::advance(Duration::from_secs(1)).await;
    }
}

/// Asserts that the grant was refused four times and given up, once.
async fn assert_given_up(rig: &Rig, spray: &Spray) -> FailedGrant {
    let failed = failed(rig, spray).await.unwrap();
    assert_eq!((failed.status, failed.attempts), (GrantStatus::PermanentlyFailed, 4));
    assert_eq!(failed.failure, "the wallet cannot hold that much");
    assert!(dead(rig) >= 1 && !rig.sandbox.world.bus().events().is_empty());
    assert!(rig.sandbox.world.queue(GRANTS).unwrap().is_empty());
    failed
}

#[tokio::test(start_paused = true)]
async fn a_share_that_a_wallet_cannot_hold_is_refused_four_times_and_given_up() {
    let rig = Rig::new(1, Kill::default());
    let began = rig.sandbox.store.now();
    let (spray, _) = given_up(&rig).await;
    assert_given_up(&rig, &spray).await;
    assert_eq!((dead(&rig), rig.sandbox.world.bus().events().len()), (1, 1));
    // Three retries, three seconds apart.
    let took_ms = rig.sandbox.store.now().ms_since(began);
    assert!((9_000..10_000).contains(&took_ms), "{took_ms} ms");
    // The sweep leaves to the operator what was given up.
    tokio::time::advance(Duration::from_secs(301)).await;
    let swept = sweep_all(&rig.sandbox.store).await.unwrap();
    assert_eq!((swept.buckets, swept.resent, swept.failed), (1, 0, 0));
    assert_eq!(sweep_all(&rig.sandbox.store).await.unwrap().buckets, 0);
    rig.sandbox.overwrite_balance("a", HELD).await;
    let totals = rig.wind_up().await;
    assert!(totals.escrows > 0, "the share waits in the pool");
}

#[tokio::test(start_paused = true)]
async fn a_payment_killed_at_any_await_while_it_is_refused_counts_each_refusal_once_and_is_paid() {
    for run in [1, 2] {
        for_every_await(3, async |at| {
            let strike = Some(Strike { run, at });
            let rig = Rig::new(2, Kill { grant_pay: strike, ..Kill::default() });
            let (spray, grant) = drawn_into_a_full_wallet(&rig).await;
            // As many runs as it takes: the last of them is the one that is killed.
            for _ in 0..run {
                rig.sandbox.world.settle().await;
                tokio::time::advance(Duration::from_secs(4)).await;
            }
            let counted = failed(&rig, &spray).await.map_or(0, |failed| failed.attempts);
            assert!((run - 1..=run).contains(&(counted as usize)), "{counted} in {run} runs");
            rig.sandbox.overwrite_balance("a", HELD).await;
            rig.wind_up().await;
            rig.assert_all_paid();
            assert_eq!(rig.balance("a"), HELD + grant.amount.get());
            rig.was_struck()
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_payment_killed_at_any_await_while_it_is_given_up_is_given_up_once() {
    // The fourth run is the last attempt.
    for_every_await(6, async |at| {
        let strike = Some(Strike { run: 4, at });
        let rig = Rig::new(3, Kill { grant_pay: strike, ..Kill::default() });
        let (spray, grant) = given_up(&rig).await;
        let given_up = assert_given_up(&rig, &spray).await;
        rig.sandbox.overwrite_balance("a", HELD).await;
        assert_eq!(void(&*rig.sandbox.store, &given_up).await.unwrap(), Void::Voided);
        assert_eq!(rig.balance("s"), grant.amount.get());
        rig.wind_up().await;
        assert_eq!((rig.balance("a"), rig.balance("s")), (HELD, 30));
        rig.was_struck()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_payment_killed_at_any_await_of_a_grant_that_was_voided_pays_nothing() {
    for_every_await(1, async |at| {
        // The run after the four refusals.
        let strike = Some(Strike { run: 5, at });
        let rig = Rig::new(4, Kill { grant_pay: strike, ..Kill::default() });
        let (spray, grant) = given_up(&rig).await;
        let given_up = failed(&rig, &spray).await.unwrap();
        assert_eq!(void(&*rig.sandbox.store, &given_up).await.unwrap(), Void::Voided);
        rig.sandbox.overwrite_balance("a", HELD).await;
        // Longer than the queue remembers the first message.
        tokio::time::advance(Duration::from_secs(301)).await;
        let late = [GrantMessage::first(grant)];
        assert_eq!(dispatch(&*rig.sandbox.store, &late).await, None);
        rig.wind_up().await;
        assert_eq!(failed(&rig, &spray).await.unwrap().status, GrantStatus::Voided);
        assert_eq!((rig.balance("a"), rig.balance("s")), (HELD, 30));
        rig.was_struck()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_room_was_made_pays_and_leaves_no_trace_of_the_failure() {
    for_every_await(2, async |k| {
        let rig = Rig::new(5, Kill::default());
        let (spray, grant) = given_up(&rig).await;
        let before = failed(&rig, &spray).await.unwrap();
        rig.sandbox.overwrite_balance("a", HELD).await;
        let killed = kill_at(k, retry(&*rig.sandbox.store, &before)).await;
        // The operator repeats it with what is stored now; a wrong guess is refused.
        if let Some(now) = failed(&rig, &spray).await {
            assert_eq!(retry(&*rig.sandbox.store, &now).await.unwrap(), Retried::Sent);
        }
        rig.pay().await;
        assert_eq!(failed(&rig, &spray).await, None);
        assert_eq!(rig.balance("a"), HELD + grant.amount.get());
        assert!(retry(&*rig.sandbox.store, &before).await.is_err(), "it has changed");
        rig.wind_up().await;
        assert_eq!(rig.transfers(TransferKind::Claim), 1);
        killed.is_none()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_retry_into_a_wallet_that_is_still_full_has_all_its_attempts_again() {
    let rig = Rig::new(6, Kill::default());
    let (spray, _) = given_up(&rig).await;
    let before = failed(&rig, &spray).await.unwrap();
    assert_eq!(retry(&*rig.sandbox.store, &before).await.unwrap(), Retried::Sent);
    rig.pay().await;
    assert_given_up(&rig, &spray).await;
    assert_eq!((dead(&rig), rig.sandbox.world.bus().events().len()), (2, 2));
    rig.sandbox.overwrite_balance("a", HELD).await;
    rig.wind_up().await;
}

#[tokio::test(start_paused = true)]
async fn a_void_killed_at_any_await_returns_the_amount_to_the_funder_once() {
    for_every_await(2, async |k| {
        let rig = Rig::new(7, Kill::default());
        let (spray, grant) = given_up(&rig).await;
        rig.sandbox.overwrite_balance("a", HELD).await;
        let before = failed(&rig, &spray).await.unwrap();
        let killed = rig.sandbox.another_process(70);
        let first = kill_at(k, void(&*killed, &before)).await;
        drop(killed);
        let again = void(&*rig.sandbox.another_process(71), &before).await.unwrap();
        assert!(matches!(again, Void::Voided | Void::AlreadyVoided), "{again:?}");
        assert_eq!(rig.balance("s"), grant.amount.get());
        let now = failed(&rig, &spray).await.unwrap();
        assert_eq!(now.status, GrantStatus::Voided);
        assert_eq!(retry(&*rig.sandbox.store, &now).await.unwrap(), Retried::Voided);
        rig.wind_up().await;
        assert_eq!((rig.balance("a"), rig.balance("s")), (HELD, 30));
        first.is_none()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_void_and_a_payment_at_once_have_one_winner() {
    let (mut paid, mut voided) = (0, 0);
    for schedule in schedules().into_iter().step_by(SCHEDULES_STEP * 2) {
        let rig = Rig::new(8, Kill::default());
        let (spray, grant) = given_up(&rig).await;
        let before = failed(&rig, &spray).await.unwrap();
        rig.sandbox.overwrite_balance("a", HELD).await;
        // A message that is still on its way, or a retry that was begun and forgotten.
        let (one, two) = (rig.sandbox.another_process(70), rig.sandbox.another_process(71));
        let grants = [grant.clone()];
        let (void, _) = interleave(&schedule, void(&*one, &before), two.pay(&grants)).await;
        let standing = one.lookup(&grants).await.unwrap()[0];
        let amount = grant.amount.get();
        let moved = (rig.balance("a") - HELD, rig.balance("s"));
        match void.unwrap() {
            Void::Voided => {
                assert_eq!((standing, moved), (Standing::Voided, (0, amount)));
                voided += 1;
            }
            Void::Paid => {
                assert_eq!((standing, moved), (Standing::Paid, (amount, 0)));
                // The retry that the operator begins next removes what is left of the failure.
                assert_eq!(retry(&*one, &before).await.unwrap(), Retried::Sent);
                paid += 1;
            }
            other => panic!("{other:?}"),
        }
        rig.wind_up().await;
    }
    assert!(paid > 2 && voided > 2, "both must win sometimes: {paid} and {voided}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_payment_whose_message_is_lost_is_sent_again_by_the_sweep() {
    let rig = Rig::new(9, Kill::default());
    let (spray, grant) = drawn_into_a_full_wallet(&rig).await;
    rig.sandbox.world.settle().await;
    assert_eq!(failed(&rig, &spray).await.unwrap().status, GrantStatus::Failed);
    lose_messages(&rig).await;
    rig.sandbox.overwrite_balance("a", HELD).await;
    tokio::time::advance(Duration::from_secs(301)).await;
    assert_eq!(sweep_all(&rig.sandbox.store).await.unwrap().resent, 1);
    rig.pay().await;
    assert_eq!(rig.balance("a"), HELD + grant.amount.get());
    // What is paid has no failure.
    rig.assert_all_paid();
    rig.wind_up().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_refund_killed_at_any_await_is_recorded_by_the_next_run_and_returned_once() {
    for_every_await(2, async |k| {
        let rig = Rig::new(11, Kill::default());
        let (_, spray) = rig.spray(3).await;
        rig.fill("s").await;
        tokio::time::advance(Duration::from_secs(601)).await;
        let killed = kill_at(k, refund_all(&rig.sandbox.another_process(70))).await;
        let store = &*rig.sandbox.store;
        assert_eq!(refund_all(store).await.unwrap().failed, 0);
        let refused = store.spray(spray.id).await.unwrap().unwrap().refused.unwrap();
        assert_eq!(refused.amount, 30);
        rig.sandbox.overwrite_balance("s", 0).await;
        tokio::time::advance(Duration::from_secs(3_601)).await;
        assert_eq!(refund_all(store).await.unwrap().returned, 30);
        rig.wind_up().await;
        assert_eq!((rig.balance("s"), rig.transfers(TransferKind::Refund)), (30, 1));
        killed.is_none()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_refund_into_a_full_wallet_waits_until_there_is_room_and_fails_no_run() {
    let rig = Rig::new(10, Kill::default());
    let (room, spray) = rig.spray(3).await;
    let other = rig.sandbox.room(&["t"]).await;
    rig.sandbox.spray(other, "t", 30, 3).await;
    let a = claim_by(&rig.sandbox.store, room, &spray, "a").await.unwrap().get();
    rig.pay().await;
    assert_eq!(rig.fill("s").await, 0);
    tokio::time::advance(Duration::from_secs(601)).await;
    let store = &*rig.sandbox.store;
    let stop_at = || store.now().plus_ms(60_000);
    let run = refund_batch::handle(store, stop_at()).await.unwrap();
    let report = refund_batch::Report {
        refunded: 1,
        closed: 0,
        returned: 30,
        wallet_full: 1,
        products: refund_batch::products::Report::default(),
        has_more: false,
    };
    assert_eq!(run, report, "the other spray is refunded");
    // It waits for an hour, out of the way of the others.
    for (wait_s, wallet_full) in [(0, 0), (3_599, 0), (2, 1)] {
        tokio::time::advance(Duration::from_secs(wait_s)).await;
        let expected = BatchReport { wallet_full, ..BatchReport::default() };
        assert_eq!(refund_all(store).await.unwrap(), expected, "after {wait_s} s");
    }
    rig.sandbox.overwrite_balance("s", 0).await;
    tokio::time::advance(Duration::from_secs(3_601)).await;
    let run: Result<_, RunError> = refund_batch::handle(store, stop_at()).await;
    assert_eq!(run.unwrap().returned, 30 - a);
    rig.wind_up().await;
    rig.assert_all_paid();
    assert_eq!(rig.balance("s"), 30 - a);
}
