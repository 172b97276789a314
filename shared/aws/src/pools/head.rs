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
pub(super) const TAKEN: &str = "taken";
pub(super) const LEFT: &str = "left";
pub(super) const STATUS: &str = "status";
pub(super) const OPENS: &str = "opens_ms";
pub(super) const CLOSES: &str = "closes_ms";
pub(crate) const OPEN: &str = "OPEN";
const CLOSED: &str = "CLOSED";

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
    let pending = pool.pending.iter().map(|(m, drawn)| (m.to_string(), n(drawn.pack())));
    put(PENDING, Av::M(pending.collect()));
    match &pool.supply {
        Supply::Shares { numbers, .. } | Supply::Slots { numbers, .. } => {
            put(TAKEN, n(numbers.taken));
            put(LEFT, n(numbers.total.saturating_sub(numbers.taken)));
            put(FREE, Av::L(numbers.free.iter().map(n).collect()));
        }
        Supply::Amount { remaining, .. } => {
            put(LEFT, n(remaining));
        }
    }
    item
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
