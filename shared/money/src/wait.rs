//! How long a service asks its callers to wait.

use std::time::SystemTime;

use largesse_domain::time::Timestamp;

/// The wait of a `Retry-After`, in milliseconds: seconds, or an HTTP date (RFC 9110, section
/// 10.2.3). `None` when it is neither.
#[must_use]
pub fn retry_after_ms(text: &str, now: Timestamp) -> Option<u64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(seconds.saturating_mul(1_000));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let at_ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    Some(Timestamp::from_ms(at_ms).ms_since(now))
}
