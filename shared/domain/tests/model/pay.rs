//! From the entry to the payment: outbox, queue, grant-pay, operator and pool-sweep.

use largesse_domain::grant::{GrantStatus, RetryPolicy};

use crate::bugs::Bug;
use crate::pool::narrow;
use crate::protocol::Protocol;
use crate::state::{Failed, GrantRow, Messages, Payer, Posted, State};

/// One retry, so that the model stays small.
pub(crate) const POLICY: RetryPolicy = RetryPolicy { retries_max: 1, delay_s: 3 };

/// What the wallet says, and whether grant-pay hears of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Accepted,
    /// The transaction took effect, but its reply was lost.
    Lost,
    Refused,
}

/// Which of the messages is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    First,
    Again,
    Other,
}

impl Messages {
    /// The sorts of messages that the queue holds.
    pub(crate) fn sorts(self) -> impl Iterator<Item = Sort> {
        let sorts = [
            (self.is_first, Sort::First),
            (self.is_again, Sort::Again),
            (self.is_other, Sort::Other),
        ];
        sorts.into_iter().filter_map(|(is_there, sort)| is_there.then_some(sort))
    }
}

impl GrantRow {
    /// The row of a member without a grant.
    pub(crate) const NEW: Self = Self {
        posted: [Posted::Nothing; 2],
        credits: 0,
        void_returns: 0,
        failed: Failed::No,
        is_operated: false,
    };

    /// Whether it is paid, voided, or given up until an operator decides.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.posted[0] != Posted::Nothing || matches!(self.failed, Failed::GivenUp(_))
    }
}

impl Protocol {
    /// The outbox handles the record of the write that added the member's entry, which the new
    /// image has and the old image has not. If it is killed, the record comes again.
    pub(crate) fn outbox(&self, state: &mut State, member: usize, is_killed: bool) {
        let member = &mut state.members[member];
        // Every draw modifies an item; only the creation of the pool inserts one.
        member.messages.is_first |= member.is_streamed && !self.has(Bug::SendsInsertsOnly);
        member.is_streamed = is_killed;
    }

    /// The stream forgets the record, or the queue the messages.
    pub(crate) fn lose(&self, state: &mut State, member: usize, is_record: bool) {
        let there = &mut state.members[member];
        if is_record {
            there.is_streamed = false;
        } else {
            there.messages = Messages::default();
        }
        there.is_lost = true;
    }

    /// grant-pay receives a message and pays: one transaction credits the wallet and puts the
    /// transfer under the grant's id, if nothing is there.
    pub(crate) fn pay(
        &self,
        state: &mut State,
        member: usize,
        payer: usize,
        sort: Sort,
        reply: Reply,
    ) {
        let row = &mut state.store.grants[member];
        let there = &mut state.members[member];
        let id = match sort {
            Sort::Other => 1,
            _ if self.has(Bug::PaysUnderANewId) => usize::from(row.posted[0] != Posted::Nothing),
            _ => 0,
        };
        if sort == Sort::First {
            // If it is not deleted, it comes again.
            there.messages = Messages { is_first: false, is_again: true, ..there.messages };
        }
        let is_absent = row.posted[id] == Posted::Nothing;
        if is_absent && reply == Reply::Refused {
            there.payers[payer] = Payer::Refused;
            return;
        }
        if is_absent || self.has(Bug::PaysWithoutIfAbsent) {
            row.posted[id] = Posted::Transfer;
            row.credits = (row.credits + 1).min(3);
            if reply == Reply::Lost {
                // Unknown: it counts nothing, and the message comes again.
                let counts = self.has(Bug::CountsALostReply);
                there.payers[payer] = if counts { Payer::Refused } else { Payer::Idle };
                return;
            }
        }
        // Only a message that was received before, or a retry, has a failed item to remove.
        let has_failed_before = sort != Sort::First && !self.has(Bug::KeepsTheFailedItem);
        if row.posted[id] == Posted::Transfer && has_failed_before {
            there.payers[payer] = Payer::Paid;
        } else {
            // Paid or voided: the message is done.
            there.messages = Messages::default();
        }
    }

    /// The next step of a delivery whose payment was answered.
    pub(crate) fn settle(&self, state: &mut State, member: usize, payer: usize) {
        let row = &mut state.store.grants[member];
        let there = &mut state.members[member];
        let is_last =
            |refusals: u8| POLICY.after_refusal(refusals.into()) == GrantStatus::PermanentlyFailed;
        // The condition of a write: as many refusals as were read, and not voided.
        let is_as_seen = |seen: u8| match row.failed {
            Failed::No => seen == 0,
            Failed::Retried(refusals) | Failed::GivenUp(refusals) => seen == refusals,
            Failed::Voided(_) => false,
        };
        let is_written = |seen: u8| is_as_seen(seen) || self.has(Bug::CountsUnconditionally);
        let mut is_done = false;
        let next = match (there.payers[payer], row.failed) {
            (Payer::Paid, _) => {
                row.failed = Failed::No;
                is_done = true;
                Payer::Idle
            }
            // Marked before; the dead-letter queue has the message.
            (Payer::Refused, Failed::GivenUp(_)) => {
                is_done = true;
                Payer::Idle
            }
            (Payer::Refused, Failed::No) => Payer::Counts(0),
            // The last refusal was counted before: the same refusal counts once.
            (Payer::Refused, Failed::Retried(counted) | Failed::Voided(counted)) => {
                if is_last(counted) { Payer::Marks(counted) } else { Payer::Counts(counted) }
            }
            (Payer::Counts(seen), _) if is_written(seen) => {
                row.failed = Failed::Retried(seen + 1);
                is_done = self.has(Bug::DropsARefusedMessage);
                if is_last(seen + 1) { Payer::Marks(seen + 1) } else { Payer::Idle }
            }
            (Payer::Marks(seen), _) if is_written(seen) => {
                row.failed = Failed::GivenUp(seen);
                is_done = true;
                Payer::Idle
            }
            // Another delivery has written: the message comes again.
            (Payer::Counts(_) | Payer::Marks(_) | Payer::Idle, _) => Payer::Idle,
        };
        there.payers[payer] = next;
        if is_done {
            there.messages = Messages::default();
        }
    }

    /// The operator sends a failed grant again. One that was given up has all its retries before it
    /// again.
    pub(crate) fn retry(&self, state: &mut State, member: usize) {
        let row = &mut state.store.grants[member];
        match row.failed {
            Failed::No | Failed::Voided(_) => return,
            Failed::Retried(_) => {}
            Failed::GivenUp(_) => (row.failed, row.is_operated) = (Failed::Retried(0), true),
        }
        state.members[member].messages.is_again = true;
    }

    /// The operator voids a grant: one transaction puts a tombstone under the grant's id, if
    /// nothing is there, returns the amount to the funder, and marks the failed item; only if the
    /// grant was given up.
    pub(crate) fn void(&self, state: &mut State, member: usize) {
        let row = &mut state.store.grants[member];
        let (is_given_up, refusals) = match row.failed {
            Failed::GivenUp(refusals) => (true, refusals),
            Failed::Retried(refusals) | Failed::Voided(refusals) => (false, refusals),
            Failed::No => (false, 0),
        };
        let is_absent = row.posted[0] == Posted::Nothing;
        let holds = (is_absent || self.has(Bug::VoidsWhatIsPaid))
            && (is_given_up || self.has(Bug::VoidsWhatMayBePaid));
        if !holds {
            return;
        }
        row.failed = Failed::Voided(refusals);
        // The second write of the planted bug may never come.
        let returns = u8::from(!self.has(Bug::ReturnsAfterTheVoid));
        row.void_returns = (row.void_returns + returns).min(3);
        if !self.has(Bug::VoidsWithoutATombstone) {
            row.posted[0] = Posted::Voided;
        }
    }

    /// The sweep reads a bucket that its index holds.
    pub(crate) fn sweep_read(&self, state: &mut State, bucket: usize) {
        let item = state.store.buckets[bucket];
        let is_skipped = !item.is_open && self.has(Bug::SweepsOpenBucketsOnly);
        if item.is_indexed && !is_skipped {
            state.sweep = Some((narrow(bucket), item.taken));
        }
    }

    /// The sweep looks up the entries that it read, and sends again what is neither paid nor given
    /// up. When there is none, it takes the bucket out of its index, unless a draw came in between.
    pub(crate) fn sweep(&self, state: &mut State) {
        let Some((bucket, taken)) = state.sweep.take() else { return };
        let item = &mut state.store.buckets[usize::from(bucket)];
        let mut is_done = true;
        for (member, entry) in item.entries.iter().enumerate() {
            if entry.is_none_or(|entry| entry.index >= taken) {
                continue;
            }
            let row = &state.store.grants[member];
            let messages = &mut state.members[member].messages;
            match row.failed {
                _ if row.is_at_rest() => {
                    let is_unpaid = row.posted[0] != Posted::Transfer;
                    messages.is_other |= is_unpaid && self.has(Bug::SweepsUnderANewId);
                    continue;
                }
                Failed::Retried(_) if self.has(Bug::SweepSkipsFailed) => continue,
                // A retry: the payment is to remove the failed item.
                Failed::Retried(_) => messages.is_again = true,
                _ => messages.is_first = true,
            }
            is_done = false;
        }
        if is_done && (item.taken == taken || self.has(Bug::SweepForgetsADraw)) {
            item.is_indexed = false;
        }
    }
}
