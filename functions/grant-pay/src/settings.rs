//! What grant-pay is told by its environment variables.

use largesse_app::settings::{SettingError, Variables};
use largesse_aws::names::{bus, queue, table};
use largesse_aws::production::sdk_config;
use largesse_aws::{Names, SdkConfig};
use largesse_domain::grant::RetryPolicy;
use largesse_money::MoneySettings;
use largesse_runtime::{LogFilter, log_filter};

/// The settings.
pub struct Settings {
    /// Which lines are logged.
    pub log: LogFilter,
    /// How AWS is called.
    pub aws: SdkConfig,
    /// The names of what it works on.
    pub names: Names,
    /// How often and how fast a refused payment is retried.
    pub policy: RetryPolicy,
    /// Where grants are paid.
    pub money: MoneySettings,
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
                pools: table(variables, "TABLE_POOLS")?,
                drops: table(variables, "TABLE_DROPS")?,
                grants: table(variables, "TABLE_GRANTS")?,
                edge: table(variables, "TABLE_EDGE")?,
                reconcile: table(variables, "TABLE_RECONCILE")?,
                queue_grants_url: queue(variables, "QUEUE_GRANTS_URL")?,
                queue_grants_dlq_url: queue(variables, "QUEUE_GRANTS_DLQ_URL")?,
                bus_events: bus(variables, "BUS_EVENTS")?,
                ..Names::default()
            },
            policy: policy(variables)?,
            money: MoneySettings::read(variables)?,
        })
    }
}

/// The most retries: fewer than the queue delivers a message (`maxReceiveCount` in template.yaml).
const RETRIES_MAX: u32 = 100;
/// The longest delay: a message stays invisible for 12 hours at most (Amazon SQS API Reference,
/// `ChangeMessageVisibility`).
const DELAY_S_MAX: u32 = 43_200;

/// The policy of `GRANT_RETRIES_MAX` and `GRANT_RETRY_DELAY_S`.
///
/// # Errors
/// [`SettingError`].
pub fn policy(variables: &Variables<'_>) -> Result<RetryPolicy, SettingError> {
    Ok(RetryPolicy {
        retries_max: variables.number("GRANT_RETRIES_MAX", 0..=RETRIES_MAX)?,
        delay_s: variables.number("GRANT_RETRY_DELAY_S", 0..=DELAY_S_MAX)?,
    })
}
