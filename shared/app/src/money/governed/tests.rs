//! The decorator over ports in memory: rules are the domain's own, time is virtual.

mod scene;

use std::sync::atomic::Ordering;
use std::time::Duration;

use largesse_domain::breaker::Breaker;
use largesse_domain::rate::{Moment, Tolerance};

use self::scene::*;
use super::*;
use crate::invocation;
use crate::ports::{PortErrorKind, Refusal};

#[tokio::test(start_paused = true)]
async fn each_grant_is_one_call_at_the_moment_of_its_permit() {
    let scene = scene(10, 1);
    let paid = scene.workers[0].pay(&grants(5)).await;
    assert_eq!(letters(&paid), "PPPPP");
    // The first lies the lead ahead; then one every 102 ms. At 10 calls a second a block holds two.
    assert_eq!(*scene.bank.calls.lock().unwrap(), [25, 127, 229, 331, 433]);
    assert_eq!(scene.memory.state(|state| state.leases), 3);
}

#[tokio::test(start_paused = true)]
async fn the_grants_of_one_call_share_one_lease_and_no_permit_is_leased_for_nobody() {
    let scene = scene(1_000, 1);
    let worker = &scene.workers[0];
    let begin = Moment::of(scene.memory.now()).plus_ms(25);
    assert_eq!(letters(&worker.pay(&grants(100)).await), "P".repeat(100));
    let (leases, rate) = scene.memory.state(|state| (state.leases, state.rate.unwrap()));
    assert_eq!((leases, rate.tat.0), (1, begin.0 + rate.rate.span_ns(100)));
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_would_wait_beyond_the_deadline_is_not_now() {
    let scene = scene(10, 2);
    let (worker, grants) = (&scene.workers[0], grants(10));
    let paid = within(&scene.memory, 300, worker.pay(&grants)).await;
    assert_eq!(letters(&paid), "PPPNNNNNNN");
    assert!(scene.memory.now().ms() - BEGINS_MS <= 300);
    // The fourth permit is 331 ms after the beginning.
    assert!((31..=331).contains(&retry_after_ms(&paid[9]).unwrap()), "{paid:?}");
    // The refused ones have leased nothing: the next worker begins right there.
    let leases = scene.memory.state(|state| state.leases);
    assert_eq!(letters(&scene.workers[1].pay(&grants[..1]).await), "P");
    assert!(scene.bank.calls.lock().unwrap()[3] <= 331);
    // Too little time for any permit: not even a write.
    let late = within(&scene.memory, 10, worker.pay(&grants)).await;
    assert_eq!(letters(&late), "NNNNNNNNNN");
    assert_eq!(scene.memory.state(|state| state.leases), leases + 1);
}

/// Two tasks of one process share its block. The one whose limit is nearer leaves the permits behind
/// the limit to the other, and its calls go on until the deadline.
#[tokio::test(start_paused = true)]
async fn a_permit_behind_the_limit_is_not_taken_and_is_left_to_others() {
    let scene = scene(100, 1);
    let (worker, memory) = (&scene.workers[0], &scene.memory);
    let (ours, theirs) = (grants(10), grants(10));
    let limit = memory.now().plus_ms(100);
    let near = invocation::permits_before(limit, worker.pay(&ours));
    let both = async { futures::join!(near, worker.pay(&theirs)) };
    let (near, far) = within(memory, 10_000, both).await;
    let near = letters(&near);
    assert!(near.starts_with('P') && near.ends_with('N'), "{near}");
    assert_eq!(letters(&far), "P".repeat(10));
    // One permit after the other, 10.2 ms apart: none was lost.
    let calls = scene.bank.calls.lock().unwrap().clone();
    assert!(calls.windows(2).all(|pair| pair[1] - pair[0] <= 11), "{calls:?}");
    let before = calls.iter().filter(|at| **at <= 100).count();
    assert!(near.matches('P').count() <= before, "{near}: {calls:?}");
}

/// A limit that is near makes the lease no larger than what lies before it.
#[tokio::test(start_paused = true)]
async fn a_limit_ends_the_lease_and_what_would_wait_beyond_it_is_not_now() {
    let scene = scene(10, 2);
    let limit = scene.memory.now().plus_ms(300);
    let all = grants(10);
    let paid = within(&scene.memory, 60_000, async {
        invocation::permits_before(limit, scene.workers[0].pay(&all)).await
    });
    assert_eq!(letters(&paid.await), "PPPNNNNNNN");
    assert_eq!(letters(&scene.workers[1].pay(&all[..1]).await), "P");
    assert!(scene.bank.calls.lock().unwrap()[3] <= 331);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_holds_payments_back_and_is_asked_once_a_second() {
    let scene = scene(1_000, 1);
    let worker = &scene.workers[0];
    assert_eq!(letters(&worker.pay(&grants(1)).await), "P");
    scene.memory.state(|state| state.is_away = true);
    // The breaker was read a moment ago; permits cannot be leased.
    let paid = worker.pay(&grants(3)).await;
    assert_eq!(letters(&paid), "NNN");
    retry_after_ms(&paid[0]);
    tokio::time::sleep(Duration::from_secs(2)).await;
    // Now the breaker cannot be read either.
    assert_eq!(letters(&worker.pay(&grants(3)).await), "NNN");
    scene.memory.state(|state| state.is_away = false);
    assert_eq!(letters(&worker.pay(&grants(1)).await), "N");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(letters(&worker.pay(&grants(3)).await), "PPP");
    assert_eq!(scene.bank.calls(), 4);
}

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_open_the_breaker_for_all_and_one_probe_closes_it() {
    let scene = scene(1_000, 2);
    let [first, second] = &scene.workers[..] else { panic!() };
    scene.bank.will([unknown(), not_now(), unknown(), unknown(), not_now()]);
    assert_eq!(letters(&first.pay(&grants(8)).await), "UNUUNNNN");
    assert_eq!(scene.bank.calls(), 5);
    let paid = second.pay(&grants(1)).await;
    // Half of 2 s for sure; the random half is 0 here.
    assert!(retry_after_ms(&paid[0]).unwrap() <= 1_000);
    tokio::time::sleep(Duration::from_secs(1)).await;
    // The probe fails: it stays open, for longer.
    scene.bank.will([unknown()]);
    assert_eq!(letters(&second.pay(&grants(3)).await), "UNN");
    assert_eq!(letters(&first.pay(&grants(3)).await), "NNN");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(letters(&first.pay(&grants(3)).await), "NNN");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (ours, theirs) = (grants(3), grants(3));
    let (ours, theirs) = futures::join!(first.pay(&ours), second.pay(&theirs));
    let both = letters(&ours) + &letters(&theirs);
    assert_eq!(both.matches('P').count(), 1, "{both}");
    assert_eq!(scene.memory.state(|state| state.breaker.breaker), Breaker::Closed);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(letters(&second.pay(&grants(3)).await), "PPP");
    assert_eq!(
        scene.memory.state(|state| state.writes),
        5,
        "opened, probed, opened, probed, closed"
    );
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_never_reports_is_followed_by_another() {
    let scene = scene(1_000, 2);
    let [first, second] = &scene.workers[..] else { panic!() };
    scene.bank.will((0..5).map(|_| unknown()));
    first.pay(&grants(5)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    // Killed while it waits for its permit.
    let killed = tokio::time::timeout(Duration::from_millis(5), first.pay(&grants(1))).await;
    assert!(killed.is_err());
    for seconds in [1, 13] {
        assert_eq!(letters(&second.pay(&grants(1)).await), "N");
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
    assert_eq!(letters(&second.pay(&grants(1)).await), "N");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(letters(&second.pay(&grants(1)).await), "P");
}

#[tokio::test(start_paused = true)]
async fn a_probe_without_a_permit_is_given_back() {
    let scene = scene(1_000, 2);
    let [first, second] = &scene.workers[..] else { panic!() };
    scene.bank.will((0..5).map(|_| unknown()));
    first.pay(&grants(5)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let held = within(&scene.memory, 10, first.pay(&grants(1))).await;
    assert_eq!(letters(&held), "N");
    assert_eq!(letters(&second.pay(&grants(1)).await), "P");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_no_failure_of_the_service() {
    let scene = scene(1_000, 1);
    let refused = || Payment::Refused(Refusal::WalletFull);
    let four_and_one = || (0..4).map(|_| unknown()).chain([refused()]);
    scene.bank.will(four_and_one().chain(four_and_one()).chain((0..9).map(|_| refused())));
    let paid = letters(&scene.workers[0].pay(&grants(20)).await);
    assert_eq!(paid, "UUUURUUUURRRRRRRRRRP");
    assert_eq!(scene.memory.state(|state| state.writes), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_came_too_late_is_no_failure_of_the_service() {
    let scene = scene(1_000, 1);
    let late = || Payment::NotNow { retry_after_ms: None, cause: error(PortErrorKind::Contended) };
    scene.bank.will((0..9).map(|_| late()));
    assert_eq!(letters(&scene.workers[0].pay(&grants(10)).await), "NNNNNNNNNP");
    assert_eq!(scene.memory.state(|state| state.writes), 0);
}

/// Nothing is known of a service from a call that was not made.
#[tokio::test(start_paused = true)]
async fn a_probe_that_came_too_late_is_given_back() {
    let scene = scene(1_000, 2);
    let [first, second] = &scene.workers[..] else { panic!() };
    let late = || Payment::NotNow { retry_after_ms: None, cause: error(PortErrorKind::Contended) };
    // Between failures it is no success either: the fifth failure opens the breaker.
    scene.bank.will((0..4).map(|_| unknown()).chain([late(), unknown(), late()]));
    assert_eq!(letters(&first.pay(&grants(6)).await), "UUUUNU");
    assert!(matches!(scene.memory.state(|state| state.breaker.breaker), Breaker::Open { .. }));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(letters(&first.pay(&grants(1)).await), "N");
    assert!(matches!(scene.memory.state(|state| state.breaker.breaker), Breaker::Open { .. }));
    assert_eq!(letters(&second.pay(&grants(1)).await), "P");
    assert_eq!(scene.memory.state(|state| state.breaker.breaker), Breaker::Closed);
}

/// The call knows until when its permit counts: its moment and the lateness.
#[tokio::test(start_paused = true)]
async fn a_call_is_told_until_when_its_permit_counts() {
    let scene = scene(10, 1);
    scene.workers[0].pay(&grants(2)).await;
    let told = scene.bank.told.lock().unwrap().clone();
    assert_eq!(told, [Some(35), Some(137)]);
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_is_accepted_is_no_failure() {
    let scene = scene_of(1_000, 1, true);
    scene.bank.will((0..9).map(|_| Payment::Pending));
    assert_eq!(letters(&scene.workers[0].pay(&grants(10)).await), "UUUUUUUUUP");
    // It is not looked up at once: the service knows no more.
    assert_eq!((scene.bank.calls(), scene.memory.state(|state| state.writes)), (10, 0));
}

#[tokio::test(start_paused = true)]
async fn a_payment_in_doubt_is_looked_up_once_under_a_permit_of_its_own() {
    let scene = scene_of(10, 1, true);
    let worker = &scene.workers[0];
    // Found paid; not found out.
    scene.bank.will([unknown(), Payment::Paid]);
    let paid = worker.pay(&grants(1)).await;
    assert!(matches!(paid[..], [Payment::AlreadyPaid]), "{paid:?}");
    scene.bank.will([unknown(), unknown()]);
    assert_eq!(letters(&worker.pay(&grants(1)).await), "U");
    let calls = scene.bank.calls.lock().unwrap().clone();
    assert_eq!(calls.len(), 4);
    assert!(calls.windows(2).all(|pair| pair[1] - pair[0] >= 102), "{calls:?}");
    // Without a permit for the look-up it stays unknown, and nothing is called.
    scene.bank.will([unknown()]);
    assert_eq!(letters(&within(&scene.memory, 110, worker.pay(&grants(1))).await), "U");
    assert_eq!(scene.bank.calls(), 5);
}

#[tokio::test(start_paused = true)]
async fn look_ups_and_reversals_take_permits_too() {
    let scene = scene(10, 1);
    let (worker, all) = (&scene.workers[0], grants(3));
    assert_eq!(worker.lookup(&all).await.unwrap(), [Standing::Paid; 3]);
    assert_eq!(worker.reverse(&all[0]).await.unwrap(), Reversal::Reversed);
    let calls = scene.bank.calls.lock().unwrap().clone();
    assert!(calls.windows(2).all(|pair| pair[1] - pair[0] >= 102), "{calls:?}");
    let held = within(&scene.memory, 10, worker.reverse(&all[0])).await.unwrap_err();
    assert_eq!(held.kind, PortErrorKind::Throttled);
    // Their failures count.
    scene.bank.will((0..5).map(|_| unknown()));
    assert_eq!(worker.lookup(&grants(4)).await.unwrap_err().kind, PortErrorKind::Unknown);
    assert!(worker.reverse(&all[0]).await.is_err());
    assert!(matches!(scene.memory.state(|state| state.breaker.breaker), Breaker::Open { .. }));
}

/// Behind its permit it would be held up until another call has ended, and be too late.
#[tokio::test(start_paused = true)]
async fn a_call_above_the_most_at_once_takes_its_permit_when_it_can_be_made() {
    let scene = scene(5_000, 1);
    scene.bank.takes_ms.store(10_000, Ordering::Relaxed);
    let paid = scene.workers[0].pay(&grants(CALLS_MAX + 1)).await;
    assert_eq!(letters(&paid), "P".repeat(CALLS_MAX + 1));
    let calls = scene.bank.calls.lock().unwrap().clone();
    assert!(calls[CALLS_MAX - 1] < 1_000 && calls[CALLS_MAX] > 10_000, "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn a_new_rate_is_followed_behind_the_permits_that_are_leased() {
    let scene = scene(10, 1);
    let worker = &scene.workers[0];
    worker.pay(&grants(2)).await;
    let slow = Rate::new(2, Tolerance::default()).unwrap();
    scene.memory.set_rate(&"bank".parse().unwrap(), slow).await.unwrap();
    worker.pay(&grants(2)).await;
    // A second and the tolerances after the last permit of the old rate, and then half as much.
    assert_eq!(*scene.bank.calls.lock().unwrap(), [25, 127, 1_147, 1_657]);
}

/// A timer that fires too late loses its permit, and the task takes another one.
#[tokio::test(start_paused = true)]
async fn a_permit_whose_moment_has_passed_is_not_used() {
    let scene = scene(10, 1);
    let two = grants(2);
    let mut pay = std::pin::pin!(scene.workers[0].pay(&two));
    // It has its permits, and is then not run for as long as the first one may be late, and more.
    assert!(futures::poll!(&mut pay).is_pending());
    tokio::time::advance(Duration::from_millis(36)).await;
    assert_eq!(letters(&pay.await), "PP");
    let calls = scene.bank.calls.lock().unwrap().clone();
    assert_eq!(calls, [127, 229]);
}
