//! Batches of SQS messages.

use std::future::Future;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use futures::FutureExt;
use lambda_runtime::{Error, LambdaEvent, service_fn};

use crate::invoked::{invoked, logged};

/// Handles batches of SQS messages.
///
/// # Errors
/// When Lambda's runtime API cannot be reached.
pub async fn run_sqs<F, Fut>(handle: F) -> Result<(), Error>
where
    F: Fn(SqsEvent) -> Fut,
    Fut: Future<Output = SqsBatchResponse>,
{
    let handle = &handle;
    lambda_runtime::run(service_fn(async move |event: LambdaEvent<SqsEvent>| {
        // Boxed: the compiler otherwise expands the whole function's future here.
        let work = handle(event.payload).boxed_local();
        Ok::<_, Error>(invoked(event.context, logged(work)).await)
    }))
    .await
}
