//! A sealed campaign that runs, a money service that does as it is told, and workers.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use largesse_app::campaign::ChunkOutcome;
use largesse_app::campaign::act;
use largesse_app::campaign::create::{CreateCampaign, create};
use largesse_app::campaign::part::add_part;
use largesse_app::campaign::pay::{PaySettings, pay_chunk};
use largesse_app::campaign::reverse::reverse_chunk;
use largesse_app::invocation;
use largesse_app::ports::{
    COUNT_SHARDS, CampaignRows, Campaigns, ChunkMessage, ChunkSet, ChunkWork, Clock, Money,
    Payment, PortError, PortErrorKind, PortResult, Refusal, Reversal, Standing,
};
use largesse_aws::Store;
use largesse_domain::campaign::{
    Approvals, Campaign, CampaignName, ChunkNumber, Counts, Duplicates, Hash, Layout, Part,
    PartNumber, Priority, Row, Seal, Sealed, State, Tally, Terms, Totals,
};
use largesse_domain::grant::{Grant, RetryPolicy};
use largesse_domain::id::{CampaignId, GrantId};
use largesse_domain::ledger::Memo;
use largesse_domain::time::Timestamp;
use largesse_tests::{Sandbox, amount, user};

/// What each row pays.
pub(crate) const AMOUNT: u64 = 10;

pub(crate) const SETTINGS: PaySettings =
    PaySettings { policy: RetryPolicy { retries_max: 3, delay_s: 3 }, snapshot_s: 5 };

/// What the money service does with one call for a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Says no.
    Refuse,
    /// Pays, and the reply is lost.
    PayUnknown,
    /// Does nothing, and the reply is lost.
    Lose,
    /// Does not work.
    NotNow,
    /// Wants to be asked again after so many milliseconds.
    Busy(u64),
    /// Denies the call.
    Deny,
    /// Has other content under the id.
    Contradict,
    /// The payment under the id was voided.
    Void,
}

/// A money service that keeps the books. It pays whatever it has no instruction for.
#[derive(Default)]
pub(crate) struct Bank {
    acts: Mutex<HashMap<String, VecDeque<Act>>>,
    /// What a member has left of a payment, where it is less than all.
    pub(crate) spent: Mutex<HashMap<String, u64>>,
    /// The members of whom a look-up says that nothing is decided yet.
    pub(crate) undecided: Mutex<BTreeSet<String>>,
    /// How often money moved under an id, forth and back.
    pub(crate) paid: Mutex<BTreeMap<GrantId, (String, u32)>>,
    pub(crate) reversed: Mutex<BTreeMap<GrantId, u32>>,
    /// Every call, in order.
    pub(crate) calls: Mutex<Vec<(&'static str, String, Timestamp)>>,
    /// How long a call takes.
    pub(crate) takes_ms: u64,
    clock: Option<largesse_emulator::WorldClock>,
}

impl Bank {
    pub(crate) fn of(sandbox: &Sandbox) -> Self {
        Self { clock: Some(sandbox.world.clock().clone()), ..Self::default() }
    }

    pub(crate) fn tell(&self, member: &str, acts: &[Act]) {
        self.acts.lock().unwrap().insert(member.to_owned(), acts.iter().copied().collect());
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.clock.as_ref().unwrap().now_ms())
    }

    fn log(&self, call: &'static str, grant: &Grant) {
        self.calls.lock().unwrap().push((call, grant.member.to_string(), self.now()));
    }

    /// The calls about a member.
    pub(crate) fn calls_of(&self, member: &str) -> Vec<&'static str> {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|call| call.1 == member).map(|call| call.0).collect()
    }

    /// Who was paid, each once.
    pub(crate) fn members_paid(&self) -> Vec<String> {
        let paid = self.paid.lock().unwrap();
        let mut members: Vec<String> = paid.values().map(|(member, _)| member.clone()).collect();
        members.sort();
        members
    }

    async fn pay_one(&self, grant: &Grant) -> Payment {
        let held = || PortError { operation: "pay", kind: PortErrorKind::Throttled, cause: None };
        if invocation::permits_until().is_some_and(|until| self.now() > until) {
            return Payment::NotNow { retry_after_ms: None, cause: held() };
        }
        self.log("pay", grant);
        if self.takes_ms > 0 {
            tokio::time::sleep(Duration::from_millis(self.takes_ms)).await;
        } else {
            tokio::task::yield_now().await;
        }
        let member = grant.member.to_string();
        let act = self.acts.lock().unwrap().get_mut(&member).and_then(VecDeque::pop_front);
        let unknown = || {
            let kind = PortErrorKind::Unknown;
            Payment::Unknown(PortError { operation: "pay", kind, cause: None })
        };
        match act {
            Some(Act::Refuse) => return Payment::Refused(Refusal::WalletFull),
            Some(Act::Lose) => return unknown(),
            Some(Act::NotNow) => {
                return Payment::NotNow { retry_after_ms: None, cause: held() };
            }
            Some(Act::Busy(wait_ms)) => {
                return Payment::NotNow { retry_after_ms: Some(wait_ms), cause: held() };
            }
            Some(Act::Void) => return Payment::Voided,
            Some(Act::Deny) => {
                let cause =
                    PortError { operation: "denied", kind: PortErrorKind::Rejected, cause: None };
                return Payment::NotNow { retry_after_ms: None, cause };
            }
            Some(Act::Contradict) => {
                let cause = PortError::corrupt("other content");
                return Payment::NotNow { retry_after_ms: None, cause };
            }
            Some(Act::PayUnknown) | None => {}
        }
        let is_first = {
            let mut paid = self.paid.lock().unwrap();
            let is_first = !paid.contains_key(&grant.id);
            paid.entry(grant.id).or_insert((member, 1));
            is_first
        };
        // A worker may be killed between the effect and the reply.
        tokio::task::yield_now().await;
        match act {
            Some(_) => unknown(),
            None if is_first => Payment::Paid,
            None => Payment::AlreadyPaid,
        }
    }
}

impl Money for Bank {
    async fn pay(&self, grants: &[Grant]) -> Vec<Payment> {
        let mut payments = Vec::new();
        for grant in grants {
            payments.push(self.pay_one(grant).await);
        }
        payments
    }

    async fn lookup(&self, grants: &[Grant]) -> PortResult<Vec<Standing>> {
        tokio::task::yield_now().await;
        let find = |grant: &Grant| {
            self.log("look up", grant);
            if self.undecided.lock().unwrap().contains(grant.member.as_str()) {
                return Standing::Unknown;
            }
            let is_paid = self.paid.lock().unwrap().contains_key(&grant.id);
            if is_paid { Standing::Paid } else { Standing::NotPaid }
        };
        Ok(grants.iter().map(find).collect())
    }

    async fn reverse(&self, grant: &Grant) -> PortResult<Reversal> {
        tokio::task::yield_now().await;
        self.log("reverse", grant);
        if !self.paid.lock().unwrap().contains_key(&grant.id) {
            return Ok(Reversal::NotPaid);
        }
        if let Some(amount) = self.spent.lock().unwrap().get(grant.member.as_str()) {
            return Ok(Reversal::Shortfall { amount: *amount });
        }
        let is_first = self.reversed.lock().unwrap().insert(grant.id, 1).is_none();
        tokio::task::yield_now().await;
        Ok(if is_first { Reversal::Reversed } else { Reversal::AlreadyReversed })
    }
}

/// A campaign of `ann` over that many rows, sealed and started.
pub(crate) struct Scene {
    pub(crate) sandbox: Sandbox,
    pub(crate) bank: Arc<Bank>,
    pub(crate) id: CampaignId,
    pub(crate) chunks: u32,
    pub(crate) rows: u64,
}

fn hash() -> Hash {
    Hash::of(b"content")
}

pub(crate) fn memo(text: &str) -> Memo {
    Memo::new(text).unwrap()
}

pub(crate) fn terms() -> Terms {
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

impl Scene {
    pub(crate) async fn new(seed: u64, rows: u64) -> Self {
        let sandbox = Sandbox::new(seed);
        let (store, ann) = (&*sandbox.store, user("ann"));
        let id = CampaignId(sandbox.id());
        let request = CreateCampaign { id, creator: ann.clone(), terms: terms() };
        create(store, request).await.unwrap();
        let number = PartNumber::new(1).unwrap();
        let part = Part { number, hash: hash(), rows, refused: 0, amount: rows * AMOUNT };
        add_part(store, id, &ann, &part).await.unwrap();
        act::seal(store, id, &ann).await.unwrap();
        let layout = Layout::new(rows).unwrap();
        let set = ChunkSet { campaign: id, attempt: 1, round: 0 };
        let mut chunks: BTreeMap<ChunkNumber, Vec<Row>> =
            (0..layout.chunks()).map(|n| (ChunkNumber(n), Vec::new())).collect();
        let mut tallies = vec![Tally::default(); usize::try_from(COUNT_SHARDS).unwrap()];
        for n in 0..rows {
            let member = user(&format!("m{n:03}"));
            let chunk = layout.chunk(&member);
            let shard = usize::try_from(chunk.0 % COUNT_SHARDS).unwrap();
            tallies[shard].pending.rows += 1;
            tallies[shard].pending.amount += AMOUNT;
            let row = Row { member, amount: amount(AMOUNT), reason: memo("보상") };
            chunks.get_mut(&chunk).unwrap().push(row);
        }
        let chunks: Vec<(ChunkNumber, Vec<Row>)> = chunks.into_iter().collect();
        store.put_chunks(&set, &chunks).await.unwrap();
        let totals = Totals { rows, amount: rows * AMOUNT, ..Totals::default() };
        let seal =
            Seal { layout, rows: hash(), at: store.now(), same_as: None, widths_differ: false };
        act::sealed(store, id, 1, Sealed { hash: hash(), totals }, seal, tallies).await.unwrap();
        let bank = Arc::new(Bank::of(&sandbox));
        let scene = Self { bank, id, chunks: layout.chunks(), rows, sandbox };
        scene.start().await;
        scene
    }

    pub(crate) async fn start(&self) {
        act::start(&*self.sandbox.store, self.id, &user("ann"), hash()).await.unwrap();
    }

    pub(crate) async fn stop(&self) {
        act::stop(&*self.sandbox.store, self.id, &user("ann"), memo("why")).await.unwrap();
    }

    pub(crate) async fn retry(&self) {
        act::retry(&*self.sandbox.store, self.id, &user("ann")).await.unwrap();
    }

    pub(crate) async fn roll_back(&self) {
        act::rollback(&*self.sandbox.store, self.id, &user("ann"), memo("why")).await.unwrap();
    }

    pub(crate) async fn campaign(&self) -> Campaign {
        self.sandbox.store.campaign(self.id).await.unwrap().unwrap().value
    }

    pub(crate) async fn state(&self) -> State {
        self.campaign().await.life.state
    }

    /// The counters together, which always hold all rows.
    pub(crate) async fn tally(&self) -> Tally {
        let counts = self.sandbox.store.counts(self.id).await.unwrap();
        let tally = Counts::of_shards(&counts).unwrap().tally;
        let total = tally.total().unwrap();
        assert_eq!((total.rows, total.amount), (self.rows, self.rows * AMOUNT));
        tally
    }

    /// The messages of the present start or rollback.
    pub(crate) async fn messages(&self, work: ChunkWork) -> Vec<ChunkMessage> {
        let fence = self.campaign().await.life.fence;
        let message =
            |n| ChunkMessage { campaign: self.id, fence, chunk: ChunkNumber(n), work, trace: None };
        (0..self.chunks).map(message).collect()
    }

    pub(crate) async fn deliver(&self, store: &Store, message: &ChunkMessage) -> ChunkOutcome {
        let stop_at = store.now().plus_ms(50_000);
        match message.work {
            ChunkWork::Pay => pay_chunk(&*self.bank, store, message, SETTINGS, stop_at).await,
            ChunkWork::Reverse => reverse_chunk(&*self.bank, store, message, stop_at).await,
        }
    }

    /// Delivers every message until it is done, as the queues do.
    pub(crate) async fn drain(&self, store: &Store, work: ChunkWork) {
        for message in self.messages(work).await {
            self.drain_one(store, &message).await;
        }
    }

    pub(crate) async fn drain_one(&self, store: &Store, message: &ChunkMessage) {
        for _ in 0..40 {
            let wait_s = match self.deliver(store, message).await {
                ChunkOutcome::Done | ChunkOutcome::Dropped => return,
                ChunkOutcome::Retry { delay_s } => delay_s,
                ChunkOutcome::Unresolved | ChunkOutcome::Later { .. } => 3,
                ChunkOutcome::SetAside(cause) => panic!("set aside: {}", cause.causes()),
            };
            tokio::time::advance(Duration::from_secs(wait_s.into())).await;
        }
        panic!("{message:?} is never done");
    }

    /// Every row is paid, once, and the campaign has ended.
    pub(crate) async fn assert_all_paid(&self) {
        let mut expected: Vec<String> = (0..self.rows).map(|n| format!("m{n:03}")).collect();
        expected.sort();
        assert_eq!(self.bank.members_paid(), expected);
        assert_eq!(self.tally().await.success.rows, self.rows);
        assert_eq!(self.state().await, State::Completed);
    }
}
