//! Wiring: the tables of this environment behind the schedule.

use std::sync::Arc;

use largesse_aws::production::store_from_env;
use largesse_runtime::{Ended, run_schedule, start_logging};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Ended> {
    start_logging();
    let store = Arc::new(store_from_env()?);
    // A store that does not behave as DynamoDB must be known before it costs money.
    store.probe().await?;
    Ok(run_schedule(|stop_at| pool_sweep::handle(&*store, stop_at)).await?)
}
