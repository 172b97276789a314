//! Batches that arrive twice, and messages that come back before their handler has ended.

use std::sync::Arc;

use largesse_domain::ledger::TransferKind;
use largesse_emulator::{Fault, Faults, Matching, Service};

use crate::client::claim_by;
use crate::rig::{Kill, Rig};

const SEEDS: u64 = 40;
const QUEUE: &str = "largesse-grants.fifo";
const TABLE: &str = "largesse-pools";

/// Three claims of one spray under these faults, by seed; says how many of them struck.
async fn play(seed: u64, plan: impl Fn(Faults) -> Faults) -> u64 {
    let rig = Rig::new(seed, Kill::default());
    let faults = Arc::new(plan(Faults::seeded(seed)));
    rig.sandbox.world.set_fault_hook(Some(faults.clone()));
    let size = [3, 60][(seed % 2) as usize];
    let (room, spray) = rig.spray(size).await;
    let mut claimed = Vec::new();
    for name in ["a", "b", "c"] {
        let claim = claim_by(&rig.sandbox.store, room, &spray, name).await.unwrap();
        claimed.push((name, claim.get()));
    }
    rig.pay().await;
    for (name, amount) in &claimed {
        assert_eq!(rig.balance(name), *amount, "{name}, seed {seed}");
    }
    rig.wind_up().await;
    rig.sandbox.world.set_fault_hook(None);
    assert_eq!(rig.transfers(TransferKind::Claim), 3, "seed {seed}");
    rig.assert_all_paid();
    faults.injected()
}

fn invoke(source: &str) -> Matching {
    Matching::operation("Invoke").of(Service::Lambda).on(source)
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_two_outboxes_or_two_payers_get_at_once_is_paid_once() {
    for source in [TABLE, QUEUE] {
        let mut struck = 0;
        for seed in 0..SEEDS {
            let plan = |faults: Faults| faults.chance(500, invoke(source), Fault::InvokedTwice);
            struck += play(seed, plan).await;
        }
        assert!(struck > SEEDS / 4, "{source}: {struck} batches came twice");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_comes_back_while_it_is_being_paid_is_paid_once() {
    let mut struck = 0;
    for seed in 0..SEEDS {
        let plan = |faults: Faults| faults.chance(400, invoke(QUEUE), Fault::VisibleEarly);
        struck += play(seed, plan).await;
    }
    assert!(struck > SEEDS / 4, "{struck} messages came back early");
}

#[tokio::test(start_paused = true)]
async fn doubled_and_early_deliveries_among_lost_answers_are_paid_once() {
    let mut struck = 0;
    for seed in 0..SEEDS {
        let acknowledge = Matching::operation("Acknowledge").of(Service::Lambda);
        let ledger = Matching::operation("TransactWriteItems").on("largesse-ledger");
        let plan = |faults: Faults| {
            faults
                .chance(250, invoke(TABLE), Fault::InvokedTwice)
                .chance(250, invoke(QUEUE), Fault::InvokedTwice)
                .chance(250, invoke(QUEUE), Fault::VisibleEarly)
                .chance(100, acknowledge.clone(), Fault::ReplyLost)
                .chance(100, ledger.clone(), Fault::ReplyLost)
        };
        struck += play(seed, plan).await;
    }
    assert!(struck > SEEDS / 2, "{struck} faults struck");
}
