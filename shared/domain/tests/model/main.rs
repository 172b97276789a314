//! The protocol of a pool and its payments, checked in every order of its steps.
//!
//! Three members want two parts. Each has two requests at the same time, and makes new ones for
//! ever. Any process may be killed after any step, and any reply may be lost after its write took
//! effect. Meanwhile grants are paid, refused, retried and voided, the sweep runs, the window ends,
//! and two refunds return what is left. The checker (`stateright`) visits every state that this can
//! lead to.
//!
//! # What is checked
//! The domain's own code decides: `Bucket::draw` and `close`, the grant of an entry, the retry
//! policy, the token's rule and `audit` are called, not copied. What `app` and `aws` add, the order
//! of the operations on the store and their conditions, is written down here, one function for one
//! operation: `claim.rs`, `refund.rs` and `pay.rs`. `actions.rs` says which step may come next.
//! `properties.rs` says what must hold in every state, and `rest.rs` what must be possible in every
//! state: to draw what is left, and, when every process is killed and every message lost, to bring
//! all money to rest by the schedules alone. `bugs.rs` leaves out one safeguard after the other,
//! and the checker must find each.
//!
//! # How kills, delays and time are modelled
//! * A process that never takes its next step was killed. A request that is killed leaves its place
//!   to a new request of the member, with another nonce ([`protocol::Action::KillClaim`]).
//! * A lost reply leaves the store changed, and the request sends the same write again: the SDK's
//!   repeat, with the same time and nonce ([`state::Call::Sent`]).
//! * All requests of a member carry the same millisecond, so that the nonce alone tells them apart.
//!   It lies inside the window even when the window is over, until the buckets are closed: clocks
//!   are slow. Instances with skew also carry times ahead of the window and after it.
//! * A walk is any fixed order of the buckets for each member. The cache of full buckets is that of
//!   one process, which serves any request, and may be empty at any step
//!   ([`protocol::Action::ColdStart`]): a request that another process serves is served after such
//!   a start.
//! * Buckets are read one by one, each at its own moment, by requests and by refunds.
//! * The stream and the queue deliver at least once, at any time, or lose what they hold. A record
//!   that is kept makes any number of late messages.
//!
//! # What is not
//! * The lag of indexes: it delays a refund or a sweep, and both may come at any time.
//! * A funder's wallet that refuses a refund or the return of a voided grant: nothing changes then.
//! * The money service over HTTP: the payment here is the ledger's one transaction.
//!
//! # Why it ends soon
//! Members with the same walk, a member's two requests, the deliveries of a grant and the refunds
//! differ in name only, so the checker visits one of the states that differ in names only
//! ([`state::State`]'s representative). A nonce is kept only while its request runs. A true answer
//! is kept only as what the member has been told in all. What depends on the tables alone is
//! computed once for each content of the tables. `instances.rs` divides the rest: walks and reads
//! concern no payment, and a second delivery concerns no refund, so each is run without the other.
//! One instance has a single part, and everything at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]
#![allow(clippy::print_stdout, reason = "a test says how many states it has visited")]

mod actions;
mod books;
mod bugs;
#[path = "../checker/mod.rs"]
mod checker;
mod claim;
mod instances;
mod pay;
mod pool;
mod properties;
mod protocol;
mod refund;
mod rest;
mod state;

use stateright::Model;

use bugs::BUGS;
use protocol::Protocol;

impl checker::Checked for Protocol {}

/// What an instance breaks, and what it never reaches.
fn broken(protocol: Protocol) -> Vec<String> {
    checker::broken(protocol.name, protocol.checker().symmetry())
}

#[test]
fn two_requests_of_each_of_three_members_and_a_refund_keep_every_promise() {
    assert_eq!(broken(instances::CLAIMS), [""; 0]);
}

#[test]
fn two_refunds_at_once_and_wrong_clocks_keep_every_promise() {
    assert_eq!(broken(instances::REFUNDS), [""; 0]);
    assert_eq!(broken(instances::BOTH_IN_ONE), [""; 0]);
}

#[test]
fn reads_at_different_moments_keep_every_promise() {
    assert_eq!(broken(instances::READS), [""; 0]);
    assert_eq!(broken(instances::THREE_BUCKETS), [""; 0]);
}

#[test]
fn deliveries_refusals_and_sweeps_keep_every_promise() {
    assert_eq!(broken(instances::TWO_PAYERS), [""; 0]);
    assert_eq!(broken(instances::PAID), [""; 0]);
}

#[test]
fn everything_at_once_keeps_every_promise() {
    assert_eq!(broken(instances::EVERYTHING), [""; 0]);
}

#[test]
fn every_planted_bug_is_found() {
    checker::assert_found(BUGS, |protocol, bug| Protocol { bug: Some(bug), ..protocol });
}

#[test]
fn every_property_is_broken_by_a_planted_bug() {
    checker::assert_all_broken(BUGS, &[instances::EVERYTHING, instances::PAID]);
}
