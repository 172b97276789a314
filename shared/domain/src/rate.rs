//! The rate of calls to a money service: at most `limit` in any second, over all workers.
//!
//! The rule is the generic cell rate algorithm (GCRA; ITU-T Recommendation I.371, "virtual
//! scheduling") without a burst tolerance. Its state is one number, the theoretical arrival time
//! (TAT): the first moment at which no permit is leased yet. A permit is a moment at which one call
//! may be issued. A worker leases a [`Block`] of consecutive permits, one every interval `T`, and the
//! TAT moves behind them. The TAT never falls, so no two blocks share a permit.
//!
//! # Why no sliding second holds more than the limit
//! Let `s` be the skew: a worker's clock reads at most `s` more or less than true time, its
//! resolution included. Let `l` be the lateness: a worker issues the permit of moment `t` only while
//! its clock reads `t` to `t + l`, and drops it afterwards. In true time a permit is then issued from
//! `t - s` to `t + l + s`. Of `limit + 1` permits, the first and the last are at least `limit · T`
//! apart by their moments, and so at least `limit · T - l - 2 s` apart in true time. With
//!
//! ```text
//! T = ⌈(1 s + l + 2 s) / limit⌉
//! ```
//!
//! that is a second or more. So no half-open second holds `limit + 1` of them, however many workers
//! hold the permits between, crash, or wait for the store.
//!
//! What the tolerances cost is the share `(l + 2 s) / (1 s + l + 2 s)` of the limit: 2 % with the
//! default ones. A permit that is not used in time is lost and never saved, since a permit saved for
//! later would be one too many in its later second.
//!
//! # When the limit changes
//! The new rate begins behind all permits that are leased, after a pause: the first permit of the new
//! rate comes `1 s + l + 2 s` after the last one of the old rate (the larger tolerances count). So no
//! second holds permits of both rates, and each second keeps the limit of the permits in it.
//!
//! # Guarantees
//! * No sliding second holds more than the limit, whatever workers do, and no second holds permits of
//!   two rates: `no_sliding_second_holds_more_permits_than_its_limit`.
//! * Under demand 97 % of the limit is used: `under_demand_97_percent_of_the_limit_is_used`.
//! * The interval is the smallest that keeps the proof: `a_shorter_interval_would_break_the_limit`.

use crate::time::Timestamp;

const NS_PER_MS: u64 = 1_000_000;
const NS_PER_US: u64 = 1_000;
const SECOND_NS: u64 = 1_000_000_000;

/// The highest limit, in calls a second (docs/limits.md).
pub const RATE_LIMIT_MAX: u32 = 5_000;
/// How long the permits of one block last at most, in milliseconds. At 1,000 calls a second a block
/// holds 245 permits, so one write of the store pays for that many. A worker that crashes loses no
/// more.
pub const BLOCK_MS: u64 = 250;
/// The longest skew and the longest lateness, in microseconds. Each is counted in every interval, so
/// longer ones would leave little of the limit.
pub const TOLERANCE_US_MAX: u32 = 1_000_000;

/// A moment: nanoseconds since 1970-01-01T00:00:00Z, until the year 2554.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

impl Moment {
    /// The moment of a timestamp.
    #[must_use]
    pub const fn of(at: Timestamp) -> Self {
        Self(at.ms_unsigned().saturating_mul(NS_PER_MS))
    }

    /// The moment `ms` milliseconds later.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(NS_PER_MS)))
    }

    /// The moment `ms` milliseconds earlier.
    #[must_use]
    pub const fn minus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_sub(ms.saturating_mul(NS_PER_MS)))
    }

    /// Milliseconds from `earlier` to this, rounded up; 0 when it is not earlier.
    #[must_use]
    pub const fn ms_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0).div_ceil(NS_PER_MS)
    }

    pub(crate) const fn plus_ns(self, ns: u64) -> Self {
        Self(self.0.saturating_add(ns))
    }

    /// Nanoseconds from `earlier` to this; 0 when it is not earlier.
    #[must_use]
    pub const fn ns_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// How exactly workers keep to a permit's moment, in microseconds.
///
/// The limit counts at the service, where a call arrives later than it was issued: by the way there,
/// and by a new connection where no idle one is left. A way that always takes the same time changes
/// nothing. What it varies by is covered by the skew as a difference of clocks is: `v` microseconds of
/// it take `v / 2` of skew. With the default skew, clocks that agree leave 10 ms for the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance {
    /// How far a worker's clock may read from true time, either way, its resolution included.
    pub skew_us: u32,
    /// How long after its moment, by the worker's clock, a permit may still be used.
    pub lateness_us: u32,
}

impl Default for Tolerance {
    /// 5 ms of skew, several times what the Amazon Time Sync Service leaves, and 10 ms for a timer
    /// that fires late: 98.0 % of the limit.
    fn default() -> Self {
        Self { skew_us: 5_000, lateness_us: 10_000 }
    }
}

/// How many calls a second may hold, and how exactly workers keep to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    limit: u32,
    tolerance: Tolerance,
}

impl Rate {
    /// A rate of 1 to [`RATE_LIMIT_MAX`] calls a second; `None` for another limit, or a tolerance
    /// above [`TOLERANCE_US_MAX`].
    #[must_use]
    pub fn new(limit: u32, tolerance: Tolerance) -> Option<Self> {
        let is_limit = (1..=RATE_LIMIT_MAX).contains(&limit);
        let is_tolerance = tolerance.skew_us.max(tolerance.lateness_us) <= TOLERANCE_US_MAX;
        (is_limit && is_tolerance).then_some(Self { limit, tolerance })
    }

    /// Calls a second.
    #[must_use]
    pub const fn limit(self) -> u32 {
        self.limit
    }

    /// How exactly workers keep to it.
    #[must_use]
    pub const fn tolerance(self) -> Tolerance {
        self.tolerance
    }

    /// The nanoseconds between two permits, `T` in the proof above.
    #[must_use]
    pub fn interval_ns(self) -> u64 {
        period_ns(self.tolerance).div_ceil(u64::from(self.limit.max(1)))
    }

    /// How many permits a block of this rate holds at most: those of [`BLOCK_MS`], at least one.
    #[must_use]
    pub fn block_max(self) -> u32 {
        count_of(BLOCK_MS.saturating_mul(NS_PER_MS).checked_div(self.interval_ns())).max(1)
    }

    /// The nanoseconds that `count` permits take.
    #[must_use]
    pub fn span_ns(self, count: u32) -> u64 {
        self.interval_ns().saturating_mul(u64::from(count))
    }

    const fn lateness_ns(self) -> u64 {
        us(self.tolerance.lateness_us)
    }
}

/// Microseconds as nanoseconds. `u64::from` is not const.
#[allow(clippy::cast_lossless, reason = "widening, in a const function")]
const fn us(us: u32) -> u64 {
    (us as u64).saturating_mul(NS_PER_US)
}

/// How far the moments of two permits lie apart that no second may hold both of.
const fn period_ns(tolerance: Tolerance) -> u64 {
    SECOND_NS
        .saturating_add(us(tolerance.lateness_us))
        .saturating_add(us(tolerance.skew_us).saturating_mul(2))
}

fn count_of(quotient: Option<u64>) -> u32 {
    u32::try_from(quotient.unwrap_or(0)).unwrap_or(u32::MAX)
}

/// What a worker asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// How many permits, at least 1. A lease may give fewer.
    pub wanted: u32,
    /// The first moment at which a permit is of use: a lease takes time, and what its reply comes too
    /// late for is lost.
    pub from: Moment,
    /// The last moment at which a permit is of use.
    pub until: Moment,
}

/// What all workers share: the rate and the TAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateState {
    /// The rate.
    pub rate: Rate,
    /// The first moment at which no permit is leased.
    pub tat: Moment,
}

impl RateState {
    /// Leases permits: as many as are wanted, fit into one block and have a moment within the wish.
    /// The state after it has the block's [`Block::end`] as its TAT.
    ///
    /// # Errors
    /// The moment of the next permit, when that is after the wish's last.
    pub fn lease(&self, wish: &Wish) -> Result<Block, Moment> {
        // What lies between the TAT and the wish is lost.
        let first = self.tat.max(wish.from);
        if first > wish.until {
            return Err(first);
        }
        let room = wish.until.0.saturating_sub(first.0).checked_div(self.rate.interval_ns());
        let fitting = count_of(room).saturating_add(1);
        let count = wish.wanted.max(1).min(self.rate.block_max()).min(fitting);
        Ok(Block { rate: self.rate, first, count })
    }

    /// The state with another rate, behind all permits that are leased.
    #[must_use]
    pub fn change(&self, rate: Rate) -> Self {
        Self { rate, tat: self.tat.plus_ns(gap_ns(self.rate, rate)) }
    }
}

/// By how much the TAT moves when the rate changes, in nanoseconds. The last permit of the old rate
/// lies an interval before the TAT or earlier.
#[must_use]
pub fn gap_ns(old: Rate, new: Rate) -> u64 {
    let longest = period_ns(old.tolerance).max(period_ns(new.tolerance));
    longest.saturating_sub(old.interval_ns())
}

/// Permits that a worker has leased: `count` of them, an interval apart from `first` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// The rate they are spread by.
    pub rate: Rate,
    /// The moment of the first.
    pub first: Moment,
    /// How many there are.
    pub count: u32,
}

impl Block {
    /// The first moment behind the block.
    #[must_use]
    pub fn end(&self) -> Moment {
        self.first.plus_ns(self.rate.span_ns(self.count))
    }

    /// The next permit that can still be used at `now`, which stays in the block. Those whose time is
    /// over leave it.
    pub fn peek(&mut self, now: Moment) -> Option<Permit> {
        let late = now.0.saturating_sub(self.first.plus_ns(self.rate.lateness_ns()).0);
        // Those whose last moment lies before now.
        let over = count_of(Some(late.div_ceil(self.rate.interval_ns()))).min(self.count);
        self.drop_first(over);
        (self.count > 0).then_some(Permit { at: self.first, lateness_ns: self.rate.lateness_ns() })
    }

    /// Takes the next permit that can still be used at `now`.
    pub fn take(&mut self, now: Moment) -> Option<Permit> {
        let permit = self.peek(now)?;
        self.drop_first(1);
        Some(permit)
    }

    fn drop_first(&mut self, count: u32) {
        self.first = self.first.plus_ns(self.rate.span_ns(count));
        self.count = self.count.saturating_sub(count);
    }
}

/// The right to issue one call at its moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    at: Moment,
    lateness_ns: u64,
}

/// Whether a permit may be used now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Not yet.
    Early,
    /// Now.
    InTime,
    /// No more: it is lost.
    Late,
}

impl Permit {
    /// Its moment.
    #[must_use]
    pub const fn at(self) -> Moment {
        self.at
    }

    /// The last millisecond in which it may be used.
    #[must_use]
    pub fn until(self) -> Timestamp {
        let last = self.at.plus_ns(self.lateness_ns).0.checked_div(NS_PER_MS).unwrap_or(0);
        Timestamp::from_ms(i64::try_from(last).unwrap_or(i64::MAX))
    }

    /// Whether it may be used when the worker's clock reads `now`.
    #[must_use]
    pub fn due(self, now: Moment) -> Due {
        if now < self.at {
            Due::Early
        } else if now <= self.at.plus_ns(self.lateness_ns) {
            Due::InTime
        } else {
            Due::Late
        }
    }
}

#[cfg(test)]
mod tests;
