//! Where faults enter: between the SDK and the world, without a line in production code.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

/// An AWS service that the world embeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Amazon `DynamoDB`.
    DynamoDb,
    /// Amazon SQS.
    Sqs,
    /// Amazon EventBridge.
    EventBridge,
    /// AWS Lambda, as event source mappings use it. Its operations are `Invoke`, before a handler
    /// runs, and `Acknowledge`, between its answer and what the mapping does about it. Any fault
    /// but a delay, [`Fault::InvokedTwice`] and [`Fault::VisibleEarly`] there means that the
    /// handler never ran, or that its answer was lost.
    Lambda,
}

/// One request of an SDK client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Which service it goes to.
    pub service: Service,
    /// The operation, as AWS names it: `UpdateItem`, `SendMessageBatch`.
    pub operation: String,
    /// Names of the tables, the queue or the buses, each once, in the order they are named.
    pub resources: Vec<String>,
    /// What a transaction consists of, in its order, each as the operation that it stands for and
    /// its table: `("PutItem", "pools")`. Empty for anything else.
    pub actions: Vec<(String, String)>,
    /// The index that a `Query` or a `Scan` reads.
    pub index: Option<String>,
}

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The service refuses for load. Nothing is done.
    Throttle,
    /// The service answers with its 500. Nothing is done.
    InternalError,
    /// `DynamoDB`: another transaction holds an item. Nothing is done.
    TransactionConflict,
    /// `DynamoDB`: the same `ClientRequestToken` is still running. Nothing is done.
    TransactionInProgress,
    /// `DynamoDB` batches: nothing is processed, all is handed back.
    Unprocessed,
    /// The connection breaks before the request arrives. Nothing is done.
    ResetBeforeCommit,
    /// The effect takes place; its answer never arrives.
    ReplyLost,
    /// The request takes this much longer to arrive.
    DelayRequest(Duration),
    /// The answer takes this much longer to arrive.
    DelayReply(Duration),
    /// `Invoke`: the same batch goes to two invocations at once, whose answers both arrive. The
    /// mapping goes by the second one's.
    InvokedTwice,
    /// `Invoke` of a queue: the batch becomes visible again while its handler runs, so another
    /// invocation gets it too. Elsewhere it does nothing.
    VisibleEarly,
}

/// How a call ended, told to [`Interpose::after`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The HTTP status that the service gave.
    pub status: u16,
}

/// Stands between the SDK and the services. Called for every request while installed.
pub trait Interpose: Send + Sync {
    /// Before the effect. A fault that means "nothing is done" ends the call here;
    /// [`Fault::ReplyLost`] and [`Fault::DelayReply`] apply after the effect.
    fn before<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Option<Fault>>;

    /// After the effect, before the caller hears of it. Only [`Fault::ReplyLost`] and the delays
    /// make sense here; others are ignored, because the effect has taken place.
    fn after<'a>(&'a self, call: &'a Call, outcome: Outcome) -> BoxFuture<'a, Option<Fault>> {
        let _ = (call, outcome);
        async { None }.boxed()
    }
}

/// Which calls a rule is about. Empty parts match everything.
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

#[derive(Clone, Copy, Debug)]
enum When {
    /// The n-th matching call, counted from 1.
    Nth(u64),
    /// Every matching call.
    Always,
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

/// A plan of faults: scripted ("the third `UpdateItem` of pools loses its reply") or by chance from
/// a seed. The same seed and the same order of calls give the same faults.
#[derive(Debug)]
pub struct Faults {
    plan: Mutex<Plan>,
}

#[derive(Debug)]
struct Plan {
    rules: Vec<Rule>,
    random: fastrand::Rng,
    injected: u64,
}

impl Faults {
    /// A plan without rules.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Self { plan: Mutex::new(Plan { rules: Vec::new(), random, injected: 0 }) }
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

    /// Adds: each call that matches gets `fault` with a chance of `per_mille` out of 1,000.
    #[must_use]
    pub fn chance(self, per_mille: u16, matching: Matching, fault: Fault) -> Self {
        self.with(matching, When::PerMille(per_mille), fault)
    }

    /// How many faults were injected so far, to prove that a plan did something.
    #[must_use]
    pub fn injected(&self) -> u64 {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).injected
    }

    fn with(self, matching: Matching, when: When, fault: Fault) -> Self {
        let mut plan = self.plan.into_inner().unwrap_or_else(PoisonError::into_inner);
        plan.rules.push(Rule { matching, when, fault, seen: 0 });
        Self { plan: Mutex::new(plan) }
    }

    /// The first rule that strikes wins, but every matching rule counts the call and draws its
    /// chance: whether one rule strikes must not shift what the others do.
    fn pick(&self, call: &Call) -> Option<Fault> {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let Plan { rules, random, injected } = &mut *plan;
        let mut picked = None;
        for rule in rules.iter_mut().filter(|rule| rule.matching.covers(call)) {
            rule.seen = rule.seen.saturating_add(1);
            let strikes = match rule.when {
                When::Nth(n) => rule.seen == n,
                When::Always => true,
                When::PerMille(chance) => random.u16(0..1_000) < chance,
            };
            if strikes && picked.is_none() {
                picked = Some(rule.fault);
            }
        }
        if picked.is_some() {
            *injected = injected.saturating_add(1);
        }
        picked
    }
}

impl Interpose for Faults {
    fn before<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Option<Fault>> {
        let fault = self.pick(call);
        async move { fault }.boxed()
    }
}
