//! What notify is told by its environment variables.

use largesse_app::settings::{SettingError, Variables};
use largesse_aws::names::queue;
use largesse_aws::production::sdk_config;
use largesse_aws::{Names, SdkConfig};
use largesse_runtime::{LogFilter, log_filter};

use crate::text::LinkBase;
use crate::webhook::{self, Address};

/// The settings.
pub struct Settings {
    /// Which lines are logged.
    pub log: LogFilter,
    /// How AWS is called.
    pub aws: SdkConfig,
    /// The names of what it works on.
    pub names: Names,
    /// Which webhook is told, and how; without one, none is.
    pub webhook: Option<webhook::Settings>,
}

impl Settings {
    /// Reads all of them.
    ///
    /// # Errors
    /// [`SettingError`], the first.
    pub fn read(variables: &Variables<'_>) -> Result<Self, SettingError> {
        let address = variables.optional("WEBHOOK_URL", Address::EXPECTED, Address::read)?;
        let link = link(variables)?;
        Ok(Self {
            log: log_filter(variables)?,
            aws: sdk_config(variables)?,
            names: Names {
                queue_notify_url: queue(variables, "QUEUE_NOTIFY_URL")?,
                queue_notify_dlq_url: queue(variables, "QUEUE_NOTIFY_DLQ_URL")?,
                ..Names::default()
            },
            webhook: address.map(|address| webhook::Settings::new(address, link)),
        })
    }
}

/// The base of links of `NOTIFY_LINK_BASE`.
///
/// # Errors
/// [`SettingError`].
pub fn link(variables: &Variables<'_>) -> Result<Option<LinkBase>, SettingError> {
    let expected = "an http or https URL; the campaign's id is put behind it";
    variables.optional("NOTIFY_LINK_BASE", expected, LinkBase::read)
}
