use super::*;
use crate::ports::{Counted, Once};
use largesse_domain::id::Ulid;
use largesse_domain::ledger::{PostRefused, TransferKind, TransferOrder};
use largesse_domain::money::{Amount, Balance};
use largesse_domain::time::Timestamp;
use std::collections::VecDeque;
use std::sync::Mutex;

fn id(number: u64) -> TransferId {
    TransferId(Ulid::from_parts(number, 0))
}

fn transfer(number: u64) -> Transfer {
    let order = TransferOrder {
        id: id(number),
        wallet: "a".parse().unwrap(),
        kind: TransferKind::Deposit,
        amount: Amount::new(1).unwrap(),
        at: Timestamp::from_ms(1),
        pool: None,
        counterpart: None,
        memo: None,
    };
    let balance_after = Balance::new(number).unwrap();
    Transfer { order, balance_after, seq: number, posted: None }
}

/// Gives these pages one after another, each of so many rows and perhaps a next one, and counts so
/// many rows.
struct Pages {
    pages: Mutex<VecDeque<(u64, bool)>>,
    count: u64,
    limits: Mutex<Vec<u32>>,
    counts: Mutex<Vec<u64>>,
}

impl Pages {
    fn of<const N: usize>(pages: [(u64, bool); N], count: u64) -> Self {
        let pages = Mutex::new(pages.into());
        Self { pages, count, limits: Mutex::default(), counts: Mutex::default() }
    }
}

impl Wallets for Pages {
    async fn wallet(&self, _: &UserId) -> PortResult<Wallet> {
        panic!("the wallet was read before")
    }

    async fn post(&self, _: TransferOrder) -> PortResult<Result<Once<Transfer>, PostRefused>> {
        panic!("a history posts nothing")
    }

    async fn transfer(&self, _: &UserId, _: TransferId) -> PortResult<Option<Transfer>> {
        panic!("a history reads pages")
    }

    async fn history(
        &self,
        _: &UserId,
        _: &HistoryFilter,
        _: Option<TransferId>,
        limit: u32,
    ) -> PortResult<Page<Transfer, TransferId>> {
        self.limits.lock().unwrap().push(limit);
        let (rows, has_next) = self.pages.lock().unwrap().pop_front().unwrap();
        let rows = (1..=rows.min(u64::from(limit))).map(transfer).collect();
        Ok(Page { rows, next: has_next.then(|| id(1)) })
    }

    async fn count(&self, _: &UserId, _: &HistoryFilter, rows: u64) -> PortResult<Counted> {
        self.counts.lock().unwrap().push(rows);
        Ok(Counted { rows: self.count.min(rows), next: Some(id(1)) })
    }
}

fn wallet(seq: u64) -> Wallet {
    Wallet { seq, ..Wallet::empty("a".parse().unwrap()) }
}

/// A filter that leaves out many rows gives pages that are not full.
#[tokio::test]
async fn a_numbered_page_is_filled_from_several_reads_and_never_beyond() {
    let pages = Pages::of([(2, true), (0, true), (9, true)], 9);
    let filter = HistoryFilter { kinds: vec![TransferKind::Deposit], ..HistoryFilter::default() };
    let page = numbered(&pages, &wallet(9), &filter, 1, 3).await.unwrap();
    assert_eq!((page.rows.len(), page.total), (3, 9));
    assert_eq!(*pages.limits.lock().unwrap(), [3, 1, 1]);
}

/// The newest of the older items may be voided grants, a thousand of them.
#[tokio::test]
async fn older_transfers_behind_a_page_without_rows_are_counted() {
    let pages = Pages::of([(0, true), (2, false)], 3);
    let from = Some(Timestamp::from_ms(5));
    let filter = HistoryFilter { from, ..HistoryFilter::default() };
    let page = numbered(&pages, &wallet(5), &filter, 1, 20).await.unwrap();
    assert_eq!(page.total, 2);
}

#[tokio::test]
async fn a_page_behind_the_last_is_empty_and_counts_no_rows_before_it() {
    let pages = Pages::of([], 0);
    let page = numbered(&pages, &wallet(6), &HistoryFilter::default(), 3, 3).await.unwrap();
    assert_eq!((page.rows.len(), page.total), (0, 6));
    assert!(pages.counts.lock().unwrap().is_empty());
}
