//! Wiring: the store and the money service of this environment behind the queue.

use std::sync::Arc;

use grant_pay::settings::Settings;
use largesse_app::settings::Variables;
use largesse_aws::production;
use largesse_runtime::{Ended, run_sqs, start_logging};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Ended> {
    let Settings { log, aws, names, policy, money } = Settings::read(&Variables::of_process())?;
    start_logging(log);
    let store = Arc::new(production::store(&aws, names)?);
    let money = money.service(store.clone())?;
    Ok(run_sqs(|event| async { grant_pay::handle(&money, &*store, event, policy).await }).await?)
}
