//! Campaigns at each stage of a life, made by the use cases over the store.

use largesse_app::campaign::act::{self, Acted};
use largesse_app::campaign::create::{CreateCampaign, create};
use largesse_app::campaign::part::add_part;
use largesse_app::ports::{COUNT_SHARDS, Campaigns, Clock, Versioned};
use largesse_aws::Store;
use largesse_domain::campaign::{
    Agenda, Approvals, AuditBroken, Campaign, CampaignName, Counts, Duplicates, Hash, Layout, Part,
    PartNumber, Priority, Seal, Sealed, State, Tally, Terms, Totals, verify,
};
use largesse_domain::id::CampaignId;
use largesse_domain::ledger::Memo;
use largesse_tests::{Sandbox, user};

use crate::scene::{Table, key_with, n, number};

/// What each row of these campaigns pays.
pub(super) const AMOUNT: u64 = 10;
/// How many rows a campaign of these tests has, unless a test says otherwise.
pub(super) const ROWS: u64 = 20;

pub(super) fn memo(text: &str) -> Memo {
    Memo::new(text).unwrap()
}

pub(super) fn terms() -> Terms {
    Terms {
        name: CampaignName::new("추석 보상").unwrap(),
        default_reason: memo("보상"),
        default_amount: None,
        starts_at: None,
        priority: Priority::default(),
        duplicates: Duplicates::First,
        approvals: Approvals::Zero,
    }
}

/// A campaign of `ann` in DRAFT. Each is made in a millisecond of its own.
pub(super) async fn made(sandbox: &Sandbox, terms: Terms) -> CampaignId {
    tokio::time::advance(std::time::Duration::from_millis(1)).await;
    let id = CampaignId(sandbox.id());
    let request = CreateCampaign { id, creator: user("ann"), terms };
    create(&*sandbox.store, request).await.unwrap().id
}

pub(super) fn part(number: u32, rows: u64) -> Part {
    let hash = Hash::of(&number.to_be_bytes());
    let number = PartNumber::new(number).unwrap();
    Part { number, hash, rows, refused: 1, amount: rows * AMOUNT }
}

/// The hash of content that [`sealed`] fixes.
pub(super) fn hash() -> Hash {
    Hash::of(b"content")
}

pub(super) fn sealed_rows() -> Sealed {
    let totals = Totals { rows: ROWS, amount: ROWS * AMOUNT, duplicates: 2, refused: 1 };
    Sealed { hash: hash(), totals }
}

pub(super) fn seal_at(store: &Store) -> Seal {
    let layout = Layout::new(ROWS).unwrap();
    let rows = Hash::of(b"rows");
    Seal { layout, rows, at: store.now(), same_as: None, widths_differ: false }
}

/// The counters of a sealed campaign: its rows lie in the first shard and in the last.
pub(super) fn pending() -> Vec<Tally> {
    let mut tallies = vec![Tally::default(); usize::try_from(COUNT_SHARDS).unwrap()];
    for (shard, rows) in [(0, ROWS / 4), (15, ROWS - ROWS / 4)] {
        let totals = Totals { rows, amount: rows * AMOUNT, ..Totals::default() };
        tallies[shard] = Counts::sealed(totals).tally;
    }
    tallies
}

/// A campaign that is sealed and waits.
pub(super) async fn sealed(sandbox: &Sandbox, terms: Terms) -> CampaignId {
    let (store, ann) = (&*sandbox.store, user("ann"));
    let id = made(sandbox, terms).await;
    add_part(store, id, &ann, &part(1, ROWS)).await.unwrap();
    act::seal(store, id, &ann).await.unwrap();
    act::sealed(store, id, 1, sealed_rows(), seal_at(store), pending()).await.unwrap();
    id
}

/// A campaign that `ann` has started. It runs if it is next.
pub(super) async fn started(sandbox: &Sandbox) -> CampaignId {
    let id = sealed(sandbox, terms()).await;
    start(sandbox, id).await;
    id
}

/// A campaign whose start time has come since it was started: the schedule runs it.
pub(crate) async fn queued(sandbox: &Sandbox) -> CampaignId {
    let starts_at = Some(sandbox.store.now().plus_ms(60_000));
    let id = sealed(sandbox, Terms { starts_at, ..terms() }).await;
    start(sandbox, id).await;
    tokio::time::advance(std::time::Duration::from_secs(61)).await;
    id
}

pub(super) async fn start(sandbox: &Sandbox, id: CampaignId) -> Acted {
    act::start(&*sandbox.store, id, &user("ann"), hash()).await.unwrap()
}

pub(super) async fn stop(sandbox: &Sandbox, id: CampaignId) -> Acted {
    act::stop(&*sandbox.store, id, &user("ann"), memo("why")).await.unwrap()
}

/// Its workers have paid all rows but some, which have failed.
pub(super) async fn worked_off(sandbox: &Sandbox, id: CampaignId, failed: u64) {
    let table = Table::of(sandbox, "campaigns");
    let mut failed = failed;
    for shard in 0..COUNT_SHARDS {
        let key = count_key(id, shard);
        let item = table.get(&key).await.unwrap();
        let count = |name: &str| u64::try_from(number(&item, name)).unwrap();
        let pending = count("pending_rows");
        let fails = failed.min(pending);
        failed -= fails;
        for (state, rows) in [
            ("pending", 0),
            ("failed", count("failed_rows") + fails),
            ("success", count("success_rows") + pending - fails),
        ] {
            table.set(&key, &format!("{state}_rows"), n(rows)).await;
            table.set(&key, &format!("{state}_amount"), n(rows * AMOUNT)).await;
        }
    }
}

/// Its workers have taken back what it paid.
pub(super) async fn taken_back(sandbox: &Sandbox, id: CampaignId) {
    let table = Table::of(sandbox, "campaigns");
    for shard in 0..COUNT_SHARDS {
        let key = count_key(id, shard);
        let item = table.get(&key).await.unwrap();
        for unit in ["rows", "amount"] {
            let paid = number(&item, &format!("success_{unit}"));
            table.set(&key, &format!("success_{unit}"), n(0)).await;
            table.set(&key, &format!("reversed_{unit}"), n(paid)).await;
        }
    }
}

/// The counters together.
pub(super) async fn tally(sandbox: &Sandbox, id: CampaignId) -> Tally {
    Counts::of_shards(&sandbox.store.counts(id).await.unwrap()).unwrap().tally
}

/// Runs a campaign to its end, with some rows that fail.
pub(super) async fn completed(sandbox: &Sandbox, failed: u64) -> CampaignId {
    let id = started(sandbox).await;
    worked_off(sandbox, id, failed).await;
    let fence = read(sandbox, id).await.life.fence;
    act::end(&*sandbox.store, id, fence).await.unwrap();
    id
}

pub(super) async fn seen(sandbox: &Sandbox, id: CampaignId) -> Versioned<Campaign> {
    sandbox.store.campaign(id).await.unwrap().unwrap()
}

pub(super) async fn read(sandbox: &Sandbox, id: CampaignId) -> Campaign {
    seen(sandbox, id).await.value
}

pub(super) async fn state(sandbox: &Sandbox, id: CampaignId) -> State {
    read(sandbox, id).await.life.state
}

pub(super) async fn agenda(sandbox: &Sandbox) -> Versioned<Agenda> {
    sandbox.store.agenda().await.unwrap()
}

/// The actions in its audit, which must hold.
pub(super) async fn audit(sandbox: &Sandbox, id: CampaignId) -> Vec<String> {
    assert_eq!(verified(sandbox, id).await, Ok(()));
    let entries = sandbox.store.audit_of(id, 0, u32::MAX).await.unwrap();
    entries.into_iter().map(|entry| entry.action).collect()
}

/// Whether its audit holds, up to the head that the campaign knows.
pub(super) async fn verified(sandbox: &Sandbox, id: CampaignId) -> Result<(), AuditBroken> {
    let head = read(sandbox, id).await.audit;
    let entries = sandbox.store.audit_of(id, 0, u32::MAX).await.unwrap();
    verify(id, &entries, Some(head))
}

pub(super) fn meta_key(id: CampaignId) -> crate::scene::Item {
    key_with(format!("CAMPAIGN#{id}"), "META")
}

pub(super) fn count_key(id: CampaignId, shard: u32) -> crate::scene::Item {
    key_with(format!("CAMPAIGN#{id}"), format!("COUNT#{shard:02}"))
}

pub(super) fn audit_key(id: CampaignId, seq: u64) -> crate::scene::Item {
    key_with(format!("CAMPAIGN#{id}"), format!("AUDIT#{seq:010}"))
}
