//! What each action refuses, and that each is taken once.

use largesse_app::campaign::act::{self, ActError, Acted};
use largesse_app::campaign::part::{AddPartError, AddedPart, add_part};
use largesse_app::campaign::read;
use largesse_app::ports::Campaigns;
use largesse_domain::campaign::{
    Added, Approvals, Hash, PartRefused, Parts, Refused, State, Sum, Taken, Terms,
};
use largesse_domain::id::CampaignId;
use largesse_tests::{Sandbox, user};

use super::scene::{
    AMOUNT, ROWS, audit, completed, hash, made, memo, part, pending, read as campaign, seal_at,
    sealed, sealed_rows, seen, start, started, state, stop, taken_back, tally, terms, worked_off,
};
use crate::scene::{Table, n};

/// Takes the action twice: the second time it is a repeat that writes nothing.
async fn twice(
    sandbox: &Sandbox,
    id: CampaignId,
    action: impl AsyncFn() -> Result<Acted, ActError>,
) {
    assert_eq!(action().await.unwrap().taken, Taken::Now);
    let after = (seen(sandbox, id).await, sandbox.store.agenda().await.unwrap());
    let again = action().await.unwrap();
    assert_eq!((again.taken, &again.campaign), (Taken::Already, &after.0.value));
    assert_eq!((seen(sandbox, id).await, sandbox.store.agenda().await.unwrap()), after);
}

/// Why the action is refused; it writes nothing.
async fn refusal(
    sandbox: &Sandbox,
    id: CampaignId,
    action: impl Future<Output = Result<Acted, ActError>>,
) -> Refused {
    let before = (seen(sandbox, id).await, sandbox.store.agenda().await.unwrap());
    let Err(ActError::Refused(refused)) = action.await else { panic!("it was taken") };
    assert_eq!((seen(sandbox, id).await, sandbox.store.agenda().await.unwrap()), before);
    refused
}

#[tokio::test(start_paused = true)]
async fn every_action_that_is_repeated_is_taken_once_and_stands_in_the_audit_once() {
    let sandbox = Sandbox::new(1);
    let (store, ann, bob) = (&*sandbox.store, user("ann"), user("bob"));
    let id = made(&sandbox, Terms { approvals: Approvals::One, ..terms() }).await;
    add_part(store, id, &ann, &part(1, ROWS)).await.unwrap();
    twice(&sandbox, id, async || act::seal(store, id, &ann).await).await;
    let failed = async || act::seal_failed(store, id, 1, "why".to_owned()).await;
    twice(&sandbox, id, failed).await;
    assert_eq!(campaign(&sandbox, id).await.problem.as_deref(), Some("why"));
    twice(&sandbox, id, async || act::seal(store, id, &ann).await).await;
    assert_eq!(campaign(&sandbox, id).await.problem, None);
    let seal = seal_at(store);
    let sealed = async || act::sealed(store, id, 2, sealed_rows(), seal, pending()).await;
    twice(&sandbox, id, sealed).await;
    assert_eq!(campaign(&sandbox, id).await.seal, Some(seal));
    twice(&sandbox, id, async || act::approve(store, id, &bob, hash()).await).await;
    // It runs at once, so the repeat finds it running.
    assert_eq!(start(&sandbox, id).await.taken, Taken::Now);
    assert_eq!(start(&sandbox, id).await.taken, Taken::Already);
    twice(&sandbox, id, async || act::stop(store, id, &ann, memo("why")).await).await;
    start(&sandbox, id).await;
    let fence = campaign(&sandbox, id).await.life.fence;
    twice(&sandbox, id, async || act::fail(store, id, fence, "broken".to_owned()).await).await;
    assert_eq!(campaign(&sandbox, id).await.problem.as_deref(), Some("broken"));
    start(&sandbox, id).await;
    let (fence, life) = (fence + 1, campaign(&sandbox, id).await.life);
    assert_eq!((life.fence, life.state), (fence, State::Running));
    worked_off(&sandbox, id, 3).await;
    twice(&sandbox, id, async || act::end(store, id, fence).await).await;
    twice(&sandbox, id, async || act::rollback(store, id, &ann, memo("why")).await).await;
    taken_back(&sandbox, id).await;
    twice(&sandbox, id, async || act::rolled_back(store, id, fence + 1).await).await;
    let actions = "create part seal seal_failed seal sealed approve start run stop start run fail \
                   start run end rollback rolled_back";
    assert_eq!(audit(&sandbox, id).await.join(" "), actions);
}

#[tokio::test(start_paused = true)]
async fn a_queued_start_that_is_repeated_is_taken_once() {
    let sandbox = Sandbox::new(2);
    let store = &*sandbox.store;
    started(&sandbox).await;
    let id = sealed(&sandbox, terms()).await;
    twice(&sandbox, id, async || act::start(store, id, &user("ann"), hash()).await).await;
    assert_eq!(audit(&sandbox, id).await.join(" "), "create part seal sealed start");
}

/// C20.
#[tokio::test(start_paused = true)]
async fn nothing_is_added_after_the_seal_began() {
    let sandbox = Sandbox::new(3);
    let (store, ann) = (&*sandbox.store, user("ann"));
    let id = made(&sandbox, terms()).await;
    let add = async |number| add_part(store, id, &ann, &part(number, ROWS)).await;
    add(1).await.unwrap();
    act::seal(store, id, &ann).await.unwrap();
    for state in [State::Sealing, State::Waiting, State::Running] {
        // Not even the part that is there, lest its sender takes it for open.
        for number in [1, 2] {
            let refused = add(number).await.unwrap_err();
            let AddPartError::Refused(refused) = refused else { panic!("{refused}") };
            assert_eq!(refused, Refused::State(state));
        }
        match state {
            State::Sealing => {
                let seal = seal_at(store);
                act::sealed(store, id, 1, sealed_rows(), seal, pending()).await.unwrap();
            }
            _ => drop(act::start(store, id, &ann, hash()).await),
        }
    }
    assert_eq!(store.parts(id).await.unwrap(), [part(1, ROWS)]);
}

/// C20.
#[tokio::test(start_paused = true)]
async fn approve_and_start_name_what_was_sealed() {
    let sandbox = Sandbox::new(4);
    let (store, ann, bob) = (&*sandbox.store, user("ann"), user("bob"));
    let id = sealed(&sandbox, Terms { approvals: Approvals::One, ..terms() }).await;
    let (other, sealed) = (Hash::of(b"other"), hash());
    let other_content = Refused::OtherContent { sealed };
    let refused = async |action| refusal(&sandbox, id, action).await;
    assert_eq!(refused(act::approve(store, id, &bob, other)).await, other_content);
    assert_eq!(refusal(&sandbox, id, act::start(store, id, &ann, other)).await, other_content);
    let forced = act::force(store, id, &ann, other, memo("why"));
    assert_eq!(refusal(&sandbox, id, forced).await, other_content);
    let early = act::start(store, id, &ann, sealed);
    assert_eq!(refusal(&sandbox, id, early).await, Refused::ApprovalMissing);
    let early = act::force(store, id, &ann, sealed, memo("why"));
    assert_eq!(refusal(&sandbox, id, early).await, Refused::ApprovalMissing);
    let own = act::approve(store, id, &ann, sealed);
    assert_eq!(refused(own).await, Refused::CreatorApproves);
    act::approve(store, id, &bob, sealed).await.unwrap();
    act::start(store, id, &ann, sealed).await.unwrap();
    assert_eq!(state(&sandbox, id).await, State::Running);
}

#[tokio::test(start_paused = true)]
async fn a_part_sent_again_is_the_same_part_and_another_under_its_number_is_refused() {
    let sandbox = Sandbox::new(5);
    let (store, ann) = (&*sandbox.store, user("ann"));
    let id = made(&sandbox, terms()).await;
    let parts = Parts { count: 1, rows: ROWS, refused: 1, amount: ROWS * AMOUNT };
    let add = async |part| add_part(store, id, &ann, &part).await;
    let new = AddedPart { added: Added::New, parts };
    assert_eq!(add(part(1, ROWS)).await.unwrap(), new);
    let again = AddedPart { added: Added::Already(part(1, ROWS)), parts };
    assert_eq!(add(part(1, ROWS)).await.unwrap(), again);
    let mut other = part(1, ROWS);
    other.hash = Hash::of(b"other");
    let refused = add(other).await.unwrap_err();
    let AddPartError::Part(refused) = refused else { panic!("{refused}") };
    assert_eq!(refused, PartRefused::OtherContent(part(1, ROWS)));
    assert_eq!(campaign(&sandbox, id).await.parts, parts);
    assert_eq!(audit(&sandbox, id).await, ["create", "part"]);
}

#[tokio::test(start_paused = true)]
async fn parts_that_arrive_at_once_are_all_added() {
    let sandbox = Sandbox::new(6);
    let id = made(&sandbox, terms()).await;
    let processes: Vec<_> = (0..8).map(|seed| sandbox.another_process(seed)).collect();
    let ann = user("ann");
    let adds = (1..)
        .zip(&processes)
        .map(async |(number, process)| add_part(&**process, id, &ann, &part(number, 5)).await);
    for added in futures::future::join_all(adds).await {
        assert_eq!(added.unwrap().added, Added::New);
    }
    let sum = Parts { count: 8, rows: 40, refused: 8, amount: 40 * AMOUNT };
    assert_eq!(campaign(&sandbox, id).await.parts, sum);
    assert_eq!(audit(&sandbox, id).await.len(), 9);
}

#[tokio::test(start_paused = true)]
async fn a_retry_opens_the_failed_rows_once() {
    let sandbox = Sandbox::new(7);
    let (store, ann) = (&*sandbox.store, user("ann"));
    // Another campaign runs, so the retry stays queued.
    let id = completed(&sandbox, 7).await;
    started(&sandbox).await;
    let before = tally(&sandbox, id).await;
    assert_eq!(before.failed, Sum { rows: 7, amount: 7 * AMOUNT });
    act::retry(store, id, &ann).await.unwrap();
    let again = refusal(&sandbox, id, act::retry(store, id, &ann)).await;
    assert_eq!(again, Refused::State(State::Waiting));
    let after = tally(&sandbox, id).await;
    assert_eq!((after.pending, after.failed), (before.failed, Sum::default()));
    assert_eq!((after.success, after.total()), (before.success, before.total()));
    assert_eq!(campaign(&sandbox, id).await.life.generation.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn two_retries_at_once_open_one_generation() {
    let sandbox = Sandbox::new(8);
    let id = completed(&sandbox, 7).await;
    started(&sandbox).await;
    let processes = [sandbox.another_process(1), sandbox.another_process(2)];
    let (ann, bob) = (user("ann"), user("bob"));
    let both = futures::future::join(
        act::retry(&*processes[0], id, &ann),
        act::retry(&*processes[1], id, &bob),
    );
    let (one, two) = both.await;
    assert_eq!([one.is_ok(), two.is_ok()].into_iter().filter(|ok| *ok).count(), 1);
    assert_eq!(campaign(&sandbox, id).await.life.generation.get(), 2);
    assert_eq!(tally(&sandbox, id).await.pending.rows, 7);
}

#[tokio::test(start_paused = true)]
async fn a_campaign_ends_only_when_its_counters_say_so() {
    let sandbox = Sandbox::new(9);
    let store = &*sandbox.store;
    let id = started(&sandbox).await;
    let fence = campaign(&sandbox, id).await.life.fence;
    let open = refusal(&sandbox, id, act::end(store, id, fence)).await;
    assert_eq!(open, Refused::RowsOpen { rows: ROWS });
    worked_off(&sandbox, id, 0).await;
    let key = super::scene::count_key(id, 0);
    let table = Table::of(&sandbox, "campaigns");
    table.set(&key, "success_rows", n(4)).await;
    let differ = refusal(&sandbox, id, act::end(store, id, fence)).await;
    assert_eq!(differ, Refused::CountsDiffer);
    table.set(&key, "success_rows", n(5)).await;
    let late = refusal(&sandbox, id, act::end(store, id, fence - 1)).await;
    assert_eq!(late, Refused::Fence { current: fence });
    act::end(store, id, fence).await.unwrap();
    let view = read::show(store, id).await.unwrap().unwrap();
    assert_eq!(view.campaign.life.state, State::Completed);
    assert_eq!(view.counts.unwrap().tally.success, Sum { rows: ROWS, amount: ROWS * AMOUNT });
}

/// Counters that do not hold what was sealed would never let the campaign end.
#[tokio::test(start_paused = true)]
async fn a_seal_with_other_counters_is_refused() {
    let sandbox = Sandbox::new(10);
    let (store, ann) = (&*sandbox.store, user("ann"));
    let id = made(&sandbox, terms()).await;
    add_part(store, id, &ann, &part(1, ROWS)).await.unwrap();
    act::seal(store, id, &ann).await.unwrap();
    let (mut more, mut fewer) = (pending(), pending());
    more[3].pending.rows += 1;
    fewer.remove(3);
    for tallies in [more, fewer, Vec::new()] {
        let sealed = act::sealed(store, id, 1, sealed_rows(), seal_at(store), tallies);
        assert_eq!(refusal(&sandbox, id, sealed).await, Refused::CountsDiffer);
    }
    let sealed = act::sealed(store, id, 1, sealed_rows(), seal_at(store), pending());
    assert_eq!(sealed.await.unwrap().taken, Taken::Now);
}

#[tokio::test(start_paused = true)]
async fn a_campaign_that_is_not_there_is_not_found() {
    let sandbox = Sandbox::new(11);
    let (store, id, ann) = (&*sandbox.store, CampaignId(sandbox.id()), user("ann"));
    assert!(matches!(act::seal(store, id, &ann).await, Err(ActError::NotFound)));
    let added = add_part(store, id, &ann, &part(1, 1)).await;
    assert!(matches!(added, Err(AddPartError::NotFound)));
    assert_eq!(read::show(store, id).await.unwrap(), None);
    assert_eq!(read::audit(store, id, 0, 9).await.unwrap(), None);
}

/// The brake works although what it would report cannot be read.
#[tokio::test(start_paused = true)]
async fn a_stop_and_a_fault_are_taken_although_the_counters_cannot_be_read() {
    let sandbox = Sandbox::new(12);
    let (store, table) = (&*sandbox.store, Table::of(&sandbox, "campaigns"));
    let (one, two) = (started(&sandbox).await, started(&sandbox).await);
    for id in [one, two] {
        table.delete(&super::scene::count_key(id, 4)).await;
    }
    stop(&sandbox, one).await;
    let fence = campaign(&sandbox, two).await.life.fence;
    act::fail(store, two, fence, "broken".to_owned()).await.unwrap();
    let states = [state(&sandbox, one).await, state(&sandbox, two).await];
    assert_eq!(states, [State::Stopped, State::Failed]);
    assert!(matches!(act::retry(store, one, &user("ann")).await, Err(ActError::Port(_))));
}
