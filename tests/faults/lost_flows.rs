//! A reply is lost after the effect in the flows that a small spray does not have: a crowded pool
//! that is trimmed, a draw that is given back, tokens from the hint, changes of members, and a
//! redrive.

use std::collections::BTreeMap;
use std::time::Duration;

use largesse::dlq::Dlq;
use largesse_app::grant::settle;
use largesse_app::ports::{
    Clock, GrantRef, Grants, Once, PayOutcome, Pools, Rooms, SprayNotMade, Sprays,
};
use largesse_app::spray::token::{self, Found};
use largesse_domain::grant::{Grant, GrantStatus};
use largesse_domain::id::{RoomId, SprayId, TransferId};
use largesse_domain::ledger::{TransferKind, TransferOrder};
use largesse_domain::pool::PENDING_MAX;
use largesse_domain::split::{Seed, Split};
use largesse_domain::spray::{Spray, Terms};
use largesse_tests::http::Reply;
use largesse_tests::user;

use crate::lost::{LOSING, for_every_call, insist};
use crate::rig::{Rig, claim_by, drawn_but_not_recorded, refund_all};

/// Tries of whoever does not give up.
const TRIES_MAX: u32 = 12;
/// More shares than a head has room for notes.
const SHARES: u64 = 60;

/// A pool whose head is full of notes: one of a draw that raced a trim and is to be given back, two
/// of draws without a record, the others recorded. Gives what "c" holds.
async fn crowded(rig: &Rig) -> (RoomId, Spray, u64) {
    let (room, spray) = rig.spray(SHARES).await;
    let store = rig.sandbox.another_process(60);
    let first = claim_by(&store, room, &spray, "c").await.unwrap();
    let head = store.pool(spray.pool.id).await.unwrap().unwrap();
    store.trim(spray.pool.id, &head.pending).await.unwrap();
    drawn_but_not_recorded(rig, &spray, "c").await;
    for n in 1..PENDING_MAX {
        let name = format!("m{n}");
        let (drawn, amount) = drawn_but_not_recorded(rig, &spray, &name).await;
        if n > 2 {
            let (member, amount) = (user(&name), largesse_tests::amount(amount));
            let grant = Grant::of_draw(spray.pool.id, member, drawn, amount, user("s"));
            settle::settle(&*store, &grant).await.unwrap();
        }
    }
    let head = store.pool(spray.pool.id).await.unwrap().unwrap();
    assert_eq!(head.pending.len(), PENDING_MAX, "no room for another");
    (room, spray, first.amount.get())
}

/// A claim of `member`, under the same key each time.
async fn insist_on_a_share(rig: &Rig, room: RoomId, spray: &Spray, member: &str) -> Reply {
    let (path, room) = (format!("/api/v2/sprays/{}/claims", spray.token), room.to_string());
    let headers = [("x-user-id", member), ("x-room-id", &room), ("idempotency-key", "claim")];
    insist(rig, "POST", &path, &headers, "").await
}

#[tokio::test(start_paused = true)]
async fn a_reply_lost_while_a_crowded_pool_is_helped_trimmed_and_released_doubles_nothing() {
    for plan in LOSING {
        for_every_call(
            plan,
            12,
            crowded,
            async |rig, (room, spray, _)| {
                for member in ["a", "b"] {
                    insist_on_a_share(rig, *room, spray, member).await;
                }
            },
            async |rig, (room, spray, of_c)| {
                rig.wind_up().await;
                for member in ["a", "b"] {
                    // The first repeat keeps the answer, where the note of it was lost.
                    let noted = insist_on_a_share(rig, room, &spray, member).await;
                    let again = insist_on_a_share(rig, room, &spray, member).await;
                    assert_eq!((again.status, &again.text), (noted.status, &noted.text));
                    assert_eq!(again.header("idempotency-replayed"), "true");
                    assert_eq!(again.number("amount"), rig.balance(member).await);
                }
                assert_eq!(rig.balance("c").await, of_c, "the second draw was given back");
                // Those who drew, "c" once among them, and the two who claimed.
                assert_eq!(rig.transfers(TransferKind::Claim), PENDING_MAX + 2);
                let mut paid = BTreeMap::new();
                for transfer in largesse_tests::money::books(&rig.sandbox.world).transfers {
                    if transfer.order.kind == TransferKind::Claim {
                        *paid.entry(transfer.order.wallet).or_insert(0) += 1;
                    }
                }
                assert!(paid.values().all(|times| *times == 1), "{paid:?}");
                let head = rig.sandbox.store.pool(spray.pool.id).await.unwrap().unwrap();
                assert_eq!(head.supply.remainder(), rig.balance("s").await);
            },
        )
        .await;
    }
}

/// Sprays under a token from the hint, or from a survey, however often it takes.
async fn spray_hinted(rig: &Rig, room: RoomId) -> Spray {
    let store = &*rig.sandbox.store;
    let terms = Terms::new(10, 1, Split::Equal, 600).unwrap();
    let id = SprayId(rig.sandbox.id());
    for _ in 0..TRIES_MAX {
        if let Ok(Found::Token(token)) = token::hinted(store).await {
            let now = store.now();
            let spray = Spray::new(id, token, room, user("s"), &terms, Seed([1; 32]), now);
            let order = TransferOrder {
                id: TransferId(id.0),
                wallet: user("s"),
                kind: TransferKind::Spray,
                amount: terms.amount(),
                at: now,
                pool: Some(spray.pool.id),
                counterpart: None,
                memo: None,
            };
            match store.create_spray(&spray, &order).await {
                Ok(Ok(Once::Now(made) | Once::Before(made))) => return made,
                Ok(Err(SprayNotMade::TokenTaken)) | Err(_) => {}
                Ok(Err(refused)) => panic!("{refused:?}"),
            }
        }
        // Longer than the lease of a survey.
        tokio::time::advance(Duration::from_secs(20)).await;
    }
    panic!("no token");
}

#[tokio::test(start_paused = true)]
async fn a_reply_lost_while_tokens_are_surveyed_hinted_taken_and_freed_doubles_nothing() {
    for plan in LOSING {
        for_every_call(
            plan,
            40,
            async |rig| {
                let room = rig.sandbox.room(&["s"]).await;
                rig.sandbox.deposit("s", 30).await;
                room
            },
            async |rig, room| {
                let first = spray_hinted(rig, *room).await;
                let second = spray_hinted(rig, *room).await;
                assert_ne!(first.token, second.token);
                tokio::time::advance(Duration::from_secs(700)).await;
                for _ in 0..TRIES_MAX {
                    let refunded = refund_all(&rig.sandbox.store).await;
                    if refunded.is_ok_and(|report| report.failed == 0) {
                        break;
                    }
                }
                spray_hinted(rig, *room).await;
            },
            async |rig, _| {
                let count = |kind| rig.transfers(kind);
                assert_eq!(count(TransferKind::Spray), 3);
                rig.wind_up().await;
                assert_eq!((count(TransferKind::Refund), rig.balance("s").await), (3, 30));
            },
        )
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_lost_while_members_come_and_go_leaves_them_as_was_asked() {
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

const DEAD: &str = "largesse-grants-dlq.fifo";

/// Two grants that were given up, with their dead letters.
async fn given_up(rig: &Rig) -> Vec<Grant> {
    let (room, spray) = rig.spray(3).await;
    let mut grants = Vec::new();
    for name in ["a", "b"] {
        claim_by(&rig.sandbox.store, room, &spray, name).await.unwrap();
        let grant = rig.sandbox.store.grant(spray.pool.id, &user(name)).await.unwrap().unwrap();
        let status = GrantStatus::PermanentlyFailed;
        let outcome = PayOutcome::NotPaid { attempts: 4, status, failure: "why".to_owned() };
        rig.sandbox.store.note_outcome(&grant, &outcome).await.unwrap();
        grants.push(grant);
    }
    // Their messages are received until they are dead letters: nobody pays what was given up.
    rig.pay().await;
    assert_eq!(rig.sandbox.world.queue(DEAD).unwrap().messages.len(), 2);
    grants
}

#[tokio::test(start_paused = true)]
async fn a_reply_lost_while_dead_letters_are_redriven_pays_each_once() {
    for plan in LOSING {
        for_every_call(
            plan,
            10,
            given_up,
            async |rig, _| {
                for _ in 0..TRIES_MAX {
                    if let Ok(dlq) = Dlq::open(&rig.sandbox.world.sdk_config(), "largesse").await {
                        // Whatever the operator hears: what is left is tried again.
                        drop(dlq.redrive(None).await);
                    }
                    rig.pay().await;
                    if rig.sandbox.world.queue(DEAD).unwrap().is_empty() {
                        return;
                    }
                    // What was being looked at shows again.
                    tokio::time::advance(Duration::from_secs(61)).await;
                }
                panic!("dead letters are left");
            },
            async |rig, grants| {
                assert_eq!(rig.transfers(TransferKind::Claim), 2);
                for Grant { id, pool, member, amount, .. } in grants {
                    let wanted = GrantRef { pool, member: member.clone(), id };
                    let paid = rig.sandbox.store.revive_grant(&wanted).await.unwrap();
                    assert_eq!(paid, Some(GrantStatus::Success), "what is paid stays paid");
                    assert_eq!(rig.balance(member.as_str()).await, amount.get());
                }
                rig.wind_up().await;
            },
        )
        .await;
    }
}
