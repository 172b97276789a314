//! The walk through an index of what is due.
//!
//! The index has shards, and a shard has pages. A run begins with a shard that chance chooses, so that
//! neither runs that overlap nor items that keep failing hold up the rest. It begins no page when its
//! time is over.

use largesse_domain::time::Timestamp;

use crate::page::{DueKey, DuePage};
use crate::ports::{Clock, INDEX_SHARDS, PortResult, Rng};

/// Rows of an index read at a time.
pub const PAGE: u32 = 100;
/// How long what is owed to a wallet that is too full waits before it is tried again: an hour.
pub const WALLET_FULL_WAIT_MS: u64 = 3_600_000;
/// What a wallet refused is due within that time: after [`WALLET_FULL_WAIT_MS`], by the clock of the run
/// that was refused. Twice that leaves room for clocks that differ.
pub const REFUSED_WITHIN_MS: u64 = 2 * WALLET_FULL_WAIT_MS;

/// A page of an index that is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuePlace {
    /// The shard.
    pub shard: u32,
    /// The time when the walk came to the shard: what becomes due while it is read waits for the next
    /// run.
    pub now: Timestamp,
    /// Behind which row the page begins.
    pub after: Option<DueKey>,
}

/// A walk through all shards.
#[derive(Debug)]
pub struct DueWalk {
    stop_at: Timestamp,
    /// Shards that are not begun, the next one last.
    shards: Vec<u32>,
    place: Option<DuePlace>,
    has_more: bool,
}

impl DueWalk {
    /// A walk that stops at `stop_at`.
    #[must_use]
    pub fn until(stop_at: Timestamp, rng: &impl Rng) -> Self {
        let first = rng.below(INDEX_SHARDS);
        let shards = (first..INDEX_SHARDS).chain(0..first).rev().collect();
        Self { stop_at, shards, place: None, has_more: false }
    }

    /// The page that is to be read next; `None` when all are read, or when time is over.
    pub fn next(&mut self, clock: &impl Clock) -> Option<DuePlace> {
        if self.place.is_none() {
            let shard = self.shards.pop()?;
            self.place = Some(DuePlace { shard, now: clock.now(), after: None });
        }
        if self.is_over(clock) { None } else { self.place.clone() }
    }

    /// Goes on behind a page.
    pub fn went_on(&mut self, next: Option<DueKey>) {
        self.place = self.place.take().zip(next).map(|(place, next)| {
            let after = Some(next);
            DuePlace { after, ..place }
        });
    }

    /// Whether time is over, with something left to look at.
    pub fn is_over(&mut self, clock: &impl Clock) -> bool {
        self.has_more = self.has_more || clock.now() >= self.stop_at;
        self.has_more
    }

    /// Whether time was over before everything was looked at.
    #[must_use]
    pub const fn has_more(&self) -> bool {
        self.has_more
    }
}

impl<T> DuePage<T> {
    /// Logs the rows that cannot be read, and says how many they are. `what` says what they are not:
    /// "not refunded".
    pub(crate) fn log_unreadable(&self, what: &'static str) -> u64 {
        for name in &self.unreadable {
            tracing::error!(index.row = name, "{what}: the row cannot be read");
        }
        u64::try_from(self.unreadable.len()).unwrap_or(u64::MAX)
    }
}

/// All rows of an index, shard by shard, and the names of those that cannot be read. `read` gives a page
/// of a shard.
///
/// # Errors
/// [`crate::ports::PortError`] when a page cannot be read.
pub async fn all_due<T>(
    read: impl AsyncFn(u32, Option<DueKey>) -> PortResult<DuePage<T>>,
) -> PortResult<(Vec<T>, Vec<String>)> {
    let (mut rows, mut unreadable) = (Vec::new(), Vec::new());
    for shard in 0..INDEX_SHARDS {
        let mut after = None;
        loop {
            let page = read(shard, after).await?;
            rows.extend(page.rows);
            unreadable.extend(page.unreadable);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
    }
    Ok((rows, unreadable))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct At(i64);

    impl Clock for At {
        fn now(&self) -> Timestamp {
            Timestamp::from_ms(self.0)
        }
    }

    struct Five;

    impl Rng for Five {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0);
            if let Some(last) = bytes.last_mut() {
                *last = 5;
            }
        }
    }

    fn walk() -> DueWalk {
        DueWalk::until(Timestamp::from_ms(100), &Five)
    }

    fn key(name: &str) -> Option<DueKey> {
        Some(DueKey { name: name.to_owned(), at: Timestamp::from_ms(1) })
    }

    #[test]
    fn a_walk_goes_through_each_shard_once_from_one_that_chance_chooses() {
        let (mut walk, mut shards) = (walk(), Vec::new());
        while let Some(place) = walk.next(&At(1)) {
            assert_eq!(place.after, None);
            shards.push(place.shard);
            walk.went_on(None);
        }
        assert_eq!(shards, [5, 6, 7, 0, 1, 2, 3, 4]);
        assert!(!walk.has_more());
    }

    #[test]
    fn a_shard_is_read_to_its_end_as_of_the_time_when_the_walk_came_to_it() {
        let mut walk = walk();
        let now = Timestamp::from_ms(1);
        let first = DuePlace { shard: 5, now, after: None };
        assert_eq!(walk.next(&At(1)), Some(first.clone()));
        walk.went_on(key("a"));
        assert_eq!(walk.next(&At(2)), Some(DuePlace { after: key("a"), ..first }));
        walk.went_on(None);
        let now = Timestamp::from_ms(3);
        assert_eq!(walk.next(&At(3)), Some(DuePlace { shard: 6, now, after: None }));
    }

    #[test]
    fn a_walk_begins_no_page_when_its_time_is_over() {
        let mut walk = walk();
        assert!(walk.next(&At(99)).is_some());
        walk.went_on(key("a"));
        assert_eq!(walk.next(&At(100)), None);
        assert!(walk.has_more());
        // A clock that goes back does not begin it again.
        assert_eq!(walk.next(&At(1)), None);
    }

    #[test]
    fn a_walk_that_has_read_everything_in_time_has_no_more() {
        let mut walk = walk();
        while walk.next(&At(99)).is_some() {
            walk.went_on(None);
        }
        assert_eq!(walk.next(&At(100)), None);
        assert!(!walk.has_more());
    }
}
