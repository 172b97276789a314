//! The refund: it reads the buckets one by one, then one transaction closes all of them.

use crate::bugs::Bug;
use crate::pool::{self, Moment};
use crate::protocol::Protocol;
use crate::state::{BUCKETS, Reads, State};

impl Protocol {
    /// A refund reads one more bucket, in any order. Where clocks are wrong, it may begin before
    /// the window is over.
    pub(crate) fn refund_read(&self, state: &mut State, refund: usize, bucket: usize) {
        let is_due = state.is_over || self.has_skew;
        let item = state.store.buckets[bucket];
        if !item.is_open {
            // It was refunded before.
            state.refunds[refund] = None;
        } else if is_due {
            state.refunds[refund].get_or_insert([None; BUCKETS])[bucket] = Some(item.taken);
            state.store.is_token_free |= self.has(Bug::FreesTheTokenBeforeTheRefund);
        }
    }

    /// Whether the refund has read each bucket.
    pub(crate) fn has_read_all(&self, reads: &Reads) -> bool {
        pool::numbers(&self.sizes).all(|bucket| reads[bucket].is_some())
    }

    /// The refund's one transaction: every bucket is closed, the sender credited, the token freed,
    /// the spray counted as live no longer. Any bucket that is not open, or not as it was read,
    /// cancels all of it. A refund whose reply is lost keeps what it read and sends it again.
    pub(crate) fn refund(&self, state: &mut State, refund: usize, is_lost: bool) {
        let Some(reads) = state.refunds[refund] else { return };
        let mut store = state.store;
        let now = if state.is_over || self.has(Bug::RefundsEarly) {
            Moment::Over.timestamp()
        } else {
            Moment::Inside.timestamp()
        };
        let mut holds = true;
        let mut returned = 0;
        for bucket in pool::numbers(&self.sizes) {
            let item = &mut store.buckets[bucket];
            let is_as_read = reads[bucket] == Some(item.taken);
            holds &= is_as_read || self.has(Bug::RefundsWithoutComparing);
            if self.has(Bug::RefundsAClosedPool) {
                item.is_open = true;
            }
            if self.has(Bug::ClosesTheFirstBucketOnly) && bucket > 0 {
                returned += pool::bucket(&self.sizes, &store, bucket).remainder();
                continue;
            }
            let read = reads[bucket].unwrap_or_default();
            let closed = pool::change(&self.sizes, &mut store, bucket, |bucket| {
                // What is returned is what the refund has read.
                let taken = std::mem::replace(&mut bucket.taken, read.into());
                let closed = bucket.close(now);
                bucket.taken = taken;
                if self.has(Bug::RemovesEntriesAtClose) {
                    bucket.draws.clear();
                }
                closed
            });
            holds &= closed.is_ok();
            returned += closed.unwrap_or_default();
        }
        if holds {
            // The second write of the planted bug may never come.
            store.returned += if self.has(Bug::CreditsAfterClosing) { 0 } else { returned };
            store.refunds = (store.refunds + 1).min(3);
            store.is_token_free = true;
            state.store = store;
        }
        if !(is_lost && holds) {
            state.refunds[refund] = None;
        }
    }
}
