//! What DynamoDB deletes by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use largesse_tests::http::Api;

/// DynamoDB reads seconds, and ignores an item whose time is more than five years back (Amazon
/// DynamoDB Developer Guide, "Using time to live"): milliseconds would keep it for ever.
#[tokio::test(start_paused = true)]
async fn every_time_to_live_is_a_number_of_seconds() {
    let api = Api::new(1);
    let room = api.room(&["ann", "bob"]).await;
    let token = api.spray(&room, "ann", 10, 2).await;
    api.claim(&room, "bob", &token).await.expect(201);
    api.settle().await;
    let mut dumps = vec![api.dump()];
    tokio::time::advance(Duration::from_secs(7 * 86_400)).await;
    api.refund_due().await;
    dumps.push(api.dump());

    let tables = &api.sandbox.world.stack().tables;
    let mut found = BTreeMap::new();
    for table in tables {
        let Some(attribute) = &table.ttl_attribute else { continue };
        let items = dumps.iter().flat_map(|dump| dump[&table.name].values());
        let times = items.filter_map(|item| item.get(attribute)).map(|time| {
            let digits = time["N"].as_str().unwrap_or_else(|| panic!("no number: {time}"));
            assert!(digits.len() == 10 && digits.starts_with("17"), "{digits} in {}", table.name);
        });
        found.insert(table.name.as_str(), times.count() > 0);
    }
    assert_eq!(found, BTreeMap::from([("largesse-edge", true), ("largesse-tokens", true)]));
}
