//! Wiring: the webhook of this environment behind the queue of notices.

use std::sync::Arc;

use largesse_app::settings::Variables;
use largesse_aws::production;
use largesse_runtime::{Ended, run_sqs, start_logging};
use notify::settings::Settings;
use notify::webhook::Webhook;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Ended> {
    let Settings { log, aws, names, webhook } = Settings::read(&Variables::of_process())?;
    start_logging(log);
    let store = Arc::new(production::store(&aws, names)?);
    let webhook = webhook.map(Webhook::new).transpose()?;
    notify::say_where(webhook.as_ref());
    Ok(run_sqs(|event| async { notify::handle(&*store, webhook.as_ref(), event).await }).await?)
}
