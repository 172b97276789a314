//! All keys, in one place; those of campaigns in `keys/campaign.rs`. SCHEMA.md says which question each
//! one answers.

use largesse_app::page::DueKey;
use largesse_app::ports::{Closing, INDEX_SHARDS, PortResult, TOKEN_SHARDS};
use largesse_domain::budget::{BudgetId, Spending, Subject};
use largesse_domain::id::{
    DropId, KeyId, PoolId, ProductId, RoomId, ServiceId, SprayId, Token, TransferId, UserId,
};
use largesse_domain::key::Owner;
use largesse_domain::pool::BucketId;
use largesse_domain::time::{Timestamp, Window};
use ulid::Ulid;

use crate::item::{Item, Reader, item, ms, s};

mod campaign;

pub use campaign::*;

/// Sort key of the item that stands for a room, a product or a campaign as a whole.
pub(crate) const META: &str = "META";

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
/// What stands before the last transfer of a run in a sort key: behind the wallet, and before its
/// transfers.
pub const RUN: &str = "RUN#";
/// What stands before a token in a partition key.
pub const TOKEN: &str = "TOKEN#";
/// What stands before a user's id in a partition key of the ledger.
pub const WALLET: &str = "WALLET#";

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

/// The run of archived transfers that ends with this one.
pub fn run(user: &UserId, last: TransferId) -> Item {
    pk_sk(wallet_pk(user), run_sk(last))
}

pub(crate) fn run_sk(last: TransferId) -> String {
    format!("{RUN}{last}")
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

/// What stands before a thing in the partition key of its tombstone.
pub(crate) const ARCHIVED: &str = "ARCHIVED#";

/// The pass of the archive.
pub(crate) fn archive_pass() -> Item {
    pk_sk("ARCHIVE".to_owned(), "PASS".to_owned())
}

/// The tombstone of a thing that is archived.
pub fn tombstone(pool: PoolId) -> Item {
    pk_sk(format!("{ARCHIVED}{pool}"), "ARCHIVED".to_owned())
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
