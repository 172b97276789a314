//! Tokens: by their own timestamps, whatever TTL does.

use std::time::Duration;

use largesse_app::ports::Clock;
use largesse_app::spray::claim::ClaimError;
use largesse_domain::id::{RoomId, SprayId, Token};
use largesse_domain::split::Split;
use largesse_domain::spray::{Spray, Terms};
use largesse_tests::user;

use crate::client::claim_by;
use crate::rig::{Kill, Rig, refund_all};

#[tokio::test(start_paused = true)]
async fn an_expired_token_whose_ttl_has_not_fired_refuses_claims_before_and_after_its_refund() {
    let rig = Rig::new(1, Kill::default());
    let (room, spray) = rig.spray(3).await;
    tokio::time::advance(Duration::from_secs(600)).await;
    let over = |answer| matches!(answer, Err(ClaimError::WindowOver));
    assert!(over(claim_by(&rig.sandbox.store, room, &spray, "a").await));
    refund_all(&rig.sandbox.store).await.unwrap();
    assert!(over(claim_by(&rig.sandbox.store, room, &spray, "a").await));
}

/// Makes a spray under exactly this token.
async fn under(rig: &Rig, room: RoomId, token: Token) -> Result<Spray, String> {
    use largesse_app::ports::Sprays;
    rig.sandbox.deposit("s", 30).await;
    let terms = Terms::new(30, 3, Split::Equal, 600).unwrap();
    let (id, now) = (SprayId(rig.sandbox.id()), rig.sandbox.store.now());
    let seed = largesse_domain::split::Seed([1; 32]);
    let spray = Spray::new(id, token, room, user("s"), &terms, seed, now);
    let order = largesse_domain::ledger::TransferOrder {
        id: largesse_domain::id::TransferId(id.0),
        wallet: user("s"),
        kind: largesse_domain::ledger::TransferKind::Spray,
        amount: terms.amount(),
        at: now,
        pool: Some(spray.pool()),
        counterpart: None,
        memo: None,
    };
    let made = rig.sandbox.store.create_spray(&spray, &order).await.unwrap();
    made.map(|_| spray).map_err(|error| format!("{error:?}"))
}

#[tokio::test(start_paused = true)]
async fn a_token_is_reused_once_refunded_before_and_after_ttl_and_history_stays() {
    for ttl_fires in [false, true] {
        let rig = Rig::new(2, Kill::default());
        let (room, first) = rig.spray(3).await;
        let won = claim_by(&rig.sandbox.store, room, &first, "a").await.unwrap();
        rig.pay().await;
        assert!(under(&rig, room, first.token).await.is_err(), "it is live");
        tokio::time::advance(Duration::from_secs(700)).await;
        assert!(under(&rig, room, first.token).await.is_err(), "it is not refunded");
        assert_eq!(rig.sandbox.world.sweep_ttl().unwrap(), 0);
        refund_all(&rig.sandbox.store).await.unwrap();
        if ttl_fires {
            tokio::time::advance(Duration::from_secs(9 * 86_400)).await;
            assert_eq!(rig.sandbox.world.sweep_ttl().unwrap(), 1);
        }
        let second = under(&rig, room, first.token).await.unwrap();
        let again = claim_by(&rig.sandbox.store, room, &second, "a").await.unwrap();
        rig.pay().await;
        assert_eq!(rig.balance("a"), won.get() + again.get());
        // The first spray's history is under its own id.
        let path = format!("/api/v2/sprays/{}", first.id);
        let (status, body) = rig.call("GET", &path, &[("x-user-id", "s")], "").await;
        assert_eq!((status, body["claims"].as_array().unwrap().len()), (200, 1));
        assert_eq!(body["claimed_amount"], won.get());
        rig.wind_up().await;
    }
}

#[tokio::test(start_paused = true)]
async fn ttl_never_deletes_the_token_of_a_spray_that_is_not_refunded() {
    let rig = Rig::new(5, Kill::default());
    let (room, spray) = rig.spray(3).await;
    // Refunds fail for a month.
    tokio::time::advance(Duration::from_secs(30 * 86_400)).await;
    assert_eq!(rig.sandbox.world.sweep_ttl().unwrap(), 0);
    assert!(under(&rig, room, spray.token).await.is_err(), "its money is still owed");
    refund_all(&rig.sandbox.store).await.unwrap();
    // Its eight days are long over.
    assert_eq!(rig.sandbox.world.sweep_ttl().unwrap(), 1);
    under(&rig, room, spray.token).await.unwrap();
    // The item of the second spray has nothing of the first one's.
    assert_eq!(rig.sandbox.world.sweep_ttl().unwrap(), 0);
    rig.wind_up().await;
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_deleted_by_hand_does_not_hinder_the_refund() {
    let rig = Rig::new(3, Kill::default());
    let (_, spray) = rig.spray(3).await;
    tokio::time::advance(Duration::from_secs(700)).await;
    let client = aws_sdk_dynamodb::Client::new(&rig.sandbox.world.sdk_config());
    let pk = aws_sdk_dynamodb::types::AttributeValue::S(format!("TOKEN#{}", spray.token));
    client.delete_item().table_name("largesse-tokens").key("pk", pk).send().await.unwrap();
    let report = refund_all(&rig.sandbox.store).await.unwrap();
    assert_eq!((report.refunded, report.returned, report.failed), (1, 30, 0));
    let entry = largesse_app::ports::Sprays::token_entry(&*rig.sandbox.store, spray.token).await;
    assert_eq!(entry.unwrap(), None, "no half of a token comes back");
}
