//! What the adapters add to the SDK: deadlines, conflicts tried again by reason, request tokens
//! made from the operation.

use std::sync::Arc;
use std::time::Duration;

use largesse_app::invocation::{self, Invocation};
use largesse_app::ports::{Clock, Once, PortErrorKind, Wallets};
use largesse_domain::id::TransferId;
use largesse_domain::ledger::{TransferKind, TransferOrder};
use largesse_emulator::{Fault, Faults, Matching, Service};
use largesse_tests::{Sandbox, amount, user};

fn deposit(sandbox: &Sandbox) -> TransferOrder {
    TransferOrder {
        id: TransferId(sandbox.id()),
        wallet: user("a"),
        kind: TransferKind::Deposit,
        amount: amount(100),
        at: sandbox.store.now(),
        pool: None,
        counterpart: None,
        memo: None,
    }
}

fn transactions(sandbox: &Sandbox) -> u64 {
    sandbox.world.recorder().operation(Service::DynamoDb, "TransactWriteItems").calls
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_conflicts_with_others_is_tried_again() {
    let sandbox = Sandbox::new(1);
    let conflicts = (1..=4).fold(Faults::seeded(0), |plan, n| {
        plan.nth(n, Matching::operation("TransactWriteItems"), Fault::TransactionConflict)
    });
    sandbox.world.set_fault_hook(Some(Arc::new(conflicts)));
    let posted = sandbox.post(deposit(&sandbox)).await;
    assert!(matches!(posted, Once::Now(_)));
    assert_eq!(transactions(&sandbox), 5);
}

#[tokio::test(start_paused = true)]
async fn conflicts_without_end_are_contention_and_no_unknown_outcome() {
    let sandbox = Sandbox::new(2);
    let always = Matching::operation("TransactWriteItems");
    let conflicts = Faults::seeded(0).always(always, Fault::TransactionConflict);
    sandbox.world.set_fault_hook(Some(Arc::new(conflicts)));
    let error = sandbox.store.post(deposit(&sandbox)).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Contended);
    sandbox.world.set_fault_hook(None);
}

#[tokio::test(start_paused = true)]
async fn a_refused_condition_is_an_answer_and_is_not_tried_again() {
    let sandbox = Sandbox::new(3);
    let order = deposit(&sandbox);
    sandbox.post(order.clone()).await;
    // Later, the request token is forgotten: only the permanent condition is left.
    tokio::time::advance(Duration::from_secs(601)).await;
    sandbox.world.recorder().reset();
    let again = sandbox.post(order).await;
    assert!(matches!(again, Once::Before(_)));
    assert_eq!(transactions(&sandbox), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_is_lost_is_repeated_under_the_same_request_token() {
    let sandbox = Sandbox::new(4);
    let lost =
        Faults::seeded(0).nth(1, Matching::operation("TransactWriteItems"), Fault::ReplyLost);
    sandbox.world.set_fault_hook(Some(Arc::new(lost)));
    // Under a random token the second attempt would fail its condition and say "before".
    let posted = sandbox.post(deposit(&sandbox)).await;
    assert!(matches!(posted, Once::Now(_)));
    assert_eq!(transactions(&sandbox), 2);
}

#[tokio::test(start_paused = true)]
async fn no_call_outlives_the_invocation_that_made_it() {
    let sandbox = Sandbox::new(5);
    let slow = Fault::DelayReply(Duration::from_secs(60));
    let slow = Faults::seeded(0).always(Matching::any(), slow);
    sandbox.world.set_fault_hook(Some(Arc::new(slow)));
    let begun = sandbox.store.now();
    let user = user("a");
    let invocation = Invocation::until(begun.plus_ms(300));
    let answer = invocation::scope(invocation, sandbox.store.wallet(&user)).await;
    assert_eq!(answer.unwrap_err().kind, PortErrorKind::Unknown);
    assert!(sandbox.store.now().ms_since(begun) <= 300);
    // Without a deadline there is a limit all the same.
    let begun = sandbox.store.now();
    assert!(sandbox.store.wallet(&user).await.is_err());
    assert!(sandbox.store.now().ms_since(begun) <= 5_000);
    sandbox.world.set_fault_hook(None);
}
