//! New connections, for calls that have a permit of a rate.
//!
//! A permit is of a moment, and a new connection takes its time. A call whose permit is over when it
//! has its connection is not sent. The connection is kept for the next call that needs one: a service
//! that is farther away than a permit lasts would else never be called.
//!
//! # Guarantees
//! * No call is sent on a new connection after its permit, and the connection is used by the next:
//!   `a_call_whose_connection_comes_after_its_permit_is_not_sent_and_the_next_one_uses_it`.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use largesse_app::invocation;
use largesse_app::ports::Clock;
use largesse_domain::time::Timestamp;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, Service};

use crate::error::MoneyError;

/// How long a connection is kept that came too late. Shorter than any server waits for a request.
const KEPT_MS: u64 = 2_000;

/// Wraps the connector of a client.
#[derive(Clone)]
pub(crate) struct Punctual(pub(crate) Arc<dyn Clock>);

/// A connector `S` of connections `C`.
pub(crate) struct Connector<S, C> {
    inner: S,
    clock: Arc<dyn Clock>,
    /// The connections that came too late, and when.
    late: Arc<Mutex<Vec<(Timestamp, C)>>>,
}

impl<S: Clone, C> Clone for Connector<S, C> {
    fn clone(&self) -> Self {
        let Self { inner, clock, late } = self;
        Self { inner: inner.clone(), clock: clock.clone(), late: late.clone() }
    }
}

impl<R, C> Layer<BoxCloneSyncService<R, C, BoxError>> for Punctual {
    type Service = Connector<BoxCloneSyncService<R, C, BoxError>, C>;

    fn layer(&self, inner: BoxCloneSyncService<R, C, BoxError>) -> Self::Service {
        Connector { inner, clock: self.0.clone(), late: Arc::default() }
    }
}

impl<S, C> Connector<S, C> {
    /// A connection that came too late for another call.
    fn kept(&self, now: Timestamp) -> Option<C> {
        let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        late.retain(|(since, _)| now.ms_since(*since) < KEPT_MS);
        late.pop().map(|(_, connection)| connection)
    }
}

impl<R, C> Service<R> for Connector<BoxCloneSyncService<R, C, BoxError>, C>
where
    R: 'static,
    C: Send + 'static,
{
    type Response = C;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<C, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, to: R) -> Self::Future {
        if let Some(connection) = self.kept(self.clock.now()) {
            return ready(Ok(connection)).boxed();
        }
        let connecting = self.inner.call(to);
        let (clock, late) = (self.clock.clone(), self.late.clone());
        async move {
            let connection = connecting.await?;
            let now = clock.now();
            if invocation::sent_until().is_none_or(|until| now <= until) {
                return Ok(connection);
            }
            late.lock().unwrap_or_else(PoisonError::into_inner).push((now, connection));
            Err(MoneyError::Late.into())
        }
        .boxed()
    }
}
