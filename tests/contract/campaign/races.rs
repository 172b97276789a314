//! Starters at once, and starters that are killed.

use largesse_app::campaign::act;
use largesse_app::campaign::next::run_next;
use largesse_domain::campaign::{Campaign, State, Taken};
use largesse_domain::id::CampaignId;
use largesse_tests::kill::{interleave, kill_at};
use largesse_tests::{Sandbox, user};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::scene::{agenda, audit, hash, memo, read, sealed, started, state, stop, terms};

/// More polls than a start with the run of the next campaign takes.
const POLLS: usize = 16;

/// Schedules with two switches, and random ones.
fn schedules() -> Vec<Vec<bool>> {
    let mut all = Vec::new();
    for first in 0..POLLS {
        for second in (0..POLLS).step_by(3) {
            let mut schedule = vec![true; first];
            schedule.extend(vec![false; second]);
            schedule.extend(vec![true; POLLS]);
            all.push(schedule);
        }
    }
    let mut rng = StdRng::seed_from_u64(1);
    all.extend((0..40).map(|_| (0..POLLS * 2).map(|_| rng.random_bool(0.5)).collect()));
    all
}

/// One runs, the other waits, and the agenda says so.
async fn assert_one_runs(sandbox: &Sandbox, ids: [CampaignId; 2], schedule: &[bool]) {
    let mut states = Vec::new();
    for id in ids {
        let Campaign { life, .. } = read(sandbox, id).await;
        assert_eq!(life.queued.is_some(), life.state == State::Waiting);
        states.push(life.state);
    }
    let running = states.iter().filter(|state| **state == State::Running).count();
    let waiting = states.iter().filter(|state| **state == State::Waiting).count();
    assert_eq!((running, waiting), (1, 1), "{schedule:?}");
    let on_it = agenda(sandbox).await.value;
    assert_eq!((on_it.running.len(), on_it.queued.len()), (1, 1), "{schedule:?}");
}

#[tokio::test(start_paused = true)]
async fn the_schedules_switch_at_every_poll_of_a_start() {
    let sandbox = Sandbox::new(6);
    let id = sealed(&sandbox, terms()).await;
    let starter = sandbox.another_process(1);
    let ended = kill_at(POLLS, act::start(&*starter, id, &user("ann"), hash())).await;
    assert!(ended.is_some(), "it takes more polls");
}

#[tokio::test(start_paused = true)]
async fn of_two_starts_at_once_one_runs_in_any_interleaving() {
    let sandbox = Sandbox::new(1);
    let (ann, bob) = (user("ann"), user("bob"));
    for schedule in schedules() {
        let ids = [sealed(&sandbox, terms()).await, sealed(&sandbox, terms()).await];
        let (one, two) = (sandbox.another_process(1), sandbox.another_process(2));
        let first = act::start(&*one, ids[0], &ann, hash());
        let second = act::start(&*two, ids[1], &bob, hash());
        let (first, second) = interleave(&schedule, first, second).await;
        first.unwrap();
        second.unwrap();
        assert_one_runs(&sandbox, ids, &schedule).await;
        for id in ids {
            stop(&sandbox, id).await;
            audit(&sandbox, id).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_starts_of_one_campaign_run_it_once() {
    let sandbox = Sandbox::new(2);
    let (ann, bob) = (user("ann"), user("bob"));
    for schedule in schedules() {
        let id = sealed(&sandbox, terms()).await;
        let (one, two) = (sandbox.another_process(1), sandbox.another_process(2));
        let first = act::start(&*one, id, &ann, hash());
        let second = act::start(&*two, id, &bob, hash());
        let (first, second) = interleave(&schedule, first, second).await;
        // The later one finds it queued or running.
        let taken = [first.unwrap().taken, second.unwrap().taken];
        assert!(taken.contains(&Taken::Now) && taken.contains(&Taken::Already), "{taken:?}");
        let actions = audit(&sandbox, id).await.join(" ");
        assert_eq!(actions, "create part seal sealed start run", "{schedule:?}");
        stop(&sandbox, id).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_and_the_run_of_the_next_campaign_at_once_leave_what_the_audit_says() {
    let sandbox = Sandbox::new(3);
    let ann = user("ann");
    for schedule in schedules().into_iter().step_by(3) {
        let first = started(&sandbox).await;
        let id = started(&sandbox).await;
        stop(&sandbox, first).await;
        let (one, two) = (sandbox.another_process(1), sandbox.another_process(2));
        let stopped = act::stop(&*one, id, &ann, memo("why"));
        let (stopped, ran) = interleave(&schedule, stopped, run_next(&*two)).await;
        stopped.unwrap();
        ran.unwrap();
        assert_eq!(state(&sandbox, id).await, State::Stopped, "{schedule:?}");
        assert_eq!(audit(&sandbox, id).await.last().map(String::as_str), Some("stop"));
        let on_it = agenda(&sandbox).await.value;
        assert_eq!((on_it.running.len(), on_it.queued.len()), (0, 0), "{schedule:?}");
    }
}

/// Kills `play(k)` for k = 1, 2 … until it ends before it can be killed.
async fn for_every_await(least: usize, play: impl AsyncFn(usize) -> bool) {
    let mut k = 1;
    while play(k).await {
        k += 1;
        assert!(k < 100, "it never ended");
    }
    assert!(k > least, "killed only {k} times");
}

#[tokio::test(start_paused = true)]
async fn a_starter_killed_at_any_await_holds_up_no_other() {
    let ann = user("ann");
    for_every_await(5, async |k| {
        let sandbox = Sandbox::new(4);
        let ids = [sealed(&sandbox, terms()).await, sealed(&sandbox, terms()).await];
        let killed = sandbox.another_process(1);
        let ended = kill_at(k, act::start(&*killed, ids[0], &ann, hash())).await;
        drop(killed);
        // Another one starts the other campaign, and the schedule comes.
        let fresh = sandbox.another_process(2);
        act::start(&*fresh, ids[1], &ann, hash()).await.unwrap();
        let on_it = agenda(&sandbox).await.value;
        assert_eq!(on_it.running.len(), 1, "{k}");
        // What was killed is done again.
        act::start(&*fresh, ids[0], &ann, hash()).await.unwrap();
        assert_one_runs(&sandbox, ids, &[]).await;
        let running = agenda(&sandbox).await.value.running[0].id;
        stop(&sandbox, running).await;
        let other = ids.into_iter().find(|id| *id != running).unwrap();
        assert_eq!(state(&sandbox, other).await, State::Running, "{k}");
        for id in ids {
            audit(&sandbox, id).await;
        }
        ended.is_none()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_schedule_runs_what_a_killed_stop_left_queued() {
    let ann = user("ann");
    for_every_await(5, async |k| {
        let sandbox = Sandbox::new(5);
        let (first, next) = (started(&sandbox).await, started(&sandbox).await);
        let killed = sandbox.another_process(1);
        let ended = kill_at(k, act::stop(&*killed, first, &ann, memo("why"))).await;
        drop(killed);
        run_next(&*sandbox.another_process(2)).await.unwrap();
        let states = [state(&sandbox, first).await, state(&sandbox, next).await];
        let is_before = states == [State::Running, State::Waiting];
        assert!(is_before || states == [State::Stopped, State::Running], "{k}: {states:?}");
        ended.is_none()
    })
    .await;
}
