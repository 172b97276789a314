//! Wallets and transfers as items.

use largesse_app::ports::PortResult;
use largesse_domain::grant::Grant;
use largesse_domain::id::{TransferId, UserId};
use largesse_domain::ledger::{Memo, Posted, Transfer, TransferKind, TransferOrder, Wallet};

use crate::item::{Item, Reader, ms, n, s};
use crate::keys::{self, SK, TX};

/// The kind of an item that is no transfer: the grant of its id is voided.
pub(super) const VOID: &str = "void";

/// The attribute of a wallet that names the last transfer of its latest run of archived ones.
pub(super) const LATEST_RUN: &str = "run";

/// The last transfer of the wallet that is archived; `None` while none is, or none can be read.
pub(super) fn last_archived(wallet: &Item) -> Option<TransferId> {
    Reader { item: wallet, what: "wallet item" }.parse(LATEST_RUN).ok()
}

pub(crate) fn read_wallet(user: &UserId, item: Option<&Item>) -> PortResult<Wallet> {
    let Some(item) = item else { return Ok(Wallet::empty(user.clone())) };
    let reader = Reader { item, what: "wallet item" };
    Ok(Wallet {
        user: user.clone(),
        balance: reader.balance("balance")?,
        held: reader.balance("held")?,
        seq: reader.number("seq")?,
    })
}

pub(super) fn transfer_item(transfer: &Transfer) -> Item {
    let order = &transfer.order;
    let mut item = keys::transfer(&order.wallet, order.id);
    let mut put = |name: &str, value| item.insert(name.to_owned(), value);
    put("kind", s(order.kind.as_str()));
    put("amount", n(order.amount));
    put("at_ms", ms(order.at));
    put("balance_after", n(transfer.balance_after));
    put("seq", n(transfer.seq));
    if let Some(pool) = &order.pool {
        put("pool", s(pool));
    }
    if let Some(counterpart) = &order.counterpart {
        put("counterpart", s(counterpart));
    }
    if let Some(memo) = &order.memo {
        put("memo", s(memo.as_str()));
    }
    if let Some(posted) = transfer.posted {
        put("posted_ms", ms(posted));
    }
    item
}

/// The item that takes the place of a transfer for ever: the grant of that id is voided.
pub(super) fn void_item(grant: &Grant) -> Item {
    let mut item = keys::transfer(&grant.member, grant.id.transfer());
    let mut put = |name: &str, value| item.insert(name.to_owned(), value);
    put("kind", s(VOID));
    put("amount", n(grant.amount));
    put("at_ms", ms(grant.decided_at()));
    put("pool", s(grant.source));
    item
}

/// Reads what lies under a transfer's id: the transfer, or that its grant is voided.
pub(crate) fn read_posted(user: &UserId, item: &Item) -> PortResult<Posted> {
    let reader = Reader { item, what: "transfer item" };
    if reader.text("kind")? == VOID {
        return Ok(Posted::Voided);
    }
    read_transfer(user, item).map(Posted::Transfer)
}

fn read_transfer(user: &UserId, item: &Item) -> PortResult<Transfer> {
    let reader = Reader { item, what: "transfer item" };
    let kind = TransferKind::from_name(reader.text("kind")?).ok_or_else(|| reader.corrupt())?;
    let memo = reader.optional("memo", |r, name| Ok(r.text(name)?.to_owned()))?;
    let order = TransferOrder {
        id: reader.parse_after(SK, TX)?,
        wallet: user.clone(),
        kind,
        amount: reader.amount("amount")?,
        at: reader.ms("at_ms")?,
        pool: reader.optional("pool", |r, name| r.parse(name))?,
        counterpart: reader.optional("counterpart", |r, name| r.parse(name))?,
        memo: memo.map(|m| Memo::new(&m).map_err(|_| reader.corrupt())).transpose()?,
    };
    let (balance_after, seq) = (reader.balance("balance_after")?, reader.number("seq")?);
    let posted = reader.optional("posted_ms", Reader::ms)?;
    Ok(Transfer { order, balance_after, seq, posted })
}
