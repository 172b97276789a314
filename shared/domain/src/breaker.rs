//! The circuit breaker before a money service (M. Nygard, "Release It!", chapter "Circuit Breaker").
//!
//! ```text
//! CLOSED ──failures in a row──► OPEN ──its time is over──► HALF_OPEN ──the probe succeeds──► CLOSED
//!                                ▲                             │
//!                                └──────the probe fails────────┘
//! ```
//!
//! All workers share one state. The failures are counted by each worker for itself, in a row and in
//! memory: one success begins the count anew, so scattered failures open nothing, and a service that
//! is away is found by every worker within a few calls. A share of a rolling count would have to be
//! written or would need more calls than one worker makes.
//!
//! Only a call without an answer, or with the answer "not now", is a failure. A refusal is an answer
//! of a service that works.
//!
//! # Guarantees
//! * Failures in a row open it, scattered ones do not: `only_failures_in_a_row_open_it`.
//! * One probe at a time, and one that never reports is followed by another:
//!   `a_half_open_breaker_has_one_probe_until_its_time_is_over`.
//! * Each failed probe makes it wait longer, up to a cap: `the_open_time_doubles_up_to_its_cap`.

use crate::id::Ulid;
use crate::time::Timestamp;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// This many failures in a row open it.
    pub failures_max: u32,
    /// How long it is open the first time, in milliseconds. Each failed probe doubles it.
    pub open_ms_first: u64,
    /// The longest time it is open, in milliseconds.
    pub open_ms_max: u64,
    /// After how many milliseconds a probe that has not reported is over: longer than a call and the
    /// wait for its permit.
    pub probe_ms: u64,
}

impl Default for BreakerPolicy {
    /// 5 failures; 2 s, at most 60 s; 15 s for a probe, since a permit is
    /// leased at most 5 s ahead and a call takes seconds (docs/limits.md).
    fn default() -> Self {
        Self { failures_max: 5, open_ms_first: 2_000, open_ms_max: 60_000, probe_ms: 15_000 }
    }
}

impl BreakerPolicy {
    /// How long a breaker is open after its `openings`-th opening (from 1) without a success between:
    /// half of the grown time for sure and a random part of the other half, so that workers of many
    /// services do not probe together (AWS Architecture Blog, "Exponential Backoff And Jitter").
    fn open_ms(&self, openings: u32, random: u32) -> u64 {
        let doubled = 2_u64.saturating_pow(openings.saturating_sub(1));
        let grown = self.open_ms_first.saturating_mul(doubled).min(self.open_ms_max);
        let half = grown.div_ceil(2);
        let other = grown.saturating_sub(half).saturating_add(1);
        half.saturating_add(u64::from(random).checked_rem(other).unwrap_or(0))
    }
}

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Breaker {
    /// Calls go through.
    #[default]
    Closed,
    /// No call goes through.
    Open {
        /// Until then.
        until: Timestamp,
        /// How often it has opened since it was last closed, at least 1.
        openings: u32,
    },
    /// One call goes through and tells whether the service works again.
    HalfOpen {
        /// The probe.
        probe: Ulid,
        /// When the probe is over, if it has not reported.
        until: Timestamp,
        /// As in [`Breaker::Open`].
        openings: u32,
    },
}

/// Whether a call goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It does.
    Pass,
    /// It does if it becomes the probe.
    Probe,
    /// It does not, until then.
    Refused {
        /// When to ask again.
        until: Timestamp,
    },
}

impl Breaker {
    /// Whether a call goes through.
    #[must_use]
    pub fn admit(&self, now: Timestamp) -> Admission {
        match *self {
            Self::Closed => Admission::Pass,
            Self::Open { until, .. } | Self::HalfOpen { until, .. } if now < until => {
                Admission::Refused { until }
            }
            Self::Open { .. } | Self::HalfOpen { .. } => Admission::Probe,
        }
    }

    const fn openings(&self) -> u32 {
        match self {
            Self::Closed => 0,
            Self::Open { openings, .. } | Self::HalfOpen { openings, .. } => *openings,
        }
    }

    /// The breaker opens, or opens again. `random` is any number; it makes the jitter.
    #[must_use]
    pub fn opened(&self, policy: &BreakerPolicy, now: Timestamp, random: u32) -> Self {
        let openings = self.openings().saturating_add(1);
        Self::Open { until: now.plus_ms(policy.open_ms(openings, random)), openings }
    }

    /// The breaker with a probe under way; for [`Admission::Probe`].
    #[must_use]
    pub fn probed(&self, policy: &BreakerPolicy, now: Timestamp, probe: Ulid) -> Self {
        Self::HalfOpen { probe, until: now.plus_ms(policy.probe_ms), openings: self.openings() }
    }

    /// The breaker whose probe was not made after all: it may be made at once.
    #[must_use]
    pub const fn unprobed(&self, now: Timestamp) -> Self {
        Self::Open { until: now, openings: self.openings() }
    }
}

/// The failures in a row that one worker has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures(u32);

impl Failures {
    /// Counts the outcome of a call. `true` when there are now enough failures to open the breaker;
    /// the count begins anew.
    pub fn count(&mut self, policy: &BreakerPolicy, is_failure: bool) -> bool {
        self.0 = if is_failure { self.0.saturating_add(1) } else { 0 };
        let is_enough = self.0 >= policy.failures_max.max(1);
        if is_enough {
            self.0 = 0;
        }
        is_enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: BreakerPolicy =
        BreakerPolicy { failures_max: 3, open_ms_first: 1_000, open_ms_max: 5_000, probe_ms: 700 };

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    #[test]
    fn only_failures_in_a_row_open_it() {
        let counted = |outcomes: &str| {
            let mut failures = Failures::default();
            outcomes.chars().map(|c| failures.count(&POLICY, c == 'x')).collect::<Vec<_>>()
        };
        assert_eq!(counted("xxx"), [false, false, true]);
        assert!(counted("xx.xx.xx.").iter().all(|opens| !opens));
        // The count begins anew: the next opening takes as many.
        assert_eq!(counted("xxxxxx").iter().filter(|opens| **opens).count(), 2);
    }

    #[test]
    fn an_open_breaker_refuses_until_its_time_is_over() {
        let open = Breaker::Open { until: at(100), openings: 1 };
        assert_eq!(Breaker::Closed.admit(at(0)), Admission::Pass);
        assert_eq!(open.admit(at(99)), Admission::Refused { until: at(100) });
        assert_eq!(open.admit(at(100)), Admission::Probe);
    }

    #[test]
    fn a_half_open_breaker_has_one_probe_until_its_time_is_over() {
        let open = Breaker::Open { until: at(100), openings: 4 };
        let half_open = open.probed(&POLICY, at(100), Ulid::from_parts(1, 1));
        assert_eq!(half_open.admit(at(799)), Admission::Refused { until: at(800) });
        assert_eq!(half_open.admit(at(800)), Admission::Probe);
        // One that was not made does not count as failed.
        assert_eq!(half_open.unprobed(at(101)), Breaker::Open { until: at(101), openings: 4 });
    }

    #[test]
    fn the_open_time_doubles_up_to_its_cap() {
        let mut breaker = Breaker::Closed;
        let mut longest = Vec::new();
        for _ in 0..5 {
            // The greatest number of the random half: half of each time is even.
            let random = POLICY.open_ms(breaker.openings() + 1, 0);
            breaker = breaker.opened(&POLICY, at(0), u32::try_from(random).unwrap());
            let Breaker::Open { until, .. } = breaker else { panic!("{breaker:?}") };
            longest.push(until.ms());
        }
        assert_eq!(longest, [1_000, 2_000, 4_000, 5_000, 5_000]);
    }

    #[test]
    fn at_least_half_of_the_open_time_is_certain_and_the_rest_is_random() {
        let times: Vec<u64> = (0..2_000).map(|random| POLICY.open_ms(2, random)).collect();
        assert_eq!((times.iter().min(), times.iter().max()), (Some(&1_000), Some(&2_000)));
    }
}
