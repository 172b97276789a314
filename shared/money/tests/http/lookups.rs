//! Look-ups and reversals.

use largesse_app::ports::{Money, PortErrorKind, Reversal, Standing};
use largesse_money_server::{Fault, Faults, Verb};

use crate::control::{post, spend};
use crate::scene::{at_every_payment, grant, scene};

fn at_every(verb: Verb, fault: Fault) -> Faults {
    Faults { only: Some(verb), ..Faults::default().with(fault, 1_000) }
}

#[tokio::test]
async fn each_standing_is_found_in_the_order_of_the_grants() {
    let scene = scene(Faults::default()).await;
    assert_eq!(scene.paid(0).await, "paid");
    assert_eq!(scene.paid(1).await, "paid");
    assert_eq!(scene.money.reverse(&grant(1)).await.unwrap(), Reversal::Reversed);
    scene.set(at_every_payment(Fault::Refuse));
    assert_eq!(scene.paid(2).await, "refused");
    scene.set(at_every_payment(Fault::Pend));
    assert_eq!(scene.paid(3).await, "unknown");
    scene.set(at_every_payment(Fault::WrongAmount));
    assert_eq!(scene.paid(4).await, "unknown");
    scene.set(Faults::default());
    let grants: Vec<_> = (0..=5).map(grant).collect();
    let (paid, not, unknown) = (Standing::Paid, Standing::NotPaid, Standing::Unknown);
    let found = scene.money.lookup(&grants).await.unwrap();
    assert_eq!(found, [paid, paid, not, unknown, unknown, not]);
    assert_eq!(scene.money.lookup(&[]).await.unwrap(), []);
}

#[tokio::test]
async fn a_look_up_without_an_answer_is_no_standing() {
    let scene = scene(Faults::default()).await;
    assert_eq!(scene.paid(0).await, "paid");
    for (fault, kind) in [
        (Fault::Fail, PortErrorKind::Unknown),
        (Fault::ResetBefore, PortErrorKind::Unknown),
        (Fault::Malformed, PortErrorKind::Unknown),
        (Fault::Throttle, PortErrorKind::Throttled),
        (Fault::Deny, PortErrorKind::Rejected),
    ] {
        scene.set(at_every(Verb::LookUp, fault));
        let error = scene.money.lookup(&[grant(0), grant(1)]).await.unwrap_err();
        assert_eq!(error.kind, kind, "{fault}");
    }
}

#[tokio::test]
async fn a_payment_is_taken_back_once_and_never_paid_again() {
    let scene = scene(Faults::default()).await;
    assert_eq!(scene.money.reverse(&grant(4)).await.unwrap(), Reversal::NotPaid);
    assert_eq!(scene.paid(4).await, "paid");
    assert_eq!(scene.money.reverse(&grant(4)).await.unwrap(), Reversal::Reversed);
    assert_eq!(scene.money.reverse(&grant(4)).await.unwrap(), Reversal::AlreadyReversed);
    assert_eq!(scene.paid(4).await, "before");
    let report = scene.server.report();
    assert_eq!((report.paid_sum, report.reversed_sum, report.held_sum), (5, 5, 0));
}

#[tokio::test]
async fn a_shortfall_says_how_much_is_missing_and_moves_nothing() {
    let scene = scene(Faults::default()).await;
    assert_eq!(scene.paid(9).await, "paid");
    assert_eq!(spend(&scene.server, "m9", 7).await, 200);
    let shortfall = Reversal::Shortfall { amount: 7 };
    assert_eq!(scene.money.reverse(&grant(9)).await.unwrap(), shortfall);
    let report = scene.server.report();
    assert_eq!((report.held_sum, report.reversed_sum, report.spent_sum), (3, 0, 7));
}

#[tokio::test]
async fn a_pending_payment_is_not_taken_back() {
    let scene = scene(at_every_payment(Fault::Pend)).await;
    assert_eq!(scene.paid(1).await, "unknown");
    let error = scene.money.reverse(&grant(1)).await.unwrap_err();
    assert!(error.kind == PortErrorKind::Contended && error.is_retryable());
    let verdict = format!(r#"{{"id":"{}","status":"paid"}}"#, grant(1).id);
    assert_eq!(post(&scene.server, "/control/verdicts", &verdict).await.0, 200);
    assert_eq!(scene.money.reverse(&grant(1)).await.unwrap(), Reversal::Reversed);
}

#[tokio::test]
async fn a_reversal_whose_answer_is_lost_is_looked_up() {
    let scene = scene(Faults::default()).await;
    for (n, fault) in
        [Fault::ResetAfter, Fault::FailAfter, Fault::Malformed].into_iter().enumerate()
    {
        let grant = grant(u64::try_from(n).unwrap());
        scene.set(at_every(Verb::Reverse, fault));
        assert_eq!(crate::scene::word(&scene.pay(&grant).await), "paid");
        assert_eq!(scene.money.reverse(&grant).await.unwrap(), Reversal::AlreadyReversed);
    }
    // A payment, a reversal and a look-up of each.
    assert_eq!((scene.server.report().reversed, scene.counts().0), (3, 9));
}

#[tokio::test]
async fn a_reversal_that_did_not_happen_is_tried_again() {
    let scene = scene(at_every(Verb::Reverse, Fault::ResetBefore)).await;
    assert_eq!(scene.paid(1).await, "paid");
    let error = scene.money.reverse(&grant(1)).await.unwrap_err();
    assert!(error.kind == PortErrorKind::Throttled && error.is_retryable());
    // Without a look-up nobody knows.
    scene.set(Faults { outage_ms: 3_600_000, ..Faults::default() });
    let error = scene.money.reverse(&grant(1)).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Unknown);
    scene.set(Faults::default());
    assert_eq!(scene.money.reverse(&grant(1)).await.unwrap(), Reversal::Reversed);
    assert_eq!(scene.server.report().reversed_sum, 2);
}
