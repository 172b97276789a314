//! Counting one operation.

use largesse_emulator::{Recorded, Service, World};

use super::prices::Used;
use super::report::figure;
use super::rounds;

/// The table of buckets in the world.
pub(super) const POOLS: &str = "largesse-pools";

/// What one operation used.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    pub(super) calls: f64,
    pub(super) rounds: f64,
    pub(super) read: f64,
    pub(super) write: f64,
    pub(super) bucket: f64,
    /// Writes on buckets whose condition failed.
    pub(super) refused: f64,
    pub(super) sqs: f64,
    pub(super) http: f64,
    pub(super) invocations: f64,
}

impl Count {
    /// The share of each of `many` in a count of all of them; rounds are those of all.
    pub(super) fn each_of(self, many: f64) -> Self {
        let each = |sum: f64| sum / many;
        Self {
            calls: each(self.calls),
            rounds: self.rounds,
            read: each(self.read),
            write: each(self.write),
            bucket: each(self.bucket),
            refused: each(self.refused),
            sqs: each(self.sqs),
            http: each(self.http),
            invocations: each(self.invocations),
        }
    }

    /// As it would be if each full bucket weighed so many write units.
    pub(super) fn weighed(self, full: f64) -> Self {
        let more = self.refused * (full - 1.0);
        Self { write: self.write + more, bucket: self.bucket + more, ..self }
    }

    /// Dollars for a million of them.
    pub(super) fn dollars(self) -> f64 {
        let Self { rounds, read, write, sqs, http, invocations, .. } = self;
        Used { read, write, http, invocations, rounds, fifo: sqs }.dollars_per_million()
    }
}

/// Several of one kind: means, and the worst of rounds and of writes on a bucket.
pub(super) fn summary(counts: &[Count]) -> Count {
    let worst = |part: fn(&Count) -> f64| counts.iter().map(part).fold(0.0, f64::max);
    let (rounds, bucket) = (worst(|one| one.rounds), worst(|one| one.bucket));
    Count { rounds, bucket, ..mean(counts) }
}

/// Several of one kind: means.
pub(super) fn mean(counts: &[Count]) -> Count {
    let many = figure(u64::try_from(counts.len()).unwrap_or(u64::MAX)).max(1.0);
    let mean = |part: fn(&Count) -> f64| counts.iter().map(part).sum::<f64>() / many;
    Count {
        calls: mean(|one| one.calls),
        rounds: mean(|one| one.rounds),
        read: mean(|one| one.read),
        write: mean(|one| one.write),
        bucket: mean(|one| one.bucket),
        refused: mean(|one| one.refused),
        sqs: mean(|one| one.sqs),
        http: mean(|one| one.http),
        invocations: mean(|one| one.invocations),
    }
}

/// Counts what an operation does until its answer, and what it leaves running after it.
pub(super) async fn count<T>(world: &World, operation: impl Future<Output = T>) -> (T, Count) {
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
            count.bucket += if units.table == POOLS { units.write } else { 0.0 };
        }
        let (failed, on_bucket) = units_of_failure(call);
        count.write += failed;
        count.bucket += on_bucket;
        count.refused += if on_bucket > 0.0 { 1.0 } else { 0.0 };
    }
    (out, count)
}

/// What a failed call cost, in all and on buckets. A condition that does not hold costs the write
/// units of the item as it stands, in a transaction twice for each action. The engine does not say
/// it, so it is added here, as if each item had one KB. A bucket may have more: see
/// `counts::Bench::claim_counted`.
fn units_of_failure(call: &Recorded) -> (f64, f64) {
    if call.call.service != Service::DynamoDb || call.status != Some(400) {
        return (0.0, 0.0);
    }
    let on_bucket = call.call.resources.iter().any(|table| table == POOLS);
    match call.call.operation.as_str() {
        "UpdateItem" | "PutItem" | "DeleteItem" if on_bucket => (1.0, 1.0),
        "UpdateItem" | "PutItem" | "DeleteItem" => (1.0, 0.0),
        "TransactWriteItems" => {
            let actions = u64::try_from(call.call.actions.len()).unwrap_or(u64::MAX);
            (2.0 * figure(actions), 0.0)
        }
        _ => (0.0, 0.0),
    }
}
