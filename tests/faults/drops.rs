//! Drops whose processes are killed at every await, and whose every reply is lost: no member has two
//! slots, no slot has two owners, no slot is lost, and money is conserved.

use std::time::Duration;

use largesse_app::drop::close;
use largesse_app::drop::create::{Create, create};
use largesse_app::drop::enter::{EnterError, Entered, enter};
use largesse_app::drop::standing::{MemberStanding, member};
use largesse_app::ports::{Clock, DropReads};
use largesse_aws::Store;
use largesse_domain::drop::Drop;
use largesse_domain::grant::GrantStatus;
use largesse_domain::id::DropId;
use largesse_domain::ledger::TransferKind;
use largesse_domain::money::BALANCE_MAX;
use largesse_tests::kill::kill_at;
use largesse_tests::{money, user};

use crate::kill::for_every_await;
use crate::lost::{LOSING, for_every_call};
use crate::rig::{Kill, Rig, Strike, sweep_all};

/// The slot that a member has, won now or before; `None` for a place on the list.
fn slot(entered: &Result<Entered, EnterError>) -> Option<u64> {
    match entered {
        Ok(Entered::Won { slot, .. }) | Err(EnterError::Already { slot }) => Some(*slot),
        Ok(Entered::Waiting { .. } | Entered::Registered) => None,
        Err(error) => panic!("{error:?}"),
    }
}

pub(crate) async fn enter_by(
    store: &Store,
    drop: &Drop,
    name: &str,
) -> Result<Entered, EnterError> {
    enter(store, drop.id, user(name)).await
}

/// The window passes, everything is swept and paid, and the drop is closed. Gives what its funder has.
pub(crate) async fn wind_up(rig: &Rig, drop: &Drop) -> u64 {
    tokio::time::advance(Duration::from_secs(700)).await;
    let store = rig.sandbox.another_process(99);
    for _ in 0..3 {
        sweep_all(&store).await.unwrap();
        rig.pay().await;
        tokio::time::advance(Duration::from_secs(400)).await;
    }
    let report = close::run(&*store, store.now().plus_ms(300_000)).await.unwrap();
    assert_eq!((report.failed, report.wallet_full), (0, 0));
    assert!(store.drop_record(drop.id).await.unwrap().unwrap().refund.is_some());
    let totals = money::assert_conserved(&rig.sandbox.world);
    let unpaid = money::books(&rig.sandbox.world).unpaid();
    let owed: u64 = unpaid.iter().map(|grant| grant.amount.get()).sum();
    assert_eq!(totals.escrows, owed);
    rig.balance("f")
}

#[tokio::test(start_paused = true)]
async fn an_entry_killed_at_any_await_and_sent_again_has_one_slot() {
    // Of one bucket, and of four; then with no slot left for the second member.
    for slots in [3, 60, 1] {
        for_every_await(2, async |k| {
            let rig = Rig::new(1, Kill::default());
            let drop = rig.sandbox.open_drop(slots, 1).await;
            let killed = rig.sandbox.another_process(7);
            let first = kill_at(k, async {
                (enter_by(&killed, &drop, "a").await, enter_by(&killed, &drop, "b").await)
            });
            let first = first.await;
            let fresh = rig.sandbox.another_process(8);
            let b = slot(&enter_by(&fresh, &drop, "b").await);
            let a = slot(&enter_by(&fresh, &drop, "a").await);
            let has_one = first.is_none() && slots == 1;
            assert!(a != b && (has_one || a.is_some()), "{a:?} {b:?}");
            if let Some((heard_a, heard_b)) = &first {
                assert_eq!((slot(heard_a), slot(heard_b)), (a, b));
            }
            let winners = [a, b].iter().flatten().count() as u64;
            assert_eq!(winners, slots.min(2));
            assert_eq!(wind_up(&rig, &drop).await, (slots - winners) * 10);
            assert_eq!(rig.balance("a") + rig.balance("b"), winners * 10);
            first.is_none()
        })
        .await;
    }
}

/// Two slots: `a` has the first, whose wallet is full, and `z` the second. `w` and `x` wait in this
/// order.
async fn failing(rig: &Rig) -> Drop {
    let drop = rig.sandbox.open_drop(2, 2).await;
    rig.sandbox.deposit("a", 1).await;
    rig.sandbox.overwrite_balance("a", BALANCE_MAX).await;
    for name in ["a", "z", "w", "x"] {
        enter_by(&rig.sandbox.store, &drop, name).await.unwrap();
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    drop
}

/// The slot has gone to `w`, who is paid; `x` still waits.
async fn assert_passed_on(rig: &Rig, drop: &Drop) {
    rig.sandbox.overwrite_balance("a", 1).await;
    let store = &*rig.sandbox.store;
    let standing = async |name: &str| member(store, drop.id, &user(name)).await.unwrap().unwrap();
    assert_eq!(standing("a").await, MemberStanding::Lost);
    let paid = MemberStanding::Won { slot: 1, payment: GrantStatus::Success };
    assert_eq!(standing("w").await, paid);
    assert_eq!(standing("x").await, MemberStanding::Waiting { position: 1 });
    assert_eq!((rig.balance("w"), rig.transfers(TransferKind::Claim)), (10, 2));
    assert_eq!(wind_up(rig, drop).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_promotion_that_is_killed_at_any_step_loses_no_slot() {
    // The fourth refusal is the last: that run gives the grant up and passes the slot on.
    for_every_await(8, async |k| {
        let strike = Some(Strike { run: 4, at: k });
        let rig = Rig::new(2, Kill { grant_pay: strike, ..Kill::default() });
        let drop = failing(&rig).await;
        rig.pay().await;
        assert_passed_on(&rig, &drop).await;
        rig.was_struck()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_sweep_that_is_killed_while_it_passes_a_slot_on_loses_none() {
    for_every_await(8, async |k| {
        let rig = Rig::new(3, Kill::default());
        let drop = rig.sandbox.open_drop(2, 2).await;
        rig.sandbox.deposit("a", 1).await;
        rig.sandbox.overwrite_balance("a", BALANCE_MAX).await;
        for name in ["a", "z"] {
            enter_by(&rig.sandbox.store, &drop, name).await.unwrap();
        }
        // Nobody waits when it is given up.
        rig.pay().await;
        for name in ["w", "x"] {
            enter_by(&rig.sandbox.store, &drop, name).await.unwrap();
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        tokio::time::advance(Duration::from_secs(121)).await;
        let killed = rig.sandbox.another_process(7);
        let first = kill_at(k, sweep_all(&killed)).await;
        sweep_all(&rig.sandbox.another_process(8)).await.unwrap();
        rig.pay().await;
        assert_passed_on(&rig, &drop).await;
        first.is_none()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_close_that_is_killed_at_any_step_returns_the_remainder_once() {
    for_every_await(5, async |k| {
        let rig = Rig::new(4, Kill::default());
        let drop = rig.sandbox.open_drop(60, 0).await;
        enter_by(&rig.sandbox.store, &drop, "a").await.unwrap();
        tokio::time::advance(Duration::from_secs(700)).await;
        let killed = rig.sandbox.another_process(7);
        let stop_at = killed.now().plus_ms(300_000);
        let first = kill_at(k, close::run(&*killed, stop_at)).await;
        let next = close::run(&*rig.sandbox.another_process(8), stop_at).await.unwrap();
        assert_eq!((next.failed, next.has_more), (0, false));
        assert_eq!(rig.balance("f"), 590, "killed at {k}");
        assert_eq!(wind_up(&rig, &drop).await, 590);
        assert_eq!(rig.transfers(TransferKind::Refund), 1);
        first.is_none()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_creation_of_a_drop_killed_at_any_await_makes_one_or_none() {
    for is_repeated in [true, false] {
        for_every_await(5, async |k| {
            let rig = Rig::new(5, Kill::default());
            rig.sandbox.deposit("f", 1_000).await;
            let terms = rig.sandbox.drop_terms(60, 20);
            let request = Create { id: DropId(rig.sandbox.id()), funder: user("f"), terms };
            let killed = rig.sandbox.another_process(7);
            let first = kill_at(k, create(&*killed, request.clone())).await;
            let mut drops = usize::from(rig.balance("f") == 400);
            if is_repeated {
                let fresh = rig.sandbox.another_process(8);
                let made = create(&*fresh, request).await.unwrap().drop;
                slot(&enter_by(&fresh, &made, "a").await).unwrap();
                drops = 1;
            }
            assert_eq!(rig.balance("f"), 1_000 - 600 * drops as u64);
            assert_eq!(rig.transfers(TransferKind::Drop), drops);
            rig.pay().await;
            money::assert_conserved(&rig.sandbox.world);
            first.is_none()
        })
        .await;
    }
}

/// Enters until there is an answer.
async fn insist(rig: &Rig, drop: DropId, name: &str) -> Option<u64> {
    for _ in 0..8 {
        match enter(&*rig.sandbox.store, drop, user(name)).await {
            Err(EnterError::Port(_)) => tokio::time::advance(Duration::from_secs(20)).await,
            answer => return slot(&answer),
        }
    }
    panic!("{name}: no answer");
}

/// What each member heard.
type Heard = std::cell::RefCell<Vec<Option<u64>>>;

/// Two slots, two winners, of whom one fails, and two who wait; then the drop is closed.
async fn play(rig: &Rig, (request, heard): &(Create, Heard)) {
    let mut made = None;
    for _ in 0..8 {
        made = create(&*rig.sandbox.store, request.clone()).await.ok();
        if made.is_some() {
            break;
        }
    }
    let drop = made.expect("a drop").drop;
    for name in ["a", "b", "w", "x"] {
        let first = insist(rig, drop.id, name).await;
        assert_eq!(insist(rig, drop.id, name).await, first, "{name}");
        heard.borrow_mut().push(first);
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    rig.pay().await;
    // What a lost reply has left undone, the sweep does.
    tokio::time::advance(Duration::from_secs(400)).await;
    for _ in 0..3 {
        if sweep_all(&rig.sandbox.store).await.is_ok_and(|swept| swept.failed == 0) {
            break;
        }
    }
    rig.pay().await;
}

async fn check(rig: &Rig, (request, heard): (Create, Heard)) {
    let [a, b, w, x] = heard.into_inner()[..] else { panic!("four members") };
    let mut won = [a, b].map(Option::unwrap);
    won.sort_unstable();
    assert_eq!((won, w, x), ([1, 2], None, None));
    rig.sandbox.overwrite_balance("a", 1).await;
    assert_eq!(["b", "w", "x"].map(|name| rig.balance(name)), [10, 10, 0]);
    let store = rig.sandbox.another_process(9);
    let drop = store.drop_record(request.id).await.unwrap().unwrap().drop;
    let passed = member(&*store, drop.id, &user("w")).await.unwrap().unwrap();
    let slot = a.unwrap();
    assert_eq!(passed, MemberStanding::Won { slot, payment: GrantStatus::Success });
    assert_eq!(wind_up(rig, &drop).await, 980);
    assert_eq!(rig.transfers(TransferKind::Drop), 1);
}

/// Row D5: a member whose answer is lost asks again and has the same slot.
#[tokio::test(start_paused = true)]
async fn a_drop_survives_the_loss_of_any_reply() {
    for plan in LOSING {
        for_every_call(
            plan,
            20,
            async |rig| {
                rig.sandbox.deposit("f", 1_000).await;
                rig.sandbox.deposit("a", 1).await;
                rig.sandbox.overwrite_balance("a", BALANCE_MAX).await;
                let terms = rig.sandbox.drop_terms(2, 2);
                let id = DropId(rig.sandbox.id());
                (Create { id, funder: user("f"), terms }, Heard::default())
            },
            async |rig, scene| play(rig, scene).await,
            async |rig, scene| check(rig, scene).await,
        )
        .await;
    }
}
