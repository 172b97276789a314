//! A bucket as an item.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::PortResult;
use largesse_app::trace::TraceId;
use largesse_domain::id::UserId;
use largesse_domain::pool::{Bucket, BucketStatus, Entry, Nonce, PaymentCounts, PoolKind, Worth};
use largesse_domain::time::Window;

use crate::item::{Item, Reader, ms, n, s};
use crate::keys;

pub(crate) const STATUS: &str = "status";
pub(crate) const OPEN: &str = "OPEN";
pub(crate) const AWAITING: &str = "AWAITING";
pub(crate) const CLOSED: &str = "CLOSED";
/// An open bucket of a pool that is frozen: it gives nothing, and is not closed.
pub(crate) const FROZEN: &str = "FROZEN";
pub(crate) const OPENS: &str = "opens_ms";
pub(crate) const CLOSES: &str = "closes_ms";
pub(crate) const SIZE: &str = "size";
pub(crate) const TAKEN: &str = "taken";
pub(crate) const DRAWS: &str = "draws";
const KIND: &str = "kind";
const FUNDER: &str = "funder";
const WORTH: &str = "worth";
/// Of the waiting list of a drop: who was given which slot.
pub(crate) const PROMOTED: &str = "promoted";
pub(crate) const PAID: &str = "paid";
pub(crate) const FAILED: &str = "failed";
pub(crate) const COUNTED: &str = "counted_ms";
/// The trace of the last draw.
pub(crate) const TRACE: &str = "trace";

/// The trace of a draw: 5 bytes of the draw's nonce, which is below 10^12, and the 16 bytes of the trace's
/// id. The nonce says which entry it belongs to: a version that writes no trace leaves the value of an
/// earlier draw.
pub(crate) fn trace_of_draw(nonce: Nonce, trace: Option<TraceId>) -> Av {
    let Some(trace) = trace else { return Av::Null(true) };
    let [_, _, _, nonce @ ..] = nonce.get().to_be_bytes();
    Av::B(Blob::new([&nonce[..], &trace.bytes()].concat()))
}

/// The trace of an entry, if the item holds it.
pub(crate) fn trace_of_entry(item: &Item, entry: Entry) -> Option<TraceId> {
    let Some(Av::B(blob)) = item.get(TRACE) else { return None };
    let (nonce, id) = blob.as_ref().split_first_chunk::<5>()?;
    let [_, _, _, of_entry @ ..] = entry.nonce.get().to_be_bytes();
    (*nonce == of_entry).then(|| TraceId::from_bytes(id.try_into().ok()?)).flatten()
}

/// The item of a bucket before its first draw: it is in no index.
pub(crate) fn bucket_item(bucket: &Bucket) -> Item {
    let mut item = keys::bucket(bucket.id);
    let mut put = |name: &str, value| item.insert(name.to_owned(), value);
    let status = match bucket.status {
        BucketStatus::Open => OPEN,
        BucketStatus::Awaiting => AWAITING,
        BucketStatus::Closed => CLOSED,
    };
    let worth = match &bucket.worth {
        Worth::Each(worth) => n(worth),
        Worth::Listed(list) => Av::L(list.iter().map(n).collect()),
    };
    put(KIND, s(bucket.kind.as_str()));
    put(FUNDER, s(&bucket.funder));
    put(STATUS, s(status));
    put(OPENS, ms(bucket.window.opens));
    put(CLOSES, ms(bucket.window.closes));
    put(SIZE, n(bucket.size));
    put(WORTH, worth);
    put(TAKEN, n(bucket.taken));
    put(DRAWS, draws_of(bucket));
    if bucket.kind == PoolKind::Place {
        // It is there from the start, since an update adds to a map that exists.
        let promoted = bucket.promoted.iter().map(|(m, slot)| (m.to_string(), n(slot)));
        put(PROMOTED, Av::M(promoted.collect()));
    }
    put(keys::SWEEP_SHARD, s(keys::sweep_shard(bucket.id)));
    item
}

/// The entries of a bucket, as its item holds them.
pub(crate) fn draws_of(bucket: &Bucket) -> Av {
    let draws = bucket.draws.iter().map(|(m, entry)| (m.to_string(), n(entry.pack())));
    Av::M(draws.collect())
}

/// Reads a bucket. An entry that cannot be read does not hide the others.
///
/// # Errors
/// Corrupt, when anything else cannot be read.
pub fn read_bucket(item: &Item) -> PortResult<Bucket> {
    let reader = Reader { item, what: "bucket item" };
    let status = match reader.text(STATUS)? {
        OPEN | FROZEN => BucketStatus::Open,
        AWAITING => BucketStatus::Awaiting,
        CLOSED => BucketStatus::Closed,
        _ => return Err(reader.corrupt()),
    };
    let worth = match item.get(WORTH) {
        Some(Av::L(list)) => {
            let number = |value: &Av| match value {
                Av::N(digits) => digits.parse().map_err(|_| reader.corrupt()),
                _ => Err(reader.corrupt()),
            };
            Worth::Listed(list.iter().map(number).collect::<PortResult<_>>()?)
        }
        _ => Worth::Each(reader.number(WORTH)?),
    };
    let entries = Reader { item: reader.map(DRAWS)?, what: "bucket entries" };
    let (mut draws, mut unreadable) = (BTreeMap::new(), BTreeSet::new());
    for name in entries.item.keys() {
        let member: UserId = name.parse().map_err(|_| reader.corrupt())?;
        let entry = entries.number(name).ok().and_then(|packed| Entry::unpack(packed).ok());
        match entry {
            Some(entry) => drop(draws.insert(member, entry)),
            None => drop(unreadable.insert(member)),
        }
    }
    Ok(Bucket {
        id: keys::read_bucket_id(&reader)?,
        kind: PoolKind::from_name(reader.text(KIND)?).ok_or_else(|| reader.corrupt())?,
        funder: reader.parse(FUNDER)?,
        status,
        window: Window { opens: reader.ms(OPENS)?, closes: reader.ms(CLOSES)? },
        size: reader.number(SIZE)?,
        worth,
        taken: reader.number(TAKEN)?,
        draws,
        unreadable,
        promoted: reader.optional(PROMOTED, read_promoted)?.unwrap_or_default(),
        counts: reader.optional(COUNTED, |reader, name| {
            let (paid, failed) = (reader.number(PAID)?, reader.number(FAILED)?);
            Ok(PaymentCounts { paid, failed, at: reader.ms(name)? })
        })?,
    })
}

fn read_promoted(reader: &Reader<'_>, name: &str) -> PortResult<BTreeMap<UserId, u64>> {
    let slots = Reader { item: reader.map(name)?, what: "promotions of a waiting list" };
    let read =
        |member: &String| Ok((member.parse().map_err(|_| slots.corrupt())?, slots.number(member)?));
    slots.item.keys().map(read).collect()
}
