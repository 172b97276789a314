//! Wiring: the tables of this environment and the bucket behind the schedule.

use std::sync::Arc;

use archive::settings::Settings;
use largesse_app::settings::Variables;
use largesse_aws::production;
use largesse_domain::time::Timestamp;
use largesse_runtime::{Ended, run_schedule, start_logging};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Ended> {
    let variables = Variables::of_process();
    let Settings { log, aws, names, policy, objects } = Settings::read(&variables)?;
    start_logging(log);
    let store = Arc::new(production::store(&aws, names)?.with_archive(objects));
    let run =
        |stop_at: Timestamp| archive::handle(&*store, stop_at.minus_ms(archive::MARGIN_MS), policy);
    Ok(run_schedule(run).await?)
}
