//! When calls are sent: the governor's part, without what the machine and the socket add.

use std::sync::{Arc, Mutex, PoisonError};

use largesse_app::ports::{Clock, Money, Payment, PortResult, Reversal, Standing};
use largesse_domain::grant::Grant;

/// The length of the window, in milliseconds.
const SECOND_MS: u64 = 1_000;

/// The moments at which workers sent calls.
#[derive(Default)]
pub(super) struct Moments(Mutex<Vec<u64>>);

impl Moments {
    /// The most calls that any sliding second holds.
    pub(super) fn peak_per_s(&self) -> u64 {
        let mut moments = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        moments.sort_unstable();
        let mut first = 0_usize;
        let mut peak = 0_usize;
        for (last, at) in moments.iter().enumerate() {
            while moments.get(first).is_some_and(|one| at.saturating_sub(*one) >= SECOND_MS) {
                first = first.saturating_add(1);
            }
            peak = peak.max(last.saturating_sub(first).saturating_add(1));
        }
        u64::try_from(peak).unwrap_or(u64::MAX)
    }
}

/// A money service behind a governor that keeps the moment of each call.
pub(super) struct Timed<M, C> {
    pub(super) inner: M,
    pub(super) clock: Arc<C>,
    pub(super) moments: Arc<Moments>,
}

impl<M, C: Clock> Timed<M, C> {
    fn keep(&self) {
        let now = self.clock.now().ms_unsigned();
        self.moments.0.lock().unwrap_or_else(PoisonError::into_inner).push(now);
    }
}

impl<M: Money, C: Clock> Money for Timed<M, C> {
    fn must_look_up(&self) -> bool {
        self.inner.must_look_up()
    }

    async fn pay(&self, grants: &[Grant]) -> Vec<Payment> {
        self.keep();
        self.inner.pay(grants).await
    }

    async fn lookup(&self, grants: &[Grant]) -> PortResult<Vec<Standing>> {
        self.keep();
        self.inner.lookup(grants).await
    }

    async fn reverse(&self, grant: &Grant) -> PortResult<Reversal> {
        self.keep();
        self.inner.reverse(grant).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_of_the_fullest_sliding_second() {
        let peak = |moments: &[u64]| Moments(Mutex::new(moments.to_vec())).peak_per_s();
        assert_eq!((peak(&[]), peak(&[5]), peak(&[0, 1_000])), (0, 1, 1));
        assert_eq!(peak(&[1_600, 0, 600, 999, 1_599, 1_000]), 4);
    }
}
