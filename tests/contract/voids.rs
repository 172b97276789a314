//! Voiding: only what was given up and is not paid, once, and then it is never paid. One test for
//! each clause of the conditions.

use std::sync::Arc;

use largesse_app::ports::{Grants, Money, Payment, Void, Voids, Written};
use largesse_domain::grant::{FailedGrant, Grant, GrantStatus};
use largesse_domain::id::GrantId;
use largesse_tests::{Sandbox, user};

use crate::meanwhile::{Before, meanwhile};
use crate::scene::{Item, Table, balance, drawn, fill, given_up, key_with, refused, s, sprayed};

/// A grant of `m` that was given up.
async fn failed(sandbox: &Sandbox) -> FailedGrant {
    let spray = sprayed(sandbox, 1).await;
    let grant = drawn(sandbox, &spray, "m").await;
    given_up(sandbox, &grant).await
}

async fn void(sandbox: &Sandbox, failed: &FailedGrant) -> Void {
    sandbox.store.void(failed).await.unwrap()
}

async fn paid(sandbox: &Sandbox, grant: &Grant) -> Payment {
    sandbox.store.pay(std::slice::from_ref(grant)).await.remove(0)
}

/// The key of what lies under the payment's id.
fn payment_key(grant: &Grant) -> Item {
    key_with(format!("WALLET#{}", grant.member), format!("TX#{}", grant.id))
}

/// Nothing has happened: no item of a void, the status as it was, no money returned.
async fn assert_untouched(sandbox: &Sandbox, grant: &Grant, status: Option<GrantStatus>) {
    assert_eq!(Table::of(sandbox, "ledger").get(&payment_key(grant)).await, None);
    let kept = sandbox.store.failed_grant(grant.source, &grant.member).await.unwrap();
    assert_eq!(kept.map(|failed| failed.status), status);
    assert_eq!(balance(sandbox, "s").await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_void_returns_the_amount_once_and_bars_the_payment_for_ever() {
    let sandbox = Sandbox::new(1);
    let failed = failed(&sandbox).await;
    let grant = &failed.grant;
    assert_eq!(void(&sandbox, &failed).await, Void::Voided);
    for _ in 0..2 {
        assert_eq!(void(&sandbox, &failed).await, Void::AlreadyVoided);
        assert!(matches!(paid(&sandbox, grant).await, Payment::Voided));
    }
    assert_eq!((balance(&sandbox, "s").await, balance(&sandbox, "m").await), (10, 0));
    let kept = sandbox.store.failed_grant(grant.source, &grant.member).await.unwrap().unwrap();
    assert_eq!(kept, FailedGrant { status: GrantStatus::Voided, ..failed.clone() });
    // Also where the wallet refuses before the transaction does.
    sandbox.deposit("m", 1).await;
    fill(&sandbox, "m").await;
    assert!(matches!(paid(&sandbox, grant).await, Payment::Voided));
    sandbox.overwrite_balance("m", 1).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_paid_is_not_voided_even_if_it_was_given_up() {
    let sandbox = Sandbox::new(2);
    let failed = failed(&sandbox).await;
    assert!(matches!(paid(&sandbox, &failed.grant).await, Payment::Paid));
    assert_eq!(void(&sandbox, &failed).await, Void::Paid);
    assert_eq!((balance(&sandbox, "s").await, balance(&sandbox, "m").await), (0, 10));
    let grant = &failed.grant;
    let kept = sandbox.store.failed_grant(grant.source, &grant.member).await.unwrap().unwrap();
    assert_eq!(kept.status, GrantStatus::PermanentlyFailed);
    sandbox.store.remove_failed(grant).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_gets_ahead_of_a_void_wins() {
    let sandbox = Arc::new(Sandbox::new(3));
    let failed = failed(&sandbox).await;
    let (other, theirs) = (sandbox.another_process(31), failed.grant.clone());
    meanwhile(&sandbox, Before(1, "TransactWriteItems", "largesse-grants"), async move {
        assert!(matches!(other.pay(&[theirs]).await[..], [Payment::Paid]));
    });
    assert_eq!(void(&sandbox, &failed).await, Void::Paid);
    assert_eq!((balance(&sandbox, "s").await, balance(&sandbox, "m").await), (0, 10));
    sandbox.store.remove_failed(&failed.grant).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_is_still_retried_is_not_voided() {
    let sandbox = Sandbox::new(4);
    let failed = failed(&sandbox).await;
    let again = refused(&failed.grant, GrantStatus::Failed, 0);
    let written = sandbox.store.put_failed(&again, failed.attempts).await.unwrap();
    assert_eq!(written, Written::Done);
    assert_eq!(void(&sandbox, &failed).await, Void::NotGivenUp);
    assert_untouched(&sandbox, &failed.grant, Some(GrantStatus::Failed)).await;
}

#[tokio::test(start_paused = true)]
async fn only_the_very_grant_that_was_given_up_is_voided() {
    let sandbox = Sandbox::new(5);
    let failed = failed(&sandbox).await;
    let grant = &failed.grant;
    // The item is about another grant of the member from this source.
    let key = key_with(grant.source, "MEMBER#m");
    let other = GrantId::of_draw(&grant.source, &user("other"), grant.decided_at());
    Table::of(&sandbox, "grants").set(&key, "grant_id", s(other)).await;
    assert_eq!(void(&sandbox, &failed).await, Void::NotGivenUp);
    assert_untouched(&sandbox, grant, Some(GrantStatus::PermanentlyFailed)).await;
    // There is none.
    sandbox.store.remove_failed(grant).await.unwrap();
    assert_eq!(void(&sandbox, &failed).await, Void::NotGivenUp);
    assert_untouched(&sandbox, grant, None).await;
}

#[tokio::test(start_paused = true)]
async fn a_void_goes_on_when_the_funders_wallet_moves_meanwhile() {
    let sandbox = Arc::new(Sandbox::new(6));
    let failed = failed(&sandbox).await;
    let between = sandbox.clone();
    meanwhile(&sandbox, Before(1, "TransactWriteItems", "largesse-grants"), async move {
        use largesse_app::ports::Wallets;
        let id = largesse_domain::id::TransferId(between.id());
        let order = largesse_domain::ledger::TransferOrder {
            id,
            wallet: user("s"),
            kind: largesse_domain::ledger::TransferKind::Deposit,
            amount: largesse_tests::amount(5),
            at: largesse_app::ports::Clock::now(&*between.store),
            pool: None,
            counterpart: None,
            memo: None,
        };
        between.another_process(61).post(order).await.unwrap().unwrap();
    });
    assert_eq!(void(&sandbox, &failed).await, Void::Voided);
    assert_eq!(balance(&sandbox, "s").await, 15);
}

#[tokio::test(start_paused = true)]
async fn a_funder_whose_wallet_is_full_keeps_a_grant_from_being_voided() {
    let sandbox = Sandbox::new(7);
    let failed = failed(&sandbox).await;
    fill(&sandbox, "s").await;
    assert_eq!(void(&sandbox, &failed).await, Void::FunderFull);
    sandbox.overwrite_balance("s", 0).await;
    assert_untouched(&sandbox, &failed.grant, Some(GrantStatus::PermanentlyFailed)).await;
    assert_eq!(void(&sandbox, &failed).await, Void::Voided);
    // A wallet that is full refuses to be credited again, but the void has happened.
    fill(&sandbox, "s").await;
    assert_eq!(void(&sandbox, &failed).await, Void::AlreadyVoided);
    sandbox.overwrite_balance("s", 10).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_paid_is_called_paid_though_the_funders_wallet_is_full() {
    let sandbox = Sandbox::new(9);
    let failed = failed(&sandbox).await;
    assert!(matches!(paid(&sandbox, &failed.grant).await, Payment::Paid));
    fill(&sandbox, "s").await;
    assert_eq!(void(&sandbox, &failed).await, Void::Paid);
    sandbox.overwrite_balance("s", 0).await;
    sandbox.store.remove_failed(&failed.grant).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_amount_that_was_returned_is_not_returned_again_though_the_void_was_lost() {
    let sandbox = Sandbox::new(8);
    let failed = failed(&sandbox).await;
    assert_eq!(void(&sandbox, &failed).await, Void::Voided);
    // The two other items are as before, as after a restore of one table and a mistake.
    let grants = Table::of(&sandbox, "grants");
    let (ledger, key) = (Table::of(&sandbox, "ledger"), key_with(failed.grant.source, "MEMBER#m"));
    let barred = ledger.get(&payment_key(&failed.grant)).await.unwrap();
    ledger.delete(&payment_key(&failed.grant)).await;
    grants.set(&key, "status", s(GrantStatus::PermanentlyFailed.as_str())).await;
    assert_eq!(void(&sandbox, &failed).await, Void::AlreadyVoided);
    assert_eq!(balance(&sandbox, "s").await, 10);
    ledger.put(barred).await;
    grants.set(&key, "status", s(GrantStatus::Voided.as_str())).await;
}
