//! Grants are sent to be paid.

use crate::ports::{GrantMessage, GrantQueue, SEND_BATCH_MAX};

/// Sends messages, in order, and returns the position of the first that was not taken: everything
/// from there on is to be dispatched again. The queue drops what it was sent within five minutes
/// before; later, the payment finds the transfer. A send that fails is logged and counts as not
/// taken.
pub async fn dispatch<D: GrantQueue>(deps: &D, messages: &[GrantMessage]) -> Option<usize> {
    let mut sent = 0_usize;
    for batch in messages.chunks(SEND_BATCH_MAX) {
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
