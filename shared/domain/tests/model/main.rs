//! The protocol of a pool, checked in every order of its steps.
//!
//! Three members want two shares. Each may ask twice, at the same time, and repeat either request
//! for ever. Whoever serves them may be killed after any step, and any reply may be lost. Meanwhile
//! notes are settled, trimmed and given back, grants are paid, the window ends, and what is left is
//! refunded. The checker (`stateright`) visits every state that this can lead to.
//!
//! # What is checked
//! The domain's own code: draw, settlement, trim, release, close, remainder, worth and the token's
//! rule are called, not copied. What `app` and `aws` add, the order of the store's operations and
//! their conditions, is written down in `steps.rs`, one function for one operation; the actions in
//! `protocol.rs` bear the names of the code. `properties.rs` says what must hold in every state;
//! among others that, should everything be killed right there, the schedules bring all money to
//! rest. `bugs.rs` leaves out one safeguard after the other, and the checker must notice.
//!
//! # How time, death and delay are modelled
//! * A process that never takes its next step was killed. One that is killed and whose caller asks
//!   again goes back to the start and keeps only its attempt's number
//!   ([`protocol::Action::Crash`]).
//! * A lost reply leaves the store changed and the process where it was.
//! * Draws carry a time inside the window even when it is over, until the pool is closed: clocks
//!   are slow, and a write may arrive long after its time was taken.
//! * Notes are stale at any time. Whoever settles or trims a note (sweep, helper of a crowded pool,
//!   refund, a trim that waited in some process) may have read it at any time before: what may be
//!   done about a note depends on the member's record alone, which never changes, so one action,
//!   possible at every moment, stands for any number of them, however late.
//! * A trim that rides on a draw is a trim and a draw with nothing between them, and draws that
//!   share a write are draws with nothing between them: both are among the orders that are visited.
//! * Payments are delivered at any time and as often as they like.
//!
//! # What is not
//! * A full head (48 notes) and its "crowded": the pool is too small. Helping is settling and
//!   trimming, which happens at any time anyway.
//! * What a process remembers of a drained pool for a second, and the token entry that it caches.
//! * Amounts (products): the same engine with another supply.
//! * grant-pay's own steps, its retries and its giving up: a delivery pays at once, or finds that
//!   it was paid. Where the sender's wallet is full, and where the sweep's index leads it.
//!
//! # Why it ends soon
//! Members, a member's two requests, and refunds differ in name only, so one state of those that
//! differ in names only is looked at ([`state::State`]'s representative). What the store bears out
//! is told and forgotten. A refund remembers a whole head and payments concern nobody else, so only
//! the pool that keeps its notes is run with all of it at once; the one that is trimmed is run with
//! three members and one refund, and with two members and two refunds, or payments.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]
#![allow(clippy::print_stdout, reason = "a test says how many states it has seen")]

mod bugs;
mod properties;
mod protocol;
mod state;
mod steps;

use std::collections::BTreeSet;

use stateright::{Checker, Expectation, HasDiscoveries, Model};

use bugs::{BUGS, Bug};
use protocol::Protocol;

/// A pool that is small enough to keep the notes of all its draws.
const KEEPING: Protocol =
    Protocol { keeps_notes: true, people: 3, refunds: 2, pays: true, bugs: &[] };
/// A pool that is trimmed while it is open.
const TRIMMED: Protocol = Protocol { keeps_notes: false, refunds: 1, pays: false, ..KEEPING };

/// Visits every state; returns the promises that some state breaks.
fn broken(protocol: Protocol) -> BTreeSet<&'static str> {
    let checker = protocol.checker().symmetry().spawn_dfs().join();
    let (states, steps) = (checker.unique_state_count(), checker.state_count());
    println!("{states} states, {steps} steps: {protocol:?}");
    let found = checker.discoveries();
    let mut broken = BTreeSet::new();
    for property in protocol.properties() {
        let path = found.get(property.name);
        match property.expectation {
            Expectation::Always if path.is_some() => {
                broken.insert(property.name);
            }
            Expectation::Sometimes if path.is_none() => {
                panic!("the model never comes to this: {}", property.name)
            }
            _ => {}
        }
    }
    broken
}

#[test]
fn a_pool_that_keeps_its_notes_keeps_its_promises_in_every_order() {
    assert_eq!(broken(KEEPING), BTreeSet::new());
}

#[test]
fn a_pool_that_is_trimmed_keeps_its_promises_in_every_order() {
    assert_eq!(broken(TRIMMED), BTreeSet::new());
}

#[test]
fn two_refunds_at_once_return_what_is_left_once() {
    assert_eq!(broken(Protocol { people: 2, refunds: 2, ..TRIMMED }), BTreeSet::new());
}

#[test]
fn a_payment_may_come_at_any_time_and_any_number_of_times() {
    assert_eq!(broken(Protocol { people: 2, refunds: 0, pays: true, ..TRIMMED }), BTreeSet::new());
}

/// A short way to each is printed. Without symmetry, since the promise is broken soon.
#[test]
fn every_planted_bug_is_found() {
    for (bug, promise) in &BUGS {
        let keeps_notes = *bug == Bug::TrimsASmallPool;
        let bugs = std::slice::from_ref(bug);
        let protocol = Protocol { keeps_notes, people: 2, refunds: 2, pays: true, bugs };
        let until = HasDiscoveries::AnyOf(BTreeSet::from([*promise]));
        let checker = protocol.checker().finish_when(until).spawn_bfs().join();
        let path = checker.discovery(promise).unwrap_or_else(|| panic!("{bug:?} is not found"));
        println!("{bug:?} breaks \"{promise}\": {:?}", path.into_actions());
    }
}
