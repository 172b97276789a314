//! Wakes the pumps when a table, a queue or a bus changes, so that no pump has to poll.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

/// The source that changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Topic {
    /// A table was written to.
    Table(String),
    /// A message was sent, or a message group became free.
    Queue(String),
    /// Events were put on a bus.
    Bus,
}

/// One counter per topic with listeners. A listener cannot miss a change of a counter that comes
/// between its check and its wait, as it could with a plain notification.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signals {
    topics: Arc<RwLock<HashMap<Topic, watch::Sender<u64>>>>,
}

impl Signals {
    /// Wakes the listeners of `topic`.
    pub(crate) fn raise(&self, topic: &Topic) {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(counter) = topics.get(topic) {
            counter.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    /// Listens to `topic` from now on.
    pub(crate) fn listen(&self, topic: Topic) -> watch::Receiver<u64> {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        topics.entry(topic).or_insert_with(|| watch::channel(0).0).subscribe()
    }
}
