//! Logs.

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Writes logs to standard output, one JSON object per line. `RUST_LOG` sets the level; the default
/// is `info`.
pub fn start_logging() {
    let wanted = std::env::var("RUST_LOG").ok();
    let filter = wanted.and_then(|text| text.parse::<Targets>().ok());
    let filter = filter.unwrap_or_else(|| Targets::new().with_default(tracing::Level::INFO));
    // CloudWatch adds a time to each line.
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).without_time();
    // It fails only when logging was started before, and then that logger stays.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
}
