//! The item of what became of a chunk. The outcomes are packed row by row: a plain one is a code and
//! a generation, so a chunk of which all is paid deflates to some tens of bytes. Of the refusals of a
//! row the last one's text is kept, and of those before it their numbers.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::{PortResult, StoredSnapshot};
use largesse_domain::campaign::{
    ChunkRecord, Facts, Failure, Generation, Lease, Outcome, Row, RowRecord,
};
use largesse_domain::id::Ulid;
use largesse_domain::time::Timestamp;

use crate::blob::{Packer, Unpacker, unpack};
use crate::campaign::counts::{read_tally, tally_values};
use crate::item::{Item, Reader, ms, n, s};

pub(super) const OWNER: &str = "owner";
pub(super) const UNTIL: &str = "until_ms";
pub(super) const SENDS: &str = "sends";
pub(super) const REVISION: &str = "revision";
pub(super) const COMMITTED_BY: &str = "committed_by";
const GENERATION: &str = "generation";
const RETRIES_MAX: &str = "retries_max";
const CLOSED: &str = "closed";
const DATA: &str = "data";
const AT: &str = "at_ms";

/// The version of the packed rows.
const VERSION: u8 = 1;

/// How a row is packed.
const FRESH: u64 = 0;
const PAID: u64 = 1;
const DETAILS: u64 = 2;

fn fresh(generation: Generation) -> Facts {
    let refused = BTreeMap::new();
    Facts { generation, paid: false, refused, not_paid: 0, unknown: 0, missing: None }
}

fn code(facts: &Facts) -> u64 {
    let fresh = fresh(facts.generation);
    if *facts == fresh {
        FRESH
    } else if *facts == (Facts { paid: true, ..fresh }) {
        PAID
    } else {
        DETAILS
    }
}

/// The rows of a record.
pub(super) fn pack_rows(rows: &[RowRecord]) -> Av {
    let mut packer = Packer::default();
    let facts: Vec<Facts> = rows.iter().map(|row| row.outcome.facts()).collect();
    packer.count(rows.len());
    facts.iter().for_each(|facts| packer.int(code(facts)));
    facts.iter().for_each(|facts| packer.int(facts.generation.get()));
    for (facts, row) in facts.iter().zip(rows) {
        if code(facts) != DETAILS {
            continue;
        }
        packer.int(u8::from(facts.paid));
        packer.int(facts.not_paid);
        packer.int(facts.unknown);
        // 0 where there is none.
        packer.int(facts.missing.map_or(0, |missing| missing.saturating_add(1)));
        packer.int(row.refused_at.map_or(0, Timestamp::ms_unsigned));
        packer.count(facts.refused.len());
        facts.refused.keys().for_each(|send| packer.int(*send));
        packer.text(row.outcome.last_refusal().map_or("", Failure::as_str));
    }
    packer.pack(VERSION)
}

fn unpack_details(
    unpacker: &mut Unpacker<'_>,
    generation: Generation,
) -> PortResult<(Facts, Option<Timestamp>)> {
    let paid = match unpacker.int()? {
        0 => false,
        1 => true,
        _ => return Err(unpacker.corrupt()),
    };
    let (not_paid, unknown) = (unpacker.number()?, unpacker.number()?);
    let missing = unpacker.int()?.checked_sub(1);
    let refused_ms: i64 = unpacker.number()?;
    let mut refused = BTreeMap::new();
    for _ in 0..unpacker.count()? {
        refused.insert(unpacker.number()?, Failure::new(""));
    }
    let last = Failure::new(unpacker.text()?);
    if let Some(mut entry) = refused.last_entry() {
        entry.insert(last);
    }
    let refused_at = (refused_ms > 0).then(|| Timestamp::from_ms(refused_ms));
    Ok((Facts { generation, paid, refused, not_paid, unknown, missing }, refused_at))
}

fn unpack_rows(reader: &Reader<'_>, rows: &[Row]) -> PortResult<Vec<RowRecord>> {
    let bytes = unpack(reader, DATA, VERSION)?;
    let mut unpacker = Unpacker::new(&bytes, reader.what);
    // A record of other rows than the sealed ones would pay the wrong members.
    if unpacker.count()? != rows.len() {
        return Err(reader.corrupt());
    }
    let (mut codes, mut generations) = (Vec::new(), Vec::new());
    for _ in rows {
        codes.push(unpacker.int()?);
    }
    for _ in rows {
        let generation = Generation::new(unpacker.number()?);
        generations.push(generation.ok_or_else(|| unpacker.corrupt())?);
    }
    let mut records = Vec::with_capacity(rows.len());
    for ((row, code), generation) in rows.iter().zip(codes).zip(generations) {
        let (facts, refused_at) = match code {
            FRESH => (fresh(generation), None),
            PAID => (Facts { paid: true, ..fresh(generation) }, None),
            DETAILS => unpack_details(&mut unpacker, generation)?,
            _ => return Err(reader.corrupt()),
        };
        let outcome = Outcome::from_facts(facts, row.amount).ok_or_else(|| reader.corrupt())?;
        records.push(RowRecord { outcome, refused_at });
    }
    unpacker.end()?;
    Ok(records)
}

/// The item of a record without a lease, behind its key.
pub(super) fn record_item(mut key: Item, record: &ChunkRecord, committed_by: Ulid) -> Item {
    let mut put = |name: &str, value| key.insert(name.to_owned(), value);
    put(GENERATION, n(record.generation.get()));
    put(RETRIES_MAX, n(record.retries_max));
    put(REVISION, n(record.revision));
    put(SENDS, n(record.sends));
    put(CLOSED, Av::Bool(record.is_closed));
    put(COMMITTED_BY, s(committed_by));
    put(DATA, pack_rows(&record.rows));
    key
}

pub(super) fn read_ulid(reader: &Reader<'_>, name: &str) -> PortResult<Ulid> {
    Ulid::from_string(reader.text(name)?).map_err(|_| reader.corrupt())
}

/// A record. One that was leased and never committed has no more than its lease.
pub(super) fn read_record(item: &Item, rows: &[Row]) -> PortResult<ChunkRecord> {
    let reader = Reader { item, what: "result of a chunk" };
    let owner = reader.optional(OWNER, read_ulid)?;
    let lease = match owner {
        Some(owner) => Some(Lease { owner, until: reader.ms(UNTIL)? }),
        None => None,
    };
    let (revision, sends) = (reader.number(REVISION)?, reader.number(SENDS)?);
    let record = ChunkRecord { lease, sends, revision, ..ChunkRecord::new(rows, 0) };
    if revision == 0 {
        return Ok(record);
    }
    let generation = Generation::new(reader.number(GENERATION)?);
    Ok(ChunkRecord {
        generation: generation.ok_or_else(|| reader.corrupt())?,
        retries_max: reader.number(RETRIES_MAX)?,
        is_closed: reader.flag(CLOSED)?,
        rows: unpack_rows(&reader, rows)?,
        ..record
    })
}

/// The item of a snapshot, behind its key.
pub(super) fn snapshot_item(mut key: Item, snapshot: &StoredSnapshot) -> Item {
    key.insert(AT.to_owned(), ms(snapshot.at));
    let values = tally_values(&snapshot.tally);
    key.extend(values.map(|(name, value)| (name.to_owned(), n(value))));
    key
}

pub(super) fn read_snapshot(item: &Item) -> PortResult<StoredSnapshot> {
    let reader = Reader { item, what: "snapshot" };
    Ok(StoredSnapshot { at: reader.ms(AT)?, tally: read_tally(item)? })
}

#[cfg(test)]
mod tests;
