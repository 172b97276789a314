//! Runs that a schedule starts.

use std::future::Future;

use futures::FutureExt;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use largesse_app::ports::PortError;
use largesse_domain::time::Timestamp;
use serde::Serialize;
use serde::de::IgnoredAny;

use crate::invoked::{invocation_of, invoked, logged};

/// The time kept back from the deadline of a scheduled run. A run starts no new work in it, so that
/// running work ends before the deadline.
pub const STOP_MARGIN_MS: u64 = 5_000;

/// Why a scheduled run failed. Lambda counts it in `Errors`, which raises an alarm.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The run cannot read what there is to do.
    #[error(transparent)]
    Port(#[from] PortError),
    /// So many items failed while the others were done; the log names each.
    #[error("{0} failed; the next run tries them again")]
    LeftOver(u64),
}

/// Runs a scheduled job and answers with its report. `handle` receives the moment at which it stops
/// starting new work. The content of the event is ignored.
///
/// # Errors
/// When Lambda's runtime API cannot be reached.
pub async fn run_schedule<F, Fut, R>(handle: F) -> Result<(), Error>
where
    F: Fn(Timestamp) -> Fut,
    Fut: Future<Output = Result<R, RunError>>,
    R: Serialize,
{
    let handle = &handle;
    lambda_runtime::run(service_fn(async move |event: LambdaEvent<IgnoredAny>| {
        let deadline = invocation_of(&event.context).deadline;
        let work = handle(deadline.minus_ms(STOP_MARGIN_MS)).boxed_local();
        invoked(event.context, logged(work)).await.map_err(Error::from)
    }))
    .await
}
