//! The invocation that the current task works for: its deadline and its request id.
//!
//! The runtime sets both around each event, the AWS adapters read the deadline and the HTTP kernel
//! reads the request id. None of the three knows the others.

use std::future::Future;

use largesse_domain::time::Timestamp;

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
}

impl Invocation {
    /// An invocation with a deadline and no request id.
    #[must_use]
    pub const fn until(deadline: Timestamp) -> Self {
        Self { deadline, request_id: None }
    }
}

/// A request that cannot be what it claims to be, and why. The runtime puts it among the extensions
/// of the request that it makes of an odd event; the HTTP kernel answers 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedRequest(pub &'static str);

/// Runs `work` as part of an invocation. Tasks that `work` spawns are not part of it.
pub async fn scope<F: Future>(invocation: Invocation, work: F) -> F::Output {
    CURRENT.scope(invocation, work).await
}

/// The deadline of the current invocation; `None` outside [`scope`].
#[must_use]
pub fn deadline() -> Option<Timestamp> {
    CURRENT.try_with(|current| current.deadline).ok()
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
        Invocation { deadline: Timestamp::from_ms(ms), request_id: Some(id.to_owned()) }
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
}
