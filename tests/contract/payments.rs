//! Payments: once for each grant, together where that is possible, and taken back whole or not at
//! all.

use std::sync::Arc;

use largesse_app::ports::{
    Money, Payment, PortErrorKind, Refusal, Reversal, Standing, Void, Voids, Wallets,
};
use largesse_domain::campaign::{Generation, Row, RowKey};
use largesse_domain::grant::Grant;
use largesse_domain::id::{CampaignId, UserId};
use largesse_domain::ledger::Memo;
use largesse_domain::money::Amount;
use largesse_domain::spray::Spray;
use largesse_emulator::{Fault, Faults, Matching, Service};
use largesse_tests::{Sandbox, user};

use crate::meanwhile::{Before, meanwhile};
use crate::scene::{balance, drawn, fill, given_up, sprayed};

/// The members `m0`, `m1` … have drawn from one spray.
async fn all_drawn(sandbox: &Sandbox, members: u64) -> (Spray, Vec<Grant>) {
    let spray = sprayed(sandbox, members).await;
    let mut grants = Vec::new();
    for n in 0..members {
        grants.push(drawn(sandbox, &spray, &format!("m{n}")).await);
    }
    (spray, grants)
}

/// The grants of a campaign's rows: 10 for each of `m0`, `m1` …
fn rows(members: u64) -> Vec<Grant> {
    let campaign: CampaignId = "01ARZ3NDEKTSV4RRFFQ69G5FAX".parse().unwrap();
    let row = |n: u64| {
        let member = user(&format!("m{n}"));
        let key = RowKey { campaign, member: member.clone(), generation: Generation::FIRST };
        let (amount, reason) = (Amount::new(10).unwrap(), Memo::new("bonus").unwrap());
        key.grant_of(&Row { member, amount, reason }, &user("op"))
    };
    (0..members).map(row).collect()
}

/// One word for each payment.
fn words(payments: &[Payment]) -> Vec<&'static str> {
    let word = |payment: &Payment| match payment {
        Payment::Paid => "paid",
        Payment::AlreadyPaid => "before",
        Payment::Voided => "voided",
        Payment::Refused(Refusal::WalletFull) => "full",
        Payment::Refused(Refusal::Service(_)) => "refused",
        Payment::NotNow { .. } => "later",
        Payment::Unknown(_) | Payment::Pending => "unknown",
    };
    payments.iter().map(word).collect()
}

async fn paid(sandbox: &Sandbox, grants: &[Grant]) -> Vec<&'static str> {
    words(&sandbox.store.pay(grants).await)
}

/// Each member holds just what the grants say.
async fn assert_paid(sandbox: &Sandbox, grants: &[Grant]) {
    let members: std::collections::BTreeSet<&UserId> = grants.iter().map(|g| &g.member).collect();
    for member in members {
        let amounts = grants.iter().filter(|g| g.member == *member).map(|g| g.amount.get());
        assert_eq!(balance(sandbox, member.as_str()).await, amounts.sum::<u64>(), "{member}");
    }
}

#[tokio::test(start_paused = true)]
async fn ten_members_are_paid_by_one_read_and_one_transaction() {
    let sandbox = Sandbox::new(1);
    let (_, grants) = all_drawn(&sandbox, 10).await;
    sandbox.world.recorder().reset();
    assert_eq!(paid(&sandbox, &grants).await, ["paid"; 10]);
    let operations = sandbox.world.recorder().operations();
    let calls: Vec<(&str, u64)> = operations.iter().map(|(_, n, t)| (&**n, t.calls)).collect();
    assert_eq!(calls, [("BatchGetItem", 1), ("TransactWriteItems", 1)]);
    assert_paid(&sandbox, &grants).await;
    // A second delivery, by another process.
    let other = sandbox.another_process(11);
    assert_eq!(words(&other.pay(&grants).await), ["before"; 10]);
    assert_paid(&sandbox, &grants).await;
}

#[tokio::test(start_paused = true)]
async fn each_is_paid_by_itself_where_one_was_paid_or_voided_or_is_refused() {
    let sandbox = Sandbox::new(2);
    let (_, grants) = all_drawn(&sandbox, 5).await;
    assert_eq!(paid(&sandbox, &grants[1..2]).await, ["paid"]);
    let failed = given_up(&sandbox, &grants[2]).await;
    assert_eq!(sandbox.store.void(&failed).await.unwrap(), Void::Voided);
    sandbox.deposit("m3", 1).await;
    let held = fill(&sandbox, "m3").await;
    let outcomes = paid(&sandbox, &grants).await;
    assert_eq!(outcomes, ["paid", "before", "voided", "full", "paid"]);
    sandbox.overwrite_balance("m3", held).await;
    assert_eq!(balance(&sandbox, "m2").await, 0);
    // With room in the wallet again, what was refused is paid.
    let outcomes = paid(&sandbox, &grants).await;
    assert_eq!(outcomes, ["before", "before", "voided", "paid", "before"]);
    assert_eq!(balance(&sandbox, "m3").await, 1 + grants[3].amount.get());
}

#[tokio::test(start_paused = true)]
async fn two_grants_of_one_member_in_one_call_are_both_paid() {
    let sandbox = Sandbox::new(3);
    let (_, first) = all_drawn(&sandbox, 2).await;
    let (_, second) = all_drawn(&sandbox, 1).await;
    let grants = [first, second].concat();
    assert_eq!(paid(&sandbox, &grants).await, ["paid"; 3]);
    assert_paid(&sandbox, &grants).await;
    // One grant named twice is paid once.
    let (_, third) = all_drawn(&sandbox, 1).await;
    let outcomes = paid(&sandbox, &[third.clone(), third.clone()].concat()).await;
    assert_eq!(outcomes, ["paid", "before"]);
    assert_paid(&sandbox, &[grants, third].concat()).await;
}

#[tokio::test(start_paused = true)]
async fn more_than_fit_into_one_transaction_are_paid_in_groups_of_ten() {
    let sandbox = Sandbox::new(4);
    let grants = rows(25);
    sandbox.world.recorder().reset();
    assert_eq!(paid(&sandbox, &grants).await, ["paid"; 25]);
    let operations = sandbox.world.recorder().operations();
    let calls: Vec<(&str, u64)> = operations.iter().map(|(_, n, t)| (&**n, t.calls)).collect();
    assert_eq!(calls, [("BatchGetItem", 3), ("TransactWriteItems", 3)]);
    assert_paid(&sandbox, &grants).await;
    // One that is paid before costs its own group a call for each, and the others nothing.
    let more: Vec<Grant> = rows(36).split_off(24);
    sandbox.world.recorder().reset();
    let outcomes = [vec!["before"], vec!["paid"; 11]].concat();
    assert_eq!(paid(&sandbox, &more).await, outcomes);
    let transactions = sandbox.world.recorder().operation(Service::DynamoDb, "TransactWriteItems");
    assert_eq!(transactions.calls, 1 + 10 + 1);
    assert_paid(&sandbox, &[grants, more.into_iter().skip(1).collect()].concat()).await;
}

/// The books are audited at the end of each test: what a campaign pays is issued, and what it takes
/// back leaves issuance.
#[tokio::test(start_paused = true)]
async fn a_row_of_a_campaign_is_paid_once_with_its_reason_and_taken_back_once() {
    let sandbox = Sandbox::new(10);
    let grants = rows(2);
    assert_eq!(paid(&sandbox, &grants).await, ["paid"; 2]);
    assert_eq!(paid(&sandbox, &grants).await, ["before"; 2]);
    assert_eq!(sandbox.store.lookup(&grants).await.unwrap(), [Standing::Paid; 2]);
    let (member, id) = (&grants[1].member, grants[1].id.transfer());
    let transfer = sandbox.store.transfer(member, id).await.unwrap().unwrap();
    assert_eq!(transfer.order, grants[1].payment());
    assert_eq!(transfer.order.memo.unwrap().as_str(), "bonus");
    assert_eq!(sandbox.store.reverse(&grants[1]).await.unwrap(), Reversal::Reversed);
    assert_eq!(sandbox.store.reverse(&grants[1]).await.unwrap(), Reversal::AlreadyReversed);
    assert_eq!((balance(&sandbox, "m0").await, balance(&sandbox, "m1").await), (10, 0));
    // Taken back is not unpaid: the row is never paid again.
    assert_eq!(paid(&sandbox, &grants).await, ["before"; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_wallet_that_moved_meanwhile_keeps_none_of_the_others_from_being_paid() {
    let sandbox = Arc::new(Sandbox::new(5));
    let (_, grants) = all_drawn(&sandbox, 3).await;
    let (other, theirs) = (sandbox.another_process(51), grants[1].clone());
    meanwhile(&sandbox, Before(1, "TransactWriteItems", "largesse-ledger"), async move {
        assert_eq!(words(&other.pay(&[theirs]).await), ["paid"]);
    });
    assert_eq!(paid(&sandbox, &grants).await, ["paid", "before", "paid"]);
    assert_paid(&sandbox, &grants).await;
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_the_outcome_is_unknown_and_the_next_call_finds_it_out() {
    let sandbox = Sandbox::new(6);
    let (_, grants) = all_drawn(&sandbox, 3).await;
    let transactions = || Matching::operation("TransactWriteItems");
    let lost = Faults::seeded(0).always(transactions(), Fault::ReplyLost);
    sandbox.world.set_fault_hook(Some(Arc::new(lost)));
    assert_eq!(paid(&sandbox, &grants[..1]).await, ["unknown"]);
    assert_eq!(paid(&sandbox, &grants[1..]).await, ["unknown"; 2]);
    sandbox.world.set_fault_hook(None);
    assert_eq!(paid(&sandbox, &grants).await, ["before"; 3]);
    assert_paid(&sandbox, &grants).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_did_nothing_is_no_refusal() {
    let sandbox = Sandbox::new(7);
    let (_, grants) = all_drawn(&sandbox, 2).await;
    for (fault, kind) in [
        (Fault::Throttle, PortErrorKind::Throttled),
        (Fault::AccessDenied, PortErrorKind::Rejected),
        (Fault::TransactionConflict, PortErrorKind::Contended),
    ] {
        let matching = Matching::operation("TransactWriteItems");
        let faults = Faults::seeded(0).always(matching, fault);
        sandbox.world.set_fault_hook(Some(Arc::new(faults)));
        for some in [&grants[..1], &grants[..]] {
            for payment in sandbox.store.pay(some).await {
                let Payment::NotNow { retry_after_ms: None, cause } = payment else {
                    panic!("{fault:?}: {payment:?}")
                };
                assert_eq!(cause.kind, kind);
            }
        }
        sandbox.world.set_fault_hook(None);
    }
    assert_eq!(paid(&sandbox, &grants).await, ["paid"; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_look_up_says_where_each_grant_stands_in_the_order_of_the_question() {
    let sandbox = Sandbox::new(8);
    let (_, grants) = all_drawn(&sandbox, 4).await;
    paid(&sandbox, &grants[..2]).await;
    let failed = given_up(&sandbox, &grants[2]).await;
    sandbox.store.void(&failed).await.unwrap();
    let [a, b, c, d] = &grants[..] else { unreachable!() };
    // A member's other transfers are not this payment; nor is this member's grant another's.
    let strange = Grant { member: user("m0"), ..d.clone() };
    let question = [d, c, a, b, a, &strange].map(Clone::clone);
    let standing = sandbox.store.lookup(&question).await.unwrap();
    let (paid, voided, not) = (Standing::Paid, Standing::Voided, Standing::NotPaid);
    assert_eq!(standing, [not, voided, paid, paid, paid, not]);
    assert_eq!(sandbox.store.lookup(&[]).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_payment_is_taken_back_once_and_whole_or_not_at_all() {
    let sandbox = Sandbox::new(9);
    let (_, grants) = all_drawn(&sandbox, 3).await;
    let reverse = async |grant: &Grant| sandbox.store.reverse(grant).await.unwrap();
    assert_eq!(reverse(&grants[0]).await, Reversal::NotPaid);
    paid(&sandbox, &grants[..2]).await;
    let failed = given_up(&sandbox, &grants[2]).await;
    sandbox.store.void(&failed).await.unwrap();
    assert_eq!(reverse(&grants[2]).await, Reversal::NotPaid);
    // A member who has spent all but 1 of it.
    let amount = grants[0].amount.get();
    sandbox.overwrite_balance("m0", 1).await;
    assert_eq!(reverse(&grants[0]).await, Reversal::Shortfall { amount: amount - 1 });
    assert_eq!(balance(&sandbox, "m0").await, 1);
    sandbox.overwrite_balance("m0", amount).await;
    assert_eq!(reverse(&grants[0]).await, Reversal::Reversed);
    assert_eq!(balance(&sandbox, "m0").await, 0);
    // Again, also with the money for it.
    sandbox.deposit("m0", amount).await;
    assert_eq!(reverse(&grants[0]).await, Reversal::AlreadyReversed);
    assert_eq!(balance(&sandbox, "m0").await, amount);
    assert_eq!(balance(&sandbox, "m1").await, grants[1].amount.get());
}

/// Ids of rows are hashes: money that moved for something else is never taken for a row's.
#[tokio::test(start_paused = true)]
async fn a_payment_of_another_amount_under_the_id_is_no_payment_of_the_grant() {
    let sandbox = Sandbox::new(11);
    let grants = rows(1);
    assert_eq!(paid(&sandbox, &grants).await, ["paid"]);
    let mut other = grants[0].clone();
    other.amount = largesse_tests::amount(grants[0].amount.get() + 1);
    let outcome = sandbox.store.pay(std::slice::from_ref(&other)).await.remove(0);
    let Payment::NotNow { cause, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(cause.kind, PortErrorKind::Corrupt);
    let standing = sandbox.store.lookup(std::slice::from_ref(&other)).await.unwrap();
    assert_eq!(standing, [Standing::Unknown]);
    assert!(sandbox.store.reverse(&other).await.is_err());
    assert_paid(&sandbox, &grants).await;
}
