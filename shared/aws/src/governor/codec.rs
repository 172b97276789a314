//! The items of the governor: the rate, and the circuit breaker.

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::{PortResult, StoredBreaker};
use largesse_domain::breaker::Breaker;
use largesse_domain::id::Ulid;
use largesse_domain::rate::{Moment, Rate, RateState, Tolerance};

use crate::item::{Item, Reader, item, ms, n, s};

pub(super) const RATE: &str = "rate";
pub(super) const TAT: &str = "tat_ns";
pub(super) const VERSION: &str = "version";

const CLOSED: &str = "CLOSED";
const OPEN: &str = "OPEN";
const HALF_OPEN: &str = "HALF_OPEN";

/// A rate as one value, so that one comparison covers all of it.
pub(super) fn rate_value(rate: Rate) -> Av {
    let Tolerance { skew_us, lateness_us } = rate.tolerance();
    Av::M(item([
        ("limit", n(rate.limit())),
        ("skew_us", n(skew_us)),
        ("lateness_us", n(lateness_us)),
    ]))
}

pub(super) fn read_tat(item: &Item) -> PortResult<Moment> {
    Reader { item, what: "rate item" }.number(TAT).map(Moment)
}

pub(super) fn read_rate(item: &Item) -> PortResult<RateState> {
    let reader = Reader { item, what: "rate item" };
    let terms = Reader { item: reader.map(RATE)?, what: "rate item" };
    let tolerance =
        Tolerance { skew_us: terms.number("skew_us")?, lateness_us: terms.number("lateness_us")? };
    let rate = Rate::new(terms.number("limit")?, tolerance).ok_or_else(|| reader.corrupt())?;
    Ok(RateState { rate, tat: read_tat(item)? })
}

/// The attributes of a breaker beside its version, in the order of [`BREAKER_NAMES`]; null where a
/// state has no such attribute.
pub(super) fn breaker_values(breaker: Breaker) -> [Av; 4] {
    let null = || Av::Null(true);
    match breaker {
        Breaker::Closed => [s(CLOSED), null(), null(), null()],
        Breaker::Open { until, openings } => [s(OPEN), ms(until), n(openings), null()],
        Breaker::HalfOpen { probe, until, openings } => {
            [s(HALF_OPEN), ms(until), n(openings), s(probe)]
        }
    }
}

pub(super) const BREAKER_NAMES: [&str; 4] = ["state", "until_ms", "openings", "probe"];

pub(super) fn read_breaker(item: &Item) -> PortResult<StoredBreaker> {
    let reader = Reader { item, what: "breaker item" };
    let until = || reader.ms("until_ms");
    let openings = || reader.number("openings");
    let breaker = match reader.text("state")? {
        CLOSED => Breaker::Closed,
        OPEN => Breaker::Open { until: until()?, openings: openings()? },
        HALF_OPEN => {
            let probe = Ulid::from_string(reader.text("probe")?).map_err(|_| reader.corrupt())?;
            Breaker::HalfOpen { probe, until: until()?, openings: openings()? }
        }
        _ => return Err(reader.corrupt()),
    };
    Ok(StoredBreaker { breaker, version: reader.number(VERSION)? })
}
