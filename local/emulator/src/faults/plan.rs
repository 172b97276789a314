//! A plan of faults: rules that say which calls get which fault, and when.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use super::{Call, Fault, FaultHook, Service};
use crate::clock::WorldClock;

/// Selects calls. A part that is not set matches everything.
#[derive(Clone, Debug, Default)]
pub struct Matching {
    service: Option<Service>,
    operation: Option<String>,
    resource: Option<String>,
}

impl Matching {
    /// Every call.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Calls of one operation.
    #[must_use]
    pub fn operation(operation: &str) -> Self {
        Self { operation: Some(operation.to_owned()), ..Self::default() }
    }

    /// Narrows to one service.
    #[must_use]
    pub fn of(self, service: Service) -> Self {
        Self { service: Some(service), ..self }
    }

    /// Narrows to calls that name this table, queue or bus.
    #[must_use]
    pub fn on(self, resource: &str) -> Self {
        Self { resource: Some(resource.to_owned()), ..self }
    }

    fn covers(&self, call: &Call) -> bool {
        self.service.is_none_or(|service| service == call.service)
            && self.operation.as_deref().is_none_or(|operation| operation == call.operation)
            && self.resource.as_ref().is_none_or(|resource| call.resources.contains(resource))
    }
}

#[derive(Clone, Debug)]
enum When {
    /// The n-th matching call, counted from 1.
    Nth(u64),
    /// Every matching call.
    Always,
    /// Every matching call before this time.
    Until(WorldClock, i64),
    /// Each matching call with this chance out of 1,000.
    PerMille(u16),
}

#[derive(Debug)]
struct Rule {
    matching: Matching,
    when: When,
    fault: Fault,
    seen: u64,
}

/// Changes the JSON body of a reply.
type Rewrite = Box<dyn Fn(&Call, &mut Value) + Send + Sync>;

/// A plan of faults: scripted ("the third `UpdateItem` of pools loses its reply"), for a period, or
/// by chance from a seed. The same seed and the same order of calls give the same faults.
#[derive(Debug)]
pub struct Faults {
    plan: Mutex<Plan>,
}

struct Plan {
    rules: Vec<Rule>,
    rewrites: Vec<(Matching, Rewrite)>,
    random: fastrand::Rng,
    injected: u64,
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rewrites = self.rewrites.len();
        let mut plan = f.debug_struct("Plan");
        plan.field("rules", &self.rules).field("rewrites", &rewrites).finish_non_exhaustive()
    }
}

impl Faults {
    /// A plan without rules.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Self {
            plan: Mutex::new(Plan { rules: Vec::new(), rewrites: Vec::new(), random, injected: 0 }),
        }
    }

    /// Adds: the `n`-th call that matches (from 1) gets `fault`.
    #[must_use]
    pub fn nth(self, n: u64, matching: Matching, fault: Fault) -> Self {
        self.with(matching, When::Nth(n), fault)
    }

    /// Adds: every call that matches gets `fault`.
    #[must_use]
    pub fn always(self, matching: Matching, fault: Fault) -> Self {
        self.with(matching, When::Always, fault)
    }

    /// Adds: every call that matches gets `fault`, for `period` from now.
    #[must_use]
    pub fn during(
        self,
        clock: &WorldClock,
        period: Duration,
        matching: Matching,
        fault: Fault,
    ) -> Self {
        let period_ms = i64::try_from(period.as_millis()).unwrap_or(i64::MAX);
        let until_ms = clock.now_ms().saturating_add(period_ms);
        self.with(matching, When::Until(clock.clone(), until_ms), fault)
    }

    /// Adds: the reply of every call that matches is changed by `change`, after the effect. The
    /// body is the JSON of the service, errors included. What the emulator stores does not change.
    #[must_use]
    pub fn rewrite(
        self,
        matching: Matching,
        change: impl Fn(&Call, &mut Value) + Send + Sync + 'static,
    ) -> Self {
        let mut plan = self.plan.into_inner().unwrap_or_else(PoisonError::into_inner);
        plan.rewrites.push((matching, Box::new(change)));
        Self { plan: Mutex::new(plan) }
    }

    /// Adds: each call that matches gets `fault` with a chance of `per_mille` out of 1,000.
    #[must_use]
    pub fn chance(self, per_mille: u16, matching: Matching, fault: Fault) -> Self {
        self.with(matching, When::PerMille(per_mille), fault)
    }

    /// The number of faults and of changed replies so far, to prove that a plan did something.
    #[must_use]
    pub fn injected(&self) -> u64 {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).injected
    }

    fn with(self, matching: Matching, when: When, fault: Fault) -> Self {
        let mut plan = self.plan.into_inner().unwrap_or_else(PoisonError::into_inner);
        plan.rules.push(Rule { matching, when, fault, seen: 0 });
        Self { plan: Mutex::new(plan) }
    }

    /// The first rule that applies wins, but every matching rule counts the call and draws its
    /// chance: one rule must not shift what the others do.
    fn pick(&self, call: &Call) -> Option<Fault> {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let Plan { rules, random, injected, .. } = &mut *plan;
        let mut picked = None;
        for rule in rules.iter_mut().filter(|rule| rule.matching.covers(call)) {
            rule.seen = rule.seen.saturating_add(1);
            let applies = match &rule.when {
                When::Nth(n) => rule.seen == *n,
                When::Always => true,
                When::Until(clock, until_ms) => clock.now_ms() < *until_ms,
                When::PerMille(chance) => random.u16(0..1_000) < *chance,
            };
            if applies && picked.is_none() {
                picked = Some(rule.fault);
            }
        }
        if picked.is_some() {
            *injected = injected.saturating_add(1);
        }
        picked
    }
}

impl FaultHook for Faults {
    fn before<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Option<Fault>> {
        let fault = self.pick(call);
        async move { fault }.boxed()
    }

    fn rewrite(&self, call: &Call, body: Vec<u8>) -> Vec<u8> {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let Plan { rewrites, injected, .. } = &mut *plan;
        let mut rewrites = rewrites.iter().filter(|(matching, _)| matching.covers(call)).peekable();
        // A body that is not JSON has nothing to change.
        let (Some(_), Ok(before)) = (rewrites.peek(), serde_json::from_slice::<Value>(&body))
        else {
            return body;
        };
        let mut after = before.clone();
        rewrites.for_each(|(_, change)| change(call, &mut after));
        if after == before {
            return body;
        }
        *injected = injected.saturating_add(1);
        after.to_string().into_bytes()
    }
}
