//! The clauses under which a head is drawn from and swept: what one process believes of a head that
//! another one has changed does no harm.

use largesse_app::ports::{
    Grants, INDEX_SHARDS, NotWon, Pools, RefundOutcome, Refunds, Sprays, Won,
};
use largesse_aws::Store;
use largesse_domain::grant::Grant;
use largesse_domain::id::{PoolId, SprayId};
use largesse_domain::pool::{Ask, Attempt, Draw, PENDING_MAX, Pool};
use largesse_domain::time::Timestamp;
use largesse_tests::{Sandbox, amount, user};
use rstest::rstest;

use crate::meanwhile::{Before, meanwhile};

fn draw(sandbox: &Sandbox, member: &str) -> Draw {
    let at = largesse_app::ports::Clock::now(&*sandbox.store);
    Draw { member: user(member), at, attempt: Attempt::from_bits(1), ask: Ask::Next }
}

async fn sprayed(sandbox: &Sandbox, recipients: u64) -> SprayId {
    let room = sandbox.room(&["s"]).await;
    sandbox.spray(room, "s", recipients * 10, recipients).await.id
}

async fn head(sandbox: &Sandbox, pool: PoolId) -> Pool {
    sandbox.store.pool(pool).await.unwrap().unwrap()
}

async fn won(sandbox: &Sandbox, store: &Store, pool: PoolId, member: &str) -> Won {
    store.draw(pool, draw(sandbox, member)).await.unwrap().unwrap()
}

/// The write of all draws but the first, of several that one process makes at once.
const SECOND_WRITE: Before = Before(2, "UpdateItem", "largesse-pools");

/// Draws of the sandbox's own process, made at once: the first of them writes alone, and what comes
/// while it does goes into the next write.
async fn together(
    sandbox: &Sandbox,
    pool: PoolId,
    draws: impl IntoIterator<Item = Draw>,
) -> Vec<Result<Won, NotWon>> {
    let draws = draws.into_iter().map(|draw| sandbox.store.draw(pool, draw));
    futures::future::join_all(draws).await.into_iter().map(Result::unwrap).collect()
}

/// A pool of which as many numbers are drawn and given back, and one more of these drawn by the
/// sandbox's own process: it knows of the others.
async fn released(sandbox: &Sandbox, numbers: u64) -> PoolId {
    let pool = PoolId::Spray(sprayed(sandbox, 60).await);
    let other = sandbox.another_process(90);
    let mut notes = Vec::new();
    for n in 0..=numbers {
        let member = format!("was{n}");
        notes.push((user(&member), won(sandbox, &other, pool, &member).await.drawn));
    }
    for (member, note) in notes {
        other.release(pool, &member, note).await.unwrap();
    }
    assert_eq!(won(sandbox, &sandbox.store, pool, "first").await.drawn.part, 0);
    pool
}

#[tokio::test]
async fn a_released_number_that_another_process_drew_is_missed_and_a_new_one_taken() {
    let sandbox = Sandbox::new(1);
    let pool = released(&sandbox, 1).await;
    let other = sandbox.another_process(91);
    assert_eq!(won(&sandbox, &other, pool, "other").await.drawn.part, 1);
    assert_eq!(won(&sandbox, &sandbox.store, pool, "second").await.drawn.part, 2);
}

#[rstest]
#[case::one_released_one_new(2, 3)]
#[case::two_released(3, 3)]
#[case::two_released_one_new(3, 4)]
#[tokio::test]
async fn a_released_number_gone_before_a_write_of_several_draws_is_missed_likewise(
    #[case] numbers: u64,
    #[case] draws: u64,
) {
    let sandbox = Sandbox::new(2);
    let pool = released(&sandbox, numbers).await;
    let (other, theirs) = (sandbox.another_process(91), draw(&sandbox, "other"));
    // The first of them writes alone; the others, together, go by the numbers that it leaves.
    meanwhile(&sandbox, SECOND_WRITE, async move {
        assert_eq!(other.draw(pool, theirs).await.unwrap().unwrap().drawn.part, 2);
    });
    let members: Vec<String> = (0..draws).map(|n| format!("m{n}")).collect();
    let answers = together(&sandbox, pool, members.iter().map(|m| draw(&sandbox, m))).await;
    let parts: Vec<u64> = answers.into_iter().map(|won| won.unwrap().drawn.part).collect();
    assert_eq!(parts, (1..=draws + 1).filter(|n| *n != 2).collect::<Vec<u64>>());
}

#[tokio::test]
async fn each_of_several_draws_in_one_write_must_lie_in_the_window() {
    let sandbox = Sandbox::new(8);
    let pool = PoolId::Spray(sprayed(&sandbox, 60).await);
    let window = head(&sandbox, pool).await.window;
    let at = |member: &str, at| Draw { at, ..draw(&sandbox, member) };
    let inside = window.opens.plus_ms(1);
    for (n, at_the_edge, refused) in
        [(0, window.opens.minus_ms(1), NotWon::Ahead), (1, window.closes, NotWon::Over)]
    {
        let draws = [("alone", inside), ("edge", at_the_edge), ("inside", inside)];
        let draws = draws.map(|(member, moment)| at(&format!("{member}{n}"), moment));
        let answers = together(&sandbox, pool, draws).await;
        assert!(answers[0].is_ok() && answers[2].is_ok(), "{answers:?}");
        assert_eq!(answers[1], Err(refused));
    }
}

#[tokio::test]
async fn a_pool_that_gave_back_its_remainder_gives_nothing_to_a_clock_that_is_behind() {
    let sandbox = Sandbox::new(3);
    let spray = sprayed(&sandbox, 3).await;
    let spray = sandbox.store.spray(spray).await.unwrap().unwrap();
    let closes = spray.pool.window.closes;
    let refunded = sandbox.store.refund_spray(&spray, 30, closes).await.unwrap();
    assert_eq!(refunded, RefundOutcome::Done);
    let late = Draw { at: closes.minus_ms(1), ..draw(&sandbox, "m") };
    assert_eq!(sandbox.store.draw(spray.pool.id, late).await.unwrap(), Err(NotWon::Over));
    assert!(head(&sandbox, spray.pool.id).await.pending.is_empty());
}

#[tokio::test]
async fn an_amount_above_what_is_left_takes_nothing() {
    let sandbox = Sandbox::new(4);
    let pool = PoolId::Spray(sprayed(&sandbox, 3).await);
    let before = head(&sandbox, pool).await;
    let above = Draw { ask: Ask::Amount(amount(4)), ..draw(&sandbox, "m") };
    let answer = sandbox.store.draw(pool, above).await.unwrap();
    assert_eq!(answer, Err(NotWon::AboveRemaining { remaining: 3 }));
    assert_eq!(head(&sandbox, pool).await, before);
}

#[tokio::test(start_paused = true)]
async fn a_head_holds_as_many_notes_as_it_may_and_takes_no_more_from_any_process() {
    let sandbox = Sandbox::new(6);
    let pool = PoolId::Spray(sprayed(&sandbox, 60).await);
    let mut last = None;
    for n in 0..PENDING_MAX {
        last = Some(won(&sandbox, &sandbox.store, pool, &format!("m{n}")).await.drawn);
    }
    // One of them knows that the head is full, the other one has never seen it.
    for store in [&sandbox.store, &sandbox.another_process(96)] {
        let crowded = store.draw(pool, draw(&sandbox, "late")).await.unwrap();
        assert_eq!(crowded, Err(NotWon::Crowded));
    }
    assert_eq!(head(&sandbox, pool).await.pending.len(), PENDING_MAX);
    let member = user(&format!("m{}", PENDING_MAX - 1));
    sandbox.store.release(pool, &member, last.unwrap()).await.unwrap();
    won(&sandbox, &sandbox.store, pool, "late").await;
}

#[tokio::test(start_paused = true)]
async fn several_draws_in_one_write_leave_no_more_notes_than_a_head_may_hold() {
    let sandbox = Sandbox::new(9);
    let pool = PoolId::Spray(sprayed(&sandbox, 60).await);
    for n in 3..PENDING_MAX {
        won(&sandbox, &sandbox.store, pool, &format!("m{n}")).await;
    }
    let (other, theirs) = (sandbox.another_process(99), draw(&sandbox, "other"));
    meanwhile(&sandbox, SECOND_WRITE, async move {
        other.draw(pool, theirs).await.unwrap().unwrap();
    });
    let draws = ["alone", "last", "late"].map(|member| draw(&sandbox, member));
    let answers = together(&sandbox, pool, draws).await;
    assert!(answers[0].is_ok() && answers[1].is_ok(), "{answers:?}");
    assert_eq!(answers[2], Err(NotWon::Crowded));
    assert_eq!(head(&sandbox, pool).await.pending.len(), PENDING_MAX);
}

#[tokio::test(start_paused = true)]
async fn a_full_head_has_room_for_a_draw_that_trims_another_ones_note() {
    let sandbox = Sandbox::new(10);
    let pool = PoolId::Spray(sprayed(&sandbox, 60).await);
    let first = won(&sandbox, &sandbox.store, pool, "m0").await;
    for n in 1..PENDING_MAX {
        won(&sandbox, &sandbox.store, pool, &format!("m{n}")).await;
    }
    let grant = Grant::of_draw(pool, user("m0"), first.drawn, first.amount, user("s"));
    sandbox.store.record(&grant).await.unwrap();
    sandbox.store.trim_later(pool, &user("m0"), first.drawn);
    won(&sandbox, &sandbox.store, pool, "late").await;
    let pending = head(&sandbox, pool).await.pending;
    assert_eq!((pending.len(), pending.contains_key(&user("m0"))), (PENDING_MAX, false));
}

#[tokio::test]
async fn a_draw_is_given_back_once_and_a_later_one_of_the_member_is_not_given_back_for_it() {
    let sandbox = Sandbox::new(7);
    let pool = PoolId::Spray(sprayed(&sandbox, 3).await);
    let first = won(&sandbox, &sandbox.store, pool, "a").await.drawn;
    sandbox.store.release(pool, &user("a"), first).await.unwrap();
    let released = head(&sandbox, pool).await;
    sandbox.store.release(pool, &user("a"), first).await.unwrap();
    assert_eq!(head(&sandbox, pool).await, released);
    let later = Draw { attempt: Attempt::from_bits(2), ..draw(&sandbox, "a") };
    let later = sandbox.store.draw(pool, later).await.unwrap().unwrap().drawn;
    assert_eq!(later.part, first.part);
    let drawn = head(&sandbox, pool).await;
    sandbox.store.release(pool, &user("a"), first).await.unwrap();
    assert_eq!(head(&sandbox, pool).await, drawn);
}

/// Whether any part of the index names the pool.
async fn is_to_be_swept(sandbox: &Sandbox, pool: PoolId, now: Timestamp) -> bool {
    let store = &sandbox.store;
    let parts = (0..INDEX_SHARDS).map(async |shard| store.sweepable(shard, now, None, 10).await);
    let parts = futures::future::join_all(parts).await;
    parts.into_iter().any(|part| part.unwrap().rows.iter().any(|row| row.id == pool))
}

#[tokio::test]
async fn a_draw_that_came_since_the_pool_was_read_is_not_slept_through() {
    let sandbox = Sandbox::new(5);
    let pool = PoolId::Spray(sprayed(&sandbox, 60).await);
    won(&sandbox, &sandbox.store, pool, "a").await;
    let as_read = head(&sandbox, pool).await;
    let due = Pool::sweep_at(draw(&sandbox, "a").at).plus_ms(1_000);
    won(&sandbox, &sandbox.store, pool, "b").await;
    for next in [None, Some(due.plus_ms(1))] {
        sandbox.store.swept(&as_read, next).await.unwrap();
        assert!(is_to_be_swept(&sandbox, pool, due).await, "{next:?}");
    }
    let as_read = head(&sandbox, pool).await;
    sandbox.store.swept(&as_read, Some(due.plus_ms(1))).await.unwrap();
    assert!(!is_to_be_swept(&sandbox, pool, due).await);
    assert!(is_to_be_swept(&sandbox, pool, due.plus_ms(1)).await);
    sandbox.store.swept(&as_read, None).await.unwrap();
    assert!(!is_to_be_swept(&sandbox, pool, due.plus_ms(1)).await);
}
