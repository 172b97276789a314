//! `largesse rate`: how often an HTTP money service is called, over all workers.
//!
//! The rate is an item of the table `edge`. Workers learn of a change with their next lease, and the
//! new rate begins behind the permits that are leased: 5 s ahead at most, and a pause of a second.

use clap::Subcommand;
use largesse_app::ports::{Breakers, Permits, PortResult};
use largesse_aws::production::SystemClock;
use largesse_aws::{Environment, Names, Store};
use largesse_domain::breaker::Breaker;
use largesse_domain::id::ServiceId;
use largesse_domain::rate::{Moment, RATE_LIMIT_MAX, Rate, RateState, Tolerance};
use largesse_domain::time::Timestamp;
use largesse_edge::time;
use serde_json::{Value, json};
use std::sync::Arc;

use crate::dlq::command::Where;
use crate::dlq::{DlqError, config, rng};
use crate::plain;

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Action {
    /// Show the rate, until when permits are leased, and the circuit breaker.
    Show {
        /// The service's name: MONEY_SERVICE of grant-pay, `money` unless it was changed.
        service: ServiceId,
    },
    /// Set the rate. Workers follow within six seconds, and no second holds calls of both rates.
    Set {
        /// The service's name: MONEY_SERVICE of grant-pay, `money` unless it was changed.
        service: ServiceId,
        /// Calls in any second, 1 to 5,000.
        #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(RATE_LIMIT_MAX)))]
        per_second: u32,
        /// How far a worker's clock may be wrong, either way, in milliseconds.
        #[arg(long, value_name = "MS", default_value_t = 5)]
        #[arg(value_parser = clap::value_parser!(u32).range(0..=1_000))]
        skew_ms: u32,
        /// How late a worker may make a call after its permit's moment, in milliseconds.
        #[arg(long, value_name = "MS", default_value_t = 10)]
        #[arg(value_parser = clap::value_parser!(u32).range(0..=1_000))]
        lateness_ms: u32,
    },
}

/// Does it, and gives what is to be printed.
///
/// # Errors
/// [`DlqError`], as of the other commands of an operator.
pub async fn run(action: Action, place: &Where) -> Result<String, DlqError> {
    let config = config(place.endpoint())?;
    let names = Names { edge: format!("{}-edge", place.stack), ..Names::default() };
    let environment = Environment::of(Arc::new(SystemClock), rng()?);
    let said = act(&Store::new(&config, names, environment), action).await;
    let said = said.map_err(|error| match place.endpoint() {
        Some(endpoint) => DlqError::from(error).at(endpoint),
        None => error.into(),
    })?;
    Ok(if place.json { said.json().to_string() } else { said.text() })
}

async fn act(store: &Store, action: Action) -> PortResult<Said> {
    let service = match action {
        Action::Show { service } => service,
        Action::Set { service, per_second, skew_ms, lateness_ms } => {
            let us = |ms: u32| ms.saturating_mul(1_000);
            let tolerance = Tolerance { skew_us: us(skew_ms), lateness_us: us(lateness_ms) };
            // The command line takes no number that a rate does not.
            if let Some(rate) = Rate::new(per_second, tolerance) {
                store.set_rate(&service, rate).await?;
            }
            service
        }
    };
    let (rate, breaker) = (store.rate(&service).await?, store.breaker(&service).await?.breaker);
    Ok(Said { service, rate, breaker })
}

/// A service as the table has it.
struct Said {
    service: ServiceId,
    rate: Option<RateState>,
    breaker: Breaker,
}

/// `None` before the first lease.
fn leased_until(tat: Moment) -> Option<Timestamp> {
    let ms = i64::try_from(tat.0.div_euclid(1_000_000)).unwrap_or(i64::MAX);
    (ms > 0).then(|| Timestamp::from_ms(ms))
}

impl Said {
    fn text(&self) -> String {
        let mut lines = vec![("service", self.service.to_string())];
        match self.rate {
            None => lines.push((
                "rate",
                "none yet: the first worker that calls it stores its MONEY_RATE_PER_S".to_owned(),
            )),
            Some(RateState { rate, tat }) => {
                let Tolerance { skew_us, lateness_us } = rate.tolerance();
                let leased = leased_until(tat).map_or_else(
                    || "no permit: no worker has called a service of this name".to_owned(),
                    |at| format!("permits until {}", time::format(at)),
                );
                lines.push(("rate", format!("{} calls in any second at most", rate.limit())));
                lines.push(("skew", format!("{skew_us} µs")));
                lines.push(("lateness", format!("{lateness_us} µs")));
                lines.push(("leased", leased));
            }
        }
        let breaker = match self.breaker {
            Breaker::Closed => "closed: calls are made".to_owned(),
            Breaker::Open { until, openings } => {
                format!("open until {}, opening {openings} in a row", time::format(until))
            }
            Breaker::HalfOpen { until, .. } => {
                format!("half-open: one call tries the service until {}", time::format(until))
            }
        };
        lines.push(("breaker", breaker));
        plain::pairs(&lines)
    }

    fn json(&self) -> Value {
        let rate = self.rate.map(|RateState { rate, tat }| {
            let Tolerance { skew_us, lateness_us } = rate.tolerance();
            json!({
                "per_second": rate.limit(), "skew_us": skew_us, "lateness_us": lateness_us,
                "leased_until": leased_until(tat).map(time::format),
            })
        });
        let (state, until) = match self.breaker {
            Breaker::Closed => ("closed", None),
            Breaker::Open { until, .. } => ("open", Some(until)),
            Breaker::HalfOpen { until, .. } => ("half_open", Some(until)),
        };
        json!({
            "service": self.service.to_string(), "rate": rate,
            "breaker": { "state": state, "until": until.map(time::format) },
        })
    }
}

#[cfg(test)]
mod tests {
    use largesse_app::ports::{BreakerWritten, StoredBreaker};
    use largesse_aws::production::SecureRng;
    use largesse_domain::rate::Wish;
    use largesse_emulator::{World, WorldClock};

    use super::*;
    use crate::compose;

    #[tokio::test]
    async fn a_rate_is_set_shown_and_followed() {
        let clock = WorldClock::at(1_767_225_600_000);
        let world = World::memory_at(&compose::stack().unwrap(), clock).unwrap();
        let store = compose::store(&world, SecureRng::from_seed(1));
        let service: ServiceId = "money".parse().unwrap();
        let show = || Action::Show { service: service.clone() };
        let said = act(&store, show()).await.unwrap();
        assert!(said.text().contains("none yet") && said.text().contains("closed"));
        assert_eq!(said.json()["rate"], Value::Null);
        let set = |per_second| Action::Set {
            service: service.clone(),
            per_second,
            skew_ms: 5,
            lateness_ms: 10,
        };
        let said = act(&store, set(300)).await.unwrap();
        assert!(said.text().contains("300 calls in any second"), "{}", said.text());
        assert!(said.text().contains("no worker has called"), "a mistyped name is seen");
        // A worker that knows another rate takes this one.
        let from = Moment::of(Timestamp::from_ms(1_767_225_600_000));
        let wish = Wish { wanted: 3, from, until: from.plus_ms(5_000) };
        let other = Rate::new(5, Tolerance::default()).unwrap();
        store.lease(&service, other, &wish).await.unwrap();
        let opened = Breaker::Open { until: Timestamp::from_ms(1_767_225_660_000), openings: 2 };
        let written = store.put_breaker(&service, StoredBreaker::default(), opened).await.unwrap();
        assert!(matches!(written, BreakerWritten::Done(_)));
        let said = act(&store, show()).await.unwrap();
        assert_eq!(
            said.json(),
            json!({
                "service": "money",
                "rate": {
                    "per_second": 300, "skew_us": 5_000, "lateness_us": 10_000,
                    "leased_until": "2026-01-01T00:00:00.010Z",
                },
                "breaker": { "state": "open", "until": "2026-01-01T00:01:00.000Z" },
            })
        );
        assert!(said.text().contains("opening 2 in a row"), "{}", said.text());
    }
}
