//! Batches of records of a DynamoDB stream.

use std::future::Future;

use aws_lambda_events::event::dynamodb::Event as StreamEvent;
use aws_lambda_events::event::streams::DynamoDbEventResponse;
use futures::FutureExt;
use lambda_runtime::{Error, LambdaEvent, service_fn};

use crate::invoked::{invoked, logged};

/// Handles batches of stream records.
///
/// # Errors
/// When Lambda's runtime API cannot be reached.
pub async fn run_stream<F, Fut>(handle: F) -> Result<(), Error>
where
    F: Fn(StreamEvent) -> Fut,
    Fut: Future<Output = DynamoDbEventResponse>,
{
    let handle = &handle;
    lambda_runtime::run(service_fn(async move |event: LambdaEvent<StreamEvent>| {
        // Boxed: the compiler otherwise expands the whole function's future here.
        let work = handle(event.payload).boxed_local();
        Ok::<_, Error>(invoked(event.context, logged(work)).await)
    }))
    .await
}
