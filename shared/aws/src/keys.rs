//! All keys, in one place. SCHEMA.md says which question each one answers.

use largesse_app::page::DueKey;
use largesse_app::ports::{
    ChunkRange, ChunkSet, Closing, INDEX_SHARDS, PortResult, TOKEN_SHARDS, Upload,
};
use largesse_domain::budget::{BudgetId, Spending, Subject};
use largesse_domain::campaign::{ChunkNumber, Hash, PartNumber, Place};
use largesse_domain::id::{
    CampaignId, DropId, KeyId, PoolId, ProductId, RoomId, ServiceId, SprayId, Token, TransferId,
    UserId,
};
use largesse_domain::key::Owner;
use largesse_domain::pool::BucketId;
use largesse_domain::time::{Timestamp, Window};
use ulid::Ulid;

use crate::item::{Item, Reader, item, ms, s};

/// Partition key of every table.
pub const PK: &str = "pk";
/// Sort key of the tables that have one.
pub const SK: &str = "sk";

/// What stands before a member's id in a sort key.
pub const MEMBER: &str = "MEMBER#";
/// What stands before a room's id in a partition key.
pub const ROOM: &str = "ROOM#";
/// What stands before a transfer's id in a sort key.
pub const TX: &str = "TX#";
/// What stands before a token in a partition key.
pub const TOKEN: &str = "TOKEN#";
/// What stands before a user's id in a partition key of the ledger.
pub const WALLET: &str = "WALLET#";

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

/// Index of the sprays by sender.
pub const BY_SENDER: &str = "by-sender";
/// Sparse index of the sprays by when they are to be refunded.
pub const DUE: &str = "due";
/// Sparse index of the buckets by when they are to be swept.
pub const SWEEP: &str = "sweep";
/// Sparse index of the tokens that are free.
pub const FREE: &str = "free";

/// Partition key of the pools that are frozen.
pub(crate) const FROZEN: &str = "FROZEN";

/// What stands before a sender's id in a partition key.
pub const SENDER_PREFIX: &str = "SENDER#";

/// Index of the campaigns by when they were made.
pub const BY_TIME: &str = "by-time";
/// Hash key of [`BY_TIME`]: campaigns alone carry it.
pub const LIST: &str = "list";
/// The one value of [`LIST`].
pub(crate) const LIST_ALL: &str = "ALL";
/// Sort key of [`BY_TIME`].
pub const CAMPAIGN_ID: &str = "campaign_id";

/// What stands before a product's id in a partition key.
pub const PRODUCT: &str = "PRODUCT#";
/// What stands between a product's id and the number of a shard of its capacity.
pub const PRODUCT_SHARD: &str = "#SHARD#";
/// What stands between a product's id and the number of a part of its investments.
pub const PRODUCT_PART: &str = "#INV#";
/// Sparse index of the products that recruit, by when they close. Its hash key is [`LIST`].
pub const BY_CLOSING: &str = "by-closing";
/// Sort key of [`BY_CLOSING`].
pub const CLOSES_MS: &str = "closes_ms";
/// Sparse index of the investments by investor.
pub const BY_INVESTOR: &str = "by-investor";
/// Hash key of [`BY_INVESTOR`].
pub const INVESTOR: &str = "investor";
/// Sort key of [`BY_INVESTOR`].
pub const INVESTMENT_ID: &str = "investment_id";
/// Index of the drops by when they were made; its hash key is [`LIST`].
pub const BY_LIST: &str = "by-list";
/// Sort key of [`BY_LIST`].
pub const DROP_ID: &str = "drop_id";

/// Hash key of [`BY_SENDER`].
pub const SENDER: &str = "sender";
/// Sort key of [`BY_SENDER`].
pub const SPRAY_ID: &str = "spray_id";
/// Hash key of [`DUE`].
pub const DUE_SHARD: &str = "due_shard";
/// Hash key of [`SWEEP`].
pub const SWEEP_SHARD: &str = "sweep_shard";
/// Hash key of [`FREE`]; its sort key is the token's own key.
pub const FREE_SHARD: &str = "free_shard";
/// Sort key of [`DUE`].
pub const DUE_MS: &str = "due_ms";
/// Sort key of [`SWEEP`].
pub const SWEEP_MS: &str = "sweep_ms";

pub(crate) fn pk_sk(pk: String, sk: String) -> Item {
    item([(PK, s(pk)), (SK, s(sk))])
}

pub(crate) fn room_pk(id: RoomId) -> String {
    format!("{ROOM}{id}")
}

pub(crate) fn room(id: RoomId) -> Item {
    pk_sk(room_pk(id), "META".to_owned())
}

pub(crate) fn member(room: RoomId, user: &UserId) -> Item {
    pk_sk(room_pk(room), format!("{MEMBER}{user}"))
}

pub(crate) fn wallet_pk(user: &UserId) -> String {
    format!("{WALLET}{user}")
}

pub(crate) fn wallet(user: &UserId) -> Item {
    pk_sk(wallet_pk(user), "BALANCE".to_owned())
}

pub(crate) fn transfer(user: &UserId, id: TransferId) -> Item {
    pk_sk(wallet_pk(user), transfer_sk(id))
}

pub(crate) fn transfer_sk(id: TransferId) -> String {
    format!("{TX}{id}")
}

/// The smallest sort key of a transfer decided at or after `at`.
pub(crate) fn transfer_sk_from(at: Timestamp) -> String {
    transfer_sk(TransferId(Ulid::from_parts(at.ms_unsigned(), 0)))
}

/// The largest sort key of a transfer decided before `at`.
pub(crate) fn transfer_sk_before(at: Timestamp) -> String {
    transfer_sk(TransferId(Ulid::from_parts(at.minus_ms(1).ms_unsigned(), u128::MAX)))
}

/// What a token stands for.
pub fn token(token: Token) -> Item {
    item([(PK, s(format!("{TOKEN}{token}")))])
}

/// The shard of the index of free tokens that a token lies in.
pub(crate) fn free_shard(token: Token) -> String {
    token.index().checked_rem(TOKEN_SHARDS).unwrap_or(0).to_string()
}

/// The lease of the scan of all tokens, and what the last one found.
pub fn token_scan() -> Item {
    item([(PK, s("SCAN"))])
}

/// A bucket of a pool.
pub fn bucket(id: BucketId) -> Item {
    item([(PK, s(format!("{}#{}", id.pool, id.number)))])
}

/// Reads the key of a bucket.
pub(crate) fn read_bucket_id(reader: &Reader<'_>) -> PortResult<BucketId> {
    let id = reader.text(PK)?.rsplit_once('#').and_then(|(pool, number)| {
        Some(BucketId { pool: pool.parse().ok()?, number: number.parse().ok()? })
    });
    id.ok_or_else(|| reader.corrupt())
}

/// The pass of reconcile.
pub(crate) fn reconcile_pass() -> Item {
    pk_sk("PASS".to_owned(), "PASS".to_owned())
}

/// The figures of the day of UTC that begins at a moment: 13 digits, so that days sort by their times.
pub(crate) fn stats_day(day: Timestamp) -> Item {
    pk_sk("STATS".to_owned(), format!("DAY#{:013}", day.ms_unsigned()))
}

/// Until when the figures are complete.
pub(crate) fn stats_complete() -> Item {
    pk_sk("STATS".to_owned(), "COMPLETE".to_owned())
}

/// A pool that is frozen.
pub(crate) fn frozen(pool: PoolId) -> Item {
    pk_sk(FROZEN.to_owned(), pool.to_string())
}

pub(crate) fn spray(id: SprayId) -> Item {
    item([(PK, s(PoolId::Spray(id)))])
}

/// A drop.
pub fn drop(id: DropId) -> Item {
    item([(PK, s(PoolId::Drop(id)))])
}

/// Where a drop stands in the index of all drops.
pub(crate) fn by_list(id: DropId) -> Item {
    let mut key = drop(id);
    key.insert(LIST.to_owned(), s(LIST_ALL));
    key.insert(DROP_ID.to_owned(), s(id));
    key
}

/// How many live sprays a sender has.
pub fn sender(sender: &UserId) -> Item {
    item([(PK, s(format!("{SENDER_PREFIX}{sender}")))])
}

/// A grant that was refused.
pub fn grant(source: PoolId, member: &UserId) -> Item {
    pk_sk(source.to_string(), format!("{MEMBER}{member}"))
}

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

/// A product.
pub fn product(id: ProductId) -> Item {
    pk_sk(PoolId::Product(id).to_string(), "META".to_owned())
}

/// A shard of a product's capacity.
pub fn product_shard(id: ProductId, number: u32) -> Item {
    pk_sk(format!("{PRODUCT}{id}{PRODUCT_SHARD}{number}"), "SHARD".to_owned())
}

/// A part of a product's investments.
pub fn investments_pk(id: ProductId, part: u32) -> String {
    format!("{PRODUCT}{id}{PRODUCT_PART}{part}")
}

/// What stands before an investment's number in a sort key: `#` is in no user id, so one member's
/// investments lie together and apart from every other's.
pub fn investments_of(investor: &UserId) -> String {
    format!("{investor}#")
}

/// The sort key of a member's n-th investment in a product: ten digits, so that they sort by it.
pub fn investment_sk(investor: &UserId, count: u64) -> String {
    format!("{}{count:010}", investments_of(investor))
}

/// Where a product stands in the index of what recruits.
pub(crate) fn by_closing(closing: Closing) -> Item {
    let mut key = product(closing.product);
    key.insert(LIST.to_owned(), s(LIST_ALL));
    key.insert(CLOSES_MS.to_owned(), ms(closing.at));
    key
}

/// Where a product stands in the index of what is due.
pub(crate) fn due_product(shard: u32, key: &DueKey) -> Item {
    let mut item = due(shard, key);
    item.insert(SK.to_owned(), s("META"));
    item
}

pub(crate) fn idempotency(key: &str) -> Item {
    item([(PK, s(format!("IDEM#{key}")))])
}

/// What stands before an API key's id in a partition key.
pub const KEY: &str = "KEY#";

/// An API key.
pub fn key(id: KeyId) -> Item {
    item([(PK, s(format!("{KEY}{id}")))])
}

/// The list of an owner's API keys.
pub(crate) fn owner_keys(owner: &Owner) -> Item {
    item([(PK, s(format!("OWNER#{owner}")))])
}

/// A nonce of the requests that a key signs.
pub(crate) fn nonce(key: KeyId, text: &str) -> Item {
    item([(PK, s(format!("NONCE#{key}#{text}")))])
}

/// The rate of calls to a money service.
pub fn rate(service: &ServiceId) -> Item {
    item([(PK, s(format!("RATE#{service}")))])
}

/// The circuit breaker before a money service.
pub fn breaker(service: &ServiceId) -> Item {
    item([(PK, s(format!("BREAKER#{service}")))])
}

/// What is used of a budget in a window.
pub fn budget(id: &BudgetId, window: Window) -> Item {
    item([(PK, s(budget_pk(id, window)))])
}

/// The partition key of [`budget`]. The window stands last, in digits only, so an owner's name may hold
/// any character.
pub fn budget_pk(id: &BudgetId, window: Window) -> String {
    let spending = match id.spending {
        Spending::TokenMiss => "MISS",
        Spending::Creation => "NEW",
    };
    let opens_ms = window.opens.ms();
    match &id.subject {
        Subject::Member(member) => format!("BUDGET#{spending}#MEMBER#{member}#{opens_ms}"),
        Subject::Room(room) => format!("BUDGET#{spending}#ROOM#{room}#{opens_ms}"),
        Subject::Owner(owner) => format!("BUDGET#{spending}#OWNER#{owner}#{opens_ms}"),
    }
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

/// Where a spray stands in the index by sender.
pub(crate) fn by_sender(sender: &UserId, id: SprayId) -> Item {
    let mut key = spray(id);
    key.insert(SENDER.to_owned(), s(sender));
    key.insert(SPRAY_ID.to_owned(), s(id));
    key
}

/// Where a spray stands in the index of what is due.
pub(crate) fn due(shard: u32, key: &DueKey) -> Item {
    item([(PK, s(&key.name)), (DUE_SHARD, s(shard)), (DUE_MS, ms(key.at))])
}

/// Where a bucket stands in the index of what is to be swept.
pub(crate) fn sweep(shard: u32, key: &DueKey) -> Item {
    item([(PK, s(&key.name)), (SWEEP_SHARD, s(shard)), (SWEEP_MS, ms(key.at))])
}

/// The shard of the index [`DUE`] that a spray or drop lies in: by its id's random part.
pub(crate) fn due_shard(id: Ulid) -> String {
    shard(id.random())
}

/// The shard of the index [`SWEEP`] that a bucket lies in: those of one pool lie in all of them.
pub(crate) fn sweep_shard(id: BucketId) -> String {
    shard(id.pool.ulid().random().wrapping_add(u128::from(id.number)))
}

fn shard(number: u128) -> String {
    number.checked_rem(u128::from(INDEX_SHARDS)).unwrap_or(0).to_string()
}
