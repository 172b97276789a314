//! The keys of campaigns, of their rows and of what became of them.

use largesse_app::ports::{ChunkRange, ChunkSet, Upload};
use largesse_domain::campaign::{ChunkNumber, Hash, PartNumber, Place};
use largesse_domain::id::CampaignId;
use largesse_domain::time::Timestamp;

use super::{CAMPAIGN_ID, LIST, LIST_ALL, pk_sk};
use crate::item::{Item, s};

/// What stands before a campaign's id in a partition key.
pub const CAMPAIGN: &str = "CAMPAIGN#";
/// What stands before a part's number in a sort key.
pub(crate) const PART: &str = "PART#";
/// What stands before the place of an entry of the audit in a sort key.
pub const AUDIT: &str = "AUDIT#";
/// What stands before the number of a shard of counters in a sort key.
pub(crate) const COUNT: &str = "COUNT#";
/// What stands before the slot of a snapshot in a sort key.
pub(crate) const SNAP: &str = "SNAP#";

pub(crate) fn campaign_pk(id: CampaignId) -> String {
    format!("{CAMPAIGN}{id}")
}

pub(crate) fn campaign(id: CampaignId) -> Item {
    pk_sk(campaign_pk(id), "META".to_owned())
}

pub(crate) fn campaign_part(id: CampaignId, number: PartNumber) -> Item {
    pk_sk(campaign_pk(id), format!("{PART}{:05}", number.get()))
}

/// The sort key of an entry of an audit: ten digits, so that entries sort by their places.
pub(crate) fn audit_sk(seq: u64) -> String {
    format!("{AUDIT}{seq:010}")
}

pub(crate) fn audit(id: CampaignId, seq: u64) -> Item {
    pk_sk(campaign_pk(id), audit_sk(seq))
}

/// A shard of the counters of a campaign.
pub(crate) fn count(id: CampaignId, shard: u32) -> Item {
    pk_sk(campaign_pk(id), format!("{COUNT}{shard:02}"))
}

/// The mark of the watch over a campaign's work.
pub(crate) fn campaign_mark(id: CampaignId) -> Item {
    pk_sk(campaign_pk(id), "MARK".to_owned())
}

/// The agenda: what waits and what runs.
pub(crate) fn agenda() -> Item {
    pk_sk("AGENDA".to_owned(), "AGENDA".to_owned())
}

/// The first campaign with rows of this hash.
pub(crate) fn rows_of(hash: Hash) -> Item {
    pk_sk(format!("ROWS#{hash}"), "ROWS".to_owned())
}

/// Where a campaign stands in the index by time.
pub(crate) fn by_time(id: CampaignId) -> Item {
    let mut key = campaign(id);
    key.insert(LIST.to_owned(), s(LIST_ALL));
    key.insert(CAMPAIGN_ID.to_owned(), s(id));
    key
}

/// The items of an upload: its content is part of the key, so another content under the number
/// touches none of them.
pub(crate) fn upload_pk(upload: &Upload) -> String {
    let hash: String = upload.hash.to_string().chars().take(16).collect();
    format!("PART#{}#{}#{hash}", upload.campaign, upload.number.get())
}

/// Staged rows, in the order of the numbers.
pub(crate) fn staged_sk(number: u32) -> String {
    format!("ROWS#{number:010}")
}

/// What stands first in the sort keys of what an upload was answered.
pub(crate) const REPORT: &str = "REPORT";

/// Problems of an upload, in the order of the numbers.
pub(crate) fn problems_sk(number: u32) -> String {
    format!("{REPORT}#{number:010}")
}

/// The passes of a seal and the duplicates that they found.
pub(crate) fn seal_pk(set: &ChunkSet) -> String {
    format!("SEAL#{}#{}", set.campaign, set.attempt)
}

/// The record of the pass whose first chunk is `first`.
pub(crate) fn pass(set: &ChunkSet, first: u32) -> Item {
    pk_sk(seal_pk(set), format!("PASS#{}#{first:05}", set.round))
}

fn duplicates_prefix(set: &ChunkSet, range: &ChunkRange) -> String {
    format!("DUP#{}#{:05}#{:05}", set.round, range.first, range.count)
}

/// Duplicates that a pass found, by the place of the last one.
pub(crate) fn duplicates_sk(set: &ChunkSet, range: &ChunkRange, last: Place) -> String {
    let (part, line) = (last.part.get(), last.line);
    format!("{}#{part:05}#{line:020}", duplicates_prefix(set, range))
}

/// The sort keys of all duplicates that a pass found: one before the least, and one behind the last.
pub(crate) fn duplicates_of(set: &ChunkSet, range: &ChunkRange) -> [String; 2] {
    ["#", "$"].map(|end| format!("{}{end}", duplicates_prefix(set, range)))
}

/// The items of a chunk: its rows, and what became of them.
pub fn chunk_pk(set: &ChunkSet, chunk: ChunkNumber) -> String {
    format!("CHUNK#{}#{}#{}#{}", set.campaign, set.attempt, set.round, chunk.0)
}

/// Sort key of the rows of a chunk.
pub(crate) const CHUNK_ROWS: &str = "ROWS";
/// Sort key of what became of the rows of a chunk.
pub(crate) const CHUNK_RESULT: &str = "RESULT";

/// The rows of a chunk.
pub fn chunk_rows(set: &ChunkSet, chunk: ChunkNumber) -> Item {
    pk_sk(chunk_pk(set, chunk), CHUNK_ROWS.to_owned())
}

/// What became of the rows of a chunk.
pub fn chunk_result(set: &ChunkSet, chunk: ChunkNumber) -> Item {
    pk_sk(chunk_pk(set, chunk), CHUNK_RESULT.to_owned())
}

/// The sort key of a snapshot: 13 digits, so that they sort by their slots.
pub(crate) fn snapshot_sk(slot: Timestamp) -> String {
    format!("{SNAP}{:013}", slot.ms_unsigned())
}

pub(crate) fn snapshot(id: CampaignId, slot: Timestamp) -> Item {
    pk_sk(campaign_pk(id), snapshot_sk(slot))
}
