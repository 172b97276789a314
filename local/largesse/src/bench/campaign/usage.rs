//! What a campaign used of AWS until some moment.

use std::time::{Duration, Instant};

use largesse_emulator::{Service, World};

use super::super::prices::{self, Used};
use super::super::report::figure;

/// What was used from the beginning of a run until some moment.
#[derive(Clone, Copy, Default)]
pub(super) struct Usage {
    pub(super) at: Duration,
    pub(super) read: f64,
    pub(super) write: f64,
    pub(super) calls: f64,
    sqs: f64,
    invocations: f64,
    /// Transactions, and single writes of whole items.
    pub(super) transactions: f64,
    pub(super) puts: f64,
}

impl Usage {
    pub(super) fn of(world: &World, began: Instant) -> Self {
        let mut usage = Self { at: began.elapsed(), ..Self::default() };
        for (service, operation, totals) in world.recorder().operations() {
            let calls = figure(totals.calls);
            match (service, operation.as_str()) {
                (Service::Sqs, _) => usage.sqs += calls,
                (Service::Lambda, "Invoke") => usage.invocations += calls,
                (Service::DynamoDb, "TransactWriteItems") => usage.transactions += calls,
                (Service::DynamoDb, "PutItem") => usage.puts += calls,
                _ => {}
            }
            if service == Service::DynamoDb {
                usage.calls += calls;
                usage.read += totals.read;
                usage.write += totals.write;
            }
        }
        usage
    }

    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            at: self.at.saturating_sub(earlier.at),
            read: self.read - earlier.read,
            write: self.write - earlier.write,
            calls: self.calls - earlier.calls,
            sqs: self.sqs - earlier.sqs,
            invocations: self.invocations - earlier.invocations,
            transactions: self.transactions - earlier.transactions,
            puts: self.puts - earlier.puts,
        }
    }

    /// Dollars for a million rows, `waiting_s` seconds of environments that wait for each row
    /// included.
    pub(super) fn dollars(self, rows: f64, waiting_s: f64) -> f64 {
        let used = Used {
            read: self.read / rows,
            write: self.write / rows,
            http: 0.0,
            invocations: self.invocations / rows,
            rounds: (self.calls + self.sqs) / rows,
            // A mapping receives a batch and deletes it.
            fifo: (self.sqs + 2.0 * self.invocations) / rows,
        };
        let waiting = waiting_s * prices::MEMORY_GB * prices::GB_SECOND * 1e6;
        used.dollars_per_million() + waiting
    }
}
