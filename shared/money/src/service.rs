//! The money service that the environment of a function names.

use std::sync::Arc;

use largesse_app::money::governed::CALLS_MAX;
use largesse_app::money::service::MoneyService;
use largesse_app::ports::{Breakers, Clock, Ids, Money, Pause, Permits, Rng};
use largesse_app::settings::{Fault, SettingError, Variables};
use largesse_domain::id::ServiceId;
use largesse_domain::rate::{RATE_LIMIT_MAX, Rate, Tolerance};

use crate::adapter::HttpMoney;
use crate::error::SetupError;
use crate::settings::{Base, Secret, Settings};

/// The name of the service where the environment has none.
const SERVICE: &str = "money";

/// Where grants are paid, by `MONEY_URL`, `MONEY_SECRET`, `MONEY_RATE_PER_S` and `MONEY_SERVICE`.
/// Without a URL it is the ledger.
#[derive(Clone, Debug)]
pub struct MoneySettings(Option<Http>);

#[derive(Clone, Debug)]
struct Http {
    settings: Settings,
    service: ServiceId,
    rate: Rate,
}

impl MoneySettings {
    /// Reads all of them.
    ///
    /// # Errors
    /// [`SettingError`], the first; `MONEY_RATE_PER_S` may be missing only without a URL.
    pub fn read(variables: &Variables<'_>) -> Result<Self, SettingError> {
        let url = "an https URL, or an http URL of this machine, without user, query and fragment";
        let base = variables.optional("MONEY_URL", url, |text| text.parse::<Base>().ok())?;
        let secret =
            variables.optional("MONEY_SECRET", "visible ASCII", |text| Secret::new(text).ok())?;
        let calls = format!("a whole number from 1 to {RATE_LIMIT_MAX}");
        let rate = variables.optional("MONEY_RATE_PER_S", &calls, |text| {
            Rate::new(text.parse().ok()?, Tolerance::default())
        })?;
        let name = "1 to 32 characters of a-z 0-9 -";
        let service = |text: &str| text.parse::<ServiceId>().ok();
        let named = variables.optional("MONEY_SERVICE", name, service)?;
        let Some(base) = base else { return Ok(Self(None)) };
        let missing = |name, expected: &str| SettingError {
            name,
            fault: Fault::Missing,
            expected: expected.to_owned(),
        };
        let rate = rate.ok_or_else(|| missing("MONEY_RATE_PER_S", &calls))?;
        let service = named.or_else(|| service(SERVICE));
        let service = service.ok_or_else(|| missing("MONEY_SERVICE", name))?;
        // A call is made at the moment of its permit: one that waited for another would be too late
        // for it. So the adapter holds up none of those that the rate lets through. The governor
        // looks up, under a permit.
        let (concurrency_max, looks_up) = (CALLS_MAX, false);
        let settings = Settings { secret, concurrency_max, looks_up, ..Settings::new(base) };
        Ok(Self(Some(Http { settings, service, rate })))
    }

    /// The service, with connections of its own and over the rate and the breaker of `store`. A
    /// process makes one.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn service<L>(self, store: Arc<L>) -> Result<MoneyService<L, HttpMoney>, SetupError>
    where
        L: Money + Permits + Breakers + Clock + Pause + Ids + Rng + 'static,
    {
        let Some(Http { settings, service, rate }) = self.0 else {
            return Ok(MoneyService::ledger(store));
        };
        let money = HttpMoney::new(settings, store.clone())?;
        Ok(MoneyService::governed(store, money, service, rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &[(&'static str, &'static str)]) -> Result<Option<Http>, SettingError> {
        let set = set.to_vec();
        let variables = Variables::new(move |name| {
            set.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned())
        });
        MoneySettings::read(&variables).map(|settings| settings.0)
    }

    const URL: (&str, &str) = ("MONEY_URL", "https://money.example");
    const RATE: (&str, &str) = ("MONEY_RATE_PER_S", "300");

    #[test]
    fn without_a_url_the_ledger_pays() {
        for set in [&[][..], &[("MONEY_URL", "")], &[RATE, ("MONEY_SECRET", "s")]] {
            assert!(read(set).unwrap().is_none());
        }
    }

    #[test]
    fn with_a_url_the_service_has_a_name_a_rate_and_perhaps_a_secret() {
        let http = read(&[URL, RATE]).unwrap().unwrap();
        assert_eq!((http.service.to_string(), http.rate.limit()), ("money".to_owned(), 300));
        assert!(http.settings.secret.is_none());
        let set = [URL, RATE, ("MONEY_SECRET", "tiger"), ("MONEY_SERVICE", "bank-2")];
        let http = read(&set).unwrap().unwrap();
        assert_eq!(http.service.to_string(), "bank-2");
        assert!(http.settings.secret.is_some() && !format!("{http:?}").contains("tiger"));
        let error = read(&[URL]).unwrap_err();
        assert_eq!((error.name, error.fault), ("MONEY_RATE_PER_S", Fault::Missing));
    }

    /// Also without a URL, so that a mistake is found before the service is switched on.
    #[test]
    fn what_is_malformed_is_named() {
        for (name, value) in [
            ("MONEY_URL", "http://money.example"),
            ("MONEY_SECRET", "a b"),
            ("MONEY_RATE_PER_S", "0"),
            ("MONEY_RATE_PER_S", "5001"),
            ("MONEY_SERVICE", "Bank"),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            assert_eq!((error.name, error.fault), (name, Fault::Malformed), "{value}");
        }
    }
}
