//! `/metrics`: what this process has counted, in the text format of Prometheus. It is part of the local
//! stack and not of the API: a deployed function writes its metrics to CloudWatch.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use largesse_app::telemetry::{self, REQUEST_MS};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// The path of the route.
pub const PATH: &str = "/metrics";
/// The content type of the format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// The upper bounds of the distribution of latencies, in milliseconds: up to the timeout of a function
/// behind HTTP (template.yaml).
const BOUNDS_MS: [f64; 13] =
    [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0];

/// Begins to count, for this whole process.
///
/// # Errors
/// [`BuildError`], when counting was started before.
pub fn start() -> Result<PrometheusHandle, BuildError> {
    let latency = Matcher::Full(REQUEST_MS.name.to_owned());
    let builder = PrometheusBuilder::new().set_buckets_for_metric(latency, &BOUNDS_MS)?;
    let handle = builder.install_recorder()?;
    telemetry::describe();
    Ok(handle)
}

/// The route.
pub fn router(handle: PrometheusHandle) -> Router {
    Router::new().route(PATH, get(async move || ([(CONTENT_TYPE, TEXT)], handle.render())))
}
