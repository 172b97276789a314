//! How a slot of a drop is passed on, checked in every order of its steps.
//!
//! Two members have won the two slots of a drop, and up to three members wait. Any payment may be
//! refused for good, at any time. grant-pay and pool-sweep pass slots on at the same time. Any process
//! may be killed after any step, any reply may be lost after its write took effect, and any message may
//! come again at any time. An operator retries and voids. The checker (`stateright`) visits every state
//! that this can lead to.
//!
//! # What is checked
//! The domain's own code decides: the order of the waiting list, the bucket of a promotion, the grant of
//! an entry and `audit` are called, not copied. What `app` and `aws` add, the order of the operations on
//! the store and their conditions, is written down in `steps.rs`. `properties.rs` says what must hold in
//! every state, and what must be possible in every state: when every process is killed and every message
//! is lost, the sweep alone brings each slot to an owner who is paid, or shows that nobody waits.
//! `bugs.rs` leaves out one safeguard after the other, and the checker must find each.
//!
//! # How kills, delays and time are modelled
//! * A process that never takes its next step was killed; [`protocol::Action::Kill`] makes it free again.
//! * There are no messages: a delivery of any grant, first or repeated, may come at any time. The
//!   outbox, the queue and the sweep lead to no more than that. What the sweep alone must lead to is in
//!   `rest.rs`.
//! * A list has two buckets, which are read one by one, each at its own moment. The member who entered
//!   first has the highest part.
//! * A member may take a place at any time, also one with an earlier time of entry than a place that is
//!   there: the request was slow.
//!
//! # What is not
//! * The retries before a grant is given up, and the refusals that are counted meanwhile: the model of
//!   draws has them (`tests/model`).
//! * The money service over HTTP: the payment here is the ledger's one transaction.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]
#![allow(clippy::print_stdout, reason = "a test says how many states it has visited")]

mod books;
mod bugs;
#[path = "../checker/mod.rs"]
mod checker;
mod list;
mod properties;
mod protocol;
mod rest;
mod state;
mod steps;

use stateright::Model;

use bugs::{BUGS, Bug};
use protocol::Protocol;

impl checker::Checked for Protocol {}

/// What an instance breaks, and what it never reaches.
fn broken(protocol: Protocol) -> Vec<String> {
    checker::broken(protocol.name, protocol.checker())
}

#[test]
fn two_slots_and_two_who_wait_keep_every_promise() {
    assert_eq!(broken(protocol::TWO_WAIT), [""; 0]);
}

#[test]
fn two_slots_and_three_who_come_at_any_time_keep_every_promise() {
    assert_eq!(broken(protocol::THREE_COME), [""; 0]);
}

#[test]
fn an_operator_who_retries_and_voids_meanwhile_breaks_no_promise() {
    assert_eq!(broken(protocol::OPERATED), [""; 0]);
    assert_eq!(broken(protocol::EVERYTHING), [""; 0]);
}

#[test]
fn every_planted_bug_of_a_promotion_is_found() {
    checker::assert_found(BUGS, |protocol, bug| Protocol { bug: Some(bug), ..protocol });
}

#[test]
fn every_property_of_a_promotion_is_broken_by_a_planted_bug() {
    checker::assert_all_broken(BUGS, &[protocol::OPERATED]);
}

/// The mark in the list and the bucket of the place exclude each a second slot for the place. Either is
/// enough while no table is restored without the other; the contract tests show what each is for.
#[test]
fn either_condition_on_a_place_excludes_a_second_slot() {
    for bug in [Bug::LeavesOutTheMark, Bug::LeavesOutTheBucket] {
        let without = Protocol { bug: Some(bug), ..protocol::TWO_WAIT };
        assert_eq!(broken(without), [""; 0], "{bug:?}");
    }
}
