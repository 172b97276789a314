//! What refund-batch is told by its environment variables.

use largesse_app::settings::{SettingError, Variables};
use largesse_aws::names::table;
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
                ledger: table(variables, "TABLE_LEDGER")?,
                tokens: table(variables, "TABLE_TOKENS")?,
                sprays: table(variables, "TABLE_SPRAYS")?,
                drops: table(variables, "TABLE_DROPS")?,
                pools: table(variables, "TABLE_POOLS")?,
                products: table(variables, "TABLE_PRODUCTS")?,
                reconcile: table(variables, "TABLE_RECONCILE")?,
                ..Names::default()
            },
        })
    }
}
