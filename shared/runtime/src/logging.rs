//! Logs.

use largesse_app::settings::{SettingError, Variables};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Which lines are logged.
pub type LogFilter = Targets;

/// The filter of `RUST_LOG`; without it, `info`.
///
/// # Errors
/// [`SettingError`].
pub fn log_filter(variables: &Variables<'_>) -> Result<LogFilter, SettingError> {
    let expected = "targets and levels, as `info` or `info,grant_pay=debug`";
    let filter = variables.optional("RUST_LOG", expected, |text| text.parse().ok())?;
    Ok(filter.unwrap_or_else(|| Targets::new().with_default(tracing::Level::INFO)))
}

/// Writes logs to standard output, one JSON object per line.
pub fn start_logging(filter: LogFilter) {
    // CloudWatch adds a time to each line.
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).without_time();
    // It fails only when logging was started before, and then that logger stays.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
}
