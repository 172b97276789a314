//! Which steps may come next, in which state.

use crate::pay::Reply;
use crate::pool::{self, Moment};
use crate::protocol::{Action, Protocol, Request};
use crate::state::{BUCKETS, Call, Payer, Posted, State};

impl Protocol {
    pub(crate) fn claim_actions(&self, state: &State, request: Request, actions: &mut Vec<Action>) {
        let (member, place) = request;
        let calls = &state.members[member].calls;
        match calls[place] {
            Call::Never | Call::Misled(_) => {}
            // Two requests that have not begun differ in name only.
            Call::Idle if place > 0 && calls[0] == Call::Idle => {}
            Call::Idle => {
                actions.push(Action::Draw(request, Moment::Inside));
                actions.push(Action::DrawReplyLost(request));
                if self.has_skew {
                    actions.push(Action::Draw(request, Moment::Ahead));
                    actions.push(Action::Draw(request, Moment::Over));
                }
            }
            Call::Sent { .. } => {
                actions.push(Action::Draw(request, Moment::Inside));
                actions.push(Action::KillClaim(request));
            }
            Call::Reads { buckets, .. } => {
                let unread = |bucket: &usize| buckets & (1 << bucket) != 0;
                let reads = (0..BUCKETS).filter(unread);
                actions.extend(reads.map(|bucket| Action::ReadBucket(request, bucket)));
                actions.push(Action::KillClaim(request));
            }
            Call::Ready { .. } => {
                actions.push(Action::Draw(request, Moment::Inside));
                actions.push(Action::DrawReplyLost(request));
                actions.push(Action::KillClaim(request));
            }
        }
    }

    pub(crate) fn refund_actions(&self, state: &State, actions: &mut Vec<Action>) {
        if self.refunds > 0 && !state.is_over {
            actions.push(Action::WindowOver);
        }
        for refund in 0..self.refunds {
            let reads = state.refunds[refund];
            // Two refunds that have not begun differ in name only.
            if reads.is_none() && refund > 0 && state.refunds[0].is_none() {
                continue;
            }
            let reads = reads.unwrap_or_default();
            let unread = pool::numbers(&self.sizes).filter(|bucket| reads[*bucket].is_none());
            actions.extend(unread.map(|bucket| Action::RefundRead(refund, bucket)));
            if state.refunds[refund].is_some() {
                actions.push(Action::KillRefund(refund));
            }
            if self.has_read_all(&reads) {
                actions.extend([Action::Refund(refund), Action::RefundReplyLost(refund)]);
            }
        }
    }

    pub(crate) fn payment_actions(&self, state: &State, member: usize, actions: &mut Vec<Action>) {
        let there = &state.members[member];
        if there.is_streamed {
            actions.push(Action::Outbox(member));
            actions.push(Action::KillOutbox(member));
            actions.push(Action::ForgetRecord(member));
        }
        if there.messages.any() {
            actions.push(Action::LoseMessages(member));
        }
        let is_absent = state.store.grants[member].posted[0] == Posted::Nothing;
        for payer in 0..self.payers {
            if there.payers[payer] != Payer::Idle {
                actions.push(Action::Settle(member, payer));
                actions.push(Action::KillPayer(member, payer));
                continue;
            }
            // Two deliveries that have not begun differ in name only.
            if payer > 0 && there.payers[0] == Payer::Idle {
                continue;
            }
            for sort in there.messages.sorts() {
                let mut pay = |reply| actions.push(Action::Pay(member, payer, sort, reply));
                pay(Reply::Accepted);
                if is_absent {
                    pay(Reply::Lost);
                }
                if is_absent && self.has_refusals {
                    pay(Reply::Refused);
                }
            }
        }
        if self.has_refusals {
            actions.extend([Action::Retry(member), Action::Void(member)]);
        }
    }

    pub(crate) fn sweep_actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.sweep.is_some() {
            actions.extend([Action::Sweep, Action::KillSweep]);
        } else {
            actions.extend(pool::numbers(&self.sizes).map(Action::SweepRead));
        }
    }
}
