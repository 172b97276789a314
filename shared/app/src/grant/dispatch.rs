//! The outbox: a recorded grant is sent to be paid.

use crate::ports::{GrantQueue, GrantRef, PortResult};

/// How many messages one send may hold (Amazon SQS Developer Guide: batches of at most 10).
pub const SEND_BATCH_MAX: usize = 10;

/// Sends grants, in order, and returns the position of the first that was not taken: everything
/// from there on is to be dispatched again. What was sent already and is sent again within five
/// minutes is dropped by the queue; later, grant-pay finds the grant paid.
///
/// # Errors
/// Never for the first position that failed: a failing send is reported as that position.
pub async fn dispatch<D: GrantQueue>(deps: &D, grants: &[GrantRef]) -> PortResult<Option<usize>> {
    let mut sent = 0_usize;
    for batch in grants.chunks(SEND_BATCH_MAX) {
        let Ok(not_taken) = deps.send(batch).await else { return Ok(Some(sent)) };
        if let Some(first) = not_taken.into_iter().min() {
            return Ok(Some(sent.saturating_add(first)));
        }
        sent = sent.saturating_add(batch.len());
    }
    Ok(None)
}
