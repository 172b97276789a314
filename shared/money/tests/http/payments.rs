//! A payment, by each answer of the service.

use std::sync::Arc;

use largesse_app::ports::{Payment, PortErrorKind, Refusal};
use largesse_domain::ledger::Memo;
use largesse_domain::money::Amount;
use largesse_money::HttpMoney;
use largesse_money_server::wire::Status;
use largesse_money_server::{Fault, Faults, RetryAfter};

use crate::scene::{
    Scene, Stopped, adapter, at_every_payment, grant, scene, secret, serving, settings, word,
};

fn later(payment: Payment) -> (Option<u64>, PortErrorKind) {
    match payment {
        Payment::NotNow { retry_after_ms, cause } => (retry_after_ms, cause.kind),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_grant_is_paid_once_however_often_it_is_sent() {
    let scene = scene(Faults::default()).await;
    assert_eq!(
        [scene.paid(4).await, scene.paid(4).await, scene.paid(5).await],
        ["paid", "before", "paid"]
    );
    assert_eq!(scene.counts(), (3, 2, 5 + 6));
}

#[tokio::test]
async fn the_memo_is_part_of_what_an_id_stands_for() {
    let scene = scene(Faults::default()).await;
    let mut grant = grant(1);
    grant.memo = Some(Memo::new("bonus").unwrap());
    assert_eq!(word(&scene.pay(&grant).await), "paid");
    assert_eq!(word(&scene.pay(&grant).await), "before");
    grant.memo = Some(Memo::new("salary").unwrap());
    assert_eq!(later(scene.pay(&grant).await), (None, PortErrorKind::Corrupt));
    assert_eq!(scene.counts(), (3, 1, 2));
}

#[tokio::test]
async fn a_refusal_carries_the_codes_word() {
    let faults = Faults { refusal_code: "account_closed".to_owned(), ..Faults::default() };
    let scene = scene(faults.with(Fault::Refuse, 1_000)).await;
    let Payment::Refused(refusal) = scene.pay(&grant(1)).await else { panic!("not refused") };
    assert_eq!(refusal, Refusal::Service("account_closed".parse().unwrap()));
    assert_eq!(refusal.to_string(), "the money service refused: account_closed");
    scene.set(Faults::default());
    assert_eq!(scene.paid(1).await, "paid");
}

#[tokio::test]
async fn a_member_that_is_closed_is_refused_at_every_attempt_and_no_other_is() {
    let closed = [grant(1).member.to_string()].into();
    let scene = scene(Faults { closed, ..Faults::default() }).await;
    assert_eq!([scene.paid(1).await, scene.paid(1).await], ["refused"; 2]);
    assert_eq!(scene.paid(2).await, "paid");
    let id = |n| grant(n).id.to_string();
    let [refused, paid] = [1, 2].map(|n| scene.server.transfer(&id(n)).unwrap());
    assert_eq!((refused.status, paid.status), (Status::Refused, Status::Paid));
    assert_eq!((scene.server.transfer(&id(3)), scene.server.calls()), (None, 3));
}

#[tokio::test]
async fn an_accepted_payment_is_unknown_until_it_is_decided() {
    let scene = scene(at_every_payment(Fault::Pend)).await;
    let payment = scene.pay(&grant(1)).await;
    assert!(matches!(payment, Payment::Pending), "{payment:?}");
    assert_eq!(scene.counts(), (1, 0, 0));
}

#[tokio::test]
async fn other_content_under_the_same_id_is_not_paid() {
    let scene = scene(Faults::default()).await;
    assert_eq!(scene.paid(1).await, "paid");
    let mut other = grant(1);
    other.amount = Amount::new(99).unwrap();
    assert_eq!(later(scene.pay(&other).await), (None, PortErrorKind::Corrupt));
    assert_eq!((scene.counts(), scene.server.report().duplicates), ((2, 1, 2), 1));
}

#[tokio::test]
async fn a_limit_says_when_to_come_back_in_seconds() {
    let scene = scene(at_every_payment(Fault::Throttle)).await;
    let wait = later(scene.pay(&grant(1)).await);
    assert_eq!(wait, (Some(1_000), PortErrorKind::Throttled));
    let faults = Faults { retry_after: RetryAfter::None, ..at_every_payment(Fault::Throttle) };
    scene.set(faults);
    assert_eq!(later(scene.pay(&grant(1)).await), (None, PortErrorKind::Throttled));
}

#[tokio::test]
async fn a_limit_says_when_to_come_back_as_a_date() {
    // One call passes in a second that never ends.
    let now_ms = 1_769_850_000_250;
    let faults = Faults { limit_per_s: 1, retry_after: RetryAfter::Date, ..Faults::default() };
    let of_server = largesse_money_server::Settings { faults, ..Default::default() };
    let clock = Arc::new(Stopped(now_ms));
    let server = largesse_money_server::Server::start(of_server, clock.clone()).await.unwrap();
    let money = HttpMoney::new(settings(&server), clock).unwrap();
    let scene = Scene { server, money };
    assert_eq!(scene.paid(1).await, "paid");
    // In a second, and then the next whole one.
    let wait = later(scene.pay(&grant(2)).await);
    assert_eq!(wait, (Some(1_750), PortErrorKind::Throttled));
    let report = scene.server.report();
    assert_eq!((report.limit_violations, report.peak_per_s, report.paid), (1, 2, 1));
}

#[tokio::test]
async fn denied_access_counts_nothing_and_moves_nothing() {
    let secret_of_server = Some("right".to_owned());
    let of_server =
        largesse_money_server::Settings { secret: secret_of_server, ..Default::default() };
    let server = serving(of_server).await;
    let mut wrong = settings(&server);
    wrong.secret = secret("wrong");
    let mut scene = Scene { money: adapter(wrong), server };
    assert!(!format!("{:?}", scene.money).contains("wrong"));
    let payment = scene.pay(&grant(1)).await;
    assert!(!format!("{payment:?}").contains("wrong"));
    assert_eq!(later(payment), (None, PortErrorKind::Rejected));
    let mut right = settings(&scene.server);
    right.secret = secret("right");
    scene.money = adapter(right);
    scene.set(at_every_payment(Fault::Deny));
    assert_eq!(later(scene.pay(&grant(1)).await), (None, PortErrorKind::Rejected));
    scene.set(Faults::default());
    assert_eq!(scene.paid(1).await, "paid");
    assert_eq!(scene.counts(), (3, 1, 2));
}

#[tokio::test]
async fn a_success_with_a_wrong_amount_is_unknown_and_never_paid_again() {
    let scene = scene(at_every_payment(Fault::WrongAmount)).await;
    assert_eq!(scene.paid(1).await, "unknown");
    scene.set(Faults::default());
    assert_eq!([scene.paid(1).await, scene.paid(1).await], ["unknown"; 2]);
    let report = scene.server.report();
    assert_eq!((report.transfers, report.paid_sum, report.wrong_amounts), (1, 3, 1));
}

#[tokio::test]
async fn a_success_for_another_member_is_believed_only_after_a_look_up() {
    let scene = scene(at_every_payment(Fault::WrongMember)).await;
    assert_eq!(scene.paid(1).await, "before");
    assert_eq!(scene.counts(), (2, 1, 2));
}

#[tokio::test]
async fn payments_of_a_batch_stand_in_the_order_of_their_grants() {
    let scene = scene(Faults::default()).await;
    assert_eq!(scene.paid(3).await, "paid");
    let grants: Vec<_> = (0..50).map(grant).collect();
    let payments = largesse_app::ports::Money::pay(&scene.money, &grants).await;
    for (n, payment) in payments.iter().enumerate() {
        assert_eq!(word(payment), if n == 3 { "before" } else { "paid" }, "{n}");
    }
    assert_eq!(scene.counts(), (51, 50, (1..=50).sum()));
}
