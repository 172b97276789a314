//! A spray as an item.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::PortResult;
use largesse_domain::split::{Seed, Split};
use largesse_domain::spray::{Refund, RefusedRefund, Spray};
use largesse_domain::time::Window;

use crate::item::{Item, Reader, ms, n, s};
use crate::keys;

/// What is owed while the sender's wallet refuses the refund.
pub(super) const REFUSED: &str = "refund_refused";
/// Since when the wallet refuses it.
pub(super) const REFUSED_MS: &str = "refund_refused_ms";

/// The item of a spray that is not refunded: it is in the index of what is due.
pub(super) fn spray_item(spray: &Spray) -> Item {
    let mut item = keys::spray(spray.id);
    let mut put = |name: &str, value| item.insert(name.to_owned(), value);
    put("amount", n(spray.amount));
    put("recipients", n(spray.recipients));
    put("split", s(spray.split.as_str()));
    put("seed", Av::B(Blob::new(spray.seed.0)));
    put(keys::SPRAY_ID, s(spray.id));
    put(keys::SENDER, s(&spray.sender));
    put("room", s(spray.room));
    put("token", s(spray.token));
    put("opens_ms", ms(spray.window.opens));
    put("closes_ms", ms(spray.window.closes));
    put(keys::DUE_SHARD, s(keys::due_shard(spray.id.0)));
    put(keys::DUE_MS, ms(spray.window.closes));
    item
}

pub(super) fn read_spray(item: &Item) -> PortResult<Spray> {
    let reader = Reader { item, what: "spray item" };
    Ok(Spray {
        id: reader.parse(keys::SPRAY_ID)?,
        token: reader.parse("token")?,
        room: reader.parse("room")?,
        sender: reader.parse(keys::SENDER)?,
        window: Window { opens: reader.ms("opens_ms")?, closes: reader.ms("closes_ms")? },
        amount: reader.amount("amount")?,
        recipients: reader.number("recipients")?,
        split: Split::from_name(reader.text("split")?).ok_or_else(|| reader.corrupt())?,
        seed: Seed(reader.bytes("seed")?),
        refund: reader.optional("refunded_ms", |r, name| {
            let (amount, shares) = (r.number("refund")?, r.number("refund_shares")?);
            Ok(Refund { amount, shares, at: r.ms(name)? })
        })?,
        refused: reader.optional(REFUSED_MS, |r, name| {
            Ok(RefusedRefund { amount: r.number(REFUSED)?, since: r.ms(name)? })
        })?,
    })
}
