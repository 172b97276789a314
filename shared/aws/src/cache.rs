//! Small memories of one process: what cannot have changed, and whose turn it is.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use largesse_domain::time::Timestamp;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Locks, also after a panic elsewhere: what is kept here is never half-written.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Values that are true until a moment.
pub(crate) struct Cache<K, V> {
    entries: Mutex<HashMap<K, (V, Timestamp)>>,
    len_max: usize,
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    pub(crate) fn new(len_max: usize) -> Self {
        Self { entries: Mutex::default(), len_max }
    }

    pub(crate) fn get(&self, key: &K, now: Timestamp) -> Option<V> {
        let entries = lock(&self.entries);
        entries.get(key).filter(|(_, until)| now < *until).map(|(value, _)| value.clone())
    }

    pub(crate) fn put(&self, key: K, value: V, until: Timestamp) {
        let mut entries = lock(&self.entries);
        // Forgetting everything now and then is simpler than order of use, and only costs reads.
        if entries.len() >= self.len_max {
            entries.clear();
        }
        entries.insert(key, (value, until));
    }

    pub(crate) fn forget(&self, key: &K) {
        lock(&self.entries).remove(key);
    }
}

/// Turns by key: within one process, writers of one wallet queue up instead of failing each
/// other's conditions. Correctness rests on the conditions alone.
pub(crate) struct Turns<K> {
    turns: Mutex<HashMap<K, Weak<AsyncMutex<()>>>>,
}

impl<K> Default for Turns<K> {
    fn default() -> Self {
        Self { turns: Mutex::default() }
    }
}

/// How many keys are kept before those nobody holds are dropped.
const TURNS_LEN_MAX: usize = 1_024;

impl<K: Eq + Hash + Clone> Turns<K> {
    pub(crate) async fn wait(&self, key: &K) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = lock(&self.turns);
            if turns.len() >= TURNS_LEN_MAX {
                turns.retain(|_, turn| turn.strong_count() > 0);
            }
            let known = turns.get(key).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let turn = Arc::new(AsyncMutex::new(()));
                turns.insert(key.clone(), Arc::downgrade(&turn));
                turn
            })
        };
        turn.lock_owned().await
    }
}
