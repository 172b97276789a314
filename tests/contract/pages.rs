//! Pages that show a table of the code show it as it is.

use std::fs;
use std::path::Path;

use largesse_app::{caches, telemetry};

fn assert_shows(page: &str, table: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = fs::read_to_string(root.join("docs").join(page)).unwrap();
    assert!(text.contains(table), "docs/{page} must hold this table:\n\n{table}");
}

#[test]
fn the_page_of_caches_shows_every_cache_and_how_old_it_may_be() {
    assert_shows("caching.md", &caches::table());
}

#[test]
fn the_page_of_the_logs_shows_every_metric() {
    assert_shows("logging.md", &telemetry::table());
}
