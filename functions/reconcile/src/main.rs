//! Wiring: the tables of this environment behind the schedule.

use std::sync::Arc;

use largesse_app::settings::Variables;
use largesse_aws::production;
use largesse_runtime::{Ended, run_schedule, start_logging};
use reconcile::settings::Settings;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Ended> {
    let Settings { log, aws, names, hour } = Settings::read(&Variables::of_process())?;
    start_logging(log);
    let store = Arc::new(production::store(&aws, names)?);
    Ok(run_schedule(|stop_at| reconcile::handle(&*store, stop_at, hour)).await?)
}
