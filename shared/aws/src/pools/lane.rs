//! Group commit: draws of one pool that wait in the same process go into one write.
//!
//! While one write is in flight the next batch gathers; nothing waits for company. Whoever's turn
//! it is writes for everybody who waits. A caller that is dropped in the middle takes nobody with
//! it: the turn passes on, and those it was writing for ask again, under the same attempt.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use largesse_app::ports::{Clock, NotWon, PortResult, Won};
use largesse_domain::id::{PoolId, UserId};
use largesse_domain::money::Amount;
use largesse_domain::pool::{Draw, DrawRefused, Drawn, PENDING_HELP, PENDING_MAX, Pool, Supply};
use largesse_domain::split::Cut;
use largesse_domain::time::Timestamp;
use tokio::sync::{Mutex as AsyncMutex, Notify, oneshot};

use super::batch::Batch;
use super::expression::{DRAWS_MAX, TRIMS_MAX};
use crate::cache::lock;
use crate::errors::contended;
use crate::store::Store;

/// How long a pool is remembered to be drawn empty (docs/limits.md: 1 s).
const DRAINED_MS: u64 = 1_000;
/// How long a full head waits for notes to ripen: many times what recording a draw takes.
const CROWDED_WAIT: Duration = Duration::from_millis(50);
/// How many pools one process keeps in mind.
const LANES_LEN_MAX: usize = 4_096;
/// How many draws apart helpers are while the head is half full: what one takes to help.
const HELP_EVERY: usize = 8;
/// How often a caller asks again after the one that wrote for it was dropped.
const ASKS_MAX: usize = 8;

type Answer = PortResult<Result<Won, NotWon>>;

struct Waiting {
    draw: Draw,
    answer: oneshot::Sender<Answer>,
}

/// What a write goes by: the last head that was seen. Only a guess, which the condition checks.
#[derive(Clone, Copy, Default)]
struct Seen {
    /// Released numbers.
    free: usize,
    /// Notes of pending draws.
    pending: usize,
}

/// What one process knows of one pool.
pub(crate) struct Lane {
    pool: PoolId,
    waiting: Mutex<VecDeque<Waiting>>,
    /// Whose turn it is to write, and what the head was last seen with.
    turn: AsyncMutex<Seen>,
    /// Notes of draws that are recorded: they are trimmed with a later draw's write.
    trims: Mutex<BTreeMap<UserId, Drawn>>,
    /// Draws won here whose record is not noted. Too many, when callers were dropped before: then
    /// this process helps less.
    unrecorded: AtomicUsize,
    /// Whether the next caller that asks is to help.
    is_to_help: AtomicBool,
    /// Told when a note becomes ripe to trim.
    ripened: Notify,
    /// Whether the pool keeps all its notes (ADR 0001); unknown until its head is seen.
    keeps_notes: OnceLock<bool>,
    /// The head as last seen with nothing left, and when.
    drained: Mutex<Option<(Arc<Pool>, Timestamp)>>,
    cut: OnceLock<Option<Cut>>,
}

impl Lane {
    fn new(pool: PoolId) -> Self {
        Self {
            pool,
            waiting: Mutex::default(),
            turn: AsyncMutex::default(),
            trims: Mutex::default(),
            unrecorded: AtomicUsize::new(0),
            is_to_help: AtomicBool::new(false),
            ripened: Notify::new(),
            keeps_notes: OnceLock::new(),
            drained: Mutex::default(),
            cut: OnceLock::new(),
        }
    }

    pub(crate) async fn draw(&self, store: &Store, draw: Draw) -> Answer {
        if let Some(refused) = self.refuse_for_free(&draw, store.now()) {
            return Ok(Err(refused));
        }
        for _ in 0..ASKS_MAX {
            let (answer, mut answered) = oneshot::channel();
            lock(&self.waiting).push_back(Waiting { draw: draw.clone(), answer });
            loop {
                tokio::select! {
                    biased;
                    answer = &mut answered => match answer {
                        Ok(answer) => return answer,
                        // Whoever wrote for us was dropped: it may have happened, so ask again.
                        Err(_) => break,
                    },
                    mut turn = self.turn.lock() => self.write_for_all(store, &mut turn).await,
                }
            }
        }
        Err(contended("draw"))
    }

    /// The crowd behind a drained pool costs no writes: within a second of seeing it empty, its
    /// answer is known. Whoever has drawn is still told so first.
    fn refuse_for_free(&self, draw: &Draw, now: Timestamp) -> Option<NotWon> {
        let drained = lock(&self.drained).clone();
        let (head, seen) = drained?;
        if now.ms_since(seen) >= DRAINED_MS || now < seen {
            return None;
        }
        let refused = head.decide(draw).err()?;
        match refused {
            DrawRefused::Exhausted | DrawRefused::Over | DrawRefused::Already(_) => {
                // What cannot be read is told by the write.
                NotWon::of(&refused, |part| self.worth(&head.supply, part)).ok()
            }
            DrawRefused::Ahead
            | DrawRefused::Crowded
            | DrawRefused::Unsettled
            | DrawRefused::AboveRemaining { .. } => None,
        }
    }

    async fn write_for_all(&self, store: &Store, seen: &mut Seen) {
        let room = self.wait_for_room(*seen).await;
        let batch = self.next_batch(room.clamp(1, DRAWS_MAX));
        if batch.is_empty() {
            return;
        }
        let trims = self.next_trims(&batch);
        let draws: Vec<Draw> = batch.iter().map(|waiting| waiting.draw.clone()).collect();
        let worth = |supply: &Supply, part| self.worth(supply, part);
        let pool = self.pool;
        let mut write = Batch { store, pool, free_known: seen.free, trims, worth: &worth };
        let decided = write.decide(&draws).await;
        if let Some(head) = decided.head {
            let won = decided.answers.iter().filter(|answer| matches!(answer, Ok(Ok(_)))).count();
            self.elect_helper(&head, won);
            *seen = self.look_at(head, store.now());
        }
        for (waiting, answer) in batch.into_iter().zip(decided.answers) {
            // A caller that is gone needs no answer; its draw stands and is settled by the sweep.
            drop(waiting.answer.send(answer));
        }
    }

    /// How many notes the head has room for. A head full of notes whose draws are just being
    /// recorded in this process is worth a moment's wait: their trims make room.
    async fn wait_for_room(&self, seen: Seen) -> usize {
        if self.keeps_notes.get() == Some(&true) {
            return DRAWS_MAX;
        }
        let room = || {
            let ripe = lock(&self.trims).len().min(TRIMS_MAX);
            PENDING_MAX.saturating_add(ripe).saturating_sub(seen.pending)
        };
        if room() == 0 {
            let wait = tokio::time::timeout(CROWDED_WAIT, self.ripened.notified());
            // Without a trim in that time the draw is written all the same, and refused as crowded:
            // then the caller helps to settle.
            drop(wait.await);
        }
        room()
    }

    /// One in [`HELP_EVERY`] of those who win while the head is half full of other processes' notes
    /// helps: each sees another number of them, since the writes are one after the other. So does
    /// whoever takes the last part.
    fn elect_helper(&self, head: &Pool, won: usize) {
        let before = self.unrecorded.fetch_add(won, Ordering::Relaxed);
        if won == 0 || head.keeps_notes() {
            return;
        }
        if head.supply.left() == 0 {
            // Who comes now is not refused for good before the last draws are settled.
            self.is_to_help.store(true, Ordering::Relaxed);
            return;
        }
        let own = before.saturating_add(won).saturating_add(lock(&self.trims).len());
        let of_others = head.pending.len().saturating_sub(own);
        if of_others.saturating_add(1) >= PENDING_HELP && of_others.is_multiple_of(HELP_EVERY) {
            self.is_to_help.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the caller is to help; says so to one.
    pub(crate) fn take_turn_to_help(&self) -> bool {
        self.is_to_help.swap(false, Ordering::Relaxed)
    }

    /// Those who wait, one draw of each member: a second call of the same member is answered by
    /// what the first one leaves.
    fn next_batch(&self, len_max: usize) -> Vec<Waiting> {
        let mut waiting = lock(&self.waiting);
        let mut batch: Vec<Waiting> = Vec::new();
        let mut later = VecDeque::new();
        while let Some(next) = waiting.pop_front() {
            let is_second = batch.iter().any(|w| w.draw.member == next.draw.member);
            if next.answer.is_closed() {
                continue;
            }
            if is_second || batch.len() >= len_max {
                later.push_back(next);
            } else {
                batch.push(next);
            }
        }
        *waiting = later;
        batch
    }

    /// Notes to trim: not of those who draw now, since their clauses would contradict.
    fn next_trims(&self, batch: &[Waiting]) -> Vec<(UserId, Drawn)> {
        if self.keeps_notes.get() != Some(&false) {
            return Vec::new();
        }
        let mut trims = lock(&self.trims);
        let draws_now = |member: &UserId| batch.iter().any(|w| w.draw.member == *member);
        let ripe: Vec<UserId> =
            trims.keys().filter(|member| !draws_now(member)).take(TRIMS_MAX).cloned().collect();
        ripe.into_iter().filter_map(|member| trims.remove_entry(&member)).collect()
    }

    fn look_at(&self, head: Arc<Pool>, now: Timestamp) -> Seen {
        let keeps_notes = *self.keeps_notes.get_or_init(|| head.keeps_notes());
        if keeps_notes {
            lock(&self.trims).clear();
        }
        let free = match &head.supply {
            Supply::Shares { numbers, .. } | Supply::Slots { numbers, .. } => numbers.free.len(),
            Supply::Amount { .. } => 0,
        };
        let seen = Seen { free, pending: head.pending.len() };
        let is_drained = head.supply.left() == 0;
        *lock(&self.drained) = is_drained.then_some((head, now));
        seen
    }

    /// What a part is worth; the cut of a spray is computed once.
    fn worth(&self, supply: &Supply, part: u64) -> Option<Amount> {
        match self.cut.get_or_init(|| supply.cut()) {
            Some(cut) => cut.share(part),
            None => supply.worth(part),
        }
    }

    /// Notes that a draw is recorded.
    pub(crate) fn trim_later(&self, member: &UserId, recorded: Drawn) {
        if self.keeps_notes.get() != Some(&true) {
            lock(&self.trims).insert(member.clone(), recorded);
            let less = |unrecorded: usize| Some(unrecorded.saturating_sub(1));
            // It always holds: `less` never gives up.
            let _ = self.unrecorded.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
            self.ripened.notify_one();
        }
    }

    /// Something was given back.
    pub(crate) fn forget_drained(&self) {
        *lock(&self.drained) = None;
    }
}

/// The lanes of all pools that this process has drawn from lately.
#[derive(Default)]
pub(crate) struct Lanes(Mutex<HashMap<PoolId, Arc<Lane>>>);

impl Lanes {
    pub(crate) fn of(&self, pool: PoolId) -> Arc<Lane> {
        let mut lanes = lock(&self.0);
        if lanes.len() >= LANES_LEN_MAX {
            // Whoever is in the middle of a draw keeps its lane; trims that are forgotten here are
            // left to the sweep.
            lanes.retain(|_, lane| Arc::strong_count(lane) > 1);
        }
        lanes.entry(pool).or_insert_with(|| Arc::new(Lane::new(pool))).clone()
    }
}
