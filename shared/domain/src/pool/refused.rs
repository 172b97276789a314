//! Why a bucket gives nothing, is not closed, or cannot be.

use std::collections::BTreeSet;

use super::Entry;
use crate::id::UserId;

/// Why a bucket gives nothing, in order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DrawRefused {
    /// This very request drew before: its write was repeated after a lost reply.
    #[error("this request has drawn")]
    Repeated(Entry),
    /// The window has not opened, or the bucket waits for its shuffle.
    #[error("the pool is not open yet")]
    Ahead,
    /// The window is over, or the remainder was returned.
    #[error("the pool's window is over")]
    Over,
    /// Another request of the member drew before.
    #[error("the member has drawn")]
    Already(Entry),
    /// All parts of this bucket are drawn, none by this member.
    #[error("the bucket is full")]
    Full,
}

/// Why a bucket cannot be closed, in order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseRefused {
    /// It is closed already.
    #[error("the bucket is closed")]
    Closed,
    /// It waits for its shuffle, which may still fill it.
    #[error("the bucket waits for its shuffle")]
    Awaiting,
    /// Its window is not over.
    #[error("the bucket's window is not over")]
    StillOpen,
}

/// A bucket that holds what no draw can have written: the store does not behave.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BucketError {
    /// More parts are taken than there are, or not as many as there are entries.
    #[error("{taken} of {size} parts are taken by {entries} entries")]
    Taken {
        /// Counted by the store.
        taken: u32,
        /// How many parts there are.
        size: u32,
        /// How many entries there are.
        entries: usize,
    },
    /// Entries with an index outside the bucket, an index of another entry, a time outside the
    /// window, or in a bucket that waits for its shuffle.
    #[error("the entries of {} members cannot be", members.len())]
    Entries {
        /// Whose entries.
        members: BTreeSet<UserId>,
    },
}
