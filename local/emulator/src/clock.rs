//! One clock for the whole emulator: the SDK clients, the tables, the queues and the pumps.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_smithy_async::time::TimeSource;
use tokio::time::Instant;

/// Epoch milliseconds that follow tokio's clock: real time, or virtual time when tokio's clock is
/// paused. Clones share the skew.
#[derive(Clone, Debug)]
pub struct WorldClock {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    base_ms: i64,
    start: Instant,
    skew_ms: AtomicI64,
}

impl WorldClock {
    /// Starts at the system's time. Create it inside the runtime that uses it.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the only place where the emulator reads the system time"
    )]
    pub fn real() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::at(millis(now))
    }

    /// Starts at `epoch_ms`, so that a test reads the same times in every run.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this clock follows the runtime's clock, which may be paused"
    )]
    pub fn at(epoch_ms: i64) -> Self {
        let start = Instant::now();
        let shared = Shared { base_ms: epoch_ms, start, skew_ms: AtomicI64::new(0) };
        Self { shared: Arc::new(shared) }
    }

    /// Milliseconds since the Unix epoch, skew included.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        let elapsed = millis(self.shared.start.elapsed());
        let skew = self.shared.skew_ms.load(Ordering::Relaxed);
        self.shared.base_ms.saturating_add(elapsed).saturating_add(skew)
    }

    /// Sets the offset of this clock; a negative one makes it late.
    pub fn set_skew_ms(&self, skew_ms: i64) {
        self.shared.skew_ms.store(skew_ms, Ordering::Relaxed);
    }

    /// The time from now until `epoch_ms`; zero when it has passed.
    #[must_use]
    pub fn until(&self, epoch_ms: i64) -> Duration {
        let wait_ms = epoch_ms.saturating_sub(self.now_ms());
        Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0))
    }

    fn since_epoch(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.now_ms()).unwrap_or(0))
    }
}

/// The state of a state machine that depends on the time. Its lock is the only way to its state and
/// gives the time with it, read after the lock was taken: with a time from before, a thread that
/// waited for the lock would take the state back behind the time of the last holder. So the state
/// machines of the emulator hold no clock of their own.
#[derive(Debug)]
pub(crate) struct Clocked<T> {
    state: Mutex<T>,
    clock: WorldClock,
}

impl<T> Clocked<T> {
    pub(crate) fn new(state: T, clock: &WorldClock) -> Self {
        Self { state: Mutex::new(state), clock: clock.clone() }
    }

    /// The state, for one caller at a time, and the time.
    pub(crate) fn lock(&self) -> (MutexGuard<'_, T>, i64) {
        let guard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (guard, self.clock.now_ms())
    }
}

impl TimeSource for WorldClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + self.since_epoch()
    }
}

impl dynoxide::storage_backend::Clock for WorldClock {
    fn now_unix_secs(&self) -> u64 {
        self.since_epoch().as_secs()
    }

    fn now_unix_secs_f64(&self) -> f64 {
        self.since_epoch().as_secs_f64()
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_paused_clock_moves_only_when_it_is_advanced() {
        let clock = WorldClock::at(1_000);
        assert_eq!(clock.now_ms(), 1_000);
        tokio::time::advance(Duration::from_secs(300)).await;
        assert_eq!(clock.now_ms(), 301_000);
    }

    #[tokio::test(start_paused = true)]
    async fn skew_moves_the_clock_both_ways() {
        let clock = WorldClock::at(1_000);
        clock.set_skew_ms(-250);
        assert_eq!(clock.now_ms(), 750);
        assert_eq!(clock.until(1_000), Duration::from_millis(250));
        clock.set_skew_ms(250);
        assert_eq!(clock.now_ms(), 1_250);
        assert_eq!(clock.until(1_000), Duration::ZERO);
    }

    #[test]
    fn a_time_read_with_the_lock_is_never_before_the_one_of_the_last_holder() {
        let clock = WorldClock::at(1_000);
        let last = Clocked::new(0, &clock);
        let running = AtomicI64::new(4);
        std::thread::scope(|scope| {
            // One thread sets the skew, so the clock never goes back here.
            scope.spawn(|| {
                let mut skew_ms = 0;
                while running.load(Ordering::Relaxed) > 0 {
                    skew_ms += 1;
                    clock.set_skew_ms(skew_ms);
                }
            });
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut backwards = 0;
                    for _ in 0..20_000 {
                        let (mut last_ms, now_ms) = last.lock();
                        backwards += i32::from(now_ms < *last_ms);
                        *last_ms = now_ms;
                    }
                    running.fetch_sub(1, Ordering::Relaxed);
                    assert_eq!(backwards, 0, "holders of the lock with an earlier time");
                });
            }
        });
    }
}
