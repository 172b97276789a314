//! What query is told by its environment variables.

use largesse_app::settings::{SettingError, Variables};
use largesse_aws::names::table;
use largesse_aws::production::{Archive, archive, sdk_config};
use largesse_aws::{Names, SdkConfig};
use largesse_edge::EdgeConfig;
use largesse_runtime::{BasePath, LogFilter, log_filter};

/// The settings.
pub struct Settings {
    /// Which lines are logged.
    pub log: LogFilter,
    /// How AWS is called.
    pub aws: SdkConfig,
    /// The names of what it works on.
    pub names: Names,
    /// Where old transfers are.
    pub archive: Archive,
    /// How requests are served.
    pub edge: EdgeConfig,
    /// The path under which the API is reached.
    pub base_path: BasePath,
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
                rooms: table(variables, "TABLE_ROOMS")?,
                ledger: table(variables, "TABLE_LEDGER")?,
                tokens: table(variables, "TABLE_TOKENS")?,
                sprays: table(variables, "TABLE_SPRAYS")?,
                pools: table(variables, "TABLE_POOLS")?,
                drops: table(variables, "TABLE_DROPS")?,
                grants: table(variables, "TABLE_GRANTS")?,
                campaigns: table(variables, "TABLE_CAMPAIGNS")?,
                campaign_rows: table(variables, "TABLE_CAMPAIGN_ROWS")?,
                products: table(variables, "TABLE_PRODUCTS")?,
                edge: table(variables, "TABLE_EDGE")?,
                reconcile: table(variables, "TABLE_RECONCILE")?,
                ..Names::default()
            },
            archive: archive(variables)?,
            edge: EdgeConfig::read_with_cursors(variables)?
                .with_money(variables)?
                .with_misses(variables)?,
            base_path: BasePath::read(variables)?,
        })
    }
}
