//! Wiring: the table and the queues of campaigns behind the schedule.

use std::sync::Arc;

use campaign_start::settings::Settings;
use largesse_app::settings::Variables;
use largesse_aws::production;
use largesse_runtime::{Ended, run_schedule, start_logging};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Ended> {
    let Settings { log, aws, names } = Settings::read(&Variables::of_process())?;
    start_logging(log);
    let store = Arc::new(production::store(&aws, names)?);
    Ok(run_schedule(|_| campaign_start::handle(&*store)).await?)
}
