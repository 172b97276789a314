//! Wiring: the store of this environment under the router.

use std::sync::Arc;

use largesse_aws::production::store_from_env;
use largesse_edge::{EdgeConfig, kernel};
use largesse_runtime::{Ended, run_http, start_logging};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Ended> {
    start_logging();
    let edge = EdgeConfig::from_lookup(|name| std::env::var(name).ok())?;
    edge.warn_if_open();
    let store = Arc::new(store_from_env()?);
    let router = spray_create::router(Arc::clone(&store), Arc::new(edge));
    Ok(run_http(kernel::wrap(router, store)).await?)
}
