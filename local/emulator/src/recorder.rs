//! Counts round trips and capacity units, so that tests and benchmarks state costs exactly.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::faults::{Call, Service};

mod items;

pub use items::ItemAccess;
pub(crate) use items::accesses;

/// The largest number of single calls to keep: enough for a test, bounded for a long run.
const CALLS_KEPT_MAX: usize = 100_000;

/// The capacity of one table that one call consumed.
#[derive(Clone, Debug, PartialEq)]
pub struct Units {
    /// The table's name.
    pub table: String,
    /// Read units; 0 for a write.
    pub read: f64,
    /// Write units; 0 for a read.
    pub write: f64,
}

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The service, the operation and the resources.
    pub call: Call,
    /// The items that a call to `DynamoDB` names by their keys.
    pub items: Vec<ItemAccess>,
    /// The HTTP status; `None` when the connection broke.
    pub status: Option<u16>,
    /// The consumed capacity, where the service reports it.
    pub units: Vec<Units>,
}

/// Sums over all calls of one operation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// Round trips, failed ones included.
    pub calls: u64,
    /// Round trips that ended with an error status or without a reply.
    pub failed: u64,
    /// Read units.
    pub read: f64,
    /// Write units.
    pub write: f64,
}

/// Counts calls. Clones share the counts.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    measuring: AtomicBool,
    keeping: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    by_operation: BTreeMap<(Service, String), Totals>,
    by_table: BTreeMap<String, Totals>,
    calls: Vec<Recorded>,
}

impl Recorder {
    /// Counts capacity units of every `DynamoDB` call from now on, also when the request does not
    /// want them. The reply to the caller does not change.
    pub fn measure_units(&self, on: bool) {
        self.shared.measuring.store(on, Ordering::Relaxed);
    }

    /// Keeps single calls, not only sums, from now on (the first 100,000).
    pub fn keep_calls(&self, on: bool) {
        self.shared.keeping.store(on, Ordering::Relaxed);
    }

    /// Forgets all counts and calls.
    pub fn reset(&self) {
        *self.shared.state.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
    }

    /// The sums of one operation, for example `(Service::DynamoDb, "UpdateItem")`.
    #[must_use]
    pub fn operation(&self, service: Service, operation: &str) -> Totals {
        let state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.by_operation.get(&(service, operation.to_owned())).copied().unwrap_or_default()
    }

    /// The sums of one table. A call counts once for every table in its request.
    #[must_use]
    pub fn table(&self, table: &str) -> Totals {
        let state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.by_table.get(table).copied().unwrap_or_default()
    }

    /// The sums of every operation, in a stable order.
    #[must_use]
    pub fn operations(&self) -> Vec<(Service, String, Totals)> {
        let state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let row = |((service, name), sums): (&(Service, String), &Totals)| {
            (*service, name.clone(), *sums)
        };
        state.by_operation.iter().map(row).collect()
    }

    /// The sums over all operations.
    #[must_use]
    pub fn total(&self) -> Totals {
        let state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.by_operation.values().fold(Totals::default(), |sum, one| Totals {
            calls: sum.calls.saturating_add(one.calls),
            failed: sum.failed.saturating_add(one.failed),
            read: sum.read + one.read,
            write: sum.write + one.write,
        })
    }

    /// The calls kept so far, in order of their effect.
    #[must_use]
    pub fn calls(&self) -> Vec<Recorded> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).calls.clone()
    }

    pub(crate) fn is_measuring(&self) -> bool {
        self.shared.measuring.load(Ordering::Relaxed)
    }

    pub(crate) fn is_keeping(&self) -> bool {
        self.shared.keeping.load(Ordering::Relaxed)
    }

    pub(crate) fn record(
        &self,
        call: &Call,
        items: Vec<ItemAccess>,
        status: Option<u16>,
        units: Vec<Units>,
    ) {
        let failed = u64::from(status.is_none_or(|code| code >= 400));
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (call.service, call.operation.clone());
        let sums = state.by_operation.entry(key).or_default();
        sums.calls = sums.calls.saturating_add(1);
        sums.failed = sums.failed.saturating_add(failed);
        for used in &units {
            sums.read += used.read;
            sums.write += used.write;
        }
        if call.service == Service::DynamoDb {
            for table in &call.resources {
                let sums = state.by_table.entry(table.clone()).or_default();
                sums.calls = sums.calls.saturating_add(1);
                sums.failed = sums.failed.saturating_add(failed);
            }
            for used in &units {
                let sums = state.by_table.entry(used.table.clone()).or_default();
                sums.read += used.read;
                sums.write += used.write;
            }
        }
        if self.is_keeping() && state.calls.len() < CALLS_KEPT_MAX {
            state.calls.push(Recorded { call: call.clone(), items, status, units });
        }
    }
}
