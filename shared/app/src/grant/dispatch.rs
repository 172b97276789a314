//! The outbox: a recorded grant is sent to be paid.

use crate::ports::{GrantQueue, GrantRef};

/// How many messages one send may hold (Amazon SQS Developer Guide: batches of at most 10).
pub const SEND_BATCH_MAX: usize = 10;

/// Sends grants, in order, and returns the position of the first that was not taken: everything
/// from there on is to be dispatched again. What was sent already and is sent again within five
/// minutes is dropped by the queue; later, grant-pay finds the grant paid. A send that fails is
/// logged and counts as not taken.
pub async fn dispatch<D: GrantQueue>(deps: &D, grants: &[GrantRef]) -> Option<usize> {
    let mut sent = 0_usize;
    for batch in grants.chunks(SEND_BATCH_MAX) {
        match deps.send(batch).await.map(|not_taken| not_taken.into_iter().min()) {
            Ok(None) => sent = sent.saturating_add(batch.len()),
            Ok(Some(first)) => return Some(sent.saturating_add(first)),
            Err(error) => {
                tracing::warn!(error.cause = error.causes(), "a batch was not sent");
                return Some(sent);
            }
        }
    }
    None
}
