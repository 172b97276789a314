//! Wiring: the store and the money service of this environment behind the chunks that came back.

use std::sync::Arc;

use campaign_pay::Source;
use campaign_pay::settings::Settings;
use largesse_app::settings::Variables;
use largesse_aws::production;
use largesse_runtime::{Ended, run_sqs, start_logging};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Ended> {
    let source = Source::Retries;
    let read = Settings::read(&Variables::of_process(), source)?;
    let Settings { log, aws, names, pay, money } = read;
    start_logging(log);
    let store = Arc::new(production::store(&aws, names)?);
    let money = money.service(store.clone())?;
    let work = |event| async { campaign_pay::handle(&money, &*store, event, pay, source).await };
    Ok(run_sqs(work).await?)
}
