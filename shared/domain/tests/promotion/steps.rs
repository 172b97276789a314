//! The steps: payment, promotion, and what an operator does.

use crate::bugs::Bug;
use crate::list::{BUCKET_OF, candidates};
use crate::protocol::{Protocol, Reply};
use crate::state::{Failed, GRANT_PAY, PLACES, Posted, Seen, State, Store, View, Worker};

/// Whether a worker has yet to read a bucket of the list.
pub(crate) fn is_unread(view: &View, bucket: usize) -> bool {
    (0..PLACES).any(|place| BUCKET_OF[place] == bucket && view[place].is_none())
}

impl Protocol {
    /// grant-pay receives a message and pays: one transaction credits the wallet and puts the transfer
    /// under the grant's id, if nothing is there.
    pub(crate) fn pay(&self, state: &mut State, member: usize, reply: Reply) {
        let row = &mut state.store.rows[member];
        let is_absent = row.posted == Posted::Nothing;
        if is_absent && reply == Reply::Refused {
            state.workers[GRANT_PAY] = Worker::Refused(member);
            return;
        }
        if is_absent || self.has(Bug::PaysWithoutIfAbsent) {
            row.posted = Posted::Transfer;
            row.credits += 1;
            if reply == Reply::Lost {
                // Unknown: the message comes again.
                return;
            }
        }
        if row.posted == Posted::Transfer && row.failed != Failed::No {
            state.workers[GRANT_PAY] = Worker::Paid(member);
        }
    }

    /// The sweep looks the payment up and reads the failed item.
    pub(crate) fn sweep(&self, state: &mut State, member: usize) {
        let row = &state.store.rows[member];
        if (row.posted, row.failed) == (Posted::Nothing, Failed::GivenUp) {
            state.workers[1] = self.passes(&state.store, member);
        }
    }

    /// A worker begins to pass the slot of a grant on that it has read as given up.
    fn passes(&self, store: &Store, member: usize) -> Worker {
        let waited = std::array::from_fn(|place| store.waits(place));
        let there = |place: usize| place < self.places;
        // The places that this instance does not have are never taken.
        let mut view: View = std::array::from_fn(|at| (!there(at)).then_some(Seen::Free));
        if self.has(Bug::RemembersTheList) {
            view = [Some(Seen::Free); PLACES];
        }
        Worker::Passes { member, waited, view, tried: 0 }
    }

    /// The next step of a payment that was answered.
    pub(crate) fn settle(&self, state: &mut State, worker: usize) {
        let next = match state.workers[worker] {
            Worker::Paid(member) => {
                let row = &mut state.store.rows[member];
                // An item that says "voided" is not removed.
                if row.failed != Failed::Voided {
                    row.failed = Failed::No;
                }
                Worker::Idle
            }
            Worker::Refused(member) => {
                let row = &mut state.store.rows[member];
                // The condition of the write: not voided.
                if row.failed == Failed::Voided {
                    Worker::Idle
                } else {
                    row.failed = Failed::GivenUp;
                    self.passes(&state.store, member)
                }
            }
            Worker::Second { member, place } => {
                if self.has(Bug::VoidsInAWriteBefore) {
                    self.give(&mut state.store, member, place);
                } else {
                    self.bar(&mut state.store, member);
                }
                Worker::Idle
            }
            other @ (Worker::Idle | Worker::Passes { .. }) => other,
        };
        state.workers[worker] = next;
    }

    /// A worker reads one bucket of the list.
    pub(crate) fn read(&self, state: &mut State, worker: usize, bucket: usize) {
        let store = state.store;
        let Worker::Passes { view, .. } = &mut state.workers[worker] else { return };
        for place in (0..PLACES).filter(|place| BUCKET_OF[*place] == bucket) {
            let seen = match store.places[place] {
                found if !found.is_taken => Seen::Free,
                found if found.mark.is_some() => Seen::Promoted,
                _ => Seen::Waits,
            };
            view[place] = Some(seen);
        }
    }

    /// The places that the worker tries, one after the other.
    fn order(&self, view: &View) -> Vec<usize> {
        let read = |seen: Option<Seen>| seen.expect("the list was read");
        let mut order = candidates(view.map(read)).to_vec();
        if self.has(Bug::ServesTheYoungestFirst) {
            order.reverse();
        }
        if self.has(Bug::ServesByPart) {
            order.sort_by_key(|place| (BUCKET_OF[*place], *place));
        }
        order
    }

    /// A worker sends the transaction that passes the slot on to the next place of its list. Without
    /// one, nobody waits.
    pub(crate) fn promote(&self, state: &mut State, worker: usize, is_lost: bool) {
        let Worker::Passes { member, waited, view, tried } = state.workers[worker] else { return };
        let order = self.order(&view);
        let store = state.store;
        let still_waits = |place: &usize| waited[*place] && store.waits(*place);
        let Some(place) = order.get(usize::from(tried)).copied() else {
            state.wrong.has_missed |= (0..PLACES).any(|place| still_waits(&place));
            state.workers[worker] = Worker::Idle;
            return;
        };
        let row = store.rows[member];
        let is_unpaid = row.posted == Posted::Nothing || self.has(Bug::VoidsWhatIsPaid);
        let is_given_up = row.failed == Failed::GivenUp || self.has(Bug::PassesOnWhatIsRetried);
        if !(is_unpaid && is_given_up) {
            state.workers[worker] = Worker::Idle;
            return;
        }
        if !self.is_free(&store, place) {
            let ends = self.has(Bug::EndsAtATakenPlace);
            let tried = if ends { u8::MAX } else { tried + 1 };
            state.workers[worker] = Worker::Passes { member, waited, view, tried };
            return;
        }
        state.wrong.has_overtaken |= (0..place).any(|place| still_waits(&place));
        state.wrong.has_taken |= row.failed != Failed::GivenUp;
        state.workers[worker] = Worker::Idle;
        if self.has(Bug::VoidsInAWriteBefore) {
            self.bar(&mut state.store, member);
            state.workers[worker] = Worker::Second { member, place };
        } else if self.has(Bug::PromotesInAWriteBefore) {
            self.give(&mut state.store, member, place);
            state.workers[worker] = Worker::Second { member, place };
        } else {
            self.bar(&mut state.store, member);
            self.give(&mut state.store, member, place);
        }
        // A reply that is lost ends the work as a success does: the message or the sweep comes again.
        if is_lost {
            state.workers[worker] = Worker::Idle;
        }
    }

    /// The conditions on the place: no mark, and no bucket.
    fn is_free(&self, store: &Store, place: usize) -> bool {
        let (mark, given) = (store.places[place].mark, store.places[place].given);
        let both = self.has(Bug::GivesAPlaceTwoSlots);
        let is_unmarked = mark.is_none() || both || self.has(Bug::LeavesOutTheMark);
        let is_absent = given == 0 || both || self.has(Bug::LeavesOutTheBucket);
        is_unmarked && is_absent
    }

    /// Voids the payment of the grant, and marks the grant.
    fn bar(&self, store: &mut Store, member: usize) {
        let row = &mut store.rows[member];
        if !self.has(Bug::LeavesNoTombstone) {
            row.posted = Posted::PassedOn;
        }
        if !self.has(Bug::LeavesTheGrantGivenUp) {
            row.failed = Failed::Voided;
        }
    }

    /// Marks the place, and puts the bucket with its entry.
    fn give(&self, store: &mut Store, member: usize, place: usize) {
        let slot = store.slot(member).and_then(|slot| u8::try_from(slot).ok());
        let by_place = u8::try_from(place).ok();
        let numbered = if self.has(Bug::NumbersTheSlotByItsPlace) { by_place } else { slot };
        store.places[place].mark = numbered;
        store.places[place].given += 1;
    }

    /// The operator sends a grant that was given up again.
    pub(crate) fn retry(&self, state: &mut State, member: usize) {
        let row = &mut state.store.rows[member];
        if row.failed == Failed::GivenUp {
            row.failed = Failed::Retried;
        }
    }

    /// The operator voids a grant: one transaction puts a tombstone under its id, if nothing is there,
    /// returns the amount to the funder and marks the grant, if it is given up.
    pub(crate) fn void(&self, state: &mut State, member: usize) {
        let row = &mut state.store.rows[member];
        if (row.posted, row.failed) == (Posted::Nothing, Failed::GivenUp) {
            (row.posted, row.failed) = (Posted::Voided, Failed::Voided);
        }
    }
}
