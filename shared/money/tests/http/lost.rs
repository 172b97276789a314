//! Payments whose answer is lost, before and after the commit.

use largesse_app::ports::{Money, Payment, PortErrorKind, Reversal};
use largesse_money_server::{Fault, Faults};

use crate::scene::{IMPATIENT_MS, Scene, adapter, at_every_payment, grant, scene, settings};

/// The fault meets the payment; the look-up that follows finds it paid. Two calls, one payment.
async fn is_found_paid(scene: &Scene) {
    assert_eq!(scene.paid(1).await, "before");
    assert_eq!(scene.counts(), (2, 1, 2));
}

/// The fault meets the payment before anything is done; the look-up finds nothing.
async fn is_found_not_paid(fault: Fault) {
    let scene = scene(at_every_payment(fault)).await;
    assert_eq!(scene.paid(1).await, "later");
    assert_eq!(scene.counts(), (2, 0, 0));
    scene.set(Faults::default());
    assert_eq!(scene.paid(1).await, "paid");
}

#[tokio::test]
async fn a_timeout_after_the_commit_is_found_paid() {
    let mut scene = scene(at_every_payment(Fault::Stall)).await;
    let mut impatient = settings(&scene.server);
    impatient.timeout_ms = IMPATIENT_MS;
    scene.money = adapter(impatient);
    is_found_paid(&scene).await;
}

#[tokio::test]
async fn an_answer_that_comes_too_slowly_is_looked_up() {
    let mut scene = scene(at_every_payment(Fault::Trickle)).await;
    let mut impatient = settings(&scene.server);
    impatient.timeout_ms = IMPATIENT_MS;
    scene.money = adapter(impatient);
    is_found_paid(&scene).await;
}

#[tokio::test]
async fn a_reset_after_the_commit_is_found_paid() {
    is_found_paid(&scene(at_every_payment(Fault::ResetAfter)).await).await;
}

#[tokio::test]
async fn a_gateway_timeout_after_the_commit_is_found_paid() {
    is_found_paid(&scene(at_every_payment(Fault::FailAfter)).await).await;
}

#[tokio::test]
async fn a_malformed_answer_is_looked_up() {
    is_found_paid(&scene(at_every_payment(Fault::Malformed)).await).await;
}

#[tokio::test]
async fn an_answer_above_the_limit_is_not_read_and_looked_up() {
    is_found_paid(&scene(at_every_payment(Fault::Oversized)).await).await;
}

#[tokio::test]
async fn a_reset_before_the_commit_comes_back() {
    is_found_not_paid(Fault::ResetBefore).await;
}

#[tokio::test]
async fn a_reset_is_one_and_no_orderly_end() {
    let scene = scene(Faults::default().with(Fault::ResetBefore, 1_000)).await;
    let Payment::Unknown(cause) = scene.pay(&grant(1)).await else { panic!("known") };
    assert!(cause.causes().contains("reset by peer"), "{}", cause.causes());
}

#[tokio::test]
async fn a_failure_of_the_service_comes_back() {
    is_found_not_paid(Fault::Fail).await;
}

/// As behind a rate: a second request would have no permit.
#[tokio::test]
async fn without_look_ups_a_call_in_doubt_is_one_request_and_unknown() {
    let mut scene = scene(Faults::default().with(Fault::FailAfter, 1_000)).await;
    let mut once = settings(&scene.server);
    once.looks_up = false;
    scene.money = adapter(once);
    assert_eq!(scene.paid(1).await, "unknown");
    assert_eq!(scene.counts(), (1, 1, 2));
    let error = scene.money.reverse(&grant(1)).await.unwrap_err();
    assert_eq!((error.kind, scene.counts().0), (PortErrorKind::Unknown, 2));
    scene.set(Faults::default());
    let again = scene.money.reverse(&grant(1)).await.unwrap();
    assert_eq!((again, scene.server.report().reversed), (Reversal::AlreadyReversed, 1));
}

#[tokio::test]
async fn a_lost_answer_is_looked_up_and_not_sent_again() {
    let scene = scene(Faults::default()).await;
    assert_eq!(scene.paid(0).await, "paid");
    // Now on a connection of the pool, which clients like to blame and try again.
    scene.set(at_every_payment(Fault::ResetBefore));
    assert_eq!(scene.paid(1).await, "later");
    assert_eq!(scene.counts(), (3, 1, 1));
}

#[tokio::test]
async fn an_outage_leaves_it_unknown_and_it_is_paid_when_it_is_over() {
    let scene = scene(Faults { outage_ms: 3_600_000, ..Faults::default() }).await;
    let Payment::Unknown(cause) = scene.pay(&grant(1)).await else { panic!("known") };
    let said = "pay over HTTP: Unknown: answered 503";
    assert_eq!((cause.kind, &*cause.causes()), (PortErrorKind::Unknown, said));
    scene.set(Faults::default());
    assert_eq!(scene.paid(1).await, "paid");
    assert_eq!(scene.counts(), (3, 1, 2));
}

#[tokio::test]
async fn a_burst_of_5xx_loses_and_repeats_nothing() {
    let scene = scene(Faults { burst: 500, burst_calls: 4, ..Faults::default() }).await;
    for n in 0..20 {
        let mut tries = 0;
        while !matches!(scene.paid(n).await, "paid" | "before") {
            tries += 1;
            assert!(tries < 100, "{n}");
        }
    }
    let report = scene.server.report();
    assert_eq!((report.paid, report.paid_sum), (20, (1..=20).sum()));
    assert!(report.calls > 20, "no burst: {report:?}");
}

#[tokio::test]
async fn a_refusal_of_an_earlier_attempt_is_not_counted_again() {
    let scene = scene(at_every_payment(Fault::Refuse)).await;
    assert_eq!(scene.paid(1).await, "refused");
    // The second attempt never arrives: its look-up shows the first one's refusal.
    scene.set(at_every_payment(Fault::ResetBefore));
    assert_eq!(scene.paid(1).await, "later");
    assert_eq!(scene.server.report().refusals, 1);
}
