//! The sparse indexes that schedules work off: read shard by shard, in pages, up to a moment.

use std::time::Duration;

use largesse_app::ports::{INDEX_SHARDS, Pools, Refunds};
use largesse_domain::time::Timestamp;
use largesse_tests::Sandbox;

use crate::scene::{drawn, sprayed};

#[tokio::test(start_paused = true)]
async fn what_is_to_be_swept_is_read_in_pages_the_longest_waiting_first() {
    let sandbox = Sandbox::new(1);
    let mut expected = Vec::new();
    // Buckets of one pool lie in all shards; so do these pools.
    for _ in 0..24 {
        let spray = sprayed(&sandbox, 1).await;
        drawn(&sandbox, &spray, "m").await;
        expected.push(spray.pool());
        tokio::time::advance(Duration::from_millis(7)).await;
    }
    let (mut found, mut longest) = (Vec::new(), 0);
    for shard in 0..INDEX_SHARDS {
        let (mut after, mut rows) = (None, Vec::new());
        loop {
            let now = Timestamp::from_ms(i64::MAX);
            let page = sandbox.store.sweepable(shard, now, after, 2).await.unwrap();
            rows.extend(page.rows);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert!(rows.is_sorted_by_key(|row| row.since));
        longest = longest.max(rows.len());
        // Up to a moment, that moment included.
        if let Some(last) = rows.last() {
            let at = async |now| sandbox.store.sweepable(shard, now, None, 99).await.unwrap();
            assert_eq!(at(last.since).await.rows.len(), rows.len());
            assert_eq!(at(last.since.minus_ms(1)).await.rows.len(), rows.len() - 1);
        }
        found.extend(rows.into_iter().map(|row| row.id.pool));
    }
    assert!(longest > 2, "a shard of several pages");
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[tokio::test(start_paused = true)]
async fn what_is_due_is_read_in_pages_the_oldest_first() {
    let sandbox = Sandbox::new(2);
    let mut expected = Vec::new();
    for _ in 0..24 {
        expected.push(sprayed(&sandbox, 1).await.id);
        tokio::time::advance(Duration::from_millis(7)).await;
    }
    let (mut found, mut longest) = (Vec::new(), 0);
    for shard in 0..INDEX_SHARDS {
        let (mut after, mut rows) = (None, Vec::new());
        loop {
            let now = Timestamp::from_ms(i64::MAX);
            let page = sandbox.store.due_sprays(shard, now, after, 2).await.unwrap();
            rows.extend(page.rows);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert!(rows.is_sorted_by_key(|row| row.due));
        longest = longest.max(rows.len());
        if let Some(last) = rows.last() {
            let at = async |now| sandbox.store.due_sprays(shard, now, None, 99).await.unwrap();
            assert_eq!(at(last.due).await.rows.len(), rows.len());
            assert_eq!(at(last.due.minus_ms(1)).await.rows.len(), rows.len() - 1);
        }
        found.extend(rows.into_iter().map(|row| row.id));
    }
    assert!(longest > 2, "a shard of several pages");
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}
