//! A wallet at its maximum: what it refuses is shown and settled.

use std::time::Duration;

use largesse::dlq::{DlqError, Retry, RetryReport, Tried, Wanted};
use largesse_app::ports::{Clock, Void};
use largesse_domain::audit::audit;
use largesse_domain::grant::GrantStatus;
use largesse_domain::id::{DropId, PoolId, ProductId, SprayId, Ulid};
use largesse_domain::money::BALANCE_MAX;

use super::scene::{GRANTS_DLQ, Scene, retry_all};

/// Ann's spray of ten, of which bob's share was given up, and another one of hers whose refund is
/// refused: both wallets are full.
async fn full() -> (Scene, SprayId) {
    let scene = Scene::given_up().await;
    let id = scene.spray("ann", 20).await;
    scene.overwrite_balance("ann", BALANCE_MAX).await;
    tokio::time::advance(Duration::from_secs(700)).await;
    run_schedules(&scene).await;
    (scene, id)
}

/// No run of a schedule may fail.
pub(super) async fn run_schedules(scene: &Scene) {
    let stop_at = scene.store.now().plus_ms(60_000);
    refund_batch::handle(&*scene.store, stop_at).await.unwrap();
    pool_sweep::handle(&*scene.store, stop_at).await.unwrap();
    scene.world.settle_with_time().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_full_wallet_is_shown_with_its_claim_and_its_refund_and_settled_by_one_command() {
    let (scene, id) = full().await;
    let dlq = scene.dlq().await;
    // Half a day of runs: none fails, and nothing is there twice.
    for _ in 0..24 {
        tokio::time::advance(Duration::from_secs(1_800)).await;
        run_schedules(&scene).await;
        assert_eq!(scene.messages(GRANTS_DLQ), 1);
    }
    let view = dlq.list_grants(10).await.unwrap();
    let status = view.rows[0].grant.as_ref().unwrap().status();
    assert_eq!((view.messages, status), (1, GrantStatus::PermanentlyFailed));
    let refunds = dlq.list_refunds().await.unwrap();
    let [refused] = &refunds.refunds[..] else { panic!("{refunds:?}") };
    assert_eq!((refused.source, refused.refused), (PoolId::Spray(id), Some(20)));
    let since = refused.since.unwrap();
    assert!(since < scene.store.now().minus_ms(40_000_000), "the first refusal");

    // The wallets are still full: all of it stays, and is said.
    let report = retry_all(&dlq).await;
    assert_eq!((report.sent, report.refunded, report.kept_count()), (1, 0, 1));
    let why = "the wallet cannot hold that much";
    assert_eq!(report.kept[why].examples, [PoolId::Spray(id).to_string()]);
    scene.world.settle_with_time().await.unwrap();
    assert_eq!(scene.status().await, Some(GrantStatus::PermanentlyFailed));

    // Both have room: one command, and everybody has what is theirs.
    scene.set_wallet("bob", None).await;
    scene.overwrite_balance("ann", 0).await;
    let report = retry_all(&dlq).await;
    assert_eq!((report.sent, report.refunded, report.kept_count()), (1, 1, 0));
    scene.world.settle_with_time().await.unwrap();
    assert_eq!((scene.balance("bob").await, scene.balance("ann").await), (10, 20));
    assert_eq!(dlq.list_refunds().await.unwrap().refunds, []);
    assert_eq!(retry_all(&dlq).await, RetryReport::default());
    audit(&scene.store.books().await.unwrap()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refund_is_tried_by_its_spray_alone() {
    let (scene, id) = full().await;
    let dlq = scene.dlq().await;
    let retry = async |id| dlq.retry_refund(PoolId::Spray(id)).await.unwrap().1;
    assert_eq!(retry(id).await, Tried::WalletFull { amount: 20 });
    scene.overwrite_balance("ann", 0).await;
    assert_eq!(retry(id).await, Tried::Now { amount: 20 });
    assert_eq!(retry(id).await, Tried::Before);
    assert_eq!(scene.balance("ann").await, 20);
    let open = scene.spray("ann", 20).await;
    assert_eq!(retry(open).await, Tried::NotDue);
    let nowhere = Ulid::from_parts(1, 2);
    for nowhere in [
        PoolId::Spray(SprayId(nowhere)),
        PoolId::Drop(DropId(nowhere)),
        PoolId::Product(ProductId(nowhere)),
    ] {
        let found = dlq.retry_refund(nowhere).await;
        assert!(matches!(found, Err(DlqError::NoSuchSource(source)) if source == nowhere));
    }
}

#[tokio::test(start_paused = true)]
async fn a_void_waits_for_room_in_the_funders_wallet_and_loses_nothing() {
    let (scene, _) = full().await;
    let dlq = scene.dlq().await;
    let wanted = Wanted::Grant(scene.grant.id);
    let voided = dlq.void(&wanted, true).await.unwrap();
    assert_eq!((voided.outcome, voided.is_done()), (Some(Void::FunderFull), false));
    // It is as it was: given up, with its message, to be retried or voided.
    assert_eq!(scene.status().await, Some(GrantStatus::PermanentlyFailed));
    assert_eq!(scene.messages(GRANTS_DLQ), 1);
    assert_eq!(dlq.list_grants(10).await.unwrap().messages, 1);
    scene.overwrite_balance("ann", 0).await;
    let voided = dlq.void(&wanted, true).await.unwrap();
    assert_eq!((voided.outcome, voided.is_done()), (Some(Void::Voided), true));
    assert_eq!((scene.balance("ann").await, scene.messages(GRANTS_DLQ)), (10, 0));
    assert_eq!(dlq.retry(&wanted).await.unwrap(), Retry::Voided);
    // The wallet that the test filled behind the ledger's back.
    scene.set_wallet("bob", None).await;
    audit(&scene.store.books().await.unwrap()).unwrap();
}
