//! What campaign-pay and campaign-retry are told by their environment variables.

use largesse_app::campaign::pay::PaySettings;
use largesse_app::settings::{SettingError, Variables};
use largesse_aws::names::{queue, table};
use largesse_aws::production::sdk_config;
use largesse_aws::{Names, SdkConfig};
use largesse_domain::grant::RetryPolicy;
use largesse_money::MoneySettings;
use largesse_runtime::{LogFilter, log_filter};

use crate::Source;

/// The settings.
pub struct Settings {
    /// Which lines are logged.
    pub log: LogFilter,
    /// How AWS is called.
    pub aws: SdkConfig,
    /// The names of what it works on.
    pub names: Names,
    /// How rows are retried, and how often progress is kept.
    pub pay: PaySettings,
    /// Where rows are paid.
    pub money: MoneySettings,
}

impl Settings {
    /// Reads all of them.
    ///
    /// # Errors
    /// [`SettingError`], the first.
    pub fn read(variables: &Variables<'_>, source: Source) -> Result<Self, SettingError> {
        let lanes = match source {
            Source::Lane => queue(variables, "QUEUE_CAMPAIGNS_URL")?,
            // It never touches them.
            Source::Retries => String::new(),
        };
        Ok(Self {
            log: log_filter(variables)?,
            aws: sdk_config(variables)?,
            names: Names {
                ledger: table(variables, "TABLE_LEDGER")?,
                edge: table(variables, "TABLE_EDGE")?,
                campaigns: table(variables, "TABLE_CAMPAIGNS")?,
                campaign_rows: table(variables, "TABLE_CAMPAIGN_ROWS")?,
                queue_campaigns_url: lanes,
                queue_campaign_retries_url: queue(variables, "QUEUE_CAMPAIGN_RETRIES_URL")?,
                ..Names::default()
            },
            pay: pay_settings(variables)?,
            money: MoneySettings::read(variables)?,
        })
    }
}

/// The most retries: the record of a chunk keeps the number of each.
const RETRIES_MAX: u32 = 100;
/// The longest delay (Amazon SQS API Reference, `SendMessage`: `DelaySeconds`).
const DELAY_S_MAX: u32 = 900;
/// The longest time between two snapshots: an hour.
const SNAPSHOT_S_MAX: u32 = 3_600;

/// The settings of `GRANT_RETRIES_MAX`, `GRANT_RETRY_DELAY_S` and `CAMPAIGN_SNAPSHOT_S`.
///
/// # Errors
/// [`SettingError`].
pub fn pay_settings(variables: &Variables<'_>) -> Result<PaySettings, SettingError> {
    let delay_s = variables.number("GRANT_RETRY_DELAY_S", 0..=43_200_u32)?;
    Ok(PaySettings {
        policy: RetryPolicy {
            retries_max: variables.number("GRANT_RETRIES_MAX", 0..=RETRIES_MAX)?,
            // The setting is of grants too, whose queue can wait longer.
            delay_s: delay_s.min(DELAY_S_MAX),
        },
        snapshot_s: variables.number("CAMPAIGN_SNAPSHOT_S", 1..=SNAPSHOT_S_MAX)?,
    })
}
