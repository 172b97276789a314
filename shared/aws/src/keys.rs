//! All keys, in one place. SCHEMA.md says which question each one answers.

use largesse_app::ports::{DueSpray, INDEX_SHARDS, Sweepable};
use largesse_domain::id::{PoolId, RoomId, SprayId, Token, TransferId, UserId};
use largesse_domain::time::Timestamp;
use ulid::Ulid;

use crate::item::{Item, item, ms, s};

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

/// Index of the pools by who put the money in.
pub const BY_SENDER: &str = "by-sender";
/// Sparse index of the pools by when something is due.
pub const DUE: &str = "due";
/// Sparse index of the pools by when they are to be swept.
pub const SWEEP: &str = "sweep";

/// Hash key of [`BY_SENDER`].
pub const SENDER: &str = "sender";
/// Sort key of [`BY_SENDER`].
pub const SPRAY_ID: &str = "spray_id";
/// Hash key of [`DUE`] and of [`SWEEP`].
pub const DUE_SHARD: &str = "due_shard";
/// Sort key of [`DUE`].
pub const DUE_MS: &str = "due_ms";
/// Sort key of [`SWEEP`].
pub const SWEEP_MS: &str = "sweep_ms";

fn pk_sk(pk: String, sk: String) -> Item {
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

/// One part of the hint of free tokens.
pub fn token_hint(part: u32) -> Item {
    item([(PK, s(format!("HINT#{part}")))])
}

/// Who surveys the tokens, and what the last survey found.
pub fn token_survey() -> Item {
    item([(PK, s("SURVEY"))])
}

pub(crate) fn pool(id: PoolId) -> Item {
    item([(PK, s(id))])
}

pub(crate) fn grant(pool: PoolId, member: &UserId) -> Item {
    pk_sk(pool.to_string(), format!("{MEMBER}{member}"))
}

pub(crate) fn idempotency(key: &str) -> Item {
    item([(PK, s(format!("IDEM#{key}")))])
}

/// Where a spray stands in the index by sender.
pub(crate) fn by_sender(sender: &UserId, id: SprayId) -> Item {
    let mut key = pool(PoolId::Spray(id));
    key.insert(SENDER.to_owned(), s(sender));
    key.insert(SPRAY_ID.to_owned(), s(id));
    key
}

/// Where a spray stands in the index of what is due.
pub(crate) fn due(shard: u32, due: &DueSpray) -> Item {
    let mut key = pool(PoolId::Spray(due.id));
    key.insert(DUE_SHARD.to_owned(), s(shard));
    key.insert(DUE_MS.to_owned(), ms(due.due));
    key
}

/// Where a pool stands in the index of what is to be swept.
pub(crate) fn sweep(shard: u32, sweepable: &Sweepable) -> Item {
    let mut key = pool(sweepable.id);
    key.insert(DUE_SHARD.to_owned(), s(shard));
    key.insert(SWEEP_MS.to_owned(), ms(sweepable.since));
    key
}

/// The part of the indexes `due` and `sweep` that a pool lies in: by its id's random part.
pub(crate) fn due_shard(id: Ulid) -> String {
    format!("{}", id.random().checked_rem(u128::from(INDEX_SHARDS)).unwrap_or(0))
}
