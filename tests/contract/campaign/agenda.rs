//! Which campaign runs, and when.

use std::time::Duration;

use largesse_app::campaign::act::{self, ActError};
use largesse_app::campaign::next::{Started, run_next};
use largesse_app::ports::{Campaigns, Clock, Versioned, Written};
use largesse_domain::campaign::{
    AGENDA_MAX, Agenda, Candidate, Hash, Priority, Running, State, Terms,
};
use largesse_domain::id::{CampaignId, Ulid};
use largesse_tests::{Sandbox, user};

use super::scene::{
    agenda, audit, completed, hash, memo, meta_key, read, sealed, start, started, state, stop,
    taken_back, terms, worked_off,
};
use crate::scene::{Table, key_with, s};

const fn ran(ids: Vec<CampaignId>) -> Started {
    Started { ran: ids, unreadable: Vec::new() }
}

async fn states(sandbox: &Sandbox, ids: &[CampaignId]) -> Vec<State> {
    let mut states = Vec::new();
    for id in ids {
        states.push(state(sandbox, *id).await);
    }
    states
}

#[tokio::test(start_paused = true)]
async fn the_next_campaign_runs_when_one_ends_fails_or_is_stopped() {
    let sandbox = Sandbox::new(1);
    let store = &*sandbox.store;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(started(&sandbox).await);
    }
    use State::{Completed, Failed, Running, Stopped, Waiting};
    assert_eq!(states(&sandbox, &ids).await, [Running, Waiting, Waiting, Waiting]);
    worked_off(&sandbox, ids[0], 0).await;
    act::end(store, ids[0], 1).await.unwrap();
    assert_eq!(states(&sandbox, &ids).await, [Completed, Running, Waiting, Waiting]);
    stop(&sandbox, ids[1]).await;
    assert_eq!(states(&sandbox, &ids).await, [Completed, Stopped, Running, Waiting]);
    act::fail(store, ids[2], 3, "broken".to_owned()).await.unwrap();
    assert_eq!(states(&sandbox, &ids).await, [Completed, Stopped, Failed, Running]);
    let running = vec![largesse_domain::campaign::Running { id: ids[3], forced: false }];
    let expected = Agenda { fence: 4, running, ..Agenda::default() };
    assert_eq!(agenda(&sandbox).await.value, expected);
}

#[tokio::test(start_paused = true)]
async fn nothing_runs_before_its_start_time() {
    let sandbox = Sandbox::new(2);
    let store = &*sandbox.store;
    let starts_at = Some(store.now().plus_ms(60_000));
    let later = sealed(&sandbox, Terms { starts_at, ..terms() }).await;
    // A start in the past holds nothing up.
    let starts_at = Some(store.now().minus_ms(60_000));
    let due = sealed(&sandbox, Terms { starts_at, ..terms() }).await;
    start(&sandbox, later).await;
    start(&sandbox, due).await;
    assert_eq!(states(&sandbox, &[later, due]).await, [State::Waiting, State::Running]);
    stop(&sandbox, due).await;
    let begins = read(&sandbox, later).await.terms.starts_at.unwrap();
    let left = begins.ms_since(store.now());
    tokio::time::advance(Duration::from_millis(left - 1)).await;
    assert_eq!(run_next(store).await.unwrap(), ran(vec![]));
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(run_next(store).await.unwrap(), ran(vec![later]));
    assert_eq!(read(&sandbox, later).await.started_at, Some(begins));
}

#[tokio::test(start_paused = true)]
async fn a_forced_campaign_runs_beside_the_others_and_is_audited() {
    let sandbox = Sandbox::new(3);
    let store = &*sandbox.store;
    let first = started(&sandbox).await;
    let queued = started(&sandbox).await;
    let forced = sealed(&sandbox, terms()).await;
    act::force(store, forced, &user("eve"), hash(), memo("urgent")).await.unwrap();
    // One that waits already may be forced too.
    act::force(store, queued, &user("eve"), hash(), memo("urgent")).await.unwrap();
    assert_eq!(states(&sandbox, &[first, queued, forced]).await, [State::Running; 3]);
    assert_eq!(audit(&sandbox, forced).await.join(" "), "create part seal sealed force run");
    let entries = store.audit_of(forced, 4, 1).await.unwrap();
    let details = [("hash".to_owned(), hash().to_string()), ("memo".to_owned(), "urgent".into())];
    assert_eq!(entries[0].details, details.into());
    // It holds up no other: the next one runs although it does.
    let next = started(&sandbox).await;
    stop(&sandbox, first).await;
    assert_eq!(state(&sandbox, next).await, State::Running);
}

#[tokio::test(start_paused = true)]
async fn stop_start_stop_within_a_second_leaves_no_older_fence_that_pays() {
    let sandbox = Sandbox::new(4);
    let id = started(&sandbox).await;
    stop(&sandbox, id).await;
    start(&sandbox, id).await;
    let life = read(&sandbox, id).await.life;
    assert_eq!((life.may_pay(1), life.may_pay(2)), (false, true));
    stop(&sandbox, id).await;
    let life = read(&sandbox, id).await.life;
    assert_eq!((life.may_pay(1), life.may_pay(2), life.fence), (false, false, 2));
    let expected = Agenda { fence: 2, ..Agenda::default() };
    assert_eq!(agenda(&sandbox).await.value, expected);
    let actions = "create part seal sealed start run stop start run stop";
    assert_eq!(audit(&sandbox, id).await.join(" "), actions);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_holds_up_no_other_campaign() {
    let sandbox = Sandbox::new(5);
    let (store, ann) = (&*sandbox.store, user("ann"));
    let id = completed(&sandbox, 2).await;
    let running = started(&sandbox).await;
    act::rollback(store, id, &ann, memo("why")).await.unwrap();
    let on_it = agenda(&sandbox).await.value;
    assert_eq!((on_it.rolling_back, on_it.running.len(), on_it.fence), (vec![id], 1, 3));
    assert_eq!(read(&sandbox, id).await.ended_at, None);
    taken_back(&sandbox, id).await;
    act::rolled_back(store, id, 3).await.unwrap();
    assert_eq!(agenda(&sandbox).await.value.rolling_back, []);
    assert_eq!(states(&sandbox, &[id, running]).await, [State::RolledBack, State::Running]);
}

/// An agenda of as many candidates as it holds, none of which is due.
async fn fill(sandbox: &Sandbox) {
    let seen = agenda(sandbox).await;
    let starts_at = Some(sandbox.store.now().plus_ms(1_000_000));
    let other = |n: usize| Candidate {
        id: CampaignId(Ulid::from_parts(1, n.try_into().unwrap())),
        starts_at,
        priority: Priority::default(),
        forced: false,
    };
    let queued = (0..AGENDA_MAX).map(other).collect();
    let full = Agenda { queued, ..seen.value.clone() };
    assert_eq!(sandbox.store.mend_agenda(&seen, &full).await.unwrap(), Written::Done);
}

#[tokio::test(start_paused = true)]
async fn a_full_agenda_takes_no_other_campaign_until_one_leaves_it() {
    let sandbox = Sandbox::new(6);
    let (store, ann) = (&*sandbox.store, user("ann"));
    let id = sealed(&sandbox, terms()).await;
    fill(&sandbox).await;
    let before = read(&sandbox, id).await;
    let refused = act::start(store, id, &ann, hash()).await;
    assert!(matches!(refused, Err(ActError::AgendaFull(_))));
    // The rules come first.
    let refused = act::start(store, id, &ann, Hash::of(b"x")).await;
    assert!(matches!(refused, Err(ActError::Refused(_))));
    assert_eq!(read(&sandbox, id).await, before);
    let full = agenda(&sandbox).await;
    let mut freed = full.value.clone();
    freed.queued.pop();
    store.mend_agenda(&full, &freed).await.unwrap();
    start(&sandbox, id).await;
    assert_eq!(state(&sandbox, id).await, State::Running);
    // One that is on a full agenda leaves it.
    stop(&sandbox, id).await;
    assert_eq!(agenda(&sandbox).await.value.queued.len(), AGENDA_MAX - 1);
}

#[tokio::test(start_paused = true)]
async fn a_campaign_that_cannot_be_read_holds_up_no_other() {
    let sandbox = Sandbox::new(7);
    let store = &*sandbox.store;
    let first = started(&sandbox).await;
    let (broken, whole) = (started(&sandbox).await, started(&sandbox).await);
    let table = Table::of(&sandbox, "campaigns");
    table.set(&meta_key(broken), "state", s("AJAR")).await;
    stop(&sandbox, first).await;
    assert_eq!(state(&sandbox, whole).await, State::Running);
    stop(&sandbox, whole).await;
    let tried = run_next(store).await.unwrap();
    assert_eq!(tried, Started { ran: vec![], unreadable: vec![broken] });
    table.set(&meta_key(broken), "state", s("WAITING")).await;
    assert_eq!(run_next(store).await.unwrap(), ran(vec![broken]));
}

#[tokio::test(start_paused = true)]
async fn an_agenda_that_contradicts_a_campaign_is_corrected() {
    let sandbox = Sandbox::new(8);
    let store = &*sandbox.store;
    let running = started(&sandbox).await;
    let waits = sealed(&sandbox, terms()).await;
    let due = started(&sandbox).await;
    // An agenda of a backup: it names one that is gone, one that runs, and one that is not queued.
    let seen = agenda(&sandbox).await;
    let gone = CampaignId(Ulid::from_parts(1, 1));
    let candidate =
        |id| Candidate { id, starts_at: None, priority: Priority::default(), forced: false };
    let queued = [gone, running, waits, due].map(candidate).to_vec();
    let restored = Agenda { queued, running: vec![], ..Agenda::default() };
    assert_eq!(store.mend_agenda(&seen, &restored).await.unwrap(), Written::Done);
    assert_eq!(run_next(store).await.unwrap(), ran(vec![]));
    let on_it = agenda(&sandbox).await.value;
    assert_eq!(on_it.running, [Running { id: running, forced: false }]);
    assert_eq!(on_it.queued, [waits, due].map(candidate));
    stop(&sandbox, running).await;
    assert_eq!(states(&sandbox, &[waits, due]).await, [State::Waiting, State::Running]);
    assert_eq!(agenda(&sandbox).await.value.queued, []);
}

/// Without its agenda a campaign would run under a fence that it had before.
#[tokio::test(start_paused = true)]
async fn a_fence_rises_although_the_agenda_is_lost() {
    let sandbox = Sandbox::new(9);
    let id = started(&sandbox).await;
    stop(&sandbox, id).await;
    start(&sandbox, id).await;
    assert_eq!(read(&sandbox, id).await.life.fence, 2);
    Table::of(&sandbox, "campaigns").delete(&key_with("AGENDA", "AGENDA")).await;
    assert_eq!(agenda(&sandbox).await, Versioned::default());
    stop(&sandbox, id).await;
    start(&sandbox, id).await;
    let life = read(&sandbox, id).await.life;
    assert_eq!((life.state, life.fence), (State::Running, 3));
}

/// As a version wrote it that kept no seals on it.
#[tokio::test(start_paused = true)]
async fn an_agenda_of_an_older_version_is_read_and_written() {
    let sandbox = Sandbox::new(40);
    let id = started(&sandbox).await;
    let (table, key) = (Table::of(&sandbox, "campaigns"), key_with("AGENDA", "AGENDA"));
    let mut item = table.get(&key).await.unwrap();
    item.remove("sealing").unwrap();
    table.put(item).await;
    assert_eq!(agenda(&sandbox).await.value.sealing, []);
    stop(&sandbox, id).await;
    assert_eq!(agenda(&sandbox).await.value.running, []);
}
