//! SQS errors. Each has a type in the JSON protocol and a code in the query protocol.

use serde_json::json;

/// An error of the SQS API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct SqsError {
    /// The code of the query protocol, which SDKs use.
    pub(crate) code: &'static str,
    /// The shape's name in the JSON protocol.
    shape: &'static str,
    pub(crate) message: String,
    pub(crate) status: u16,
}

impl SqsError {
    fn sender(code: &'static str, shape: &'static str, message: impl Into<String>) -> Self {
        Self { code, shape, message: message.into(), status: 400 }
    }

    pub(crate) fn no_such_queue() -> Self {
        Self::sender(
            "AWS.SimpleQueueService.NonExistentQueue",
            "QueueDoesNotExist",
            "The specified queue does not exist.",
        )
    }

    pub(crate) fn malformed_receipt(receipt: &str) -> Self {
        let message =
            format!("The input receipt handle \"{receipt}\" is not a valid receipt handle.");
        Self::sender("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", message)
    }

    /// FIFO queues refuse an expired receipt: another consumer may have the message by now.
    pub(crate) fn expired_receipt(receipt: &str) -> Self {
        Self::invalid(&format!(
            "Value {receipt} for parameter ReceiptHandle is invalid. \
             Reason: The receipt handle has expired."
        ))
    }

    pub(crate) fn not_in_flight(receipt: &str) -> Self {
        let message = format!(
            "Value {receipt} for parameter ReceiptHandle is invalid. Reason: Message does not \
             exist or is not available for visibility timeout change."
        );
        Self::sender("AWS.SimpleQueueService.MessageNotInflight", "MessageNotInflight", message)
    }

    pub(crate) fn invalid(message: &str) -> Self {
        Self::sender("InvalidParameterValue", "InvalidParameterValueException", message)
    }

    pub(crate) fn missing(parameter: &str) -> Self {
        let message = format!("The request must contain the parameter {parameter}.");
        Self::sender("MissingParameter", "MissingRequiredParameterException", message)
    }

    pub(crate) fn empty_batch() -> Self {
        Self::sender(
            "AWS.SimpleQueueService.EmptyBatchRequest",
            "EmptyBatchRequest",
            "There should be at least one entry in the request.",
        )
    }

    pub(crate) fn too_many_entries() -> Self {
        Self::sender(
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            "TooManyEntriesInBatchRequest",
            "Maximum number of entries per request are 10.",
        )
    }

    pub(crate) fn ids_not_distinct(id: &str) -> Self {
        Self::sender(
            "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
            "BatchEntryIdsNotDistinct",
            format!("Id {id} repeated."),
        )
    }

    pub(crate) fn batch_too_long() -> Self {
        Self::sender(
            "AWS.SimpleQueueService.BatchRequestTooLong",
            "BatchRequestTooLong",
            "Batch requests cannot be longer than 1048576 bytes.",
        )
    }

    pub(crate) fn unsupported(operation: &str) -> Self {
        Self::sender(
            "AWS.SimpleQueueService.UnsupportedOperation",
            "UnsupportedOperation",
            format!("The emulated SQS does not support {operation}."),
        )
    }

    pub(crate) fn denied(message: &str) -> Self {
        Self::sender("AccessDenied", "AccessDeniedException", message)
    }

    pub(crate) fn throttled() -> Self {
        Self::sender("RequestThrottled", "RequestThrottled", "Rate exceeded.")
    }

    pub(crate) fn internal(message: &str) -> Self {
        let (code, message) = ("InternalFailure", message.to_owned());
        Self { code, shape: "InternalFailure", message, status: 500 }
    }

    /// Whether the sender caused the error.
    pub(crate) fn is_senders(&self) -> bool {
        self.status < 500
    }

    /// The value of the `x-amzn-query-error` header.
    pub(crate) fn query_error(&self) -> String {
        format!("{};{}", self.code, if self.is_senders() { "Sender" } else { "Receiver" })
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        let kind = format!("com.amazonaws.sqs#{}", self.shape);
        json!({ "__type": kind, "message": self.message }).to_string().into_bytes()
    }
}
