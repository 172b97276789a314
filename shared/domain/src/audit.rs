//! The books, checked: whether every won is where it should be.
//!
//! Pure, so that the test world and the demonstration ask the same code.
//!
//! # Guarantees
//! * issued = wallets + held + escrows, and per pool: put in = drawn + returned + remaining. Each
//!   planted error is found: `a_planted_error_is_found`.

use std::collections::{BTreeMap, BTreeSet};

use crate::grant::{Grant, GrantStatus};
use crate::id::{PoolId, TransferId, UserId};
use crate::ledger::{Direction, Transfer, TransferKind, Wallet};
use crate::pool::{Pool, PoolStatus};

/// Everything that is about money, read at one moment at which nobody writes.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// All wallets.
    pub wallets: Vec<Wallet>,
    /// All transfers.
    pub transfers: Vec<Transfer>,
    /// All pools.
    pub pools: Vec<Pool>,
    /// All grants.
    pub grants: Vec<Grant>,
}

/// Where the money is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// What was ever issued.
    pub issued: u64,
    /// What wallets can spend.
    pub wallets: u64,
    /// What wallets have set aside.
    pub held: u64,
    /// What lies in pools: drawn but not yet paid, or not drawn.
    pub escrows: u64,
}

/// The books' totals, or every discrepancy found.
///
/// # Errors
/// One sentence for each discrepancy.
pub fn audit(books: &Books) -> Result<Totals, Vec<String>> {
    let mut found = Vec::new();
    let mut totals = Totals::default();
    audit_wallets(books, &mut totals, &mut found);
    let by_pool = Flows::of(books, &mut found);
    for pool in &books.pools {
        let flows = by_pool.get(&pool.id).cloned().unwrap_or_default();
        let escrow = audit_pool(pool, &flows, &mut found);
        totals.escrows = totals.escrows.saturating_add(escrow);
    }
    let known: BTreeSet<PoolId> = books.pools.iter().map(|pool| pool.id).collect();
    for unknown in by_pool.keys().filter(|id| !known.contains(id)) {
        found.push(format!("{unknown}: money moved, but there is no such pool"));
    }
    let located = totals.wallets.saturating_add(totals.held).saturating_add(totals.escrows);
    if totals.issued != located {
        found.push(format!("issued {} but located {located}: {totals:?}", totals.issued));
    }
    if found.is_empty() { Ok(totals) } else { Err(found) }
}

/// Every wallet is the sum of its transfers, in its own gapless sequence.
fn audit_wallets(books: &Books, totals: &mut Totals, found: &mut Vec<String>) {
    let mut of_wallet: BTreeMap<&UserId, Vec<&Transfer>> = BTreeMap::new();
    for transfer in &books.transfers {
        of_wallet.entry(&transfer.order.wallet).or_default().push(transfer);
        if transfer.order.kind == TransferKind::Deposit {
            totals.issued = totals.issued.saturating_add(transfer.order.amount.get());
        }
    }
    for wallet in &books.wallets {
        let mut transfers = of_wallet.remove(&wallet.user).unwrap_or_default();
        transfers.sort_by_key(|transfer| transfer.seq);
        let mut replayed = Wallet::empty(wallet.user.clone());
        for transfer in transfers {
            match replayed.post(transfer.order.clone()) {
                Ok(expected) if expected == *transfer => replayed = replayed.after(transfer),
                other => {
                    found.push(format!("wallet {}: {transfer:?} but {other:?}", wallet.user));
                    break;
                }
            }
        }
        if (replayed.balance, replayed.seq) != (wallet.balance, wallet.seq) {
            found
                .push(format!("wallet {}: {wallet:?} but transfers say {replayed:?}", wallet.user));
        }
        totals.wallets = totals.wallets.saturating_add(wallet.balance.get());
        totals.held = totals.held.saturating_add(wallet.held.get());
    }
    for user in of_wallet.keys() {
        found.push(format!("wallet {user}: transfers, but no wallet"));
    }
}

/// What went in and out of one pool.
#[derive(Clone, Debug, Default)]
struct Flows<'a> {
    put_in: u64,
    returned: u64,
    paid: BTreeMap<TransferId, u64>,
    grants: Vec<&'a Grant>,
}

impl<'a> Flows<'a> {
    fn of(books: &'a Books, found: &mut Vec<String>) -> BTreeMap<PoolId, Self> {
        let mut by_pool: BTreeMap<PoolId, Self> = BTreeMap::new();
        for transfer in &books.transfers {
            let Some(pool) = transfer.order.pool else { continue };
            let flows = by_pool.entry(pool).or_default();
            let amount = transfer.order.amount.get();
            match (transfer.order.kind, transfer.order.kind.direction()) {
                (TransferKind::Refund, _) => flows.returned = flows.returned.saturating_add(amount),
                (_, Direction::Debit) => flows.put_in = flows.put_in.saturating_add(amount),
                (_, Direction::Credit) => {
                    if flows.paid.insert(transfer.order.id, amount).is_some() {
                        found.push(format!("{pool}: paid twice under {}", transfer.order.id));
                    }
                }
            }
        }
        for grant in &books.grants {
            by_pool.entry(grant.pool).or_default().grants.push(grant);
        }
        by_pool
    }
}

/// Put in = drawn + returned + remaining; each draw is recorded once and paid once, as recorded.
/// Returns what still lies in the pool.
fn audit_pool(pool: &Pool, flows: &Flows<'_>, found: &mut Vec<String>) -> u64 {
    let id = pool.id;
    if flows.put_in != pool.supply.put_in() {
        found.push(format!("{id}: holds {}, but {} went in", pool.supply.put_in(), flows.put_in));
    }
    let cut = pool.supply.cut();
    let worth = |part| match &cut {
        Some(cut) => cut.share(part),
        None => pool.supply.worth(part),
    };
    let mut parts = BTreeSet::new();
    let mut drawn = 0_u64;
    let mut unpaid = flows.paid.clone();
    for grant in &flows.grants {
        drawn = drawn.saturating_add(grant.amount.get());
        if worth(grant.drawn.part) != Some(grant.amount) {
            found.push(format!("{id}: the share of {} is not {}", grant.member, grant.amount));
        }
        if cut.is_some() && !parts.insert(grant.drawn.part) {
            found.push(format!("{id}: share {} is out twice", grant.drawn.part));
        }
        match unpaid.remove(&grant.id.transfer()) {
            Some(_) if grant.status == GrantStatus::PermanentlyFailed => {
                found.push(format!("{id}: {} counts as given up, but is paid", grant.member));
            }
            Some(paid) if paid == grant.amount.get() => {}
            Some(paid) => found.push(format!("{id}: {} was paid {paid}", grant.member)),
            None if grant.status == GrantStatus::Success => {
                found.push(format!("{id}: {} counts as paid, but is not", grant.member));
            }
            None => {}
        }
    }
    for (transfer, amount) in unpaid {
        found.push(format!("{id}: {amount} was paid under {transfer} without a grant"));
    }
    let recorded = |member: &UserId| flows.grants.iter().any(|grant| grant.member == *member);
    for (member, note) in pool.pending.iter().filter(|(member, _)| !recorded(member)) {
        drawn = drawn.saturating_add(worth(note.part).map_or(0, |amount| amount.get()));
        if cut.is_some() && !parts.insert(note.part) {
            found.push(format!("{id}: share {} of {member} is out twice", note.part));
        }
    }
    let remainder = pool.supply.remainder();
    if drawn.saturating_add(remainder) != pool.supply.put_in() {
        found.push(format!("{id}: {drawn} drawn and {remainder} left of {}", pool.supply.put_in()));
    }
    let due = if pool.status == PoolStatus::Closed { remainder } else { 0 };
    if flows.returned != due {
        found.push(format!("{id}: {} went back instead of {due}", flows.returned));
    }
    let paid: u64 = flows.paid.values().fold(0, |sum, amount| sum.saturating_add(*amount));
    flows.put_in.saturating_sub(paid).saturating_sub(flows.returned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::{Amount, Balance};
    use crate::pool::{Ask, Attempt, Draw};
    use crate::spray::{Spray, Terms};
    use crate::time::Timestamp;
    use crate::{ledger::TransferOrder, split::Seed, split::Split};

    fn user(name: &str) -> UserId {
        name.parse().unwrap()
    }

    fn order(n: u8, wallet: &str, kind: TransferKind, amount: u64) -> TransferOrder {
        TransferOrder {
            id: format!("01ARZ3NDEKTSV4RRFFQ69G5FA{n}").parse().unwrap(),
            wallet: user(wallet),
            kind,
            amount: Amount::new(amount).unwrap(),
            at: Timestamp::from_ms(0),
            pool: None,
            counterpart: None,
            memo: None,
        }
    }

    /// 100 deposited, 90 sprayed to three in equal shares, one claimed and paid.
    fn sound() -> Books {
        let terms = Terms::new(90, 3, Split::Equal, 60).unwrap();
        let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
        let (token, room) = ("ABC".parse().unwrap(), "01ARZ3NDEKTSV4RRFFQ69G5FAW".parse().unwrap());
        let now = Timestamp::from_ms(0);
        let spray = Spray::new(id, token, room, user("s"), &terms, Seed([0; 32]), now);
        let mut pool = spray.pool;
        let attempt = Attempt::from_bits(1);
        let draw = Draw { member: user("m"), at: now, attempt, ask: Ask::Next };
        let drawn = pool.draw(&draw).unwrap();
        let share = Amount::new(30).unwrap();
        let mut grant = Grant::of_draw(pool.id, user("m"), drawn, share, user("s"));
        grant.status = GrantStatus::Success;
        let mut books = Books::default();
        let mut sender = Wallet::empty(user("s"));
        let pool_id = Some(pool.id);
        for order in [
            order(1, "s", TransferKind::Deposit, 100),
            TransferOrder { pool: pool_id, ..order(2, "s", TransferKind::Spray, 90) },
        ] {
            let transfer = sender.post(order).unwrap();
            sender = sender.after(&transfer);
            books.transfers.push(transfer);
        }
        let member = Wallet::empty(user("m"));
        let paid = order(3, "m", TransferKind::Claim, 30);
        let paid = TransferOrder { id: grant.id.transfer(), pool: pool_id, ..paid };
        let paid = member.post(paid).unwrap();
        books.wallets = vec![sender, member.after(&paid)];
        books.transfers.push(paid);
        books.pools = vec![pool];
        books.grants = vec![grant];
        books
    }

    #[test]
    fn sound_books_say_where_the_money_is() {
        let totals = Totals { issued: 100, wallets: 40, held: 0, escrows: 60 };
        assert_eq!(audit(&sound()), Ok(totals));
    }

    #[test]
    fn a_planted_error_is_found() {
        let plant: [fn(&mut Books); 10] = [
            |b| b.wallets[0].balance = Balance::new(11).unwrap(),
            |b| b.wallets[1].seq = 2,
            |b| drop(b.transfers.pop()),
            |b| b.transfers[1].seq = 3,
            |b| drop(b.grants.pop()),
            |b| b.grants[0].amount = Amount::new(31).unwrap(),
            |b| b.grants[0].status = GrantStatus::PermanentlyFailed,
            |b| b.pools[0].status = PoolStatus::Closed,
            |b| drop(b.pools.pop()),
            |b| drop(b.wallets.pop()),
        ];
        for (n, plant) in plant.into_iter().enumerate() {
            let mut books = sound();
            plant(&mut books);
            assert!(audit(&books).is_err(), "planted error {n} was not found");
        }
    }
}
