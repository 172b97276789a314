//! A drop as an item.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::PortResult;
use largesse_domain::drop::{Drawn, Drop, DropName, DropRecord, Refund, Shuffle};
use largesse_domain::split::Seed;
use largesse_domain::time::Window;

use crate::item::{Item, Reader, ms, n, s};
use crate::keys;

/// What is owed while the funder's wallet refuses the remainder.
pub(super) const REFUSED: &str = "refund_refused";
/// When the remainder was returned.
pub(super) const REFUNDED_MS: &str = "refunded_ms";
/// How much was returned.
pub(super) const REFUND: &str = "refund";
/// For how many seconds lots are taken.
const SHUFFLE_S: &str = "shuffle_s";
/// What the ranks of the lots are computed from.
const SEED: &str = "seed";
/// When the lots were drawn.
pub(super) const DRAWN_MS: &str = "drawn_ms";
/// How many lots were drawn.
pub(super) const LOTS: &str = "lots";

/// The item of a new drop: it is in the index of what is due, for its lots to be drawn or to be closed.
pub(super) fn drop_item(drop: &Drop) -> Item {
    let mut item = keys::by_list(drop.id);
    let mut put = |name: &str, value| item.insert(name.to_owned(), value);
    put("name", s(drop.name.as_str()));
    put("funder", s(&drop.funder));
    put("slots", n(drop.slots));
    put("amount", n(drop.amount));
    put("opens_ms", ms(drop.window.opens));
    put("closes_ms", ms(drop.window.closes));
    put("waiting", n(drop.waiting));
    put(keys::DUE_SHARD, s(keys::due_shard(drop.id.0)));
    let due = drop.shuffling().map_or(drop.window.closes, |lots| lots.closes);
    put(keys::DUE_MS, ms(due));
    if let Some(shuffle) = &drop.shuffle {
        put(SHUFFLE_S, n(shuffle.seconds));
        put(SEED, Av::B(Blob::new(shuffle.seed.0)));
    }
    item
}

pub(super) fn read_drop(item: &Item) -> PortResult<DropRecord> {
    let reader = Reader { item, what: "drop item" };
    let drop = Drop {
        id: reader.parse(keys::DROP_ID)?,
        name: DropName::stored(reader.text("name")?.to_owned()),
        funder: reader.parse("funder")?,
        slots: reader.number("slots")?,
        amount: reader.amount("amount")?,
        window: Window { opens: reader.ms("opens_ms")?, closes: reader.ms("closes_ms")? },
        waiting: reader.number("waiting")?,
        shuffle: reader.optional(SHUFFLE_S, |reader, name| {
            Ok(Shuffle { seconds: reader.number(name)?, seed: Seed(reader.bytes(SEED)?) })
        })?,
    };
    let drawn = reader.optional(DRAWN_MS, |reader, name| {
        Ok(Drawn { at: reader.ms(name)?, lots: reader.number(LOTS)? })
    })?;
    let refund = reader.optional(REFUNDED_MS, |reader, name| {
        Ok(Refund { amount: reader.number(REFUND)?, at: reader.ms(name)? })
    })?;
    let refused = reader.optional(REFUSED, Reader::number)?;
    Ok(DropRecord { drop, drawn, refund, refused })
}
