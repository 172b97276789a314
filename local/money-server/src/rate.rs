//! The limit: how many calls any sliding second holds.

use std::collections::VecDeque;

/// The length of the window, in milliseconds.
const SECOND_MS: u64 = 1_000;

/// What became of a call at the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is served.
    Admitted,
    /// It is above the limit; after so many milliseconds there is room again.
    Above {
        /// At least 1.
        wait_ms: u64,
    },
}

/// The calls of the last second. A call that is refused leaves no room taken, so a caller that waits
/// gets through; it does count as a violation.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    admitted: VecDeque<u64>,
    arrived: VecDeque<u64>,
    pub(crate) violations: u64,
    pub(crate) peak_per_s: u64,
}

/// Drops the times that lie a second or more before `now_ms`.
fn forget(times: &mut VecDeque<u64>, now_ms: u64) {
    while times.front().is_some_and(|at| now_ms.saturating_sub(*at) >= SECOND_MS) {
        times.pop_front();
    }
}

impl Rate {
    /// Counts a call. `limit_per_s` 0 admits every call.
    pub(crate) fn arrive(&mut self, now_ms: u64, limit_per_s: u32) -> Admission {
        forget(&mut self.arrived, now_ms);
        forget(&mut self.admitted, now_ms);
        self.arrived.push_back(now_ms);
        self.peak_per_s =
            self.peak_per_s.max(u64::try_from(self.arrived.len()).unwrap_or(u64::MAX));
        let limit = usize::try_from(limit_per_s).unwrap_or(usize::MAX);
        if limit == 0 || self.admitted.len() < limit {
            self.admitted.push_back(now_ms);
            return Admission::Admitted;
        }
        self.violations = self.violations.saturating_add(1);
        let oldest = self.admitted.front().copied().unwrap_or(now_ms);
        let wait_ms = SECOND_MS.saturating_sub(now_ms.saturating_sub(oldest)).max(1);
        Admission::Above { wait_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_above_the_limit_of_a_sliding_second_is_refused_and_counted() {
        let mut rate = Rate::default();
        let arrivals = [0, 0, 600, 700, 999, 1_000, 1_000, 1_000, 1_600];
        let admissions: Vec<bool> =
            arrivals.iter().map(|ms| rate.arrive(*ms, 3) == Admission::Admitted).collect();
        assert_eq!(admissions, [true, true, true, false, false, true, true, false, true]);
        // 0, 0, 600, 700, 999 lie within one second; so do 600 to 1,000.
        assert_eq!((rate.violations, rate.peak_per_s), (3, 6));
    }

    #[test]
    fn a_refused_call_is_told_when_there_is_room() {
        let mut rate = Rate::default();
        assert_eq!(rate.arrive(10, 1), Admission::Admitted);
        assert_eq!(rate.arrive(400, 1), Admission::Above { wait_ms: 610 });
        assert_eq!(rate.arrive(1_010, 1), Admission::Admitted);
    }

    #[test]
    fn without_a_limit_every_call_is_admitted() {
        let mut rate = Rate::default();
        assert!((0..100).all(|_| rate.arrive(5, 0) == Admission::Admitted));
        assert_eq!((rate.violations, rate.peak_per_s), (0, 100));
    }
}
