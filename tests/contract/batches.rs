//! Reading many items: what the store leaves out is read again, after a pause.

use std::sync::Arc;

use largesse_app::ports::{Clock, Money, Pools, PortErrorKind, Sprays};
use largesse_domain::id::SprayId;
use largesse_domain::pool::{Bucket, bucket_count};
use largesse_emulator::{Fault, Faults, Matching, Service};
use largesse_tests::Sandbox;

use crate::scene::{drawn, sprayed};

fn batch() -> Matching {
    Matching::operation("BatchGetItem")
}

#[tokio::test(start_paused = true)]
async fn keys_that_a_batch_leaves_out_are_read_again_after_a_while() {
    let sandbox = Sandbox::new(1);
    let spray = sprayed(&sandbox, 40).await;
    let thrice = (1..4).fold(Faults::seeded(1), |f, n| f.nth(n, batch(), Fault::Unprocessed));
    sandbox.world.set_fault_hook(Some(Arc::new(thrice)));
    sandbox.world.recorder().reset();
    let began = sandbox.store.now();
    let mut found = sandbox.store.buckets(spray.pool(), &[0, 1, 2]).await.unwrap();
    found.sort_by_key(|bucket| bucket.id);
    assert_eq!(found, spray.buckets());
    let calls = sandbox.world.recorder().operation(Service::DynamoDb, "BatchGetItem").calls;
    assert_eq!(calls, 4);
    assert!(sandbox.store.now().ms_since(began) > 3, "it waited");
    sandbox.world.set_fault_hook(None);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_never_read_whole_is_an_error_and_no_shorter_answer() {
    let sandbox = Sandbox::new(2);
    let spray = sprayed(&sandbox, 40).await;
    let grant = drawn(&sandbox, &spray, "m").await;
    let always = Faults::seeded(1).always(batch(), Fault::Unprocessed);
    sandbox.world.set_fault_hook(Some(Arc::new(always)));
    let store = &sandbox.store;
    let errors = [
        store.buckets(spray.pool(), &[0, 1, 2]).await.unwrap_err(),
        store.sprays(&[spray.id]).await.unwrap_err(),
        store.lookup(std::slice::from_ref(&grant)).await.unwrap_err(),
        store.sprays_by(&spray.sender, None, 10).await.unwrap_err(),
    ];
    sandbox.world.set_fault_hook(None);
    assert!(errors.iter().all(|error| error.kind == PortErrorKind::Throttled), "{errors:?}");
}

#[tokio::test(start_paused = true)]
async fn more_keys_than_a_call_takes_are_read_by_several() {
    let sandbox = Sandbox::new(3);
    let spray = sprayed(&sandbox, 1_000).await;
    let numbers: Vec<u32> = (0..bucket_count(1_000)).collect();
    let mut wanted: Vec<SprayId> = (0..200).map(|_| SprayId(sandbox.id())).collect();
    wanted.insert(150, spray.id);
    sandbox.world.recorder().reset();
    // Those that do not exist are left out.
    assert_eq!(sandbox.store.sprays(&wanted).await.unwrap(), std::slice::from_ref(&spray));
    let calls = sandbox.world.recorder().operation(Service::DynamoDb, "BatchGetItem").calls;
    assert_eq!(calls, 3);
    let read = sandbox.store.buckets(spray.pool(), &numbers).await.unwrap();
    assert_eq!(read.len(), 63);
    assert_eq!(read.iter().map(Bucket::put_in).sum::<u64>(), 10_000);
}
