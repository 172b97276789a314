//! A campaign that runs, its functions, each attached when a test wants it, and what is done to its
//! queues.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use campaign_pay::Source;
use campaign_start::Report;
use largesse_app::campaign::act;
use largesse_app::campaign::pay::PaySettings;
use largesse_app::ports::{
    CampaignRows, Campaigns, ChunkMessage, ChunkSet, ChunkWork, Money, Payment, PortError,
    PortErrorKind, PortResult, Reversal, Standing,
};
use largesse_aws::Store;
use largesse_domain::campaign::{
    Campaign, ChunkNumber, Counts, Duplicates, Layout, Row, State, Tally,
};
use largesse_domain::grant::{Grant, RetryPolicy};
use largesse_domain::id::CampaignId;
use largesse_domain::ledger::Memo;
use largesse_emulator::{QueueTrigger, QueueView};
use largesse_tests::{Sandbox, user};
use serde_json::{Value, json};

use crate::campaign_rows::{begin_seal, campaign, draft, members, put, seal};
use crate::scene::{Item, Table, key_with, number};

pub(crate) const SETTINGS: PaySettings =
    PaySettings { policy: RetryPolicy { retries_max: 3, delay_s: 3 }, snapshot_s: 5 };
const LANES: u32 = 4;

pub(super) const FANOUTS: &str = "largesse-fanouts";
pub(super) const SEALS: &str = "largesse-seals";
/// The queues that chunks pass through.
pub(super) const CHUNKS: [&str; 2] = ["largesse-campaigns.fifo", "largesse-campaign-retries"];

/// The ledger behind a service that can be away: it then takes nothing, and names a wait of a minute.
pub(crate) struct Service {
    ledger: Arc<Store>,
    is_away: AtomicBool,
}

impl Money for Service {
    async fn pay(&self, grants: &[Grant]) -> Vec<Payment> {
        if !self.is_away.load(Ordering::Relaxed) {
            return self.ledger.pay(grants).await;
        }
        let away = |_: &Grant| {
            let cause = PortError { operation: "pay", kind: PortErrorKind::Throttled, cause: None };
            Payment::NotNow { retry_after_ms: Some(60_000), cause }
        };
        grants.iter().map(away).collect()
    }

    async fn lookup(&self, grants: &[Grant]) -> PortResult<Vec<Standing>> {
        self.ledger.lookup(grants).await
    }

    async fn reverse(&self, grant: &Grant) -> PortResult<Reversal> {
        self.ledger.reverse(grant).await
    }
}

/// A campaign of ann over members m0, m1 and so on, with nothing attached.
pub(crate) struct Work {
    pub(crate) sandbox: Sandbox,
    pub(crate) money: Arc<Service>,
    pub(crate) id: CampaignId,
    rows: usize,
}

impl Work {
    /// It is being sealed.
    pub(super) async fn sealing(seed: u64, rows: usize) -> Self {
        let work = Self::draft(seed, rows).await;
        begin_seal(&work.sandbox, work.id).await;
        work
    }

    /// It is sealed.
    pub(super) async fn sealed(seed: u64, rows: usize) -> Self {
        let work = Self::draft(seed, rows).await;
        seal(&work.sandbox, work.id).await;
        work
    }

    /// It runs.
    pub(crate) async fn new(seed: u64, rows: usize) -> Self {
        let work = Self::sealed(seed, rows).await;
        work.start().await;
        work
    }

    async fn draft(seed: u64, rows: usize) -> Self {
        let sandbox = Sandbox::new(seed);
        let id = draft(&sandbox, Duplicates::First).await;
        put(&sandbox, id, 1, &members(0, rows)).await;
        let ledger = sandbox.another_process(30);
        let money = Arc::new(Service { ledger, is_away: AtomicBool::new(false) });
        Self { sandbox, money, id, rows }
    }

    pub(super) async fn start(&self) {
        let hash = self.campaign().await.life.sealed.unwrap().hash;
        act::start(&*self.sandbox.store, self.id, &user("ann"), hash).await.unwrap();
    }

    pub(super) async fn stop(&self) {
        let memo = Memo::new("why").unwrap();
        act::stop(&*self.sandbox.store, self.id, &user("ann"), memo).await.unwrap();
    }

    pub(crate) async fn roll_back(&self) {
        let memo = Memo::new("why").unwrap();
        act::rollback(&*self.sandbox.store, self.id, &user("ann"), memo).await.unwrap();
    }

    /// The money service goes away or comes back.
    pub(crate) fn set_away(&self, is_away: bool) {
        self.money.is_away.store(is_away, Ordering::Relaxed);
    }

    fn trigger(&self, function: &str) -> QueueTrigger {
        self.sandbox.world.stack().function(function).unwrap().queues[0].clone()
    }

    /// What the audit sets going is sent.
    pub(crate) fn attach_outbox(&self) {
        let store = self.sandbox.another_process(20);
        for stream in self.sandbox.world.stack().function("outbox").unwrap().streams.clone() {
            let store = store.clone();
            let handle = move |event| {
                let store = store.clone();
                async move { Ok(outbox::handle(&*store, event).await) }
            };
            self.sandbox.world.on_stream(stream, handle).unwrap();
        }
    }

    pub(super) fn attach_seal(&self) {
        let store = self.sandbox.another_process(21);
        let handle = move |event| {
            let store = store.clone();
            async move { Ok(campaign_seal::handle(&*store, event).await) }
        };
        self.sandbox.world.on_queue(self.trigger("campaign-seal"), handle).unwrap();
    }

    pub(crate) fn attach_fanout(&self) {
        let store = self.sandbox.another_process(22);
        let handle = move |event| {
            let store = store.clone();
            async move { Ok(campaign_fanout::handle(&*store, event, LANES).await) }
        };
        self.sandbox.world.on_queue(self.trigger("campaign-fanout"), handle).unwrap();
    }

    pub(crate) fn attach_worker(&self, function: &str, source: Source) {
        let (money, store) = (self.money.clone(), self.sandbox.another_process(23));
        let handle = move |event| {
            let (money, store) = (money.clone(), store.clone());
            async move { Ok(campaign_pay::handle(&*money, &*store, event, SETTINGS, source).await) }
        };
        self.sandbox.world.on_queue(self.trigger(function), handle).unwrap();
    }

    pub(super) fn attach_workers(&self) {
        self.attach_worker("campaign-pay", Source::Lane);
        self.attach_worker("campaign-retry", Source::Retries);
    }

    pub(super) fn attach_all(&self) {
        self.attach_outbox();
        self.attach_fanout();
        self.attach_workers();
    }

    pub(crate) async fn settle(&self) {
        self.sandbox.world.settle().await;
    }

    pub(super) fn queue(&self, name: &str) -> QueueView {
        self.sandbox.world.queue(name).unwrap()
    }

    /// Whether a queue that the campaign's chunks pass through has a message.
    pub(super) fn waits(&self) -> bool {
        CHUNKS.iter().chain(&[FANOUTS]).any(|name| !self.queue(name).is_empty())
    }

    pub(super) async fn purge(&self, queues: &[&str]) {
        for name in queues {
            self.sqs("PurgeQueue", name, json!({})).await;
            assert!(self.queue(name).is_empty());
        }
    }

    /// A call of SQS about a queue.
    pub(super) async fn sqs(&self, operation: &str, queue: &str, mut request: Value) -> Value {
        request["QueueUrl"] = queue.into();
        let target = format!("AmazonSQS.{operation}");
        let reply = self.sandbox.world.answer(&target, request.to_string().into_bytes()).await;
        let reply = reply.unwrap();
        assert!(reply.status().is_success(), "{operation}: {reply:?}");
        serde_json::from_slice(reply.body()).unwrap()
    }

    /// A minute passes, and the schedule runs.
    pub(super) async fn minute(&self) -> Report {
        tokio::time::advance(Duration::from_secs(60)).await;
        self.settle().await;
        let report = campaign_start::handle(&*self.sandbox.store).await.unwrap();
        self.settle().await;
        report
    }

    /// So many minutes pass: how often its job was sent again in them.
    pub(super) async fn minutes(&self, count: usize) -> usize {
        let mut resent = 0;
        for _ in 0..count {
            resent += self.minute().await.resent.len();
        }
        resent
    }

    pub(crate) async fn campaign(&self) -> Campaign {
        campaign(&self.sandbox, self.id).await
    }

    pub(super) async fn state(&self) -> State {
        self.campaign().await.life.state
    }

    pub(crate) async fn tally(&self) -> Tally {
        Counts::of_shards(&self.sandbox.store.counts(self.id).await.unwrap()).unwrap().tally
    }

    pub(super) async fn layout(&self) -> Layout {
        self.campaign().await.seal.unwrap().layout
    }

    /// The message of a chunk under the present fence.
    pub(crate) async fn message(&self, chunk: u32) -> ChunkMessage {
        let (campaign, fence) = (self.id, self.campaign().await.life.fence);
        let (chunk, work) = (ChunkNumber(chunk), ChunkWork::Pay);
        ChunkMessage { campaign, fence, chunk, work, trace: None }
    }

    /// The key of a chunk's rows (`ROWS`) or of what became of them (`RESULT`).
    pub(super) async fn chunk_key(&self, chunk: u32, sk: &str) -> Item {
        let set = ChunkSet::of(&self.campaign().await).unwrap();
        let pk = format!("CHUNK#{}#{}#{}#{chunk}", self.id, set.attempt, set.round);
        key_with(pk, sk)
    }

    /// The first row of a chunk.
    pub(crate) async fn row(&self, chunk: u32) -> Row {
        let set = ChunkSet::of(&self.campaign().await).unwrap();
        let rows = self.sandbox.store.chunk(&set, ChunkNumber(chunk)).await.unwrap();
        rows.unwrap().remove(0)
    }

    /// What each member has, and should have.
    async fn balances(&self) -> Vec<(i64, i64)> {
        let ledger = Table::of(&self.sandbox, "ledger");
        let mut balances = Vec::new();
        for n in 0..self.rows {
            let wallet = ledger.get(&key_with(format!("WALLET#m{n}"), "BALANCE")).await;
            let has = wallet.map_or(0, |wallet| number(&wallet, "balance"));
            balances.push((has, i64::try_from(n % 1_000 + 1).unwrap()));
        }
        balances
    }

    /// How many members have their amount; nobody has anything else.
    pub(super) async fn paid(&self) -> u64 {
        let balances = self.balances().await;
        assert!(balances.iter().all(|(has, due)| [0, *due].contains(has)), "{balances:?}");
        u64::try_from(balances.iter().filter(|(has, _)| *has > 0).count()).unwrap()
    }

    /// Every row is paid, once, and the campaign has ended without a problem.
    pub(super) async fn assert_all_paid(&self) {
        let rows = u64::try_from(self.rows).unwrap();
        assert_eq!(self.paid().await, rows);
        assert_eq!(self.tally().await.success.rows, rows);
        let campaign = self.campaign().await;
        assert_eq!((campaign.life.state, campaign.problem), (State::Completed, None));
    }
}
