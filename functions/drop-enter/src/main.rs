//! Wiring: the store of this environment under the router.

use std::sync::Arc;

use drop_enter::settings::Settings;
use largesse_app::settings::Variables;
use largesse_aws::production;
use largesse_edge::kernel;
use largesse_runtime::{Ended, run_http, start_logging};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Ended> {
    let Settings { log, aws, names, edge, base_path } = Settings::read(&Variables::of_process())?;
    start_logging(log);
    edge.warn_if_open();
    let store = Arc::new(production::store(&aws, names)?);
    let router = drop_enter::router(Arc::clone(&store), Arc::new(edge));
    Ok(run_http(kernel::wrap(router, store), base_path).await?)
}
