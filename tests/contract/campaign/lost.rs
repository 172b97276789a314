//! Replies that are lost after the effect.

use std::sync::Arc;
use std::time::Duration;

use largesse_app::campaign::act::{self, ActError};
use largesse_app::campaign::part::add_part;
use largesse_app::ports::{Campaigns, Change, PortErrorKind, Written};
use largesse_domain::campaign::{Added, State, Taken};
use largesse_emulator::{Fault, Faults, Matching};
use largesse_tests::{Sandbox, user};

use super::scene::{
    agenda, audit, completed, made, memo, part, read, sealed, seen, start, started, state, terms,
    worked_off,
};
use super::store::entry;

fn transaction() -> Matching {
    Matching::operation("TransactWriteItems")
}

/// The first reply of a transaction is lost; the SDK sends it again.
fn lose_the_first(sandbox: &Sandbox) {
    let lost = Faults::seeded(0).nth(1, transaction(), Fault::ReplyLost);
    sandbox.world.set_fault_hook(Some(Arc::new(lost)));
}

/// Every reply of a transaction is lost, until nothing is asked any more.
async fn lose_all<T>(sandbox: &Sandbox, work: impl Future<Output = T>) -> T {
    let lost = Faults::seeded(0).always(transaction(), Fault::ReplyLost);
    sandbox.world.set_fault_hook(Some(Arc::new(lost)));
    let done = work.await;
    sandbox.world.set_fault_hook(None);
    done
}

#[tokio::test(start_paused = true)]
async fn an_action_whose_reply_was_lost_is_done_and_stands_in_the_audit_once() {
    let sandbox = Sandbox::new(1);
    let id = made(&sandbox, terms()).await;
    let first = seen(&sandbox, id).await;
    let mut campaign = first.value.clone();
    let entry = entry(&mut campaign, "part");
    let part = part(1, 5);
    let change = Change {
        seen: &first,
        campaign: &campaign,
        entry: &entry,
        part: Some(&part),
        agenda: None,
        counts: None,
    };
    lose_the_first(&sandbox);
    assert_eq!(sandbox.store.save_campaign(&change).await.unwrap(), Written::Done);
    // Long after AWS has forgotten the request, and after another action.
    tokio::time::advance(Duration::from_secs(3_600)).await;
    assert_eq!(sandbox.store.save_campaign(&change).await.unwrap(), Written::Done);
    act::seal(&*sandbox.store, id, &user("ann")).await.unwrap();
    assert_eq!(sandbox.store.save_campaign(&change).await.unwrap(), Written::Done);
    assert_eq!(audit(&sandbox, id).await, ["create", "part", "seal"]);
    assert_eq!(state(&sandbox, id).await, State::Sealing);
}

/// A whole life, in which the reply to each transaction is lost once.
#[tokio::test(start_paused = true)]
async fn a_life_whose_replies_are_lost_is_the_same_life() {
    for k in 1..40 {
        let sandbox = Sandbox::new(2);
        let store = &*sandbox.store;
        let lost = Faults::seeded(0).nth(k, transaction(), Fault::ReplyLost);
        sandbox.world.set_fault_hook(Some(Arc::new(lost)));
        sandbox.world.recorder().reset();
        let id = completed(&sandbox, 4).await;
        act::retry(store, id, &user("ann")).await.unwrap();
        worked_off(&sandbox, id, 1).await;
        act::end(store, id, 2).await.unwrap();
        act::rollback(store, id, &user("ann"), memo("why")).await.unwrap();
        sandbox.world.set_fault_hook(None);
        let actions = "create part seal sealed start run end retry run end rollback";
        assert_eq!(audit(&sandbox, id).await.join(" "), actions, "{k}");
        let life = read(&sandbox, id).await.life;
        assert_eq!((life.state, life.fence), (State::RollingBack, 3));
        let service = largesse_emulator::Service::DynamoDb;
        let calls = sandbox.world.recorder().operation(service, "TransactWriteItems").calls;
        if calls < k {
            assert!(k > 11, "lost only {k} replies");
            return;
        }
    }
    panic!("it never ended");
}

/// The caller hears "unknown" and asks again, as after a crash.
#[tokio::test(start_paused = true)]
async fn an_action_whose_outcome_is_unknown_is_a_repeat_when_it_is_asked_again() {
    let sandbox = Sandbox::new(3);
    let (store, ann) = (&*sandbox.store, user("ann"));
    let id = made(&sandbox, terms()).await;
    let added = lose_all(&sandbox, add_part(store, id, &ann, &part(1, 20))).await;
    assert!(added.is_err());
    let added = add_part(store, id, &ann, &part(1, 20)).await.unwrap().added;
    assert_eq!(added, Added::Already(part(1, 20)));

    let unknown = lose_all(&sandbox, act::seal(store, id, &ann)).await;
    let Err(ActError::Port(error)) = unknown else { panic!("{unknown:?}") };
    assert_eq!(error.kind, PortErrorKind::Unknown);
    assert_eq!(act::seal(store, id, &ann).await.unwrap().taken, Taken::Already);

    let id = started(&sandbox).await;
    let stop = async || act::stop(store, id, &ann, memo("why")).await;
    lose_all(&sandbox, stop()).await.unwrap_err();
    assert_eq!(stop().await.unwrap().taken, Taken::Already);

    start(&sandbox, id).await;
    worked_off(&sandbox, id, 0).await;
    let next = sealed(&sandbox, terms()).await;
    start(&sandbox, next).await;
    let fence = read(&sandbox, id).await.life.fence;
    lose_all(&sandbox, act::end(store, id, fence)).await.unwrap_err();
    // The repeat runs the next campaign, which the first one did not get to.
    assert_eq!(state(&sandbox, next).await, State::Waiting);
    assert_eq!(act::end(store, id, fence).await.unwrap().taken, Taken::Already);
    assert_eq!(state(&sandbox, next).await, State::Running);
    let rollback = async || act::rollback(store, id, &ann, memo("why")).await;
    lose_all(&sandbox, rollback()).await.unwrap_err();
    assert_eq!(rollback().await.unwrap().taken, Taken::Already);
    audit(&sandbox, id).await;
}

#[tokio::test(start_paused = true)]
async fn an_agenda_that_is_corrected_with_a_lost_reply_is_corrected_once() {
    let sandbox = Sandbox::new(4);
    let seen = agenda(&sandbox).await;
    let mut next = seen.value.clone();
    next.fence = 3;
    lose_the_first(&sandbox);
    assert_eq!(sandbox.store.mend_agenda(&seen, &next).await.unwrap(), Written::Done);
    assert_eq!(agenda(&sandbox).await.version, 1);
}

#[tokio::test(start_paused = true)]
async fn an_action_among_conflicts_is_taken_in_the_end() {
    let sandbox = Sandbox::new(5);
    let id = made(&sandbox, terms()).await;
    // More conflicts than one call of the SDK rides out.
    let faults = (1..8).fold(Faults::seeded(0), |faults, k| {
        faults.nth(k, transaction(), Fault::TransactionConflict)
    });
    sandbox.world.set_fault_hook(Some(Arc::new(faults)));
    act::seal(&*sandbox.store, id, &user("ann")).await.unwrap();
    let always = Faults::seeded(0).always(transaction(), Fault::TransactionConflict);
    sandbox.world.set_fault_hook(Some(Arc::new(always)));
    let busy = act::seal_failed(&*sandbox.store, id, 1, "why".to_owned()).await;
    sandbox.world.set_fault_hook(None);
    assert!(matches!(busy, Err(ActError::Busy)), "{busy:?}");
    assert_eq!(audit(&sandbox, id).await, ["create", "seal"]);
}
