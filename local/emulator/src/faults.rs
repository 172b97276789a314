//! Fault hooks. The emulator calls a hook for every request and applies the fault that it gives, so
//! production code needs no line for tests.
//!
//! [`FaultHook`] is the trait, [`Faults`] a plan of rules that implements it. Recipes:
//! * throttle a table for ten minutes of the world's time: `Faults::seeded(1).during(world.clock(),
//!   Duration::from_secs(600), Matching::any().on("ledger"), Fault::Throttle)`;
//! * deny a table: `.always(Matching::any().on("ledger"), Fault::AccessDenied)`;
//! * lose a reply after the effect: `.nth(3, Matching::operation("UpdateItem"), Fault::ReplyLost)`;
//! * a store that adds with 28 digits: `.rewrite(Matching::any().of(Service::DynamoDb), |_, reply|
//!   keep_digits(reply, 28))`.

mod digits;
mod plan;

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

pub use digits::keep_digits;
pub use plan::{Faults, Matching};

/// An AWS service that the emulator has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Amazon `DynamoDB`.
    DynamoDb,
    /// Amazon SQS.
    Sqs,
    /// Amazon EventBridge.
    EventBridge,
    /// AWS Lambda, as event source mappings use it. It has two operations: `Invoke`, before a
    /// handler runs, and `Acknowledge`, between its result and the mapping's reaction. There any
    /// fault but a delay, [`Fault::InvokedTwice`] and [`Fault::VisibleEarly`] means that the
    /// handler never ran, or that its result was lost.
    Lambda,
}

/// One request of an SDK client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The service.
    pub service: Service,
    /// The operation, as AWS names it: `UpdateItem`, `SendMessageBatch`.
    pub operation: String,
    /// Names of the tables, the queue or the buses, each once, in the order of the request.
    pub resources: Vec<String>,
    /// The actions of a transaction in order, each as the single operation that it stands for and
    /// its table: `("PutItem", "pools")`. Empty for other operations.
    pub actions: Vec<(String, String)>,
    /// The index that a `Query` or a `Scan` reads.
    pub index: Option<String>,
}

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The service refuses the call because of load. Nothing is done.
    Throttle,
    /// The service replies with its 500. Nothing is done.
    InternalError,
    /// The caller's role does not allow the call. Nothing is done.
    AccessDenied,
    /// `DynamoDB`: another transaction holds an item. Nothing is done.
    TransactionConflict,
    /// `DynamoDB` transactions: a throttled item cancels the transaction, with `ThrottlingError` as
    /// the reason of its first action. Nothing is done.
    TransactionThrottled,
    /// `DynamoDB`: the same `ClientRequestToken` is still running. Nothing is done.
    TransactionInProgress,
    /// `DynamoDB` batches: nothing is processed, every entry is given back.
    Unprocessed,
    /// The connection breaks before the request arrives. Nothing is done.
    ResetBeforeCommit,
    /// The effect takes place; the reply never arrives.
    ReplyLost,
    /// The request takes this much longer to arrive.
    DelayRequest(Duration),
    /// The reply takes this much longer to arrive.
    DelayReply(Duration),
    /// `Invoke`: the same batch goes to two invocations at once. Both results arrive, and the
    /// mapping uses the second one.
    InvokedTwice,
    /// `Invoke` of a queue: the batch becomes visible again while its handler runs, so another
    /// invocation gets it too. Other sources ignore it.
    VisibleEarly,
}

/// The result of a call, for [`FaultHook::after`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The HTTP status of the service's reply.
    pub status: u16,
}

/// Decides about faults. The emulator calls the installed hook for every request.
pub trait FaultHook: Send + Sync {
    /// Called before the effect. A fault with "nothing is done" ends the call here;
    /// [`Fault::ReplyLost`] and [`Fault::DelayReply`] apply after the effect.
    fn before<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Option<Fault>>;

    /// Called after the effect, before the caller gets the reply. Only [`Fault::ReplyLost`] and the
    /// delays apply here; others are ignored, because the effect has taken place.
    fn after<'a>(&'a self, call: &'a Call, outcome: Outcome) -> BoxFuture<'a, Option<Fault>> {
        let _ = (call, outcome);
        async { None }.boxed()
    }

    /// Called after the effect with the body of the reply, also when the reply is an error. Gives
    /// the body that the caller gets.
    fn rewrite(&self, call: &Call, body: Vec<u8>) -> Vec<u8> {
        let _ = call;
        body
    }
}
