//! Time, ids and randomness: what the rules never take from the process itself.

use std::future::Future;

use largesse_domain::id::Ulid;
use largesse_domain::time::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Now. May jump either way; no rule relies on it going forward.
    fn now(&self) -> Timestamp;
}

/// Makes identities.
pub trait Ids: Send + Sync {
    /// A ULID never made before, with the clock's time in it.
    fn ulid(&self) -> Ulid;
}

/// Lets time pass.
pub trait Pause: Send + Sync {
    /// Waits that long, by the clock of the environment: in a test, no real time passes.
    fn pause_ms(&self, ms: u64) -> impl Future<Output = ()> + Send;
}

/// Makes unpredictable randomness.
pub trait Rng: Send + Sync {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);

    /// A number from 0 to `below - 1`, 0 when `below` is 0. Its bias is below 2^-32.
    fn below(&self, below: u32) -> u32 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        let number = u64::from_be_bytes(bytes).checked_rem(u64::from(below)).unwrap_or(0);
        u32::try_from(number).unwrap_or(0)
    }
}
