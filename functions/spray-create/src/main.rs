//! Wiring: the store of this environment under the router.

use std::sync::Arc;

use largesse_aws::production::store_from_env;
use largesse_edge::{EdgeConfig, lambda};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Ended> {
    lambda::start_logging();
    let edge = EdgeConfig::from_lookup(|name| std::env::var(name).ok())?;
    edge.announce();
    let store = Arc::new(store_from_env()?);
    let router = spray_create::router(Arc::clone(&store), Arc::new(edge));
    Ok(lambda::run_http(router, store).await?)
}
