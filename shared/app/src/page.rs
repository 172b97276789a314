//! Lists that are read a page at a time.

use largesse_domain::time::Timestamp;

/// The most rows of one page (docs/limits.md).
pub const PAGE_LIMIT_MAX: u32 = 100;

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, K> {
    /// The rows, in the list's order.
    pub rows: Vec<T>,
    /// Where the next page starts after; `None` on the last one.
    pub next: Option<K>,
}

/// A place in an index of what is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueKey {
    /// The row's name in the index.
    pub name: String,
    /// Since when it is due.
    pub at: Timestamp,
}

/// Some rows of an index of what is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuePage<T> {
    /// The rows, the longest due first.
    pub rows: Vec<T>,
    /// The names of rows that cannot be read: a later version wrote them, or a hand. They hold up
    /// no other.
    pub unreadable: Vec<String>,
    /// Behind which row to read on; `None` at the end.
    pub next: Option<DueKey>,
}
