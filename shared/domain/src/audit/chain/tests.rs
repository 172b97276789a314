use proptest::prelude::*;

use super::*;
use crate::audit::{Books, audit};
use crate::campaign::{Generation, Row, RowKey};
use crate::id::Ulid;
use crate::ledger::Memo;
use crate::time::Timestamp;

fn user() -> UserId {
    "u".parse().unwrap()
}

fn order(n: u128, kind: TransferKind, amount: u64) -> TransferOrder {
    TransferOrder {
        id: TransferId(Ulid::from_parts(1, n)),
        wallet: user(),
        kind,
        amount: Amount::new(amount).unwrap(),
        at: Timestamp::from_ms(1),
        pool: None,
        counterpart: None,
        memo: None,
    }
}

/// A wallet with a deposit for each amount.
fn deposits(amounts: &[u64]) -> (Wallet, Vec<Transfer>) {
    let mut wallet = Wallet::empty(user());
    let mut transfers = Vec::new();
    for (n, amount) in (1..).zip(amounts) {
        let transfer = wallet.post(order(n, TransferKind::Deposit, *amount)).unwrap();
        wallet = wallet.after(&transfer);
        transfers.push(transfer);
    }
    (wallet, transfers)
}

fn chained(wallet: &Wallet, transfers: &[Transfer]) -> Result<Chained, String> {
    let mut chain = Chain::new(&wallet.user, Some(wallet.clone()));
    transfers.iter().for_each(|transfer| chain.add(transfer));
    chain.end()
}

proptest! {
    /// A transfer is edited, removed or doubled, or the wallet is edited; or nothing is.
    #[test]
    fn a_chain_agrees_with_a_replay_of_all_transfers(
        amounts in proptest::collection::vec(1..1_000_u64, 1..20),
        edit in 0..7_u8, at in any::<prop::sample::Index>(), by in 1..1_000_u64, turn in any::<u64>(),
    ) {
        let (mut wallet, mut transfers) = deposits(&amounts);
        let at = at.index(transfers.len());
        match edit {
            0 => transfers[at].order.amount = Amount::new(by).unwrap(),
            1 => transfers[at].balance_after = Balance::new(by).unwrap(),
            2 => drop(transfers.remove(at)),
            3 => {
                let mut twice = transfers[at].clone();
                twice.order.id = TransferId(Ulid::from_parts(2, 1));
                transfers.push(twice);
            }
            4 => wallet.balance = Balance::new(by).unwrap(),
            5 => transfers[at].seq = by.min(wallet.seq),
            _ => {}
        }
        let turn = usize::try_from(turn % 20).unwrap().min(transfers.len());
        transfers.rotate_left(turn);
        let books = Books {
            wallets: vec![wallet.clone()], transfers: transfers.clone(), ..Books::default()
        };
        let replayed = audit(&books).is_ok();
        let chained = chained(&wallet, &transfers);
        prop_assert_eq!(chained.is_ok(), replayed, "{:?}", chained);
        prop_assert_eq!(first_break(&wallet, &mut transfers).is_none(), replayed);
    }
}

#[test]
fn what_came_after_the_wallet_was_read_is_left_out_and_shown() {
    let (_, transfers) = deposits(&[5, 6, 7]);
    let (wallet, _) = deposits(&[5, 6]);
    let Chained { last, flow } = chained(&wallet, &transfers).unwrap();
    assert_eq!((last, flow.transfers, flow.issued, flow.balances), (3, 2, 11, 11));
    assert!(flow.adds_up());
}

#[test]
fn transfers_without_a_wallet_are_found() {
    let (_, transfers) = deposits(&[5]);
    let mut chain = Chain::new(&user(), None);
    chain.add(&transfers[0]);
    assert!(chain.end().unwrap_err().contains("no wallet"));
}

#[test]
fn the_first_transfer_that_does_not_fit_is_named() {
    let (wallet, transfers) = deposits(&[5, 6, 7]);
    let named = |edit: fn(&mut Vec<Transfer>)| {
        let mut transfers = transfers.clone();
        edit(&mut transfers);
        first_break(&wallet, &mut transfers).unwrap()
    };
    let id = |n: usize| transfers[n].order.id.to_string();
    let said = named(|t| drop(t.remove(1)));
    assert!(said.contains("seq 2 is missing") && said.contains(&id(2)), "{said}");
    let said = named(|t| t[1].seq = 1);
    assert!(said.starts_with("two transfers have seq 1"), "{said}");
    let said = named(|t| t[2].balance_after = Balance::ZERO);
    assert!(said.contains(&id(2)) && said.contains("leads from 11 to 0"), "{said}");
    let mut wallet = wallet.clone();
    wallet.balance = Balance::new(17).unwrap();
    let said = first_break(&wallet, &mut transfers.clone()).unwrap();
    assert!(said.contains("holds 17 at seq 3, its transfers say 18"), "{said}");
}

#[test]
fn what_a_campaign_takes_back_was_paid_once_and_as_much() {
    let key = RowKey {
        campaign: "01ARZ3NDEKTSV4RRFFQ69G5FAX".parse().unwrap(),
        member: user(),
        generation: Generation::new(1).unwrap(),
    };
    let reason = Memo::new("why").unwrap();
    let row = Row { member: user(), amount: Amount::new(7).unwrap(), reason };
    let grant = key.grant_of(&row, &"op".parse().unwrap());
    let chain = |orders: Vec<TransferOrder>| {
        let mut wallet = Wallet::empty(user());
        let mut transfers = Vec::new();
        for order in orders {
            let transfer = wallet.post(order).unwrap();
            wallet = wallet.after(&transfer);
            transfers.push(transfer);
        }
        transfers.sort_by_key(|transfer| transfer.order.id);
        chained(&wallet, &transfers)
    };
    let flow = chain(vec![grant.payment(), grant.reversal()]).unwrap().flow;
    assert_eq!((flow.issued, flow.taken_back, flow.balances), (7, 7, 0));
    assert!(flow.adds_up());
    let deposit = || order(1, TransferKind::Deposit, 50);
    let said = chain(vec![deposit(), grant.reversal()]).unwrap_err();
    assert!(said.contains("takes back what was not paid"), "{said}");
    let more = TransferOrder { amount: Amount::new(8).unwrap(), ..grant.reversal() };
    let said = chain(vec![deposit(), grant.payment(), more]).unwrap_err();
    assert!(said.contains("takes 8 back of 7"), "{said}");
    let refund = TransferOrder { kind: TransferKind::Refund, ..grant.payment() };
    assert!(chain(vec![refund]).unwrap_err().contains("a campaign made a refund"));
    let none = TransferOrder { pool: None, ..grant.payment() };
    assert!(chain(vec![none]).unwrap_err().contains("of no campaign"));
}
