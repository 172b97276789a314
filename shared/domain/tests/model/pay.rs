//! From the entry to the payment: outbox, queue, grant-pay, operator and pool-sweep.

use largesse_domain::grant::{GrantStatus, RetryPolicy};

use crate::bugs::Bug;
use crate::claim::narrow;
use crate::protocol::Protocol;
use crate::state::{Failed, GrantRow, Message, Payer, Posted, State};

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

impl GrantRow {
    /// The row of a member without a grant.
    pub(crate) const NEW: Self =
        Self { posted: [Posted::Nothing; 2], credits: 0, void_returns: 0, failed: Failed::No };

    /// Whether it is paid, given up or voided: nothing is due but an operator's decision.
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
        if member.is_streamed && !self.has(Bug::SendsInsertsOnly) {
            member.message = Message::Grant;
        }
        member.is_streamed = is_killed;
    }

    /// The stream forgets the record, or the queue the message.
    pub(crate) fn lose(&self, state: &mut State, member: usize, is_record: bool) {
        let there = &mut state.members[member];
        if is_record {
            there.is_streamed = false;
        } else {
            there.message = Message::None;
        }
        there.is_lost = true;
    }

    /// grant-pay receives the message and pays: one transaction credits the wallet and puts the
    /// transfer under the grant's id, if nothing is there.
    pub(crate) fn pay(&self, state: &mut State, member: usize, payer: usize, reply: Reply) {
        let row = &mut state.store.grants[member];
        let id = match state.members[member].message {
            Message::None => return,
            Message::Grant if !self.has(Bug::PaysUnderANewId) => 0,
            Message::Grant => usize::from(row.posted[0] != Posted::Nothing),
            Message::OtherId => 1,
        };
        let is_absent = row.posted[id] == Posted::Nothing;
        let payer = &mut state.members[member].payers[payer];
        if is_absent && reply == Reply::Refused {
            *payer = Payer::Refused;
        } else if is_absent || self.has(Bug::PaysWithoutIfAbsent) {
            row.posted[id] = Posted::Transfer;
            row.credits = (row.credits + 1).min(3);
            *payer = match reply {
                Reply::Lost if self.has(Bug::CountsALostReply) => Payer::Refused,
                // Unknown: the message comes again.
                Reply::Lost => Payer::Idle,
                Reply::Accepted | Reply::Refused => Payer::Paid,
            };
        } else if row.posted[id] == Posted::Transfer {
            *payer = Payer::Paid;
        } else {
            // Voided: nothing is left to do.
            *payer = Payer::Idle;
            state.members[member].message = Message::None;
        }
    }

    /// The next step of a delivery whose payment has been answered.
    pub(crate) fn settle(&self, state: &mut State, member: usize, payer: usize) {
        let row = &mut state.store.grants[member];
        let there = &mut state.members[member];
        let (next, is_done) = match (there.payers[payer], row.failed) {
            (Payer::Idle, _) => return,
            (Payer::Paid, _) => {
                row.failed = Failed::No;
                (Payer::Idle, true)
            }
            (Payer::Refused, Failed::GivenUp(_) | Failed::Voided(_)) => (Payer::Idle, true),
            (Payer::Refused, Failed::Retried(refusals)) => (Payer::Counts(refusals), false),
            (Payer::Refused, Failed::No) => (Payer::Counts(0), false),
            (Payer::Counts(seen), failed) => {
                // Only if so many refusals are counted still, and the grant is not voided.
                let is_as_seen = match failed {
                    Failed::No => seen == 0,
                    Failed::Retried(refusals) | Failed::GivenUp(refusals) => seen == refusals,
                    Failed::Voided(_) => false,
                };
                if is_as_seen || self.has(Bug::CountsUnconditionally) {
                    row.failed = match POLICY.after_refusal(u32::from(seen) + 1) {
                        GrantStatus::PermanentlyFailed => Failed::GivenUp(seen + 1),
                        _ => Failed::Retried(seen + 1),
                    };
                }
                // A message that is given up goes to the dead-letter queue; another comes again.
                let is_given_up = matches!(row.failed, Failed::GivenUp(_)) && is_as_seen;
                (Payer::Idle, is_given_up || self.has(Bug::DropsARefusedMessage))
            }
        };
        there.payers[payer] = next;
        if is_done {
            there.message = Message::None;
        }
    }

    /// The operator sends a failed grant again.
    pub(crate) fn retry(&self, state: &mut State, member: usize) {
        if matches!(state.store.grants[member].failed, Failed::Retried(_) | Failed::GivenUp(_)) {
            state.members[member].message = Message::Grant;
        }
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
        if holds {
            row.failed = Failed::Voided(refusals);
            row.void_returns = (row.void_returns + 1).min(3);
            if !self.has(Bug::VoidsWithoutATombstone) {
                row.posted[0] = Posted::Voided;
            }
            if self.has(Bug::ReturnsAfterTheVoid) {
                // The second write may never come.
                row.void_returns = 0;
            }
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

    /// The sweep sends each entry that it read again which is neither paid nor given up. When there
    /// is none, it takes the bucket out of its index, unless a draw came in between.
    pub(crate) fn sweep(&self, state: &mut State) {
        let Some((bucket, taken)) = state.sweep.take() else { return };
        let item = &mut state.store.buckets[usize::from(bucket)];
        let mut is_done = true;
        for (member, entry) in item.entries.iter().enumerate() {
            if entry.is_none_or(|entry| entry.index >= taken) {
                continue;
            }
            let row = &state.store.grants[member];
            let message = &mut state.members[member].message;
            let is_failed = matches!(row.failed, Failed::Retried(_));
            if !row.is_at_rest() && !(is_failed && self.has(Bug::SweepSkipsFailed)) {
                *message = Message::Grant;
                is_done = false;
            } else if self.has(Bug::SweepsUnderANewId) && row.posted[0] != Posted::Transfer {
                *message = Message::OtherId;
            }
        }
        if is_done && (item.taken == taken || self.has(Bug::SweepForgetsADraw)) {
            item.is_indexed = false;
        }
    }
}
