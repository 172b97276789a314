//! Slots whose payment failed for good, where a service that is not the ledger pays: a member whose
//! slot was passed on is not paid too.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use largesse_app::drop::enter::enter;
use largesse_app::drop::promote::CALLS_END_MS;
use largesse_app::drop::standing::{MemberStanding, member};
use largesse_app::grant::operate::void;
use largesse_app::grant::pay::{Delivery, Outcome, pay};
use largesse_app::ports::{
    GrantMessage, Grants, Money, Payment, PortError, PortResult, Refusal, Reversal, Standing, Void,
};
use largesse_aws::Store;
use largesse_domain::drop::Drop;
use largesse_domain::grant::{FailedGrant, Grant, GrantStatus, RetryPolicy};
use largesse_domain::id::GrantId;
use largesse_tests::kill::{interleave, kill_at};
use largesse_tests::{Sandbox, money, user};
use tokio::sync::Notify;

use crate::kill::for_every_await;
use crate::race::schedules;
use crate::rig::sweep_all;

/// A money service: it refuses until it is told to pay, and may hold the first call.
#[derive(Default)]
struct Bank {
    pays: AtomicBool,
    /// The first call is under way until it is let go, and is then paid.
    holds_first: AtomicBool,
    let_go: Notify,
    paid: Mutex<BTreeSet<GrantId>>,
}

impl Bank {
    fn has_paid(&self, grant: &Grant) -> bool {
        self.paid.lock().unwrap().contains(&grant.id)
    }
}

impl Money for Bank {
    fn must_look_up(&self) -> bool {
        true
    }

    async fn pay(&self, grants: &[Grant]) -> Vec<Payment> {
        let mut payments = Vec::new();
        for grant in grants {
            // The bytes have left.
            tokio::task::yield_now().await;
            let is_held = self.holds_first.swap(false, Ordering::SeqCst);
            if is_held {
                self.let_go.notified().await;
            }
            let pays = is_held || self.pays.load(Ordering::SeqCst);
            payments.push(match pays {
                true if self.paid.lock().unwrap().insert(grant.id) => Payment::Paid,
                true => Payment::AlreadyPaid,
                false => Payment::Refused(Refusal::Service("closed".parse().unwrap())),
            });
        }
        payments
    }

    async fn lookup(&self, grants: &[Grant]) -> PortResult<Vec<Standing>> {
        tokio::task::yield_now().await;
        let standing =
            |grant| if self.has_paid(grant) { Standing::Paid } else { Standing::NotPaid };
        Ok(grants.iter().map(standing).collect())
    }

    async fn reverse(&self, _grant: &Grant) -> PortResult<Reversal> {
        Err(PortError::corrupt("a payment reverses nothing"))
    }
}

/// A drop of one slot, which `a` has, while `w` waits.
struct Scene {
    sandbox: Sandbox,
    drop: Drop,
    grant: Grant,
    bank: Bank,
}

impl Scene {
    async fn new(seed: u64) -> Self {
        let sandbox = Sandbox::new(seed);
        let drop = sandbox.open_drop(1, 1).await;
        for name in ["a", "w"] {
            enter(&*sandbox.store, drop.id, user(name)).await.unwrap();
        }
        let books = money::books(&sandbox.world);
        let grant = books.grants().find(|grant| grant.member == user("a")).unwrap();
        Self { sandbox, drop, grant, bank: Bank::default() }
    }

    /// A worker receives the grant's first message for the `receives`-th time.
    async fn deliver_to(&self, store: &Store, receives: u32) -> Outcome {
        let message = GrantMessage::first(self.grant.clone());
        let delivery = Delivery { message, receives };
        pay(&self.bank, store, &[&delivery], RetryPolicy::default()).await.remove(0)
    }

    async fn deliver(&self, receives: u32) -> Outcome {
        self.deliver_to(&self.sandbox.store, receives).await
    }

    /// The service refuses the grant four times, so it is given up.
    async fn give_up(&self, first_receive: u32) {
        for receives in first_receive..first_receive + 3 {
            let outcome = self.deliver(receives).await;
            assert!(matches!(outcome, Outcome::Retry { .. }), "{outcome:?}");
            tokio::time::advance(Duration::from_secs(3)).await;
        }
        let outcome = self.deliver(first_receive + 3).await;
        let waits_ms = match outcome {
            Outcome::Later { retry_after_ms, .. } => retry_after_ms,
            other => panic!("{other:?}"),
        };
        assert_eq!(waits_ms, Some(CALLS_END_MS), "the slot is not passed on yet");
    }

    async fn failed(&self) -> Option<FailedGrant> {
        self.sandbox.store.failed_grant(self.grant.source, &self.grant.member).await.unwrap()
    }

    async fn is_passed_on(&self) -> bool {
        let standing = member(&*self.sandbox.store, self.drop.id, &user("w")).await.unwrap();
        matches!(standing, Some(MemberStanding::Won { .. }))
    }
}

async fn pass_ms(ms: u64) {
    tokio::time::advance(Duration::from_millis(ms)).await;
}

/// The worker that gave the grant up was killed, the service would pay by now, and the message comes back
/// while the sweep runs.
#[tokio::test(start_paused = true)]
async fn a_message_that_comes_back_while_the_sweep_passes_its_slot_on_is_not_sent() {
    for schedule in schedules().into_iter().step_by(8) {
        let scene = Scene::new(1).await;
        scene.give_up(1).await;
        pass_ms(2 * CALLS_END_MS).await;
        scene.bank.pays.store(true, Ordering::SeqCst);
        let (worker, sweeper) =
            (scene.sandbox.another_process(7), scene.sandbox.another_process(8));
        let delivery = scene.deliver_to(&worker, 5);
        let (outcome, swept) = interleave(&schedule, delivery, sweep_all(&sweeper)).await;
        assert_eq!(swept.unwrap().failed, 0);
        assert!(!matches!(outcome, Outcome::Paid), "{outcome:?}");
        assert!(!scene.bank.has_paid(&scene.grant) && scene.is_passed_on().await, "{schedule:?}");
    }
}

/// The queue hands the message to a second worker while the call of the first is under way.
#[tokio::test(start_paused = true)]
async fn a_call_that_was_under_way_when_its_grant_was_given_up_keeps_the_slot() {
    let scene = Scene::new(2).await;
    scene.bank.holds_first.store(true, Ordering::SeqCst);
    let slow = scene.sandbox.another_process(7);
    let mut first = std::pin::pin!(scene.deliver_to(&slow, 1));
    while scene.bank.holds_first.load(Ordering::SeqCst) {
        assert!(futures::poll!(&mut first).is_pending());
        tokio::task::yield_now().await;
    }
    scene.give_up(2).await;
    // Neither the sweep nor a redelivery passes the slot on while the call may be under way.
    pass_ms(CALLS_END_MS - 1).await;
    sweep_all(&scene.sandbox.another_process(8)).await.unwrap();
    let early = scene.deliver(6).await;
    assert!(matches!(early, Outcome::Later { retry_after_ms: Some(1), .. }), "{early:?}");
    assert!(!scene.is_passed_on().await);
    scene.bank.let_go.notify_one();
    assert!(matches!(first.await, Outcome::Paid));
    // The redelivery finds out that it is paid before the sweep acts.
    pass_ms(1).await;
    assert!(matches!(scene.deliver(7).await, Outcome::Paid));
    assert_eq!(scene.failed().await, None);
    pass_ms(10 * CALLS_END_MS).await;
    sweep_all(&scene.sandbox.another_process(9)).await.unwrap();
    assert!(scene.bank.has_paid(&scene.grant) && !scene.is_passed_on().await);
}

/// The stream delivers the draw again, minutes later: the message is a first one.
#[tokio::test(start_paused = true)]
async fn what_was_voided_or_given_up_is_not_sent_by_a_message_that_comes_late() {
    let scene = Scene::new(3).await;
    scene.give_up(1).await;
    pass_ms(CALLS_END_MS).await;
    scene.bank.pays.store(true, Ordering::SeqCst);
    assert!(matches!(scene.deliver(5).await, Outcome::PassedOn));
    assert!(matches!(scene.deliver(1).await, Outcome::Voided));
    assert!(!scene.bank.has_paid(&scene.grant) && scene.is_passed_on().await);
    // The same of a share.
    let sandbox = Sandbox::new(4);
    let room = sandbox.room(&["s", "a"]).await;
    let spray = sandbox.spray(room, "s", 30, 3).await;
    crate::client::claim_by(&sandbox.store, room, &spray, "a").await.unwrap();
    let grant = money::books(&sandbox.world).grants().next().unwrap();
    let scene = Scene { sandbox, drop: scene.drop, grant, bank: Bank::default() };
    for receives in 1..=4 {
        scene.deliver(receives).await;
    }
    let given_up = scene.failed().await.unwrap();
    assert_eq!(given_up.status, GrantStatus::PermanentlyFailed);
    scene.bank.pays.store(true, Ordering::SeqCst);
    assert!(matches!(scene.deliver(1).await, Outcome::GivenUp));
    assert_eq!(void(&*scene.sandbox.store, &given_up).await.unwrap(), Void::Voided);
    assert!(matches!(scene.deliver(1).await, Outcome::Voided));
    assert!(!scene.bank.has_paid(&scene.grant));
    pass_ms(700_000).await;
    crate::rig::refund_all(&scene.sandbox.store).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_worker_killed_at_any_await_after_the_last_refusal_leaves_the_slot_to_one_member() {
    for_every_await(6, async |k| {
        let scene = Scene::new(5).await;
        for receives in 1..=3 {
            scene.deliver(receives).await;
        }
        let killed = scene.sandbox.another_process(7);
        let last = kill_at(k, scene.deliver_to(&killed, 4)).await;
        scene.bank.pays.store(true, Ordering::SeqCst);
        for receives in 5..=8 {
            pass_ms(CALLS_END_MS).await;
            scene.deliver(receives).await;
            sweep_all(&scene.sandbox.another_process(8)).await.unwrap();
        }
        let (paid, passed_on) = (scene.bank.has_paid(&scene.grant), scene.is_passed_on().await);
        assert!(paid != passed_on, "killed at {k}: {paid} and {passed_on}");
        last.is_none()
    })
    .await;
}
