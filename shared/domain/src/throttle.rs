//! How often one caller may come to one process: a rate with a burst.
//!
//! The rule is the generic cell rate algorithm, as in [`crate::rate`], with a burst tolerance and
//! without leases. Its state is the theoretical arrival time: the moment at which the whole burst is
//! free again. A caller that has not come for that long has no state, so a state that is over may be
//! forgotten at any time.
//!
//! # Guarantees
//! * In any time `t`, at most the burst and `rate · t` requests are admitted:
//!   `no_stretch_of_time_admits_more_than_burst_and_rate`.
//! * A clock that jumps back bars no caller for longer than a full burst takes to come back:
//!   `a_clock_that_jumps_back_bars_no_caller_for_long`.

use crate::rate::Moment;

const SECOND_NS: u64 = 1_000_000_000;

/// A rate and a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttle {
    per_s: u32,
    burst: u32,
}

impl Throttle {
    /// So many requests a second, at least 1, and so many at once, at least 1.
    #[must_use]
    pub fn new(per_s: u32, burst: u32) -> Self {
        Self { per_s: per_s.max(1), burst: burst.max(1) }
    }

    /// How many may come at once.
    #[must_use]
    pub const fn burst(self) -> u32 {
        self.burst
    }

    /// The nanoseconds after which one more may come. Rounded up: the rate is never exceeded.
    fn interval_ns(self) -> u64 {
        SECOND_NS.div_ceil(u64::from(self.per_s))
    }

    /// The nanoseconds in which a whole burst comes back.
    #[must_use]
    pub fn refill_ns(self) -> u64 {
        self.interval_ns().saturating_mul(u64::from(self.burst))
    }

    /// Decides on one request at `now`. `Moment(0)` is the state of a caller that has not come.
    #[must_use]
    pub fn admit(self, state: Moment, now: Moment) -> Admission {
        // What lies behind now is over. What lies further ahead than a full burst was written before
        // the clock jumped back.
        let most = now.plus_ns(self.refill_ns());
        let from = state.max(now).min(most);
        let after = from.plus_ns(self.interval_ns());
        if after > most {
            Admission { state: from, wait_ns: after.ns_since(most) }
        } else {
            Admission { state: after, wait_ns: 0 }
        }
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The state after it.
    pub state: Moment,
    /// The nanoseconds until one is admitted; 0 when this one is.
    pub wait_ns: u64,
}

impl Admission {
    /// Whether it is admitted.
    #[must_use]
    pub const fn is_admitted(self) -> bool {
        self.wait_ns == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const MS: u64 = 1_000_000;

    /// How many of `count` requests at once are admitted, and the state after them.
    fn at_once(throttle: Throttle, state: Moment, now: Moment, count: u32) -> (u32, Moment) {
        (0..count).fold((0, state), |(admitted, state), _| {
            let admission = throttle.admit(state, now);
            (admitted + u32::from(admission.is_admitted()), admission.state)
        })
    }

    #[rstest]
    #[case(50, 100, 0, 100)]
    #[case(50, 100, 19, 0)]
    #[case(50, 100, 20, 1)]
    #[case(50, 100, 1_000, 50)]
    #[case(50, 100, 2_000, 100)]
    #[case(50, 100, 100_000, 100)]
    #[case(1, 1, 999, 0)]
    #[case(1, 1, 1_000, 1)]
    fn a_burst_is_admitted_and_comes_back_at_the_rate(
        #[case] per_s: u32,
        #[case] burst: u32,
        #[case] later_ms: u64,
        #[case] admitted: u32,
    ) {
        let throttle = Throttle::new(per_s, burst);
        let now = Moment(1_000_000 * MS);
        let (first, state) = at_once(throttle, Moment(0), now, burst * 2);
        assert_eq!(first, burst);
        if later_ms > 0 {
            let (again, _) = at_once(throttle, state, now.plus_ms(later_ms), burst * 2);
            assert_eq!(again, admitted);
        }
    }

    #[test]
    fn a_request_that_is_refused_is_told_when_the_next_is_admitted() {
        let throttle = Throttle::new(50, 2);
        let now = Moment(1_000_000 * MS);
        let (_, state) = at_once(throttle, Moment(0), now, 2);
        let wait_ns = throttle.admit(state, now).wait_ns;
        assert_eq!(wait_ns, 20 * MS);
        assert_eq!(throttle.admit(state, Moment(now.0 + wait_ns - 1)).wait_ns, 1);
        assert!(throttle.admit(state, Moment(now.0 + wait_ns)).is_admitted());
    }

    #[test]
    fn a_clock_that_jumps_back_bars_no_caller_for_long() {
        let throttle = Throttle::new(50, 100);
        let late = Moment(10_000_000 * MS);
        let (_, state) = at_once(throttle, Moment(0), late, 100);
        let back = late.minus_ms(3_600_000);
        let refused = throttle.admit(state, back);
        assert_eq!(refused.wait_ns, 20 * MS);
        assert!(throttle.admit(refused.state, back.plus_ms(20)).is_admitted());
    }

    #[test]
    fn a_rate_without_end_refuses_nothing() {
        let throttle = Throttle::new(u32::MAX, u32::MAX);
        assert_eq!(at_once(throttle, Moment(0), Moment(MS), 100_000).0, 100_000);
    }

    proptest! {
        #[test]
        fn no_stretch_of_time_admits_more_than_burst_and_rate(
            per_s in 1_u32..200,
            burst in 1_u32..50,
            steps in prop::collection::vec(0_u64..200, 1..300),
        ) {
            let throttle = Throttle::new(per_s, burst);
            let (mut now, mut state) = (Moment(1_000_000 * MS), Moment(0));
            let mut admitted = Vec::new();
            for step in steps {
                now = now.plus_ms(step);
                let admission = throttle.admit(state, now);
                state = admission.state;
                if admission.is_admitted() {
                    admitted.push(now);
                }
            }
            for (at, first) in admitted.iter().enumerate() {
                for (behind, last) in admitted[at..].iter().enumerate() {
                    let ms = last.ms_since(*first);
                    let most = u64::from(burst) + ms * u64::from(per_s) / 1_000;
                    prop_assert!(u64::try_from(behind).unwrap() < most);
                }
            }
        }
    }
}
