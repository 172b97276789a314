//! Wiring: the queue of this environment behind the stream.

use std::sync::Arc;

use largesse_aws::production::store_from_env;
use largesse_edge::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Ended> {
    lambda::start_logging();
    let store = Arc::new(store_from_env()?);
    Ok(lambda::run_stream(|event| async { outbox::handle(&*store, event).await }).await?)
}
