//! Wiring: the store of this environment under the router, which is also that of `$default`.

use std::sync::Arc;

use largesse_app::settings::Variables;
use largesse_aws::production;
use largesse_edge::kernel;
use largesse_runtime::{Ended, run_http, start_logging};
use query::settings::Settings;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Ended> {
    let settings = Settings::read(&Variables::of_process())?;
    let Settings { log, aws, names, archive, edge, base_path } = settings;
    start_logging(log);
    edge.warn_if_open();
    let store = Arc::new(production::store(&aws, names)?.with_archive(archive));
    let router = query::router(Arc::clone(&store), Arc::new(edge));
    Ok(run_http(kernel::wrap_default(router, store, query::about::methods_of), base_path).await?)
}
