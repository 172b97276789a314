//! What reconcile is told by its environment variables.

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
    /// The hour of the day (UTC) at which a pass begins.
    pub hour: u32,
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
                reconcile: table(variables, "TABLE_RECONCILE")?,
                ..Names::default()
            },
            hour: hour(variables)?,
        })
    }
}

/// The hour of `RECONCILE_HOUR_UTC`.
///
/// # Errors
/// [`SettingError`].
pub fn hour(variables: &Variables<'_>) -> Result<u32, SettingError> {
    variables.number("RECONCILE_HOUR_UTC", 0..=23)
}
