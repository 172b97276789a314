//! Wiring: the queues and the bus of this environment behind the streams.

use std::sync::Arc;

use largesse_app::settings::Variables;
use largesse_aws::production;
use largesse_runtime::{Ended, run_stream, start_logging};
use outbox::settings::Settings;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Ended> {
    let Settings { log, aws, names } = Settings::read(&Variables::of_process())?;
    start_logging(log);
    let store = Arc::new(production::store(&aws, names)?);
    Ok(run_stream(|event| async { outbox::handle(&*store, event).await }).await?)
}
