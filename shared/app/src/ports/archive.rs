//! The archive: compressed files in a store of objects.

use std::future::Future;
use std::ops::Range;

use bytes::Bytes;
use largesse_domain::audit::Run;
use largesse_domain::id::{TransferId, UserId};
use largesse_domain::time::Timestamp;

use super::{OwnerRow, PortResult, ScanKey, Scanned, Segment, Written};

/// Where a member of an object lies, and by what it is known. A member is a gzip member of its own:
/// a run of transfers or one thing, as JSON Lines.
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
/// Each method fails with [`super::PortErrorKind::Unknown`] while the store is away, answers with an
/// error, or is not configured: what is archived is there, but not now. A missing object is no error.
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

/// A run of transfers that is recorded, and where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRun {
    /// The run.
    pub run: Run,
    /// Its member.
    pub member: MemberRef,
}

/// A run of transfers as a member that is in no object yet.
#[derive(Clone, Debug)]
pub struct PackedRun {
    /// Whose.
    pub user: UserId,
    /// The last transfer of the run before it.
    pub latest: Option<TransferId>,
    /// The run.
    pub run: Run,
    /// The member.
    pub bytes: Bytes,
    /// How many lines it has: transfers and voided payments.
    pub lines: u64,
    /// Their SHA-256, uncompressed.
    pub hash: [u8; 32],
    /// Whether the wallet has more to archive behind it.
    pub has_more: bool,
}

impl PackedRun {
    /// The run at an offset of an object.
    #[must_use]
    pub fn at(&self, object: &str, offset: u64) -> StoredRun {
        let length = u64::try_from(self.bytes.len()).unwrap_or(u64::MAX);
        let (lines, hash) = (self.lines, self.hash);
        let member = MemberRef { object: object.to_owned(), offset, length, lines, hash };
        StoredRun { run: self.run.clone(), member }
    }
}

/// What became of a wallet's rows that are archived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Rows that were removed.
    pub rows: u64,
    /// Rows that stay, since the archive does not hold them as they are in the table.
    pub strays: u64,
}

/// Moving old transfers from the ledger into the archive.
pub trait TransferArchive: Send + Sync {
    /// The wallets of a page of a segment that have a transfer with an id below the horizon: 1 MB
    /// is read. A wallet may be on more pages than one. A key that names no wallet is
    /// [`OwnerRow::Unreadable`].
    fn archivable(
        &self,
        segment: Segment,
        after: Option<ScanKey>,
        horizon: Timestamp,
    ) -> impl Future<Output = PortResult<Scanned<OwnerRow<UserId>>>> + Send;

    /// The next run of a wallet: its oldest transfers below the horizon behind its latest run, in
    /// whole milliseconds. Writes nothing. `None` when there are none; voided payments alone are no
    /// run.
    ///
    /// # Errors
    /// `Corrupt` for a transfer that cannot be read, leads to a balance that it cannot, or does not
    /// fit into a member with the others of its millisecond.
    fn pack_run(
        &self,
        user: &UserId,
        horizon: Timestamp,
    ) -> impl Future<Output = PortResult<Option<PackedRun>>> + Send;

    /// Whether the bytes are that member.
    ///
    /// # Errors
    /// `Corrupt` when they are not.
    fn check_member(&self, member: &MemberRef, bytes: &[u8]) -> PortResult<()>;

    /// Records a run, if the latest run of the wallet is still the one that it was packed behind.
    /// From then on it stands for its transfers, and they are read from the archive where they are
    /// not in the table. [`Written::Changed`]: another run is the latest, this one was recorded
    /// before, or the wallet is gone.
    fn record_run(
        &self,
        user: &UserId,
        latest: Option<TransferId>,
        run: &StoredRun,
    ) -> impl Future<Output = PortResult<Written>> + Send;

    /// Removes the rows of a wallet that its runs stand for, the oldest first, so that those in the
    /// table are always its newest ones. A row is removed only after the run was read from the
    /// archive, is the one that was recorded, and holds that very row. May be repeated.
    ///
    /// # Errors
    /// `Corrupt` when the run is not in the archive as it was recorded; then no row of it is
    /// removed.
    fn remove_archived(&self, user: &UserId) -> impl Future<Output = PortResult<Removed>> + Send;
}
