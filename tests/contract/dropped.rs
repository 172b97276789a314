//! A caller that writes for others is dropped in the middle of the shared write.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use largesse_app::ports::{Clock, NotWon, Pools, PortResult, Won};
use largesse_domain::id::PoolId;
use largesse_domain::pool::{Ask, Attempt, Draw};
use largesse_emulator::{Call, Fault, FaultHook, Outcome};
use largesse_tests::{Sandbox, user};
use rstest::rstest;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

/// Whom the dropped caller writes for.
const OTHERS: [&str; 4] = ["a", "b", "c", "d"];

/// Where a write of a head is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    BeforeItsEffect,
    AfterItsEffect,
}

/// Holds every write of a head until it is let through.
struct Gate {
    held: Held,
    arrived: watch::Sender<usize>,
    passes: Semaphore,
}

impl Gate {
    fn new(held: Held) -> Self {
        Self { held, arrived: watch::Sender::new(0), passes: Semaphore::new(0) }
    }

    /// How many writes have come this far.
    fn arrived(&self) -> usize {
        *self.arrived.borrow()
    }

    /// Waits until the `n`-th write is held.
    async fn holds(&self, n: usize) {
        let mut arrived = self.arrived.subscribe();
        let arrived = arrived.wait_for(|count| *count == n);
        let in_time = tokio::time::timeout(Duration::from_secs(60), arrived).await;
        drop(in_time.expect("the write comes").unwrap());
    }

    async fn hold(&self, call: &Call, here: Held) -> Option<Fault> {
        let is_write = call.operation == "UpdateItem" && call.resources == ["largesse-pools"];
        if is_write && here == self.held {
            self.arrived.send_modify(|count| *count += 1);
            self.passes.acquire().await.unwrap().forget();
        }
        None
    }
}

impl FaultHook for Gate {
    fn before<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Option<Fault>> {
        self.hold(call, Held::BeforeItsEffect).boxed()
    }

    fn after<'a>(&'a self, call: &'a Call, _: Outcome) -> BoxFuture<'a, Option<Fault>> {
        self.hold(call, Held::AfterItsEffect).boxed()
    }
}

type Answer = PortResult<Result<Won, NotWon>>;

fn draw(sandbox: &Sandbox, pool: PoolId, member: &str) -> JoinHandle<Answer> {
    let (store, at) = (sandbox.store.clone(), sandbox.store.now());
    let attempt = Attempt::from_bits(member.bytes().map(u64::from).sum());
    let draw = Draw { member: user(member), at, attempt, ask: Ask::Next };
    tokio::spawn(async move { store.draw(pool, draw).await })
}

/// Whose notes the head holds.
async fn noted(sandbox: &Sandbox, pool: PoolId) -> BTreeSet<String> {
    let head = sandbox.store.pool(pool).await.unwrap().unwrap();
    head.pending.keys().map(ToString::to_string).collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

/// The share, which a repeat of a write that took effect finds as its own note.
fn share(answer: Answer, held: Held) -> Won {
    match (held, answer.unwrap()) {
        (Held::BeforeItsEffect, Ok(won)) | (Held::AfterItsEffect, Err(NotWon::Already(won))) => won,
        (held, other) => panic!("{held:?}: {other:?}"),
    }
}

#[rstest]
#[case(Held::BeforeItsEffect)]
#[case(Held::AfterItsEffect)]
#[tokio::test(start_paused = true)]
async fn a_caller_dropped_in_the_middle_of_a_shared_write_takes_nobody_with_it(#[case] held: Held) {
    let sandbox = Sandbox::new(7);
    let room = sandbox.room(&["s"]).await;
    let pool = PoolId::Spray(sandbox.spray(room, "s", 600, 60).await.id);
    let gate = Arc::new(Gate::new(held));
    sandbox.world.set_fault_hook(Some(gate.clone()));
    // While the first write is under way the others gather; the next in turn writes for them all.
    let opener = draw(&sandbox, pool, "opener");
    gate.holds(1).await;
    let writer = draw(&sandbox, pool, "writer");
    let others = OTHERS.map(|name| draw(&sandbox, pool, name));
    tokio::task::yield_now().await;
    gate.passes.add_permits(1);
    let first = opener.await.unwrap().unwrap().unwrap();
    gate.holds(2).await;
    let written = match held {
        Held::BeforeItsEffect => names(&["opener"]),
        Held::AfterItsEffect => names(&[&["opener", "writer"], &OTHERS[..]].concat()),
    };
    assert_eq!(noted(&sandbox, pool).await, written);
    writer.abort();
    assert!(writer.await.unwrap_err().is_cancelled());
    // Those it wrote for ask again, and one of them writes for the rest.
    gate.holds(3).await;
    gate.passes.add_permits(Semaphore::MAX_PERMITS - 1);
    let mut won = vec![first];
    for other in others {
        won.push(share(other.await.unwrap(), held));
    }
    assert_eq!(gate.arrived(), 3, "five draws were one write, and four of them one more");
    // The dropped one's own repeat.
    won.push(share(draw(&sandbox, pool, "writer").await.unwrap(), held));
    let parts: BTreeSet<u64> = won.iter().map(|won| won.drawn.part).collect();
    assert_eq!(parts, (0..6).collect(), "one share each, and none is lost");
    assert_eq!(noted(&sandbox, pool).await.len(), 6);
    let head = sandbox.store.pool(pool).await.unwrap().unwrap();
    assert_eq!(head.supply.left(), 54);
}
