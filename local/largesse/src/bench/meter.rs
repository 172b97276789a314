//! Counting one operation.

use largesse_emulator::{Recorded, Service, World};

use super::prices::Used;
use super::report::figure;
use super::rounds;

/// The table of pool heads in the world.
pub(super) const POOLS: &str = "largesse-pools";

/// What one operation came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    pub(super) calls: f64,
    pub(super) rounds: f64,
    pub(super) read: f64,
    pub(super) write: f64,
    pub(super) head: f64,
    pub(super) sqs: f64,
    pub(super) http: f64,
    pub(super) invocations: f64,
}

impl Count {
    /// Dollars for a million of them.
    pub(super) fn dollars(self) -> f64 {
        let Self { rounds, read, write, sqs, http, invocations, .. } = self;
        Used { read, write, http, invocations, rounds, fifo: sqs }.dollars_per_million()
    }
}

/// Several of one kind: means, but the worst where a mark bounds every single one.
pub(super) fn summary(counts: &[Count]) -> Count {
    let many = figure(u64::try_from(counts.len()).unwrap_or(u64::MAX)).max(1.0);
    let mean = |part: fn(&Count) -> f64| counts.iter().map(part).sum::<f64>() / many;
    let worst = |part: fn(&Count) -> f64| counts.iter().map(part).fold(0.0, f64::max);
    Count {
        calls: mean(|one| one.calls),
        rounds: worst(|one| one.rounds),
        read: mean(|one| one.read),
        write: mean(|one| one.write),
        head: worst(|one| one.head),
        sqs: mean(|one| one.sqs),
        http: mean(|one| one.http),
        invocations: mean(|one| one.invocations),
    }
}

/// Counts what an operation does until its answer, and what it leaves running after it.
/// `head_units` is what a write to the head costs, which a failed condition costs too.
pub(super) async fn count<T>(
    world: &World,
    head_units: f64,
    operation: impl Future<Output = T>,
) -> (T, Count) {
    let recorder = world.recorder();
    recorder.reset();
    let (out, rounds) = rounds::count(world, operation).await;
    let mut count = Count { rounds: figure(rounds), ..Count::default() };
    for call in recorder.calls().iter().filter(|call| call.call.service != Service::Lambda) {
        if call.call.service == Service::DynamoDb {
            count.calls += 1.0;
        } else {
            count.sqs += 1.0;
        }
        for units in &call.units {
            count.read += units.read;
            count.write += units.write;
            count.head += if units.table == POOLS { units.write } else { 0.0 };
        }
        let (failed, on_head) = failed_units(call, head_units);
        count.write += failed;
        count.head += on_head;
    }
    (out, count)
}

/// What a call cost that failed: a condition that does not hold costs the write units of the item
/// as it stands, of a transaction twice for each action. The engine does not tell, so it is added
/// here: one KB for each item but the head, whose units are given. All units, and those of the
/// head.
fn failed_units(call: &Recorded, head_units: f64) -> (f64, f64) {
    if call.call.service != Service::DynamoDb || call.status != Some(400) {
        return (0.0, 0.0);
    }
    let on_head = call.call.resources.iter().any(|table| table == POOLS);
    match call.call.operation.as_str() {
        "UpdateItem" | "PutItem" | "DeleteItem" if on_head => (head_units, head_units),
        "UpdateItem" | "PutItem" | "DeleteItem" => (1.0, 0.0),
        "TransactWriteItems" => {
            let actions = u64::try_from(call.call.actions.len()).unwrap_or(u64::MAX);
            (2.0 * figure(actions), 0.0)
        }
        _ => (0.0, 0.0),
    }
}
