//! A reply is lost after the effect in the flows that a small spray does not have: a walk over full
//! buckets, the sweep, a share that is given up, tried again or voided, tokens of the index, changes
//! of members.

use std::time::Duration;

use largesse_app::grant::operate::{Retried, retry, void};
use largesse_app::ports::{Grants, Rooms, Void};
use largesse_domain::grant::{FailedGrant, Grant, GrantStatus};
use largesse_domain::id::RoomId;
use largesse_domain::ledger::TransferKind;
use largesse_domain::pool::Walk;
use largesse_domain::spray::Spray;
use largesse_tests::user;

use crate::client::claim_by;
use crate::lost::{LOSING, for_every_call, insist};
use crate::race_draws::fill_bucket;
use crate::refused::{HELD, drawn_into_a_full_wallet, failed, given_up};
use crate::rig::{OUTBOX, Rig, sweep_all};

/// Tries of a caller that does not give up.
const TRIES_MAX: u32 = 12;

/// A spray of two buckets, of which the first one of `a`'s walk is full.
async fn first_bucket_is_full(rig: &Rig) -> (RoomId, Spray) {
    let (room, spray) = rig.spray(20).await;
    let number = Walk::new(&spray.pool(), &user("a"), 2).next().unwrap();
    fill_bucket(rig, &spray, number).await;
    rig.pay().await;
    (room, spray)
}

#[tokio::test(start_paused = true)]
async fn a_reply_lost_while_a_claim_walks_over_full_buckets_draws_one_share() {
    for plan in LOSING {
        for_every_call(
            plan,
            4,
            first_bucket_is_full,
            async |rig, (room, spray)| {
                let path = format!("/api/v2/sprays/{}/claims", spray.token);
                let room = room.to_string();
                let headers = [("x-user-id", "a"), ("x-room-id", room.as_str())];
                let heard = insist(rig, "POST", &path, &headers, "").await;
                let again = insist(rig, "POST", &path, &headers, "").await;
                assert_eq!(again.verdict(), (409, "ERR102"));
                assert_eq!(heard.number("amount"), again.number("amount"));
                rig.pay().await;
                assert_eq!(rig.balance("a"), heard.number("amount"));
            },
            async |rig, _| {
                rig.wind_up().await;
                rig.assert_all_paid();
            },
        )
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_lost_while_the_sweep_sends_again_pays_each_once() {
    for plan in LOSING {
        for_every_call(
            plan,
            8,
            async |rig| {
                rig.sandbox.world.set_stream_enabled(OUTBOX, false).unwrap();
                let (room, spray) = rig.spray(60).await;
                for name in ["a", "b", "c"] {
                    claim_by(&rig.sandbox.store, room, &spray, name).await.unwrap();
                }
                tokio::time::advance(Duration::from_secs(301)).await;
            },
            async |rig, ()| {
                for _ in 0..TRIES_MAX {
                    let swept = sweep_all(&rig.sandbox.store).await;
                    rig.pay().await;
                    if swept.is_ok_and(|report| report.failed == 0) {
                        return;
                    }
                }
                panic!("never swept");
            },
            async |rig, ()| {
                rig.wind_up().await;
                rig.assert_all_paid();
                assert_eq!(rig.transfers(TransferKind::Claim), 3);
            },
        )
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_lost_while_a_payment_is_refused_gives_it_up_once() {
    for plan in LOSING {
        for_every_call(
            plan,
            20,
            drawn_into_a_full_wallet,
            async |rig, _| rig.pay().await,
            async |rig, (spray, _)| {
                let failed = failed(rig, &spray).await.unwrap();
                assert_eq!((failed.status, failed.attempts), (GrantStatus::PermanentlyFailed, 4));
                rig.sandbox.overwrite_balance("a", HELD).await;
                rig.wind_up().await;
                assert_eq!(rig.transfers(TransferKind::Claim), 0);
            },
        )
        .await;
    }
}

/// A share that was given up, and the wallet has room again.
async fn given_up_with_room(rig: &Rig) -> (Spray, Grant) {
    let given_up = given_up(rig).await;
    rig.sandbox.overwrite_balance("a", HELD).await;
    given_up
}

/// What the operator reads before each try.
async fn read(rig: &Rig, spray: &Spray) -> Option<FailedGrant> {
    let store = rig.sandbox.another_process(80);
    store.failed_grant(spray.pool(), &user("a")).await.ok().flatten()
}

#[tokio::test(start_paused = true)]
async fn a_reply_lost_while_a_grant_is_tried_again_pays_it_once() {
    for plan in LOSING {
        for_every_call(
            plan,
            5,
            given_up_with_room,
            async |rig, (spray, grant)| {
                for _ in 0..TRIES_MAX {
                    if let Some(failed) = read(rig, spray).await {
                        let sent = retry(&*rig.sandbox.store, &failed).await;
                        assert!(!matches!(sent, Ok(Retried::Voided)));
                    }
                    rig.pay().await;
                    if rig.balance("a") == HELD + grant.amount.get() {
                        return;
                    }
                }
                panic!("never paid");
            },
            async |rig, (spray, _)| {
                rig.wind_up().await;
                assert_eq!(failed(rig, &spray).await, None, "what is paid has no failure");
                assert_eq!(rig.transfers(TransferKind::Claim), 1);
            },
        )
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_lost_while_a_grant_is_voided_returns_its_amount_once() {
    for plan in LOSING {
        for_every_call(
            plan,
            2,
            given_up_with_room,
            async |rig, (spray, _)| {
                let before = loop {
                    if let Some(failed) = read(rig, spray).await {
                        break failed;
                    }
                };
                for _ in 0..TRIES_MAX {
                    match void(&*rig.sandbox.store, &before).await {
                        Ok(Void::Voided | Void::AlreadyVoided) => return,
                        Ok(other) => panic!("{other:?}"),
                        Err(error) => assert!(error.is_retryable(), "{error:?}"),
                    }
                }
                panic!("never voided");
            },
            async |rig, (_, grant)| {
                assert_eq!(rig.balance("s"), grant.amount.get());
                rig.wind_up().await;
                assert_eq!((rig.balance("a"), rig.balance("s")), (HELD, 30));
                assert_eq!(rig.transfers(TransferKind::Claim), 0);
            },
        )
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_lost_while_members_come_and_go_leaves_them_as_was_requested() {
    for plan in LOSING {
        for_every_call(
            plan,
            4,
            async |rig| rig.sandbox.room(&["s", "a"]).await,
            async |rig, room| {
                for (method, member) in
                    [("PUT", "x"), ("PUT", "y"), ("DELETE", "y"), ("DELETE", "a")]
                {
                    let path = format!("/api/v2/rooms/{room}/members/{member}");
                    insist(rig, method, &path, &[("x-user-id", "s")], "").await;
                }
            },
            async |rig, room| {
                let store = rig.sandbox.another_process(9);
                for (member, is_in) in [("s", true), ("x", true), ("y", false), ("a", false)] {
                    let found = store.is_member(room, &user(member)).await.unwrap();
                    assert_eq!(found, is_in, "{member}");
                }
            },
        )
        .await;
    }
}
