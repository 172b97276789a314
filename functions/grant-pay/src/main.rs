//! Wiring: the store of this environment behind the queue.

use std::sync::Arc;

use largesse_aws::production::store_from_env;
use largesse_runtime::{Ended, run_sqs, start_logging};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Ended> {
    start_logging();
    let policy = grant_pay::policy_from(|name| std::env::var(name).ok());
    let store = Arc::new(store_from_env()?);
    Ok(run_sqs(|event| async { grant_pay::handle(&*store, event, policy).await }).await?)
}
