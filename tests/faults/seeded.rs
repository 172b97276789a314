//! A seed decides everything: whatever happened under it happens again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use largesse_app::ports::Clock;
use largesse_emulator::{Call, Fault, FaultHook, Faults, Matching, Outcome, Recorded};

use crate::client::claim_by;
use crate::rig::{Kill, Rig};

/// A storm that records when each call came.
struct Recording {
    storm: Faults,
    clock: Arc<largesse_aws::Store>,
    came: Mutex<Vec<(i64, Call)>>,
}

impl FaultHook for Recording {
    fn before<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Option<Fault>> {
        self.came.lock().unwrap().push((self.clock.now().ms(), call.clone()));
        self.storm.before(call)
    }

    fn after<'a>(&'a self, call: &'a Call, outcome: Outcome) -> BoxFuture<'a, Option<Fault>> {
        self.storm.after(call, outcome)
    }
}

/// Faults of every kind that a client can meet, and calls that take their time.
fn storm(seed: u64) -> Faults {
    let slow = |ms| Duration::from_millis(ms);
    Faults::seeded(seed)
        .chance(80, Matching::any(), Fault::ReplyLost)
        .chance(80, Matching::any(), Fault::Throttle)
        .chance(40, Matching::any(), Fault::InternalError)
        .chance(40, Matching::any(), Fault::ResetBeforeCommit)
        .chance(80, Matching::operation("TransactWriteItems"), Fault::TransactionConflict)
        .chance(300, Matching::any(), Fault::DelayRequest(slow(7)))
        .chance(300, Matching::any(), Fault::DelayReply(slow(13)))
}

/// In a runtime of its own, whose time begins anew.
fn run(seed: u64) -> (Vec<Recorded>, Vec<(i64, Call)>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().unwrap();
    runtime.block_on(trace(seed))
}

/// Everything that was called in the life of a spray in a storm, and when.
async fn trace(seed: u64) -> (Vec<Recorded>, Vec<(i64, Call)>) {
    let rig = Rig::new(seed, Kill::default());
    rig.sandbox.world.recorder().keep_calls(true);
    let (room, spray) = rig.spray(60).await;
    let clock = rig.sandbox.another_process(9);
    let recording = Arc::new(Recording { storm: storm(seed), clock, came: Mutex::default() });
    rig.sandbox.world.set_fault_hook(Some(recording.clone()));
    let stores = [rig.sandbox.another_process(70), rig.sandbox.another_process(71)];
    // Each member twice, in two processes, all at the same time.
    let claims = stores.iter().flat_map(|store| {
        let claim = |name| claim_by(store, room, &spray, name);
        ["a", "b", "c"].map(claim)
    });
    // They may hear errors: only what was called counts here.
    let heard = futures::future::join_all(claims.collect::<Vec<_>>()).await;
    assert_eq!(heard.len(), 6);
    rig.sandbox.world.settle().await;
    rig.sandbox.world.set_fault_hook(None);
    rig.wind_up().await;
    let came = recording.came.lock().unwrap().clone();
    (rig.sandbox.world.recorder().calls(), came)
}

#[test]
fn a_storm_happens_again_under_its_seed_call_by_call() {
    let mut differs = false;
    let mut before = None;
    for seed in 0..8 {
        let (first, second) = (run(seed), run(seed));
        assert!(first.1.len() > 20, "seed {seed}: {} calls are no storm", first.1.len());
        let first_apart = first.1.iter().zip(&second.1).find(|(one, other)| one != other);
        assert_eq!(first_apart, None, "seed {seed}: the calls and when they came");
        assert_eq!(first, second, "seed {seed}");
        differs |= before.is_some_and(|before| before != first);
        before = Some(first);
    }
    assert!(differs, "another seed is another storm");
}
