//! One process's part of a shared rate: the block that it has leased, and the tasks that wait for
//! permits.

use std::sync::atomic::{AtomicU32, Ordering};

use largesse_domain::id::ServiceId;
use largesse_domain::rate::{Block, Due, Moment, Permit, Rate, Wish};
use largesse_domain::time::Timestamp;
use tokio::sync::Mutex;

use super::Held;
use crate::invocation;
use crate::ports::{Clock, Leased, Pause, Permits};

/// How long a lease may take without loss: the first permit lies this far ahead. DynamoDB usually
/// answers in a few milliseconds.
const LEAD_MS: u64 = 25;
/// When, before its last block ends, a process leases the next one. Later than that, the rate would
/// stand still until the reply; earlier, fewer tasks would wait, and the block would be smaller.
const RENEW_MS: u64 = 50;
/// How far ahead permits are leased at most. As long as that takes a change of the rate, at most.
const AHEAD_MS: u64 = 5_000;
/// How long no task asks again after the store has failed.
const FAILED_MS: u64 = 1_000;

const NO_PERMIT: &str = "money service: no permit in the time that is left";
const NO_LEASE: &str = "money service: permits cannot be leased";

/// The rate, as this process takes part in it.
pub(super) struct Governor {
    service: ServiceId,
    state: Mutex<State>,
    /// How many tasks want a permit and have none.
    waiting: AtomicU32,
}

struct State {
    /// The rate as the last block had it.
    rate: Rate,
    /// What is left of the last block.
    block: Option<Block>,
    /// No permit before this moment is free: the TAT when this process last heard of it. It never
    /// falls.
    tat: Moment,
    /// When to lease the next block.
    renew_at: Moment,
    /// Why there was no lease, and until when it is not tried again.
    failed: Option<(Held, Moment)>,
}

/// What a task gets.
enum Next {
    Permit(Permit),
    /// Nothing before then.
    NotBefore(Moment),
}

/// A call that wants a permit, counted until it has one or is dropped.
pub(super) struct Waiting<'a>(&'a AtomicU32);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn now<D: Clock>(deps: &D) -> Moment {
    Moment::of(deps.now())
}

/// Fails when the invocation takes no permit as late as that.
fn before_limit(at: Moment, now: Moment) -> Result<(), Held> {
    match invocation::permits_until().map(Moment::of) {
        Some(limit) if at > limit => Err(Held::until(at.ms_since(now), NO_PERMIT)),
        _ => Ok(()),
    }
}

impl Governor {
    pub(super) fn new(service: ServiceId, rate: Rate) -> Self {
        let start = Moment::default();
        let state = State { rate, block: None, tat: start, renew_at: start, failed: None };
        Self { service, state: Mutex::new(state), waiting: AtomicU32::new(0) }
    }

    /// Counts a call that will want a permit. A caller counts all of its calls before the first one
    /// waits, so that one lease is for all of them.
    pub(super) fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(&self.waiting)
    }

    /// Waits for a permit and for its moment; returns until when it counts. The caller issues its call
    /// before it waits for anything else.
    pub(super) async fn permit<'a, D>(
        &'a self,
        deps: &D,
        mut waiting: Waiting<'a>,
    ) -> Result<Timestamp, Held>
    where
        D: Permits + Clock + Pause,
    {
        loop {
            let permit = self.reserve(deps).await?;
            drop(waiting);
            loop {
                let now = now(deps);
                match permit.due(now) {
                    Due::InTime => return Ok(permit.until()),
                    Due::Early => deps.pause_ms(permit.at().ms_since(now)).await,
                    // The timer fired too late: the permit is lost, and the task takes another one.
                    Due::Late => break,
                }
            }
            waiting = self.wait();
        }
    }

    async fn reserve<D: Permits + Clock + Pause>(&self, deps: &D) -> Result<Permit, Held> {
        loop {
            // Not held during a pause, so that a task with an earlier deadline can give up.
            let next = self.next(deps, &mut *self.state.lock().await).await?;
            match next {
                Next::Permit(permit) => return Ok(permit),
                Next::NotBefore(at) => deps.pause_ms(at.ms_since(now(deps))).await,
            }
        }
    }

    async fn next<D: Permits + Clock>(&self, deps: &D, state: &mut State) -> Result<Next, Held> {
        loop {
            let now = now(deps);
            if let Some(block) = &mut state.block
                && let Some(permit) = block.peek(now)
            {
                before_limit(permit.at(), now)?;
                block.take(now);
                return Ok(Next::Permit(permit));
            }
            if let Some((held, until)) = &state.failed {
                if now < *until {
                    return Err(held.clone());
                }
                state.failed = None;
            }
            let from = now.plus_ms(LEAD_MS);
            before_limit(from.max(state.tat), now)?;
            // The longer the process waits, the more tasks want permits, and the more one lease gives.
            let again = state.renew_at.max(state.tat.minus_ms(AHEAD_MS));
            if now < again {
                return Ok(Next::NotBefore(again));
            }
            let limit = invocation::permits_until().map_or(Moment(u64::MAX), Moment::of);
            let until = now.plus_ms(AHEAD_MS).min(limit);
            let wanted = self.waiting.load(Ordering::Relaxed);
            self.lease(deps, state, &Wish { wanted, from, until }).await?;
        }
    }

    async fn lease<D: Permits + Clock>(
        &self,
        deps: &D,
        state: &mut State,
        wish: &Wish,
    ) -> Result<(), Held> {
        match deps.lease(&self.service, state.rate, wish).await {
            Ok(Leased::Block(block)) => {
                state.rate = block.rate;
                state.tat = block.end();
                state.renew_at = block.end().minus_ms(RENEW_MS);
                state.block = Some(block);
                Ok(())
            }
            Ok(Leased::None { next }) => {
                state.tat = next;
                Ok(())
            }
            Err(error) => {
                let held = Held::by(NO_LEASE, error);
                state.failed = Some((held.clone(), now(deps).plus_ms(FAILED_MS)));
                Err(held)
            }
        }
    }
}
