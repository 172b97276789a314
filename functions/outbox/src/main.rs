//! Wiring: the queue of this environment behind the stream.

use std::sync::Arc;

use largesse_aws::production::store_from_env;
use largesse_runtime::{Ended, run_stream, start_logging};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Ended> {
    start_logging();
    let store = Arc::new(store_from_env()?);
    Ok(run_stream(|event| async { outbox::handle(&*store, event).await }).await?)
}
