//! The head of a pool as an item.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::PortResult;
use largesse_domain::pool::{Drawn, Numbers, Pool, PoolStatus, Supply};
use largesse_domain::split::{Seed, Split};
use largesse_domain::time::Window;

use crate::item::{Item, Reader, ms, n, s};
use crate::keys::{self, PK};

pub(crate) const PENDING: &str = "pending";
pub(crate) const FREE: &str = "free";
pub(crate) const TAKEN: &str = "taken";
pub(super) const LEFT: &str = "left";
pub(crate) const STATUS: &str = "status";
pub(super) const OPENS: &str = "opens_ms";
pub(crate) const CLOSES: &str = "closes_ms";
pub(crate) const OPEN: &str = "OPEN";
pub(crate) const CLOSED: &str = "CLOSED";

/// What every pool's head holds; the pool's own kind adds its attributes.
///
/// `left` stands beside `taken` because a condition cannot add or subtract: "enough left" is
/// `left >= :k`.
pub(crate) fn item(pool: &Pool) -> Item {
    let mut item = keys::pool(pool.id);
    let mut put = |name: &str, value| item.insert(name.to_owned(), value);
    let status = match pool.status {
        PoolStatus::Open => OPEN,
        PoolStatus::Closed => CLOSED,
    };
    put(STATUS, s(status));
    put(OPENS, ms(pool.window.opens));
    put(CLOSES, ms(pool.window.closes));
    put(PENDING, notes(pool));
    match &pool.supply {
        Supply::Shares { numbers, .. } | Supply::Slots { numbers, .. } => {
            put(TAKEN, n(numbers.taken));
            put(LEFT, n(numbers.total.saturating_sub(numbers.taken)));
            put(FREE, free(numbers));
        }
        Supply::Amount { remaining, .. } => {
            put(LEFT, n(remaining));
        }
    }
    item
}

/// The notes of a head, as they stand in the table.
pub(crate) fn notes(pool: &Pool) -> Av {
    Av::M(pool.pending.iter().map(|(m, drawn)| (m.to_string(), n(drawn.pack()))).collect())
}

/// The released numbers of a head, as they stand in the table.
pub(crate) fn free(numbers: &Numbers) -> Av {
    Av::L(numbers.free.iter().map(n).collect())
}

/// Reads the head of a pool.
pub(crate) fn read(item: &Item) -> PortResult<Pool> {
    let reader = Reader { item, what: "pool item" };
    let status = match reader.text(STATUS)? {
        OPEN => PoolStatus::Open,
        CLOSED => PoolStatus::Closed,
        _ => return Err(reader.corrupt()),
    };
    let mut pending = BTreeMap::new();
    let notes = Reader { item: reader.map(PENDING)?, what: "pool item" };
    for name in notes.item.keys() {
        let member = name.parse().map_err(|_| reader.corrupt())?;
        let drawn = Drawn::unpack(notes.number(name)?).map_err(|_| reader.corrupt())?;
        pending.insert(member, drawn);
    }
    let split = Split::from_name(reader.text("split")?).ok_or_else(|| reader.corrupt())?;
    let free = reader.list(FREE)?.iter().map(|number| match number {
        Av::N(digits) => digits.parse().map_err(|_| reader.corrupt()),
        _ => Err(reader.corrupt()),
    });
    let numbers = Numbers {
        total: reader.number("recipients")?,
        taken: reader.number(TAKEN)?,
        free: free.collect::<PortResult<_>>()?,
    };
    let seed = Seed(reader.bytes("seed")?);
    Ok(Pool {
        id: reader.parse(PK)?,
        status,
        window: Window { opens: reader.ms(OPENS)?, closes: reader.ms(CLOSES)? },
        supply: Supply::Shares { split, seed, amount: reader.amount("amount")?, numbers },
        pending,
    })
}
