//! The archive of transfers: what is archived is still there, each transfer once, and nothing is
//! removed before it is.

use std::sync::Arc;

use futures::StreamExt;
use largesse_app::archive::transfers::{LedgerProgress, Time, round};
use largesse_app::ports::{Clock, HistoryFilter, PortResult, Wallets};
use largesse_aws::Store;
use largesse_domain::id::{CampaignId, GrantId, PoolId, TransferId, Ulid};
use largesse_domain::ledger::{Transfer, TransferKind, TransferOrder, Wallet};
use largesse_domain::time::Timestamp;
use largesse_tests::{Sandbox, amount, user};
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::scene::{Item, Table, key_with, n, s};

mod damaged;
mod history;
mod killed;
mod runs;
mod s3;

/// A world with an archive.
pub(crate) struct Archived {
    pub(crate) sandbox: Sandbox,
    /// A process that has the archive.
    pub(crate) store: Arc<Store>,
    pub(crate) objects: Arc<dyn ObjectStore>,
}

impl Archived {
    pub(crate) fn new(seed: u64) -> Self {
        let sandbox = Sandbox::new(seed);
        let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let store = process_with(&sandbox, seed + 100, Some(objects.clone()));
        Self { sandbox, store, objects }
    }

    /// Another process with the same archive.
    pub(crate) fn another_process(&self, seed: u64) -> Arc<Store> {
        process_with(&self.sandbox, seed, Some(self.objects.clone()))
    }
}

/// A process over the world, with this archive or without one.
pub(crate) fn process_with(
    sandbox: &Sandbox,
    seed: u64,
    objects: Option<Arc<dyn ObjectStore>>,
) -> Arc<Store> {
    let store = Arc::into_inner(sandbox.another_process(seed)).unwrap();
    Arc::new(store.with_archive(objects))
}

/// A moment that many days before the sandbox begins.
pub(crate) fn days_ago(sandbox: &Sandbox, days: u64) -> Timestamp {
    sandbox.store.now().minus_ms(days * 86_400_000)
}

/// A campaign, whose payments have no pool that must hold them.
pub(crate) fn campaign() -> PoolId {
    PoolId::Campaign(CampaignId(Ulid::from_parts(1, 1)))
}

/// What a wallet goes through: one after the other, under ids of the caller's choice.
pub(crate) struct Ledger {
    wallet: Wallet,
    pub(crate) transfers: Vec<Transfer>,
    /// Payments that were voided.
    pub(crate) voids: Vec<TransferId>,
}

impl Ledger {
    pub(crate) fn of(name: &str) -> Self {
        Self { wallet: Wallet::empty(user(name)), transfers: Vec::new(), voids: Vec::new() }
    }

    fn post(&mut self, id: TransferId, kind: TransferKind, minor: u64) {
        let pool = (kind != TransferKind::Deposit).then(campaign);
        let at = Timestamp::from_ms(i64::try_from(id.0.timestamp_ms()).unwrap());
        let wallet = self.wallet.user.clone();
        let order = TransferOrder {
            id,
            wallet,
            kind,
            amount: amount(minor),
            at,
            pool,
            counterpart: None,
            memo: None,
        };
        let transfer = self.wallet.post(order).unwrap();
        self.wallet = self.wallet.after(&transfer);
        self.transfers.push(transfer);
    }

    pub(crate) fn deposit(&mut self, at: Timestamp, nonce: u128, minor: u64) -> TransferId {
        let id = TransferId(Ulid::from_parts(at.ms_unsigned(), nonce));
        self.post(id, TransferKind::Deposit, minor);
        id
    }

    /// A payment of a campaign that is taken back: both have the same millisecond.
    pub(crate) fn paid_and_taken_back(&mut self, at: Timestamp, nonce: u128, minor: u64) {
        let id = Ulid::from_parts(at.ms_unsigned(), nonce);
        self.post(TransferId(id), TransferKind::Campaign, minor);
        self.post(GrantId(id).reversal(), TransferKind::Reversal, minor);
    }

    pub(crate) fn void(&mut self, at: Timestamp, nonce: u128) {
        self.voids.push(TransferId(Ulid::from_parts(at.ms_unsigned(), nonce)));
    }

    /// All of it, written into the table.
    pub(crate) async fn written(&self, sandbox: &Sandbox) {
        let table = Table::of(sandbox, "ledger");
        let pk = format!("WALLET#{}", self.wallet.user);
        for transfer in &self.transfers {
            table.put(row(transfer)).await;
        }
        for id in &self.voids {
            let mut item = key_with(&pk, format!("TX#{id}"));
            let at = n(id.0.timestamp_ms());
            let more = [("kind", s("void")), ("amount", n(5)), ("at_ms", at)];
            item.extend(more.map(|(name, value)| (name.to_owned(), value)));
            item.insert("pool".to_owned(), s(campaign()));
            table.put(item).await;
        }
        let Wallet { balance, held, seq, .. } = self.wallet;
        let mut item = key_with(&pk, "BALANCE");
        let more = [("balance", n(balance)), ("held", n(held)), ("seq", n(seq))];
        item.extend(more.map(|(name, value)| (name.to_owned(), value)));
        table.put(item).await;
    }

    /// The ids of its transfers, the newest first.
    pub(crate) fn ids(&self) -> Vec<TransferId> {
        let mut ids: Vec<_> = self.transfers.iter().map(|transfer| transfer.order.id).collect();
        ids.sort_unstable();
        ids.reverse();
        ids
    }
}

pub(crate) fn row(transfer: &Transfer) -> Item {
    let order = &transfer.order;
    let mut item = key_with(format!("WALLET#{}", order.wallet), format!("TX#{}", order.id));
    let more = [
        ("kind", s(order.kind.as_str())),
        ("amount", n(order.amount)),
        ("at_ms", n(order.at.ms())),
        ("balance_after", n(transfer.balance_after)),
        ("seq", n(transfer.seq)),
    ];
    item.extend(more.map(|(name, value)| (name.to_owned(), value)));
    if let Some(pool) = order.pool {
        item.insert("pool".to_owned(), s(pool));
    }
    item
}

/// A pass over the whole ledger.
pub(crate) async fn archive(store: &Store, horizon: Timestamp) -> PortResult<LedgerProgress> {
    let mut progress = LedgerProgress::default();
    while !progress.is_over() {
        let done = round(store, Ulid::from_parts(9, 9), time(store, horizon), &mut progress);
        done.await?.expect("time is not over");
    }
    Ok(progress)
}

/// A horizon, with all the time that a round needs.
pub(crate) fn time(store: &Store, horizon: Timestamp) -> Time {
    Time { horizon, stop_at: store.now().plus_ms(86_400_000) }
}

/// The keys of a wallet in the table, in their order.
pub(crate) fn keys_in_table(sandbox: &Sandbox, name: &str) -> Vec<String> {
    let pk = format!("WALLET#{name}");
    let items = sandbox.world.database().scan("largesse-ledger").unwrap();
    let text =
        |item: &std::collections::HashMap<String, dynoxide::AttributeValue>, name: &str| match item
            .get(name)
        {
            Some(dynoxide::AttributeValue::S(text)) => text.clone(),
            _ => String::new(),
        };
    let mut keys: Vec<String> =
        items.iter().filter(|item| text(item, "pk") == pk).map(|item| text(item, "sk")).collect();
    keys.sort_unstable();
    keys
}

pub(crate) fn count_in_table(sandbox: &Sandbox, name: &str, prefix: &str) -> usize {
    keys_in_table(sandbox, name).iter().filter(|key| key.starts_with(prefix)).count()
}

/// A whole history, in pages.
pub(crate) async fn all_pages(
    store: &Store,
    name: &str,
    filter: &HistoryFilter,
    limit: u32,
) -> PortResult<Vec<Transfer>> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let page = store.history(&user(name), filter, after, limit).await?;
        rows.extend(page.rows);
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(rows),
        }
    }
}

pub(crate) async fn ids_of(store: &Store, name: &str, limit: u32) -> Vec<TransferId> {
    let rows = all_pages(store, name, &HistoryFilter::default(), limit).await.unwrap();
    rows.iter().map(|row| row.order.id).collect()
}

/// The objects of the archive and their bytes.
pub(crate) async fn objects(archived: &Archived) -> Vec<(object_store::path::Path, bytes::Bytes)> {
    let mut listed = archived.objects.list(None);
    let mut found = Vec::new();
    while let Some(object) = listed.next().await {
        let path = object.unwrap().location;
        let bytes = archived.objects.get(&path).await.unwrap().bytes().await.unwrap();
        found.push((path, bytes));
    }
    found
}

/// A ledger of one member with old transfers, young ones, a void and a payment that was taken back.
pub(crate) async fn some(sandbox: &Sandbox, name: &str, old: u64) -> Ledger {
    let mut ledger = Ledger::of(name);
    for number in 0..old {
        let at = days_ago(sandbox, 500).plus_ms(number * 7);
        ledger.deposit(at, u128::from(number), number + 1);
    }
    ledger.paid_and_taken_back(days_ago(sandbox, 450), 5, 70);
    ledger.void(days_ago(sandbox, 449), 6);
    for number in 0..3 {
        ledger.deposit(days_ago(sandbox, 10).plus_ms(number), u128::from(number), 1_000);
    }
    ledger.written(sandbox).await;
    ledger
}

/// Everything of the ledger adds up, by the proof and by the audit of the books.
pub(crate) async fn assert_sound(store: &Arc<Store>) {
    let pass = largesse::verify::prove(store).await.unwrap();
    assert_eq!(pass.findings, Vec::new());
}
