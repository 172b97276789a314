//! A run ends at its deadline, also within a large thing, and the next runs finish the pass.

use std::sync::Arc;

use largesse_domain::campaign::Duplicates;
use largesse_domain::id::CampaignId;
use largesse_emulator::{Fault, Faults, Matching};

use super::campaigns::refused;
use super::*;
use crate::campaign_rows::draft;

/// How long each call takes.
const CALL_MS: u64 = 100;
/// No pass over two campaigns takes this many runs.
const RUNS_MAX: u64 = 40;

/// From now on each call of a process takes [`CALL_MS`].
pub(crate) fn slow(sandbox: &Sandbox) {
    let delay = Fault::DelayReply(Duration::from_millis(CALL_MS));
    let slow = Faults::seeded(1).always(Matching::any(), delay);
    sandbox.world.set_fault_hook(Some(Arc::new(slow)));
}

/// Runs of that length until the pass is over: the pass, and how many they were.
async fn passed(sandbox: &Sandbox, run_ms: u64) -> (Pass, u64) {
    slow(sandbox);
    for run in 1..=RUNS_MAX {
        let store = sandbox.another_process(run);
        let began = store.now();
        let Ran::Worked(pass) = daily::run(&*store, began.plus_ms(run_ms), POLICY).await.unwrap()
        else {
            panic!("nothing else runs")
        };
        let took_ms = store.now().ms_since(began);
        // One call that had begun, one member's calls, and what is saved.
        assert!(took_ms <= run_ms + 10 * CALL_MS, "run {run} took {took_ms} ms");
        if pass.ended.is_some() {
            sandbox.world.set_fault_hook(None);
            return (*pass, run);
        }
    }
    panic!("the pass is never over");
}

/// A large campaign and a small one.
async fn two(seed: u64) -> (Sandbox, CampaignId, CampaignId) {
    let sandbox = Sandbox::new(seed);
    let large = refused(&sandbox).await;
    let small = draft(&sandbox, Duplicates::First).await;
    tokio::time::advance(LATER).await;
    (sandbox, large, small)
}

async fn is_archived(sandbox: &Sandbox, id: CampaignId) -> bool {
    sandbox.store.tombstone(PoolId::Campaign(id)).await.unwrap().is_some()
}

#[tokio::test(start_paused = true)]
async fn runs_that_stop_within_a_thing_finish_the_pass_together() {
    let (sandbox, large, small) = two(91).await;
    let before = of(&stored(&sandbox), PoolId::Campaign(large));
    let (pass, runs) = passed(&sandbox, 4_000).await;
    assert!(runs > 1, "{runs}");
    assert_eq!((pass.counts.things, pass.counts.held), (2, 0), "{pass:#?}");
    assert_eq!(archived(&sandbox.store, PoolId::Campaign(large)).await, before);
    assert_eq!(of(&stored(&sandbox), PoolId::Campaign(large)), BTreeSet::new());
    assert!(is_archived(&sandbox, small).await);
}

#[tokio::test(start_paused = true)]
async fn a_thing_that_one_run_is_too_short_for_stays_and_holds_up_no_other() {
    let (sandbox, large, small) = two(92).await;
    let before = of(&stored(&sandbox), PoolId::Campaign(large));
    let (pass, _) = passed(&sandbox, 1_700).await;
    assert_eq!((pass.counts.things, pass.counts.held), (1, 1), "{pass:#?}");
    assert_eq!(pass.too_long, []);
    let held = pass.held.unwrap();
    assert_eq!(held.name, PoolId::Campaign(large).to_string());
    assert_eq!(held.why, "it cannot be archived within one run");
    assert_eq!(of(&stored(&sandbox), PoolId::Campaign(large)), before);
    assert!(is_archived(&sandbox, small).await && !is_archived(&sandbox, large).await);
    // The next pass, with more time, archives it.
    tokio::time::advance(Duration::from_secs(7 * 86_400)).await;
    assert_eq!(ran(&sandbox, 93).await.counts.things, 1);
}
