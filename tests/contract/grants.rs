//! Grants: one record for a member, and what is paid stays paid.

use largesse_app::ports::{GrantRef, Grants, PayOutcome, Pools, Recorded, Wallets};
use largesse_domain::grant::{Grant, GrantStatus};
use largesse_domain::id::PoolId;
use largesse_domain::pool::{Ask, Attempt, Draw, Drawn};
use largesse_tests::{Sandbox, user};

async fn drawn(sandbox: &Sandbox) -> Grant {
    let room = sandbox.room(&["s"]).await;
    let pool = PoolId::Spray(sandbox.spray(room, "s", 30, 3).await.id);
    let at = largesse_app::ports::Clock::now(&*sandbox.store);
    let attempt = Attempt::from_bits(1);
    let draw = Draw { member: user("m"), at, attempt, ask: Ask::Next };
    let won = sandbox.store.draw(pool, draw).await.unwrap().unwrap();
    Grant::of_draw(pool, user("m"), won.drawn, won.amount, user("s"))
}

#[tokio::test]
async fn a_record_is_put_once_and_another_draw_finds_it() {
    let sandbox = Sandbox::new(1);
    let grant = drawn(&sandbox).await;
    assert_eq!(sandbox.store.record(&grant).await.unwrap(), Recorded::New);
    assert_eq!(sandbox.store.record(&grant).await.unwrap(), Recorded::Same(grant.clone()));
    let drawn = Drawn { part: 2, ..grant.drawn };
    let other = Grant { drawn, ..grant.clone() };
    assert_eq!(sandbox.store.record(&other).await.unwrap(), Recorded::Other(grant.clone()));
    let read = sandbox.store.grant(grant.pool, &grant.member).await.unwrap();
    assert_eq!(read, Some(grant));
}

#[tokio::test]
async fn what_is_paid_stays_paid_and_a_failure_counts_once() {
    let sandbox = Sandbox::new(2);
    let grant = drawn(&sandbox).await;
    sandbox.store.record(&grant).await.unwrap();
    let failed = |attempts| PayOutcome::NotPaid {
        attempts,
        status: GrantStatus::Failed,
        failure: "why".to_owned(),
    };
    let note = async |outcome| sandbox.store.note_outcome(&grant, &outcome).await.unwrap();
    assert_eq!(note(failed(1)).await, GrantStatus::Failed);
    assert_eq!(note(failed(1)).await, GrantStatus::Failed);
    let read = sandbox.store.grant(grant.pool, &grant.member).await.unwrap().unwrap();
    assert_eq!((read.attempts, read.failure.as_deref()), (1, Some("why")));
    let wanted = GrantRef { pool: grant.pool, member: grant.member.clone(), id: grant.id };
    let policy = largesse_domain::grant::RetryPolicy::default();
    largesse_app::grant::pay::pay(&*sandbox.store, &wanted, policy).await.unwrap();
    let read = async || sandbox.store.grant(grant.pool, &grant.member).await.unwrap().unwrap();
    let paid = read().await;
    assert_eq!(paid.status, GrantStatus::Success);
    // Whatever comes late changes nothing: a failure, the last one, an operator, a second payment.
    assert_eq!(note(failed(2)).await, GrantStatus::Success);
    let given_up = PayOutcome::NotPaid {
        attempts: 4,
        status: GrantStatus::PermanentlyFailed,
        failure: "why".to_owned(),
    };
    assert_eq!(note(given_up).await, GrantStatus::Success);
    let revived = sandbox.store.revive_grant(&wanted).await.unwrap();
    assert_eq!(revived, Some(GrantStatus::Success));
    largesse_app::grant::pay::pay(&*sandbox.store, &wanted, policy).await.unwrap();
    assert_eq!(read().await, paid);
    let wallet = Wallets::wallet(&*sandbox.store, &grant.member).await.unwrap();
    assert_eq!(wallet.balance.get(), grant.amount.get(), "once");
}

#[tokio::test]
async fn a_failure_that_is_told_late_does_not_undo_a_later_one() {
    let sandbox = Sandbox::new(5);
    let grant = drawn(&sandbox).await;
    sandbox.store.record(&grant).await.unwrap();
    let policy = largesse_domain::grant::RetryPolicy::default();
    for attempts in [4, 3] {
        let status = policy.after_failure(attempts);
        let failed = PayOutcome::NotPaid { attempts, status, failure: format!("{attempts}") };
        let stands = sandbox.store.note_outcome(&grant, &failed).await.unwrap();
        assert_eq!(stands, GrantStatus::PermanentlyFailed);
    }
    let read = sandbox.store.grant(grant.pool, &grant.member).await.unwrap().unwrap();
    assert_eq!((read.attempts, read.failure.as_deref()), (4, Some("4")));
    assert_eq!(read.status, GrantStatus::PermanentlyFailed, "it is not tried once more");
}

#[tokio::test]
async fn an_outcome_is_noted_on_the_grant_it_is_about_and_on_no_other_of_the_member() {
    let sandbox = Sandbox::new(6);
    let grant = drawn(&sandbox).await;
    let failed =
        PayOutcome::NotPaid { attempts: 1, status: GrantStatus::Failed, failure: "why".to_owned() };
    let read = async || sandbox.store.grant(grant.pool, &grant.member).await.unwrap();
    let id = largesse_domain::id::GrantId::of_draw(&grant.pool, &user("x"), grant.drawn.at);
    let other = Grant { id, ..grant.clone() };
    for outcome in [&PayOutcome::Paid, &failed] {
        assert!(sandbox.store.note_outcome(&other, outcome).await.is_err());
        assert_eq!(read().await, None, "{outcome:?} makes no half of a grant");
    }
    sandbox.store.record(&grant).await.unwrap();
    for outcome in [&PayOutcome::Paid, &failed] {
        let stands = sandbox.store.note_outcome(&other, outcome).await.unwrap();
        assert_eq!(stands, GrantStatus::Pending);
        assert_eq!(read().await.as_ref(), Some(&grant), "{outcome:?}");
    }
}

#[tokio::test]
async fn only_what_was_given_up_is_revived_and_it_is_paid_once() {
    let sandbox = Sandbox::new(3);
    let grant = drawn(&sandbox).await;
    let wanted = GrantRef { pool: grant.pool, member: grant.member.clone(), id: grant.id };
    let revive = async |wanted: &GrantRef| sandbox.store.revive_grant(wanted).await.unwrap();
    let read = async || sandbox.store.grant(grant.pool, &grant.member).await.unwrap().unwrap();
    assert_eq!(revive(&wanted).await, None, "it is not recorded");
    sandbox.store.record(&grant).await.unwrap();
    assert_eq!(revive(&wanted).await, Some(GrantStatus::Pending));
    assert_eq!(read().await, grant, "nothing changed");
    let given_up = PayOutcome::NotPaid {
        attempts: 4,
        status: GrantStatus::PermanentlyFailed,
        failure: "why".to_owned(),
    };
    sandbox.store.note_outcome(&grant, &given_up).await.unwrap();
    let id = largesse_domain::id::GrantId::of_draw(&grant.pool, &user("x"), grant.drawn.at);
    assert_eq!(revive(&GrantRef { id, ..wanted.clone() }).await, None, "another grant");
    assert_eq!(read().await.status, GrantStatus::PermanentlyFailed);
    for _ in 0..2 {
        assert_eq!(revive(&wanted).await, Some(GrantStatus::Failed));
        let revived = read().await;
        assert_eq!((revived.attempts, revived.failure.as_deref()), (0, Some("why")));
    }
    let policy = largesse_domain::grant::RetryPolicy::default();
    largesse_app::grant::pay::pay(&*sandbox.store, &wanted, policy).await.unwrap();
    assert_eq!(revive(&wanted).await, Some(GrantStatus::Success));
    assert_eq!(read().await.status, GrantStatus::Success, "what is paid stays paid");
}

#[tokio::test]
async fn what_nobody_has_tried_to_pay_is_listed() {
    let sandbox = Sandbox::new(4);
    let grant = drawn(&sandbox).await;
    let untried = async || sandbox.store.untried_grants(None).await.unwrap();
    assert!(untried().await.grants.is_empty());
    sandbox.store.record(&grant).await.unwrap();
    let found = untried().await;
    let wanted = GrantRef { pool: grant.pool, member: grant.member.clone(), id: grant.id };
    assert_eq!((found.grants, found.next), (vec![wanted.clone()], None));
    assert!(found.unreadable.is_empty());
    let policy = largesse_domain::grant::RetryPolicy::default();
    largesse_app::grant::pay::pay(&*sandbox.store, &wanted, policy).await.unwrap();
    assert!(untried().await.grants.is_empty());
}
