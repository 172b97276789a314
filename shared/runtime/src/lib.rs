//! What every Lambda function needs: a runner for its kind of event, a deadline, a log, metrics.
//!
//! | trigger | runner |
//! | --- | --- |
//! | HTTP API | [`run_http`] |
//! | SQS queue | [`run_sqs`] |
//! | DynamoDB stream | [`run_stream`] |
//! | EventBridge schedule | [`run_schedule`] |
//!
//! Each runner sets the [`invocation`](largesse_app::invocation) around its work: the adapters
//! take their timeouts from the deadline, the HTTP kernel takes the request id.

#![deny(clippy::float_arithmetic)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod emf;
mod ended;
mod http;
mod http_event;
mod invoked;
mod logging;
mod schedule;
mod sqs;
mod stream;

pub use lambda_runtime::Error;

pub use ended::Ended;
pub use http::run_http;
pub use http_event::{BasePath, request_of};
pub use logging::{LogFilter, log_filter, start_logging};
pub use schedule::{RunError, STOP_MARGIN_MS, run_schedule};
pub use sqs::run_sqs;
pub use stream::run_stream;
