//! Cases that others have reported of drops and products, by their rows in the list of cases, where they
//! need a test of their own. The others stand beside what they are about.

use std::sync::Arc;

use futures::future::{BoxFuture, join_all};
use largesse_app::drop::create::{Create, create};
use largesse_app::drop::enter::{EnterError, Entered, enter};
use largesse_app::ports::Clock;
use largesse_app::product::invest::{InvestError, invest};
use largesse_app::product::settle;
use largesse_domain::drop::{Drop, DropName, Terms};
use largesse_domain::id::DropId;
use largesse_domain::ledger::TransferKind;
use largesse_domain::product::{Limits, Refusal};
use largesse_domain::time::Window;
use largesse_emulator::{Fault, Faults, Matching};
use largesse_tests::kill::kill_at;
use largesse_tests::{Sandbox, user};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::drops::{enter_by, wind_up};
use crate::kill::for_every_await;
use crate::products::{
    Heard, OPEN_MS, SHARDS, interleaved, product, racers, refused_at, remaining, request,
    schedules, target,
};
use crate::rig::{Distance, Kill, Rig};

/// Row D1: drop-enter is killed at any await, and either the stream loses all its records or the queue
/// refuses every second call.
#[tokio::test(start_paused = true)]
async fn with_entries_killed_and_stream_or_queue_failing_each_slot_is_paid_once() {
    for loses_records in [true, false] {
        for_every_await(5, async |k| {
            let rig = Rig::new(1, Kill { keeps_batches: loses_records, ..Kill::default() });
            let drop = rig.sandbox.open_drop(3, 2).await;
            let sends = Matching::operation("SendMessageBatch");
            let queue = Faults::seeded(2).chance(500, sends, Fault::InternalError);
            if !loses_records {
                rig.sandbox.world.set_fault_hook(Some(Arc::new(queue)));
            }
            let killed = rig.sandbox.another_process(7);
            let first = kill_at(k, async {
                for name in ["a", "b", "c", "d"] {
                    enter_by(&killed, &drop, name).await.unwrap();
                }
            });
            let first = first.await;
            let fresh = rig.sandbox.another_process(8);
            for name in ["e", "d", "c", "b", "a"] {
                let heard = enter_by(&fresh, &drop, name).await;
                assert!(matches!(heard, Ok(_) | Err(EnterError::Already { .. })), "{heard:?}");
            }
            rig.pay().await;
            rig.sandbox.world.set_fault_hook(None);
            assert_eq!(wind_up(&rig, &drop).await, 0, "killed at {k}");
            rig.assert_all_paid();
            assert_eq!(rig.transfers(TransferKind::Claim), 3, "killed at {k}");
            first.is_none()
        })
        .await;
    }
}

/// Makes a drop of `f` that opens in ten milliseconds.
async fn upcoming(sandbox: &Sandbox, slots: u64) -> Drop {
    sandbox.deposit("f", slots * 10).await;
    let opens = sandbox.store.now().plus_ms(10);
    let window = Window { opens, closes: opens.plus_ms(600_000) };
    let terms = Terms::new(DropName::new("drop").unwrap(), slots, 10, window, Some(0)).unwrap();
    let request = Create { id: DropId(sandbox.id()), funder: user("f"), terms };
    create(&*sandbox.store, request).await.unwrap().drop
}

#[tokio::test(start_paused = true)]
async fn the_opening_of_a_drop_is_one_moment_for_all_who_wait_for_it() {
    let sandbox = Sandbox::new(2);
    let drop = upcoming(&sandbox, 50).await;
    let stores: Vec<_> = (0..4).map(|n| sandbox.another_process(20 + n)).collect();
    let names: Vec<String> = (0..50).map(|n| format!("m{n}")).collect();
    let all = async || {
        let asked = names.iter().enumerate();
        let asked = asked.map(|(n, name)| enter(&*stores[n % 4], drop.id, user(name)));
        join_all(asked).await
    };
    tokio::time::advance(std::time::Duration::from_millis(9)).await;
    for answer in all().await {
        assert!(matches!(answer, Err(EnterError::NotOpen { opens, now })
            if opens == drop.window.opens && now < opens));
    }
    // It opens while the requests of a new process read the drop.
    sandbox.world.set_fault_hook(Some(Arc::new(Distance::ms(2))));
    let early = enter(&*sandbox.another_process(30), drop.id, user("m0")).await;
    sandbox.world.set_fault_hook(None);
    let Ok(Entered::Won { slot: first, .. }) = early else { panic!("{early:?}") };
    let (mut won, mut already) = (0, 0);
    for answer in all().await {
        match answer {
            Ok(Entered::Won { .. }) => won += 1,
            Err(EnterError::Already { slot }) if slot == first => already += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((won, already), (49, 1));
}

/// Row P1: the minimum is reached; then two investments come that pass the target together.
#[tokio::test(start_paused = true)]
async fn two_investments_that_pass_the_target_together_after_the_minimum_are_one() {
    for shards in SHARDS {
        let (sandbox, stores) = racers(u64::from(shards)).await;
        for (round, schedule) in schedules(2, 6).into_iter().enumerate() {
            let limits = Limits { min_raise: Some(60), ..target(100) };
            let product = product(&sandbox, shards, limits).await;
            invest(&*sandbox.store, request(&sandbox, &product, "first", 60)).await.unwrap();
            let requests = ["m0", "m1"].map(|who| request(&sandbox, &product, who, 30));
            let works = requests.into_iter().zip(&stores).map(|(request, store)| {
                let work: BoxFuture<'_, Heard> = Box::pin(invest(&**store, request));
                work
            });
            let heard = interleaved(&schedule, works.collect()).await;
            let refused: Vec<u64> = heard.iter().filter_map(refused_at).collect();
            assert_eq!(refused, [10], "one of both, by what remains: {heard:?}");
            assert_eq!(remaining(&sandbox, &product).await, 10);
            tokio::time::advance(std::time::Duration::from_millis(OPEN_MS)).await;
            let stop_at = sandbox.store.now().plus_ms(60_000);
            let report = settle::run(&*sandbox.store, stop_at).await.unwrap();
            assert_eq!((report.settled, report.paid_out, report.refunded), (1, 90, 0), "{round}");
        }
    }
}

/// Rows P2, P3: of targets that no number of shards divides, what remains is taken to the last won.
#[tokio::test(start_paused = true)]
async fn the_last_won_of_any_target_is_taken_and_then_it_is_sold_out() {
    let sandbox = Sandbox::new(3);
    sandbox.deposit("a", 1_000_000).await;
    let mut rng = StdRng::seed_from_u64(3);
    for (shards, minor) in [(1, 1), (4, 7), (16, 17), (16, 1_003)] {
        let product = product(&sandbox, shards, target(minor)).await;
        let ask = async |minor: u64| {
            invest(&*sandbox.store, request(&sandbox, &product, "a", minor)).await
        };
        let mut left = minor;
        while left > 1 {
            let some = rng.random_range(1..=left.div_ceil(3).min(left - 1));
            left -= some;
            assert_eq!(ask(some).await.unwrap().remaining, left);
        }
        assert_eq!(refused_at(&ask(2).await), Some(1));
        assert_eq!(ask(1).await.unwrap().remaining, 0);
        let heard = ask(1).await;
        let sold_out = matches!(heard, Err(InvestError::Refused { refusal: Refusal::SoldOut, .. }));
        assert!(sold_out, "{heard:?}");
    }
}
