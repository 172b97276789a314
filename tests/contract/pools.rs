//! A draw on the table is a draw on the domain's pool.

use std::collections::{BTreeMap, BTreeSet};

use largesse_app::ports::{NotWon, Pools, PortErrorKind, Won};
use largesse_domain::id::{PoolId, UserId};
use largesse_domain::pool::{Ask, Attempt, Draw, Drawn, Pool};
use largesse_domain::time::Timestamp;
use largesse_tests::{Sandbox, user};
use proptest::prelude::*;

fn draw(sandbox: &Sandbox, member: &str, attempt: u64) -> Draw {
    let at = largesse_app::ports::Clock::now(&*sandbox.store);
    Draw { member: user(member), at, attempt: Attempt::from_bits(attempt), ask: Ask::Next }
}

async fn spray(sandbox: &Sandbox, recipients: u64) -> PoolId {
    let room = sandbox.room(&["s"]).await;
    PoolId::Spray(sandbox.spray(room, "s", recipients * 10, recipients).await.id)
}

async fn head(sandbox: &Sandbox, pool: PoolId) -> Pool {
    sandbox.store.pool(pool).await.unwrap().unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    Draw(u8),
    DrawTogether(Vec<u8>),
    Trim(u8),
    TrimLater(u8),
    Release(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..70_u8).prop_map(Step::Draw),
        3 => proptest::collection::vec(0..70_u8, 1..60).prop_map(Step::DrawTogether),
        1 => (0..70_u8).prop_map(Step::Trim),
        2 => (0..70_u8).prop_map(Step::TrimLater),
        2 => (0..70_u8).prop_map(Step::Release),
    ];
    proptest::collection::vec(step, 1..25)
}

/// What the domain's pool and the table's head hold must be the same after every step, whatever is
/// drawn alone or together, trimmed or given back. `TrimLater` notes are trimmed whenever the
/// adapter likes, so the model follows the table there.
async fn walk(recipients: u64, steps: Vec<Step>) {
    let sandbox = Sandbox::new(1);
    let pool = spray(&sandbox, recipients).await;
    let mut model = head(&sandbox, pool).await;
    let mut ever: BTreeMap<UserId, Drawn> = BTreeMap::new();
    // Whose draw is recorded does not draw again: the record is read before.
    let mut recorded: BTreeSet<u8> = BTreeSet::new();
    for step in steps {
        match step {
            Step::Draw(_) | Step::DrawTogether(_) => {
                let mut members = match &step {
                    Step::DrawTogether(all) => all.clone(),
                    Step::Draw(n) => vec![*n],
                    _ => Vec::new(),
                };
                members.retain(|n| !recorded.contains(n));
                draw_all(&sandbox, pool, &mut model, &mut ever, &members).await;
            }
            Step::Trim(n) | Step::TrimLater(n) | Step::Release(n) => {
                let member = user(&format!("m{n}"));
                let Some(note) = ever.get(&member).copied() else { continue };
                match step {
                    Step::Release(_) if recorded.contains(&n) => {}
                    Step::Trim(_) => {
                        recorded.insert(n);
                        let notes = BTreeMap::from([(member.clone(), note)]);
                        sandbox.store.trim(pool, &notes).await.unwrap();
                        model.trim(&member, note);
                    }
                    Step::TrimLater(_) => {
                        recorded.insert(n);
                        sandbox.store.trim_later(pool, &member, note);
                    }
                    _ => {
                        sandbox.store.release(pool, &member, note).await.unwrap();
                        model.release(&member, note);
                    }
                }
            }
        }
        let table = head(&sandbox, pool).await;
        assert_eq!(table, model);
    }
    // Draws that were trimmed have no record here, which the audit would rightly miss.
    std::mem::forget(sandbox);
}

async fn draw_all(
    sandbox: &Sandbox,
    pool: PoolId,
    model: &mut Pool,
    ever: &mut BTreeMap<UserId, Drawn>,
    members: &[u8],
) {
    let draws: Vec<Draw> =
        members.iter().map(|n| draw(sandbox, &format!("m{n}"), u64::from(*n))).collect();
    let answers =
        futures::future::join_all(draws.iter().map(|d| sandbox.store.draw(pool, d.clone()))).await;
    let mut won: Vec<(usize, Won)> = Vec::new();
    for (i, answer) in answers.iter().enumerate() {
        if let Ok(Won { drawn, amount }) = answer.as_ref().unwrap() {
            assert_eq!(model.supply.worth(drawn.part), Some(*amount));
            won.push((i, Won { drawn: *drawn, amount: *amount }));
        }
    }
    // In the order of their numbers the draws are draws of the model; released numbers first.
    let order = |part: u64| {
        let free = match &model.supply {
            largesse_domain::pool::Supply::Shares { numbers, .. } => numbers.free.clone(),
            _ => Vec::new(),
        };
        let released = free.iter().position(|f| u64::from(*f) == part);
        (released.unwrap_or(usize::MAX), part)
    };
    won.sort_by_key(|(_, won)| order(won.drawn.part));
    // Notes that the adapter trimmed on the way are trimmed in the model too.
    let table = head(sandbox, pool).await;
    model.pending.retain(|member, _| table.pending.contains_key(member));
    for (i, won) in won {
        assert_eq!(model.draw(&draws[i]), Ok(won.drawn));
        ever.insert(draws[i].member.clone(), won.drawn);
    }
    for (draw, answer) in draws.iter().zip(&answers) {
        match answer.as_ref().unwrap() {
            Ok(_) => {}
            Err(NotWon::Already(won)) => assert_eq!(ever[&draw.member], won.drawn),
            Err(NotWon::Exhausted) => assert_eq!(model.supply.left(), 0),
            Err(NotWon::Crowded) => assert!(!model.keeps_notes()),
            Err(other) => panic!("{other:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_draw_on_the_table_is_a_draw_on_the_domains_pool(
        recipients in prop_oneof![1..48_u64, 49..80_u64], steps in steps(),
    ) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build().unwrap();
        runtime.block_on(walk(recipients, steps));
    }
}

#[tokio::test]
async fn a_repeat_of_the_same_attempt_finds_its_own_note() {
    let sandbox = Sandbox::new(2);
    let pool = spray(&sandbox, 2).await;
    let won = sandbox.store.draw(pool, draw(&sandbox, "m", 7)).await.unwrap().unwrap();
    let again = sandbox.store.draw(pool, draw(&sandbox, "m", 7)).await.unwrap();
    assert_eq!(again, Err(NotWon::Already(won)));
    assert_eq!(won.drawn.attempt, Attempt::from_bits(7));
}

#[tokio::test]
async fn a_draw_outside_the_window_is_refused_whatever_ttl_did() {
    let sandbox = Sandbox::new(3);
    let pool = spray(&sandbox, 2).await;
    let window = head(&sandbox, pool).await.window;
    let at = |at: Timestamp| Draw { at, ..draw(&sandbox, "m", 1) };
    let before = sandbox.store.draw(pool, at(window.opens.minus_ms(1))).await.unwrap();
    assert_eq!(before, Err(NotWon::Ahead));
    let after = sandbox.store.draw(pool, at(window.closes)).await.unwrap();
    assert_eq!(after, Err(NotWon::Over));
    let last = sandbox.store.draw(pool, at(window.closes.minus_ms(1))).await.unwrap();
    assert!(last.is_ok());
}

#[tokio::test]
async fn a_pool_that_is_not_there_says_so() {
    let sandbox = Sandbox::new(4);
    let pool = PoolId::Spray(largesse_domain::id::SprayId(sandbox.id()));
    let answer = sandbox.store.draw(pool, draw(&sandbox, "m", 1)).await.unwrap();
    assert_eq!(answer, Err(NotWon::NoSuchPool));
}

#[tokio::test]
async fn the_crowd_behind_a_drained_pool_costs_no_writes_until_something_is_given_back() {
    let sandbox = Sandbox::new(5);
    let pool = spray(&sandbox, 1).await;
    let won = sandbox.store.draw(pool, draw(&sandbox, "winner", 1)).await.unwrap().unwrap();
    sandbox.world.recorder().reset();
    for n in 0..100 {
        let answer = sandbox.store.draw(pool, draw(&sandbox, &format!("late{n}"), 1)).await;
        assert_eq!(answer.unwrap(), Err(NotWon::Exhausted));
    }
    assert_eq!(sandbox.world.recorder().total().calls, 0);
    sandbox.store.release(pool, &user("winner"), won.drawn).await.unwrap();
    let next = sandbox.store.draw(pool, draw(&sandbox, "next", 1)).await.unwrap().unwrap();
    assert_eq!(next.drawn.part, won.drawn.part);
}

#[tokio::test]
async fn two_processes_never_give_the_same_share() {
    let sandbox = Sandbox::new(6);
    let pool = spray(&sandbox, 30).await;
    let stores = [sandbox.another_process(61), sandbox.another_process(62)];
    let members: Vec<String> = (0..40).map(|n| format!("m{n}")).collect();
    let answers = futures::future::join_all(members.iter().enumerate().map(|(i, member)| {
        let store = stores[i % 2].clone();
        let draw = draw(&sandbox, member, 1);
        async move { store.draw(pool, draw).await.unwrap() }
    }))
    .await;
    let mut parts: Vec<u64> = answers.iter().flatten().map(|won| won.drawn.part).collect();
    parts.sort_unstable();
    assert_eq!(parts, (0..30).collect::<Vec<u64>>());
    let refused = answers.iter().filter(|a| **a == Err(NotWon::Exhausted)).count();
    assert_eq!(refused, 10);
}

/// Sets one attribute of a head behind the adapters' back.
async fn set(sandbox: &Sandbox, pool: PoolId, update: &str, value: u128) {
    use aws_sdk_dynamodb::types::AttributeValue as Av;
    let client = aws_sdk_dynamodb::Client::new(&sandbox.world.sdk_config());
    let request = client.update_item().table_name("largesse-pools").update_expression(update);
    let request = request.key("pk", Av::S(pool.to_string()));
    request.expression_attribute_values(":v", Av::N(value.to_string())).send().await.unwrap();
}

#[tokio::test]
async fn a_part_that_the_pool_does_not_have_is_corrupt_and_never_a_pool_that_is_not_there() {
    let sandbox = Sandbox::new(8);
    let pool = spray(&sandbox, 3).await;
    let now = largesse_app::ports::Clock::now(&*sandbox.store);
    let beyond = Drawn { part: 3, at: now, attempt: Attempt::from_bits(1) };
    set(&sandbox, pool, "SET pending.a = :v", beyond.pack()).await;
    // Drawn before, by this very member; and drawn now, by a counter that is off.
    let before = sandbox.store.draw(pool, draw(&sandbox, "a", 2)).await;
    assert_eq!(before.unwrap_err().kind, PortErrorKind::Corrupt);
    set(&sandbox, pool, "SET taken = :v", 3).await;
    let drawn = sandbox.store.draw(pool, draw(&sandbox, "b", 1)).await;
    assert_eq!(drawn.unwrap_err().kind, PortErrorKind::Corrupt);
    // Such a pool does not add up, which the audit would rightly say.
    std::mem::forget(sandbox);
}

#[tokio::test]
async fn a_trim_is_one_write_whatever_is_gone_and_leaves_a_later_draw_alone() {
    let sandbox = Sandbox::new(9);
    let pool = spray(&sandbox, 60).await;
    let mut notes = BTreeMap::new();
    for name in ["a", "b", "c"] {
        let won = sandbox.store.draw(pool, draw(&sandbox, name, 1)).await.unwrap().unwrap();
        notes.insert(user(name), won.drawn);
    }
    let writes = || {
        let recorder = sandbox.world.recorder();
        recorder.operation(largesse_emulator::Service::DynamoDb, "UpdateItem").calls
    };
    // One is gone.
    sandbox.store.trim(pool, &BTreeMap::from([(user("a"), notes[&user("a")])])).await.unwrap();
    let before = writes();
    sandbox.store.trim(pool, &notes).await.unwrap();
    assert_eq!(writes(), before + 1);
    assert!(head(&sandbox, pool).await.pending.is_empty());
    // One is gone, one is a later draw's, one stands.
    let later = sandbox.store.draw(pool, draw(&sandbox, "b", 2)).await.unwrap().unwrap().drawn;
    let stands = sandbox.store.draw(pool, draw(&sandbox, "d", 1)).await.unwrap().unwrap().drawn;
    notes.insert(user("d"), stands);
    let before = writes();
    sandbox.store.trim(pool, &notes).await.unwrap();
    assert_eq!(writes(), before + 2);
    assert_eq!(head(&sandbox, pool).await.pending, BTreeMap::from([(user("b"), later)]));
    // None of them is left to trim.
    notes.retain(|member, _| *member != user("d"));
    let before = writes();
    sandbox.store.trim(pool, &notes).await.unwrap();
    assert_eq!(writes(), before + 1);
    std::mem::forget(sandbox);
}
