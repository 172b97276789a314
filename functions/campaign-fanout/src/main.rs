//! Wiring: the store of this environment behind the queue of jobs.

use std::sync::Arc;

use campaign_fanout::settings::Settings;
use largesse_app::settings::Variables;
use largesse_aws::production;
use largesse_runtime::{Ended, run_sqs, start_logging};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Ended> {
    let Settings { log, aws, names, lanes } = Settings::read(&Variables::of_process())?;
    start_logging(log);
    let store = Arc::new(production::store(&aws, names)?);
    Ok(run_sqs(|event| async { campaign_fanout::handle(&*store, event, lanes).await }).await?)
}
