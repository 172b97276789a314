//! What one process keeps: values that cannot have changed, and a lock for each key.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use largesse_app::caches::Kept;
use largesse_app::telemetry::{CACHE_HITS, CACHE_MISSES};
use largesse_domain::time::Timestamp;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Locks, also after a panic elsewhere: what is kept here is never half-written.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts a look-up in a cache.
pub(crate) fn count(kept: &Kept, is_hit: bool) {
    let name = if is_hit { CACHE_HITS.name } else { CACHE_MISSES.name };
    metrics::counter!(name, "cache" => kept.name).increment(1);
}

/// Values that are true until a moment. Look-ups are counted.
pub(crate) struct Cache<K, V> {
    entries: Mutex<HashMap<K, (V, Timestamp)>>,
    kept: &'static Kept,
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    pub(crate) fn new(kept: &'static Kept) -> Self {
        Self { entries: Mutex::default(), kept }
    }

    pub(crate) fn get(&self, key: &K, now: Timestamp) -> Option<V> {
        let found = {
            let entries = lock(&self.entries);
            entries.get(key).filter(|(_, until)| now < *until).map(|(value, _)| value.clone())
        };
        count(self.kept, found.is_some());
        found
    }

    pub(crate) fn put(&self, key: K, value: V, until: Timestamp) {
        let mut entries = lock(&self.entries);
        // Forgetting everything now and then is simpler than order of use, and only costs reads.
        if entries.len() >= self.kept.len_max {
            entries.clear();
        }
        entries.insert(key, (value, until));
    }

    /// Changes a value that is kept; how long it is true stays.
    pub(crate) fn change(&self, key: &K, change: impl FnOnce(&mut V)) {
        if let Some((value, _)) = lock(&self.entries).get_mut(key) {
            change(value);
        }
    }

    pub(crate) fn forget(&self, key: &K) {
        lock(&self.entries).remove(key);
    }
}

/// One lock for each key: within one process, writers of one wallet wait for each other instead of
/// failing each other's conditions. Correctness rests on the conditions alone.
pub(crate) struct KeyedLocks<K> {
    locks: Mutex<HashMap<K, Weak<AsyncMutex<()>>>>,
}

impl<K> Default for KeyedLocks<K> {
    fn default() -> Self {
        Self { locks: Mutex::default() }
    }
}

/// How many keys are kept before unused ones are dropped.
const LOCKS_LEN_MAX: usize = 1_024;

impl<K: Eq + Hash + Clone> KeyedLocks<K> {
    pub(crate) async fn lock(&self, key: &K) -> OwnedMutexGuard<()> {
        let key_lock = {
            let mut locks = lock(&self.locks);
            if locks.len() >= LOCKS_LEN_MAX {
                locks.retain(|_, key_lock| key_lock.strong_count() > 0);
            }
            let known = locks.get(key).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let key_lock = Arc::new(AsyncMutex::new(()));
                locks.insert(key.clone(), Arc::downgrade(&key_lock));
                key_lock
            })
        };
        key_lock.lock_owned().await
    }
}
