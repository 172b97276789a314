//! When calls are sent: the governor's part, without what the machine and the socket add.

use std::sync::{Arc, Mutex, PoisonError};

use largesse_app::ports::{Clock, Money, Payment, PortResult, Reversal, Standing};
use largesse_domain::grant::Grant;

/// The length of the window, in milliseconds.
const SECOND_MS: u64 = 1_000;

/// The calls that workers sent.
#[derive(Default)]
pub(super) struct Sent {
    /// When each was sent.
    moments: Mutex<Vec<u64>>,
    /// How long each payment took, in milliseconds.
    took_ms: Mutex<Vec<u64>>,
}

impl Sent {
    /// The most calls that any sliding second holds.
    pub(super) fn peak_per_s(&self) -> u64 {
        let mut moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// The time that so many thousandths of the payments took at most.
    pub(super) fn took_ms(&self, permille: usize) -> u64 {
        let mut took = self.took_ms.lock().unwrap_or_else(PoisonError::into_inner);
        took.sort_unstable();
        let place = took.len().saturating_sub(1).saturating_mul(permille).div_euclid(1_000);
        took.get(place).copied().unwrap_or(0)
    }
}

/// A money service behind a governor that keeps the moment of each call.
pub(super) struct Timed<M, C> {
    pub(super) inner: M,
    pub(super) clock: Arc<C>,
    pub(super) sent: Arc<Sent>,
}

impl<M, C: Clock> Timed<M, C> {
    fn keep(&self) -> u64 {
        let now = self.clock.now().ms_unsigned();
        self.sent.moments.lock().unwrap_or_else(PoisonError::into_inner).push(now);
        now
    }
}

impl<M: Money, C: Clock> Money for Timed<M, C> {
    fn must_look_up(&self) -> bool {
        self.inner.must_look_up()
    }

    async fn pay(&self, grants: &[Grant]) -> Vec<Payment> {
        let began = self.keep();
        let paid = self.inner.pay(grants).await;
        let took = self.clock.now().ms_unsigned().saturating_sub(began);
        self.sent.took_ms.lock().unwrap_or_else(PoisonError::into_inner).push(took);
        paid
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
        let peak = |moments: &[u64]| {
            let moments = Mutex::new(moments.to_vec());
            Sent { moments, took_ms: Mutex::default() }.peak_per_s()
        };
        assert_eq!((peak(&[]), peak(&[5]), peak(&[0, 1_000])), (0, 1, 1));
        assert_eq!(peak(&[1_600, 0, 600, 999, 1_599, 1_000]), 4);
    }

    #[test]
    fn a_share_of_the_payments_took_no_longer() {
        let sent = Sent { took_ms: Mutex::new((1..=101).rev().collect()), ..Sent::default() };
        assert_eq!([0, 500, 990, 1_000].map(|share| sent.took_ms(share)), [1, 51, 100, 101]);
        assert_eq!(Sent::default().took_ms(500), 0);
    }
}
