//! How a function runs on Lambda: its router or handler, with logs, deadlines and request ids.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use aws_lambda_events::event::dynamodb::Event as StreamEvent;
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use aws_lambda_events::event::streams::DynamoDbEventResponse;
use axum::Router;
use axum::body::to_bytes;
use futures::FutureExt;
use http::Response;
use lambda_http::{Body, Request, RequestExt};
use lambda_runtime::{Context, Error, LambdaEvent, service_fn};
use largesse_app::ports::{Clock, Ids, PortError};
use largesse_aws::deadline;
use largesse_domain::time::Timestamp;
use serde::de::IgnoredAny;
use tower::ServiceExt;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::kernel;
use crate::meta::RequestId;

/// Kept back from Lambda's deadline, so that there is time to answer that there was none.
const DEADLINE_MARGIN_MS: u64 = 200;

/// Why a process ended, for `main` to return. Rust prints what `main` returns by its `Debug`, which
/// shows an error's fields; the operator who finds it in the log is to read words.
pub struct Ended(Error);

impl<E: Into<Error>> From<E> for Ended {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl fmt::Debug for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Sends logs to standard output, one JSON object a line, as loud as `RUST_LOG` says.
pub fn start_logging() {
    let wanted = std::env::var("RUST_LOG").ok();
    let filter = wanted.and_then(|text| text.parse::<Targets>().ok());
    let filter = filter.unwrap_or_else(|| Targets::new().with_default(tracing::Level::INFO));
    // CloudWatch stamps each line itself.
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).without_time();
    // A second call changes nothing.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
}

fn deadline_of(context: &Context) -> Timestamp {
    let ms = i64::try_from(context.deadline).unwrap_or(i64::MAX);
    Timestamp::from_ms(ms).minus_ms(DEADLINE_MARGIN_MS)
}

/// Serves a router behind an HTTP API, with the kernel around it.
///
/// # Errors
/// When Lambda's runtime API cannot be reached.
pub async fn run_http<D>(router: Router, deps: Arc<D>) -> Result<(), Error>
where
    D: Clock + Ids + Send + Sync + 'static,
{
    let router = kernel::wrap(router, deps);
    // Serves one request at a time, or several where Lambda hands in several.
    lambda_http::run_concurrent(service_fn(move |request| answer(router.clone(), request))).await
}

async fn answer(router: Router, mut request: Request) -> Result<Response<Body>, Error> {
    let context = request.lambda_context_ref().cloned().unwrap_or_default();
    let deadline = deadline_of(&context);
    request.extensions_mut().insert(RequestId(context.request_id));
    let request = request.map(axum::body::Body::new);
    let response = deadline::scope(deadline, router.oneshot(request)).await?;
    // Every answer of ours is a text, whole before it is sent.
    let (parts, body) = response.into_parts();
    let text = String::from_utf8(to_bytes(body, usize::MAX).await?.into())?;
    Ok(Response::from_parts(parts, Body::Text(text)))
}

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
        let deadline = deadline_of(&event.context);
        // Boxed, so that the compiler need not look through the whole function at once.
        let work = handle(event.payload).boxed_local();
        Ok::<_, Error>(deadline::scope(deadline, work).await)
    }))
    .await
}

/// Handles batches of records of a DynamoDB stream.
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
        let deadline = deadline_of(&event.context);
        // Boxed, so that the compiler need not look through the whole function at once.
        let work = handle(event.payload).boxed_local();
        Ok::<_, Error>(deadline::scope(deadline, work).await)
    }))
    .await
}

/// Kept back from the deadline of a scheduled run, so that what is under way ends in time.
pub const STOP_MARGIN_MS: u64 = 5_000;

/// Why a scheduled run counts as failed: Lambda's `Errors` rises, and somebody is woken up.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It could not look at what there is to do.
    #[error(transparent)]
    Port(#[from] PortError),
    /// It did what it could, and so many were left; its log names each.
    #[error("{0} failed; the next run tries them again")]
    LeftOver(u64),
}

/// Runs a job that a schedule starts, until shortly before its deadline; answers with its report.
///
/// # Errors
/// When Lambda's runtime API cannot be reached.
pub async fn run_schedule<F, Fut, R>(handle: F) -> Result<(), Error>
where
    F: Fn(Timestamp) -> Fut,
    Fut: Future<Output = Result<R, RunError>>,
    R: serde::Serialize,
{
    let handle = &handle;
    lambda_runtime::run(service_fn(async move |event: LambdaEvent<IgnoredAny>| {
        let deadline = deadline_of(&event.context);
        let work = handle(deadline.minus_ms(STOP_MARGIN_MS)).boxed_local();
        deadline::scope(deadline, work).await.map_err(Error::from)
    }))
    .await
}
