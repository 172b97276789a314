//! The invocation that the current task works for: its deadline, its request id, its trace, how late it
//! may take permits of a money service, and how late the call may be sent that a permit was taken for.
//!
//! The runtime sets the first three around each event, the AWS adapters read the deadline and the HTTP
//! kernel reads the request id. The kernel sets the trace of each request, and the adapters write it
//! beside what the request decides. A use case that needs time after its calls limits its permits, and the
//! governor reads the limit. The governor says until when its permit counts, and the adapter of the
//! money service reads that. None of them knows the others.
//!
//! # Guarantees
//! * A limit on permits ends with its work, and never goes beyond an outer one or the deadline:
//!   `a_limit_on_permits_holds_for_its_work_alone`.

use std::future::Future;
use std::net::IpAddr;

use largesse_domain::time::{TIMESTAMP_MS_MAX, Timestamp};

use crate::trace::TraceId;

tokio::task_local! {
    static CURRENT: Invocation;
}

/// One invocation of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// The moment by which all its work must have answered.
    pub deadline: Timestamp,
    /// The platform's id of the request; `None` where the platform gives none.
    pub request_id: Option<String>,
    /// The trace that it belongs to; `None` where none is known.
    pub trace: Option<TraceId>,
    /// No permit of a money service is taken later than that; `None`: up to the deadline.
    pub permits_until: Option<Timestamp>,
    /// The permit of the current call is over after that; `None`: it has none.
    pub sent_until: Option<Timestamp>,
}

impl Invocation {
    /// An invocation with a deadline alone.
    #[must_use]
    pub const fn until(deadline: Timestamp) -> Self {
        Self { deadline, request_id: None, trace: None, permits_until: None, sent_until: None }
    }
}

/// A request that cannot be what it claims to be, and why. The runtime puts it among the extensions
/// of the request that it makes of an odd event; the HTTP kernel answers 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedRequest(pub &'static str);

/// The address that a request comes from, as the platform saw it: never a header, which the caller
/// writes. The runtime puts it among the extensions of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceAddress(pub IpAddr);

/// Runs `work` as part of an invocation. Tasks that `work` spawns are not part of it.
pub async fn scope<F: Future>(invocation: Invocation, work: F) -> F::Output {
    CURRENT.scope(invocation, work).await
}

/// The deadline of the current invocation; `None` outside [`scope`].
#[must_use]
pub fn deadline() -> Option<Timestamp> {
    CURRENT.try_with(|current| current.deadline).ok()
}

/// The last moment at which the current invocation takes a permit of a money service; `None` when
/// nothing limits it.
#[must_use]
pub fn permits_until() -> Option<Timestamp> {
    let limit = |current: &Invocation| {
        current.permits_until.map_or(current.deadline, |until| until.min(current.deadline))
    };
    CURRENT.try_with(limit).ok()
}

/// Runs `work` inside the current invocation, or outside of one, so that it takes no permit after
/// `at`. The calls themselves may go on until the deadline.
pub async fn permits_before<F: Future>(at: Timestamp, work: F) -> F::Output {
    let current = current();
    let at = current.permits_until.map_or(at, |outer| outer.min(at));
    scope(Invocation { permits_until: Some(at), ..current }, work).await
}

/// Runs `call`, which sends nothing after [`permits_until`], so that what it sent has ended `call_ms`
/// after that moment. Without such a limit it may go on until the deadline.
pub async fn ended_after_permits<F: Future>(call_ms: u64, call: F) -> F::Output {
    let current = current();
    let ends = current.permits_until.map(|until| until.plus_ms(call_ms));
    let deadline = ends.map_or(current.deadline, |ends| ends.min(current.deadline));
    scope(Invocation { deadline, ..current }, call).await
}

/// The last moment at which the current call may be sent under its permit; `None` when it has none.
#[must_use]
pub fn sent_until() -> Option<Timestamp> {
    CURRENT.try_with(|current| current.sent_until).ok().flatten()
}

/// Runs `call` inside the current invocation, or outside of one, under a permit that is over after
/// `at`. An answer may come later.
pub async fn sent_before<F: Future>(at: Timestamp, call: F) -> F::Output {
    scope(Invocation { sent_until: Some(at), ..current() }, call).await
}

/// The trace of the current invocation; `None` when none is known.
#[must_use]
pub fn trace() -> Option<TraceId> {
    CURRENT.try_with(|current| current.trace).ok().flatten()
}

/// Runs `work` inside the current invocation, or outside of one, as part of a trace.
pub async fn traced<F: Future>(trace: TraceId, work: F) -> F::Output {
    scope(Invocation { trace: Some(trace), ..current() }, work).await
}

fn current() -> Invocation {
    let current = CURRENT.try_with(Invocation::clone);
    current.unwrap_or_else(|_| Invocation::until(Timestamp::from_ms(TIMESTAMP_MS_MAX)))
}

/// The request id of the current invocation; `None` outside [`scope`].
#[must_use]
pub fn request_id() -> Option<String> {
    CURRENT.try_with(|current| current.request_id.clone()).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invocation(ms: i64, id: &str) -> Invocation {
        let request_id = Some(id.to_owned());
        Invocation { request_id, ..Invocation::until(Timestamp::from_ms(ms)) }
    }

    #[tokio::test]
    async fn two_invocations_of_one_process_do_not_see_each_other() {
        let read = || async {
            tokio::task::yield_now().await;
            (deadline().map(Timestamp::ms), request_id())
        };
        let (first, second) =
            futures::join!(scope(invocation(1, "a"), read()), scope(invocation(2, "b"), read()));
        assert_eq!(first, (Some(1), Some("a".to_owned())));
        assert_eq!(second, (Some(2), Some("b".to_owned())));
        assert_eq!(read().await, (None, None));
    }

    #[tokio::test]
    async fn a_limit_on_permits_holds_for_its_work_alone() {
        let read = || async { permits_until().map(Timestamp::ms) };
        let before = |ms: i64| permits_before(Timestamp::from_ms(ms), read());
        scope(invocation(100, "a"), async {
            assert_eq!((read().await, before(50).await), (Some(100), Some(50)));
            let nested = permits_before(Timestamp::from_ms(50), async {
                assert_eq!(
                    (deadline().map(Timestamp::ms), request_id()),
                    (Some(100), Some("a".into()))
                );
                (before(40).await, before(60).await, read().await)
            });
            assert_eq!(nested.await, (Some(40), Some(50), Some(50)));
            assert_eq!((before(200).await, read().await), (Some(100), Some(100)));
        })
        .await;
        assert_eq!((before(50).await, read().await), (Some(50), None));
    }
}
