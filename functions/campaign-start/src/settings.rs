//! What campaign-start is told by its environment variables.

use largesse_app::settings::{SettingError, Variables};
use largesse_aws::names::{queue, table};
use largesse_aws::production::sdk_config;
use largesse_aws::{Names, SdkConfig};
use largesse_runtime::{LogFilter, log_filter};

/// The settings.
pub struct Settings {
    /// Which lines are logged.
    pub log: LogFilter,
    /// How AWS is called.
    pub aws: SdkConfig,
    /// The names of what it works on.
    pub names: Names,
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
                campaigns: table(variables, "TABLE_CAMPAIGNS")?,
                queue_seals_url: queue(variables, "QUEUE_SEALS_URL")?,
                queue_fanouts_url: queue(variables, "QUEUE_FANOUTS_URL")?,
                queue_campaigns_url: queue(variables, "QUEUE_CAMPAIGNS_URL")?,
                queue_campaign_retries_url: queue(variables, "QUEUE_CAMPAIGN_RETRIES_URL")?,
                ..Names::default()
            },
        })
    }
}
