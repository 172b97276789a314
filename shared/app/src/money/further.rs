//! Further calls of one payment or reversal.
//!
//! An adapter asks again when an answer was lost. The money service counts that call like the first
//! one, so it takes a permit of its own. The adapter waits for it here, and knows no rate.

use std::sync::Arc;

use futures::future::BoxFuture;

use crate::ports::PortResult;

tokio::task_local! {
    static GATE: Arc<dyn Gate>;
}

/// What lets a further call pass.
pub(super) trait Gate: Send + Sync {
    /// Waits until it may be made.
    fn pass(&self) -> BoxFuture<'_, PortResult<()>>;
}

/// Runs `work`, whose further calls pass the gate.
pub(super) async fn behind<F: Future>(gate: Arc<dyn Gate>, work: F) -> F::Output {
    GATE.scope(gate, work).await
}

/// Waits until another call may be made within the payment or reversal that is under way. The caller
/// makes it before it waits for anything else. A service without a rate makes it at once.
///
/// # Errors
/// [`crate::ports::PortError`] of kind `Throttled`: there is no permit in the time that is left, and
/// the call is not made.
pub async fn further_call() -> PortResult<()> {
    match GATE.try_with(Arc::clone) {
        Ok(gate) => gate.pass().await,
        Err(_) => Ok(()),
    }
}
