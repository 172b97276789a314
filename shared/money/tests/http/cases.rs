//! Cases from the field, by their numbers in the list of campaigns.

use largesse_app::ports::{Money, Standing};
use largesse_money_server::{Fault, Faults};

use crate::control::post;
use crate::scene::{IMPATIENT_MS, Scene, adapter, at_every_payment, grant, scene, settings, word};

/// The answer is lost after the commit, and so is that of the look-up: whatever happened is unknown.
/// Later it is found, under the same id.
#[tokio::test]
async fn c14_an_answer_lost_after_the_commit_is_unknown_and_is_paid_once() {
    for fault in [Fault::Stall, Fault::FailAfter, Fault::ResetAfter] {
        let mut scene = scene(Faults::default().with(fault, 1_000)).await;
        let mut impatient = settings(&scene.server);
        impatient.timeout_ms = IMPATIENT_MS;
        scene.money = adapter(impatient);
        assert_eq!(scene.paid(4).await, "unknown", "{fault}");
        // Looked up before anything was sent again: one payment, one look-up.
        assert_eq!(scene.counts(), (2, 1, 5), "{fault}");
        scene.set(Faults::default());
        scene.money = adapter(settings(&scene.server));
        assert_eq!(scene.money.lookup(&[grant(4)]).await.unwrap(), [Standing::Paid], "{fault}");
        assert_eq!(scene.paid(4).await, "before", "{fault}");
        let report = scene.server.report();
        assert_eq!((report.paid_sum, report.reversed_sum, report.duplicates), (5, 0, 0), "{fault}");
    }
}

async fn verdict(scene: &Scene, n: u64, status: &str) -> bool {
    let body = format!(r#"{{"id":"{}","status":"{status}"}}"#, grant(n).id);
    let (http, answer) = post(&scene.server, "/control/verdicts", &body).await;
    assert_eq!(http, 200);
    answer["counted"].as_bool().unwrap()
}

/// 202 now; then verdicts, late, twice, and in the wrong order.
#[tokio::test]
async fn c16_a_verdict_counts_once_however_often_and_in_whatever_order_it_comes() {
    let scene = scene(at_every_payment(Fault::Pend)).await;
    assert_eq!([scene.paid(0).await, scene.paid(1).await, scene.paid(2).await], ["unknown"; 3]);
    assert_eq!(scene.paid(0).await, "unknown");
    // Paid, and then refused as well. Refused twice, and then paid as well.
    assert_eq!(
        [verdict(&scene, 0, "paid").await, verdict(&scene, 0, "refused").await],
        [true, false]
    );
    let said = ["refused", "refused", "paid"];
    let mut counted = Vec::new();
    for status in said {
        counted.push(verdict(&scene, 1, status).await);
    }
    assert_eq!(counted, [true, false, false]);
    assert_eq!([scene.paid(0).await, scene.paid(0).await], ["before"; 2]);
    // The refusal is told once; what comes after it is another attempt.
    assert_eq!([scene.paid(1).await, scene.paid(1).await], ["refused", "unknown"]);
    assert_eq!(scene.paid(2).await, "unknown");
    assert!(verdict(&scene, 1, "paid").await && verdict(&scene, 2, "paid").await);
    assert_eq!([scene.paid(1).await, scene.paid(2).await], ["before"; 2]);
    let report = scene.server.report();
    assert_eq!((report.paid, report.paid_sum, report.refusals), (3, 1 + 2 + 3, 1));
    assert_eq!((report.paid_twice, report.verdicts_ignored), (0, 3));
}

/// One member stands in two adjacent rows of one batch, under one id.
#[tokio::test]
async fn c18_the_same_grant_twice_in_one_batch_is_paid_once() {
    let scene = scene(Faults::default()).await;
    let grants = [grant(0), grant(1), grant(1), grant(2)];
    let payments = scene.money.pay(&grants).await;
    let mut words: Vec<_> = payments.iter().map(word).collect();
    // Which of the two comes first is left to the network.
    words[1..3].sort_unstable();
    assert_eq!(words, ["paid", "before", "paid", "paid"]);
    assert_eq!(scene.counts(), (4, 3, 1 + 2 + 3));
}
