//! The whole chain of a campaign, from its seal to its end and back: each message comes twice, and
//! each call loses its reply, one after the other.

use std::sync::Arc;

use largesse_emulator::{Fault, Faults, Matching, Service};

use crate::campaign_attach::Kill;
use crate::campaign_chain::{
    TO_THE_END, TO_THE_ROLLBACK, assert_paid, assert_taken_back, ended, play, scene,
};
use crate::lost::five;

/// No chain makes more calls.
const CALLS_MAX: u64 = 2_000;

/// Plays both halves of a campaign's life under these faults. Whether one of them struck.
async fn play_both(faults: impl Fn() -> Faults) -> [bool; 2] {
    let (first, second) = (Arc::new(faults()), Arc::new(faults()));
    let there = scene(&Kill::default());
    play(&there, &TO_THE_END, None, Some(first.clone())).await;
    assert_paid(&there).await;
    let back = ended(&Kill::default()).await;
    play(&back, &TO_THE_ROLLBACK, None, Some(second.clone())).await;
    assert_taken_back(&back).await;
    [first.injected() > 0, second.injected() > 0]
}

#[tokio::test(start_paused = true)]
async fn a_campaign_with_any_message_delivered_twice_pays_and_reverses_each_row_once() {
    // Two invocations at once; the batch becomes visible while it is worked on; the result of the
    // invocation is lost, so that its batch comes again.
    for (operation, fault) in [
        ("Invoke", Fault::InvokedTwice),
        ("Invoke", Fault::VisibleEarly),
        ("Acknowledge", Fault::ReplyLost),
    ] {
        let step = || Matching::operation(operation).of(Service::Lambda);
        let mut n = 1;
        while play_both(|| Faults::seeded(1).nth(n, step(), fault)).await != [false, false] {
            n += 1;
            assert!(n < CALLS_MAX, "it never ended");
        }
        assert!(n > 8, "{fault:?}: {n} invocations only");
    }
}

#[tokio::test(start_paused = true)]
async fn a_campaign_whose_calls_lose_their_replies_pays_and_reverses_each_row_once() {
    let mut n = 1;
    // All attempts of the SDK end so, and the function fails after its effect.
    while play_both(|| five(n, Fault::ReplyLost)).await != [false, false] {
        n += 1;
        assert!(n < CALLS_MAX, "it never ended");
    }
    assert!(n > 50, "{n} calls only");
}
