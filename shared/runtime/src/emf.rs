//! Metrics in CloudWatch's embedded metric format: each invocation writes what it counted to standard
//! output, and CloudWatch takes the metrics from there.

use std::io::Write;
use std::sync::OnceLock;

use largesse_app::telemetry;
use metrics_cloudwatch_embedded::{Builder, Collector};

/// The namespace of the metrics in CloudWatch.
const NAMESPACE: &str = "Largesse";

static COLLECTOR: OnceLock<Option<&'static Collector>> = OnceLock::new();

/// Begins to count, once in a process. The name of the function is a dimension of each metric, so that two
/// stacks of one account are counted apart.
pub(crate) fn start(function: &str) {
    COLLECTOR.get_or_init(|| {
        let collector = Builder::new()
            .cloudwatch_namespace(NAMESPACE)
            .with_dimension("function", function.to_owned())
            .init();
        telemetry::describe();
        // It fails only when counting was started before, and then that recorder stays.
        collector.ok()
    });
}

/// Writes what was counted since the last time. Without metrics the work is as good: a failure to write
/// them is passed over.
pub(crate) fn write() {
    let Some(collector) = COLLECTOR.get().copied().flatten() else { return };
    let mut lines = Vec::new();
    if collector.flush(&mut lines).is_ok() {
        // At once, so that no other line stands between.
        let _ = std::io::stdout().write_all(&lines);
    }
}
