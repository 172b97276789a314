//! Guessing tokens, over many processes: what is answered, and what is not.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use largesse_app::budget::miss::{MissLimits, Misses};
use largesse_app::budget::{Scope, UsedUp};
use largesse_app::ports::Clock;
use largesse_app::spray::claim::{Claim, ClaimError, claim};
use largesse_app::spray::read::{ReadError, by_token};
use largesse_aws::Store;
use largesse_domain::id::{RoomId, TOKEN_COUNT, Token};
use largesse_domain::money::Amount;
use largesse_domain::spray::Spray;
use largesse_emulator::{Fault, Faults, Matching, Service};
use largesse_tests::{Sandbox, user};

const PROCESSES: u64 = 16;
const EDGE: &str = "largesse-edge";

fn misses(member: u32, room: u32, owner: u32) -> Misses {
    Misses { owner: "o".to_owned(), limits: MissLimits { member, room, owner } }
}

fn processes(sandbox: &Sandbox) -> Vec<Arc<Store>> {
    (0..PROCESSES).map(|n| sandbox.another_process(200 + n)).collect()
}

/// Tokens that no spray carries.
fn unused(spray: &Spray) -> impl Iterator<Item = Token> {
    let used = spray.token;
    (0..TOKEN_COUNT).map(Token::from_index).filter(move |token| *token != used)
}

async fn try_token(
    store: &Store,
    room: RoomId,
    member: &str,
    token: Token,
    misses: &Misses,
) -> Result<Amount, ClaimError> {
    claim(store, &Claim { room, token, member: user(member), misses: misses.clone() }).await
}

fn used_up(answer: &Result<Amount, ClaimError>) -> Option<UsedUp> {
    match answer {
        Err(ClaimError::TooManyMisses(used_up)) => Some(*used_up),
        _ => None,
    }
}

/// A room with a spray by ann, and the others in it.
async fn scene(seed: u64, others: &[&str]) -> (Sandbox, RoomId, Spray) {
    let sandbox = Sandbox::new(seed);
    let members: Vec<&str> = ["ann"].into_iter().chain(others.iter().copied()).collect();
    let room = sandbox.room(&members).await;
    let spray = sandbox.spray(room, "ann", 100, 10).await;
    // No process remembers who is in the room.
    tokio::time::advance(Duration::from_secs(2)).await;
    (sandbox, room, spray)
}

#[tokio::test(start_paused = true)]
async fn sixteen_processes_answer_no_more_misses_than_the_budget() {
    let (sandbox, room, spray) = scene(1, &["eve"]).await;
    let (processes, misses) = (processes(&sandbox), misses(20, 200, 2_000));
    let tries = unused(&spray).take(320).zip(processes.iter().cycle());
    let tries = tries.map(|(token, store)| try_token(store, room, "eve", token, &misses));
    let answers = join_all(tries).await;
    let missed = answers.iter().filter(|a| matches!(a, Err(ClaimError::NoSuchToken))).count();
    let refused = answers.iter().filter_map(used_up).count();
    assert_eq!((missed, refused), (20, 300));
}

#[tokio::test(start_paused = true)]
async fn a_member_who_guessed_too_often_is_refused_a_valid_token_by_every_process() {
    let (sandbox, room, spray) = scene(2, &["eve", "bob"]).await;
    let (processes, misses) = (processes(&sandbox), misses(20, 200, 2_000));
    for (token, store) in unused(&spray).take(20).zip(processes.iter().cycle()) {
        let missed = try_token(store, room, "eve", token, &misses).await;
        assert!(matches!(missed, Err(ClaimError::NoSuchToken)));
    }
    for store in &processes {
        let refused = try_token(store, room, "eve", spray.token, &misses).await;
        let used_up = used_up(&refused).unwrap();
        assert_eq!((used_up.scope, used_up.max), (Scope::Member, 20));
        // To read it is to guess it too.
        let (room, eve) = (Some(room), user("eve"));
        let read = by_token(&**store, spray.token, room, &eve, &misses).await;
        assert!(matches!(read, Err(ReadError::TooManyMisses(_))));
    }
    // Another member of the same room is not affected.
    try_token(&processes[0], room, "bob", spray.token, &misses).await.unwrap();
    // The window's last millisecond, and the next one's first.
    let wait_ms = largesse_domain::budget::window_at(sandbox.store.now())
        .closes
        .ms_since(sandbox.store.now());
    tokio::time::advance(Duration::from_millis(wait_ms - 1)).await;
    assert!(used_up(&try_token(&processes[1], room, "eve", spray.token, &misses).await).is_some());
    tokio::time::advance(Duration::from_millis(1)).await;
    try_token(&processes[1], room, "eve", spray.token, &misses).await.unwrap();
}

/// Docs/limits.md: a process that does not know that a member is barred answers what it remembers,
/// until the first guess that it does not.
#[tokio::test(start_paused = true)]
async fn a_process_learns_that_a_member_is_barred_from_the_first_token_it_does_not_remember() {
    let (sandbox, room, spray) = scene(3, &["eve", "bob"]).await;
    let (processes, misses) = (processes(&sandbox), misses(1, 200, 2_000));
    let [here, there] = [&processes[0], &processes[1]];
    // The other process remembers the spray from bob's claim.
    try_token(there, room, "bob", spray.token, &misses).await.unwrap();
    let wrong: Vec<Token> = unused(&spray).take(2).collect();
    try_token(here, room, "eve", wrong[0], &misses).await.unwrap_err();
    assert!(used_up(&try_token(there, room, "eve", wrong[1], &misses).await).is_some());
    assert!(used_up(&try_token(there, room, "eve", spray.token, &misses).await).is_some());
}

#[tokio::test(start_paused = true)]
async fn the_budget_of_a_room_or_an_owner_bars_its_members_from_tokens_and_no_others() {
    for (limits, scope) in [(misses(20, 2, 2_000), Scope::Room), (misses(20, 200, 2), Scope::Owner)]
    {
        let (sandbox, room, spray) = scene(4, &["eve", "fay", "bob"]).await;
        let elsewhere = sandbox.room(&["ann", "gus"]).await;
        let other = sandbox.spray(elsewhere, "ann", 100, 10).await;
        let store = sandbox.another_process(5);
        let wrong: Vec<Token> = unused(&spray).filter(|t| *t != other.token).take(2).collect();
        for (member, token) in ["eve", "fay"].into_iter().zip(wrong) {
            let missed = try_token(&store, room, member, token, &limits).await;
            assert!(matches!(missed, Err(ClaimError::NoSuchToken)));
        }
        let store = sandbox.another_process(6);
        let barred = try_token(&store, room, "bob", spray.token, &limits).await;
        assert_eq!(used_up(&barred).unwrap().scope, scope);
        // A member of another room; under another owner.
        let gus = try_token(&store, elsewhere, "gus", other.token, &limits).await;
        assert_eq!(gus.is_ok(), scope == Scope::Room);
        let others = Misses { owner: "p".to_owned(), ..limits.clone() };
        let gus = try_token(&store, elsewhere, "gus", other.token, &others).await;
        assert!(matches!(gus, Ok(_) | Err(ClaimError::Already { .. })));
        // To those who are not in the room, its budget says nothing.
        let outsider = try_token(&store, room, "gus", spray.token, &others).await;
        assert!(matches!(outsider, Err(ClaimError::NotAMember)));
    }
}

/// An attack on a room does not keep its members from the sprays that they claim now.
#[tokio::test(start_paused = true)]
async fn a_spray_that_a_process_remembers_is_claimed_while_the_rooms_budget_is_used_up() {
    let (sandbox, room, spray) = scene(7, &["eve", "bob", "fay"]).await;
    let (store, limits) = (sandbox.another_process(8), misses(20, 1, 2_000));
    try_token(&store, room, "bob", spray.token, &limits).await.unwrap();
    let wrong = unused(&spray).next().unwrap();
    try_token(&store, room, "eve", wrong, &limits).await.unwrap_err();
    try_token(&store, room, "fay", spray.token, &limits).await.unwrap();
    let cold = sandbox.another_process(9);
    assert!(used_up(&try_token(&cold, room, "eve", spray.token, &limits).await).is_some());
}

#[tokio::test(start_paused = true)]
async fn one_member_uses_no_more_of_the_rooms_budget_than_of_the_members() {
    let (sandbox, room, spray) = scene(10, &["eve", "bob"]).await;
    let (processes, limits) = (processes(&sandbox), misses(5, 20, 2_000));
    let tries = unused(&spray).take(160).zip(processes.iter().cycle());
    let tries = tries.map(|(token, store)| try_token(store, room, "eve", token, &limits));
    join_all(tries).await;
    let cold = sandbox.another_process(11);
    try_token(&cold, room, "bob", spray.token, &limits).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_hits_writes_no_budget() {
    let (sandbox, room, spray) = scene(12, &["bob"]).await;
    let (store, limits) = (sandbox.another_process(13), misses(20, 200, 2_000));
    let recorder = sandbox.world.recorder();
    recorder.measure_units(true);
    recorder.reset();
    try_token(&store, room, "bob", spray.token, &limits).await.unwrap();
    let edge = recorder.table(EDGE);
    // Three budgets in one read, side by side with token and member.
    assert_eq!((edge.calls, edge.write, edge.read), (1, 0.0, 3.0));
    assert_eq!(recorder.operation(Service::DynamoDb, "UpdateItem").calls, 1);
    // The token is remembered: nothing of a budget is read.
    try_token(&store, room, "bob", spray.token, &limits).await.unwrap_err();
    assert_eq!(recorder.table(EDGE).calls, 1);
    // Within a second, room and owner are remembered: a claim of another token reads the member's.
    let next = sandbox.spray(room, "ann", 100, 10).await;
    recorder.reset();
    try_token(&store, room, "bob", next.token, &limits).await.unwrap();
    assert_eq!((recorder.table(EDGE).calls, recorder.table(EDGE).read), (1, 1.0));
}

/// The figure of docs/limits.md.
#[tokio::test(start_paused = true)]
async fn a_miss_costs_three_write_units() {
    let (sandbox, room, spray) = scene(20, &["bob"]).await;
    let (store, limits) = (sandbox.another_process(21), misses(1, 200, 2_000));
    let recorder = sandbox.world.recorder();
    recorder.measure_units(true);
    recorder.reset();
    let wrong: Vec<Token> = unused(&spray).take(2).collect();
    try_token(&store, room, "bob", wrong[0], &limits).await.unwrap_err();
    let edge = recorder.table(EDGE);
    assert_eq!((edge.calls, edge.write, edge.read), (4, 3.0, 3.0));
    // Who goes on is refused by what this process remembers: nothing is read or written.
    recorder.reset();
    assert!(used_up(&try_token(&store, room, "bob", wrong[1], &limits).await).is_some());
    assert_eq!(recorder.total().calls, 0);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_is_not_in_the_room_guesses_nothing_and_uses_no_budget() {
    let (sandbox, room, spray) = scene(14, &["eve"]).await;
    let (store, limits) = (sandbox.another_process(15), misses(1, 1, 1));
    for token in unused(&spray).take(3).chain([spray.token]) {
        let outside = try_token(&store, room, "zoe", token, &limits).await;
        assert!(matches!(outside, Err(ClaimError::NotAMember)));
    }
    assert_eq!(sandbox.world.recorder().operation(Service::DynamoDb, "UpdateItem").calls, 0);
    try_token(&store, room, "eve", spray.token, &limits).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_token_of_another_room_is_a_miss_in_a_process_that_remembers_it_too() {
    let (sandbox, room, spray) = scene(16, &["bob"]).await;
    let elsewhere = sandbox.room(&["ann", "bob"]).await;
    let (store, limits) = (sandbox.another_process(17), misses(2, 200, 2_000));
    try_token(&store, room, "bob", spray.token, &limits).await.unwrap();
    for _ in 0..2 {
        let missed = try_token(&store, elsewhere, "bob", spray.token, &limits).await;
        assert!(matches!(missed, Err(ClaimError::NoSuchToken)));
    }
    assert!(used_up(&try_token(&store, elsewhere, "bob", spray.token, &limits).await).is_some());
}

/// Without the budgets a guess is not answered: else a guesser would wait for such a time.
#[tokio::test(start_paused = true)]
async fn a_budget_that_cannot_be_read_or_written_answers_no_guess() {
    let (sandbox, room, spray) = scene(18, &["bob"]).await;
    let limits = misses(20, 200, 2_000);
    let down = |operation: &str| {
        let on = Matching::operation(operation).on(EDGE);
        let faults = Faults::seeded(0).always(on, Fault::InternalError);
        sandbox.world.set_fault_hook(Some(Arc::new(faults)));
    };
    let store = sandbox.another_process(19);
    down("BatchGetItem");
    let hit = try_token(&store, room, "bob", spray.token, &limits).await;
    assert!(matches!(hit, Err(ClaimError::Port(_))));
    down("UpdateItem");
    let wrong = unused(&spray).next().unwrap();
    let missed = try_token(&store, room, "bob", wrong, &limits).await;
    assert!(matches!(missed, Err(ClaimError::Port(_))));
    sandbox.world.set_fault_hook(None);
    try_token(&store, room, "bob", spray.token, &limits).await.unwrap();
}
