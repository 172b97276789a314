//! From the SDK's errors to the ports': by code, never by text, with the cause kept.

use std::error::Error;
use std::sync::Arc;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::CancellationReason;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use largesse_app::ports::{PortError, PortErrorKind, PortResult};

/// Codes that say "too much": nothing happened.
const THROTTLES: [&str; 6] = [
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "RequestLimitExceeded",
    "LimitExceededException",
    "ThrottlingError",
    "ProvisionedThroughputExceeded",
];

/// Codes that say "somebody else is at it": nothing happened.
const CONTENTIONS: [&str; 2] = ["TransactionConflictException", "TransactionConflict"];
/// The code that says "this very transaction is still running": it may happen yet.
const STILL_RUNNING: &str = "TransactionInProgressException";

/// The port's error for a failed call.
pub(crate) fn port_error<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> PortError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let kind = match &error {
        SdkError::ConstructionFailure(_) => PortErrorKind::Rejected,
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            kind_of(service.err().code().unwrap_or_default(), status)
        }
        // No answer, or none that can be read: it may have happened.
        _ => PortErrorKind::Unknown,
    };
    PortError { operation, kind, cause: Some(Arc::new(error)) }
}

fn kind_of(code: &str, status: u16) -> PortErrorKind {
    if THROTTLES.contains(&code) {
        PortErrorKind::Throttled
    } else if CONTENTIONS.contains(&code) {
        PortErrorKind::Contended
    } else if status >= 500 || code == STILL_RUNNING {
        PortErrorKind::Unknown
    } else {
        PortErrorKind::Rejected
    }
}

/// Whether an update's condition failed.
pub(crate) fn is_refused(error: &SdkError<UpdateItemError, HttpResponse>) -> bool {
    let error = error.as_service_error();
    error.is_some_and(UpdateItemError::is_conditional_check_failed_exception)
}

/// For an update whose failed condition means that there is nothing to do.
pub(crate) fn unless_refused(
    operation: &'static str,
    sent: Result<UpdateItemOutput, SdkError<UpdateItemError, HttpResponse>>,
) -> PortResult<()> {
    match sent {
        Ok(_) => Ok(()),
        Err(error) if is_refused(&error) => Ok(()),
        Err(error) => Err(port_error(operation, error)),
    }
}

/// Something stored cannot be read.
pub(crate) fn corrupt(operation: &'static str) -> PortError {
    PortError { operation, kind: PortErrorKind::Corrupt, cause: None }
}

/// A writer lost as often as it may.
pub(crate) fn contended(operation: &'static str) -> PortError {
    PortError { operation, kind: PortErrorKind::Contended, cause: None }
}

/// How a transaction ended that did not commit.
pub(crate) enum TransactError {
    /// Conditions failed; one reason per item, in order.
    Refused(Vec<CancellationReason>),
    /// Anything else.
    Port(PortError),
}

/// The code of a reason that a condition failed.
const CONDITION_FAILED: &str = "ConditionalCheckFailed";

/// Whether the condition of the item at `index` failed.
pub(crate) fn condition_failed(reasons: &[CancellationReason], index: usize) -> bool {
    reasons.get(index).and_then(CancellationReason::code) == Some(CONDITION_FAILED)
}

/// Whether a transaction was cancelled by contention and nothing else.
pub(crate) fn is_only_contention(reasons: &[CancellationReason]) -> bool {
    let codes = || reasons.iter().filter_map(CancellationReason::code).filter(|c| *c != "None");
    let transient = |code: &str| CONTENTIONS.contains(&code) || THROTTLES.contains(&code);
    codes().next().is_some() && codes().all(transient)
}

pub(crate) fn transact_error(
    operation: &'static str,
    error: SdkError<TransactWriteItemsError, HttpResponse>,
) -> TransactError {
    let reasons = match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
            canceled.cancellation_reasons().to_vec()
        }
        _ => return TransactError::Port(port_error(operation, error)),
    };
    if reasons.iter().any(|reason| reason.code() == Some(CONDITION_FAILED)) {
        return TransactError::Refused(reasons);
    }
    let contended = is_only_contention(&reasons);
    let kind = if contended { PortErrorKind::Contended } else { PortErrorKind::Rejected };
    TransactError::Port(PortError { operation, kind, cause: Some(Arc::new(error)) })
}
