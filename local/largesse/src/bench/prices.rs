//! What AWS asks for, and what an operation comes to.
//!
//! List prices of us-east-1, on demand, beyond every free tier, as the public pages show them in
//! 2025: aws.amazon.com/dynamodb/pricing/on-demand, aws.amazon.com/api-gateway/pricing,
//! aws.amazon.com/lambda/pricing, aws.amazon.com/sqs/pricing. Traffic, logs and storage are not in
//! it.

/// Dollars for a million write request units (1 KB each; a transaction counts two).
pub const WRITE_UNITS: f64 = 0.625;
/// Dollars for a million read request units (4 KB each; eventually consistent reads count a half).
pub const READ_UNITS: f64 = 0.125;
/// Dollars for a million requests to an HTTP API, the first 300 million of a month.
pub const HTTP_REQUESTS: f64 = 1.00;
/// Dollars for a million Lambda invocations.
pub const INVOCATIONS: f64 = 0.20;
/// Dollars for a GB-second of Lambda on arm64.
pub const GB_SECOND: f64 = 0.000_013_333_4;
/// Dollars for a million requests to an SQS FIFO queue.
pub const FIFO_REQUESTS: f64 = 0.50;

/// Assumed: how long one call of `DynamoDB` or SQS takes from a function.
pub const ROUND_MS: f64 = 5.0;
/// Assumed: how long an invocation takes besides.
pub const OWN_MS: f64 = 2.0;
/// What template.yaml gives a function.
pub const MEMORY_GB: f64 = 0.25;

/// What an operation used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    /// Read request units.
    pub read: f64,
    /// Write request units.
    pub write: f64,
    /// Requests to the HTTP API.
    pub http: f64,
    /// Invocations of functions.
    pub invocations: f64,
    /// Calls that wait for each other.
    pub rounds: f64,
    /// Requests to a FIFO queue, those of Lambda's mapping included.
    pub fifo: f64,
}

impl Used {
    /// Dollars for a million of them.
    #[must_use]
    pub fn dollars_per_million(self) -> f64 {
        let ms = self.invocations * OWN_MS + self.rounds * ROUND_MS;
        // A million times milliseconds is a thousand seconds each.
        let compute = ms * 1_000.0 * MEMORY_GB * GB_SECOND;
        self.read * READ_UNITS
            + self.write * WRITE_UNITS
            + self.http * HTTP_REQUESTS
            + self.invocations * INVOCATIONS
            + self.fifo * FIFO_REQUESTS
            + compute
    }
}
