//! Lists that are read a page at a time.

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
