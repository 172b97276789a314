//! The counters of a campaign: one item for each shard, one attribute for each number, so that a
//! commit adds to those that it changes.

use largesse_app::ports::PortResult;
use largesse_domain::campaign::{Sum, Tally};
use largesse_domain::id::CampaignId;

use crate::item::{Item, Reader, n};
use crate::keys;

/// The attributes of a tally with their values.
pub(crate) const fn tally_values(tally: &Tally) -> [(&'static str, u64); 12] {
    let Tally { pending, unknown, success, failed, reversed, shortfall } = *tally;
    [
        ("pending_rows", pending.rows),
        ("pending_amount", pending.amount),
        ("unknown_rows", unknown.rows),
        ("unknown_amount", unknown.amount),
        ("success_rows", success.rows),
        ("success_amount", success.amount),
        ("failed_rows", failed.rows),
        ("failed_amount", failed.amount),
        ("reversed_rows", reversed.rows),
        ("reversed_amount", reversed.amount),
        ("shortfall_rows", shortfall.rows),
        ("shortfall_amount", shortfall.amount),
    ]
}

/// The item of a shard.
pub(crate) fn count_item(id: CampaignId, shard: u32, tally: &Tally) -> Item {
    let mut item = keys::count(id, shard);
    item.extend(tally_values(tally).map(|(name, value)| (name.to_owned(), n(value))));
    item
}

pub(crate) fn read_tally(item: &Item) -> PortResult<Tally> {
    let reader = Reader { item, what: "counters" };
    let sum = |rows, amount| -> PortResult<Sum> {
        Ok(Sum { rows: reader.number(rows)?, amount: reader.number(amount)? })
    };
    Ok(Tally {
        pending: sum("pending_rows", "pending_amount")?,
        unknown: sum("unknown_rows", "unknown_amount")?,
        success: sum("success_rows", "success_amount")?,
        failed: sum("failed_rows", "failed_amount")?,
        reversed: sum("reversed_rows", "reversed_amount")?,
        shortfall: sum("shortfall_rows", "shortfall_amount")?,
    })
}
