//! A reply is lost after the effect while tokens are found, taken and freed.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::{Clock, Once, SprayNotMade, Sprays, TOKEN_SHARDS};
use largesse_app::spray::token::{self, Found};
use largesse_domain::id::{RoomId, SprayId, Token, TransferId};
use largesse_domain::ledger::{TransferKind, TransferOrder};
use largesse_domain::split::{Seed, Split};
use largesse_domain::spray::{Spray, Terms};
use largesse_emulator::{Fault, Faults, Matching};
use largesse_tests::user;

use crate::lost::{LOSING, for_every_call};
use crate::rig::{Kill, Rig, refund_all};

/// Tries of a caller that does not give up.
const TRIES_MAX: u32 = 12;

/// Sprays under a token of the index, however often it takes.
async fn spray_from_the_index(rig: &Rig, room: RoomId) -> Spray {
    let store = &*rig.sandbox.store;
    let terms = Terms::new(10, 1, Split::Equal, 600).unwrap();
    let id = SprayId(rig.sandbox.id());
    for _ in 0..TRIES_MAX {
        if let Ok(Found::Token(token)) = token::search(store).await {
            let now = store.now();
            let spray = Spray::new(id, token, room, user("s"), &terms, Seed([1; 32]), now);
            let order = TransferOrder {
                id: TransferId(id.0),
                wallet: user("s"),
                kind: TransferKind::Spray,
                amount: terms.amount(),
                at: now,
                pool: Some(spray.pool()),
                counterpart: None,
                memo: None,
            };
            match store.create_spray(&spray, &order).await {
                Ok(Ok(Once::Now(made) | Once::Before(made))) => return made,
                Ok(Err(SprayNotMade::TokenTaken)) | Err(_) => {}
                Ok(Err(refused)) => panic!("{refused:?}"),
            }
        }
        // Longer than the lease of a scan.
        tokio::time::advance(Duration::from_secs(20)).await;
    }
    panic!("no token");
}

/// Tokens that are in the index.
const INDEXED: u32 = 3;

/// A sender in a room, with money for three sprays; a few tokens are in the index.
async fn sender_and_index(rig: &Rig) -> RoomId {
    let room = rig.sandbox.room(&["s"]).await;
    rig.sandbox.deposit("s", 30).await;
    for n in 0..INDEXED {
        let token = [
            ("pk", Av::S(format!("TOKEN#{}", Token::from_index(n)))),
            ("refunded", Av::Bool(true)),
            ("closes_ms", Av::N("0".to_owned())),
            ("free_shard", Av::S((n % TOKEN_SHARDS).to_string())),
        ];
        rig.put("largesse-tokens", &token).await;
    }
    room
}

/// Two sprays, refunded, and a third.
async fn three_sprays(rig: &Rig, room: RoomId) {
    let first = spray_from_the_index(rig, room).await;
    let second = spray_from_the_index(rig, room).await;
    assert_ne!(first.token, second.token);
    tokio::time::advance(Duration::from_secs(700)).await;
    for _ in 0..TRIES_MAX {
        let refunded = refund_all(&rig.sandbox.store).await;
        if refunded.is_ok_and(|report| report.failed == 0) {
            break;
        }
    }
    spray_from_the_index(rig, room).await;
}

async fn assert_three_sprays(rig: &Rig) {
    assert_eq!(rig.transfers(TransferKind::Spray), 3);
    rig.wind_up().await;
    rig.assert_all_paid();
    assert_eq!((rig.transfers(TransferKind::Refund), rig.balance("s")), (3, 30));
}

#[tokio::test(start_paused = true)]
async fn a_reply_lost_while_tokens_are_found_taken_and_freed_doubles_nothing() {
    for plan in LOSING {
        for_every_call(
            plan,
            20,
            sender_and_index,
            async |rig, room| three_sprays(rig, *room).await,
            async |rig, _| assert_three_sprays(rig).await,
        )
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_lost_while_tokens_are_scanned_doubles_nothing() {
    // The lease, the reads, the first and a later token that is added, and the end of the lease.
    for (operation, n) in
        [("UpdateItem", 1), ("Scan", 1), ("PutItem", 1), ("PutItem", 300), ("UpdateItem", 2)]
    {
        for attempts in [1, 5] {
            let rig = Rig::new(n, Kill::default());
            let room = rig.sandbox.room(&["s"]).await;
            rig.sandbox.deposit("s", 30).await;
            let calls = Matching::operation(operation).on("largesse-tokens");
            let plan = (n..n + attempts)
                .fold(Faults::seeded(0), |plan, n| plan.nth(n, calls.clone(), Fault::ReplyLost));
            let plan = Arc::new(plan);
            rig.sandbox.world.set_fault_hook(Some(plan.clone()));
            three_sprays(&rig, room).await;
            rig.sandbox.world.set_fault_hook(None);
            assert!(plan.injected() > 0, "{operation} {n}");
            assert_three_sprays(&rig).await;
        }
    }
}
