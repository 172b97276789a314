//! What archive is told by its environment variables.

use std::ops::RangeInclusive;
use std::sync::Arc;

use largesse_app::archive::daily::Policy;
use largesse_app::settings::{SettingError, Variables};
use largesse_aws::archive::ObjectStore;
use largesse_aws::names::table;
use largesse_aws::production::{archive, sdk_config};
use largesse_aws::{Names, SdkConfig};
use largesse_runtime::{LogFilter, log_filter};

/// The ages that may be set: 30 days are far above the 14 days that SQS keeps a message (Amazon SQS
/// Developer Guide, "Message retention period") and the 24 hours of an idempotency key. The most are
/// a hundred years.
const AFTER_DAYS: RangeInclusive<u32> = 30..=36_500;
/// How often a pass may begin.
const EVERY_DAYS: RangeInclusive<u32> = 1..=366;

/// The settings.
pub struct Settings {
    /// Which lines are logged.
    pub log: LogFilter,
    /// How AWS is called.
    pub aws: SdkConfig,
    /// The names of what it works on.
    pub names: Names,
    /// What is archived, and how often.
    pub policy: Policy,
    /// Where it goes.
    pub objects: Option<Arc<dyn ObjectStore>>,
}

impl Settings {
    /// Reads all of them.
    ///
    /// # Errors
    /// [`SettingError`], the first.
    pub fn read(variables: &Variables<'_>) -> Result<Self, SettingError> {
        Ok(Self {
            log: log_filter(variables)?,
            aws: sdk_config(variables)?,
            names: Names {
                ledger: table(variables, "TABLE_LEDGER")?,
                sprays: table(variables, "TABLE_SPRAYS")?,
                pools: table(variables, "TABLE_POOLS")?,
                drops: table(variables, "TABLE_DROPS")?,
                grants: table(variables, "TABLE_GRANTS")?,
                products: table(variables, "TABLE_PRODUCTS")?,
                campaigns: table(variables, "TABLE_CAMPAIGNS")?,
                campaign_rows: table(variables, "TABLE_CAMPAIGN_ROWS")?,
                reconcile: table(variables, "TABLE_RECONCILE")?,
                ..Names::default()
            },
            policy: policy(variables)?,
            objects: archive(variables)?,
        })
    }
}

/// What is archived, and how often: `ARCHIVE_AFTER_DAYS` and `ARCHIVE_EVERY_DAYS`.
///
/// # Errors
/// [`SettingError`].
pub fn policy(variables: &Variables<'_>) -> Result<Policy, SettingError> {
    let expected =
        format!("0, or a whole number from {} to {}", AFTER_DAYS.start(), AFTER_DAYS.end());
    let after_days = variables.required("ARCHIVE_AFTER_DAYS", &expected, |text| {
        text.parse().ok().filter(|days| *days == 0 || AFTER_DAYS.contains(days))
    })?;
    Ok(Policy { after_days, every_days: variables.number("ARCHIVE_EVERY_DAYS", EVERY_DAYS)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_long_enough_or_switches_the_archive_off() {
        let read = |days: &str| {
            let variables = Variables::new(|name| {
                Some(if name == "ARCHIVE_AFTER_DAYS" { days.to_owned() } else { "7".to_owned() })
            });
            policy(&variables).map(|policy| policy.after_days).ok()
        };
        for (text, days) in [("0", Some(0)), ("30", Some(30)), ("36500", Some(36_500))] {
            assert_eq!(read(text), days);
        }
        for text in ["1", "29", "36501", "-1", "x"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
