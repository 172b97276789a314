//! What the SDK tries again by itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::config::retry::RetryPartition;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use aws_smithy_types::retry::{ErrorKind, RetryConfig};

use crate::errors;

/// Attempts of one call, the first included.
const ATTEMPTS_MAX: u32 = 5;
/// First and longest wait between attempts: the SDK doubles it and takes a random part.
const BACKOFF_MS_FIRST: u32 = 25;
const BACKOFF_MS_MAX: u32 = 1_000;

pub(crate) fn config() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(ATTEMPTS_MAX)
        .with_initial_backoff(Duration::from_millis(BACKOFF_MS_FIRST.into()))
        .with_max_backoff(Duration::from_millis(BACKOFF_MS_MAX.into()))
}

/// The longest wait before each attempt of what the SDK does not try again by itself: as it would.
pub(crate) fn waits_ms() -> impl Iterator<Item = u32> {
    let waits = std::iter::successors(Some(BACKOFF_MS_FIRST), |wait| wait.checked_mul(2));
    let attempts = usize::try_from(ATTEMPTS_MAX).unwrap_or(usize::MAX);
    std::iter::once(0).chain(waits.map(|wait| wait.min(BACKOFF_MS_MAX))).take(attempts)
}

/// Each store counts its own retries. The SDK's default lets all clients of a process share one
/// budget by service and region, so that one world's faults would use up another's.
pub(crate) fn partition() -> RetryPartition {
    static STORES: AtomicU64 = AtomicU64::new(0);
    RetryPartition::new(format!("store-{}", STORES.fetch_add(1, Ordering::Relaxed)))
}

/// A transaction that another one got in the way of is tried again; the SDK gives up at once, since
/// it looks at the exception and not at the reasons in it. A failed condition is an answer and is
/// never tried again, whatever else is among the reasons.
#[derive(Debug)]
pub(crate) struct TransactionConflicts;

impl ClassifyRetry for TransactionConflicts {
    fn name(&self) -> &'static str {
        "TransactionConflicts"
    }

    fn classify_retry(&self, ctx: &InterceptorContext) -> RetryAction {
        let error = ctx.output_or_error().and_then(Result::err);
        let error = error.and_then(|e| e.as_operation_error());
        let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) =
            error.and_then(|e| e.downcast_ref::<TransactWriteItemsError>())
        else {
            return RetryAction::NoActionIndicated;
        };
        if errors::is_only_contention(canceled.cancellation_reasons()) {
            RetryAction::retryable_error(ErrorKind::TransientError)
        } else {
            RetryAction::NoActionIndicated
        }
    }
}
