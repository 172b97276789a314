//! The archive: compressed files in a store of objects.

use std::future::Future;
use std::ops::Range;

use bytes::Bytes;

use super::PortResult;

/// Where a member of an object lies, and by what it is known. A member is a gzip member of its own: a
/// run of transfers or one thing, as JSON Lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRef {
    /// The object's name.
    pub object: String,
    /// Where in the object the member begins, in bytes.
    pub offset: u64,
    /// How long it is there, in bytes.
    pub length: u64,
    /// How many lines it has.
    pub lines: u64,
    /// The SHA-256 of its lines, uncompressed.
    pub hash: [u8; 32],
}

impl MemberRef {
    /// The bytes of the object that are the member.
    #[must_use]
    pub const fn range(&self) -> Range<u64> {
        self.offset..self.offset.saturating_add(self.length)
    }
}

/// A store of objects.
///
/// # Errors
/// Each method fails with [`super::PortErrorKind::Unknown`] while the store is away or answers with
/// an error, and with [`super::PortErrorKind::Rejected`] where no archive is configured. A missing
/// object is no error.
pub trait Objects: Send + Sync {
    /// Writes an object whole, over one of the same name.
    fn put(&self, name: &str, bytes: Bytes) -> impl Future<Output = PortResult<()>> + Send;

    /// Reads an object; `None` when there is none.
    fn get(&self, name: &str) -> impl Future<Output = PortResult<Option<Bytes>>> + Send;

    /// Reads a part of an object. `None` when there is no such object, or it does not reach to the
    /// end of the range.
    fn range(
        &self,
        name: &str,
        range: Range<u64>,
    ) -> impl Future<Output = PortResult<Option<Bytes>>> + Send;
}
