//! The metrics: their names, units and labels. `docs/logging.md` shows this table; a test keeps both the
//! same.
//!
//! The code counts through the facade of the crate `metrics`. A deployed function writes what it counted
//! in CloudWatch's embedded metric format after each invocation; the local stack serves it at `/metrics`.
//! A label has few values and never one that a caller chooses.

use std::fmt::Write;

use metrics::Unit;

/// A metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its labels; in CloudWatch, its dimensions beside `function`.
    pub labels: &'static str,
    /// What it counts or measures.
    pub what: &'static str,
    /// Its unit; a metric of milliseconds is a distribution, all others are counts.
    pub unit: Unit,
}

const fn count(name: &'static str, labels: &'static str, what: &'static str) -> Metric {
    Metric { name, labels, what, unit: Unit::Count }
}

/// Requests.
pub const REQUESTS: Metric = count(
    "http_requests_total",
    "route, code",
    "requests by method and route (`none`: no route), and by error code (`OK`: no error)",
);

/// Latency of requests.
pub const REQUEST_MS: Metric = Metric {
    name: "http_request_ms",
    labels: "route, code",
    what: "how long their answers took, in milliseconds",
    unit: Unit::Milliseconds,
};

/// Calls of DynamoDB.
pub const DYNAMO_CALLS: Metric =
    count("dynamo_calls_total", "", "calls of DynamoDB, attempts that failed included");

/// Read units.
pub const DYNAMO_READ: Metric =
    count("dynamo_read_units_x100_total", "", "read units that they consumed, in hundredths");

/// Write units.
pub const DYNAMO_WRITE: Metric =
    count("dynamo_write_units_x100_total", "", "write units that they consumed, in hundredths");

/// Look-ups that a cache answered.
pub const CACHE_HITS: Metric =
    count("cache_hits_total", "cache", "look-ups that a cache answered (caching.md)");

/// Look-ups that a cache did not answer.
pub const CACHE_MISSES: Metric =
    count("cache_misses_total", "cache", "look-ups that it did not answer");

/// Draws.
pub const DRAWS: Metric = count(
    "draws_total",
    "outcome",
    "draws from a bucket: `won`, `already`, `full`, `ahead`, `over`, `no_such_bucket`",
);

/// Payments.
pub const PAYMENTS: Metric = count(
    "payments_total",
    "outcome",
    "calls of the money service for a grant or a row: `paid`, `already_paid`, `voided`, `refused`, \
     `not_now`, `pending`, `unknown`; one that comes again counts again",
);

/// All of them.
pub const ALL: [Metric; 9] = [
    REQUESTS,
    REQUEST_MS,
    DYNAMO_CALLS,
    DYNAMO_READ,
    DYNAMO_WRITE,
    CACHE_HITS,
    CACHE_MISSES,
    DRAWS,
    PAYMENTS,
];

/// Tells the recorder of this process what each metric is.
pub fn describe() {
    for Metric { name, what, unit, .. } in ALL {
        match unit {
            Unit::Milliseconds => metrics::describe_histogram!(name, unit, what),
            unit => metrics::describe_counter!(name, unit, what),
        }
    }
}

/// The table in Markdown.
#[must_use]
pub fn table() -> String {
    let mut table = "| metric | labels | what |\n| --- | --- | --- |\n".to_owned();
    for Metric { name, labels, what, .. } in ALL {
        let labels = if labels.is_empty() { "–" } else { labels };
        // Writing to a `String` cannot fail.
        let _ = writeln!(table, "| `{name}` | {labels} | {what} |");
    }
    table
}
