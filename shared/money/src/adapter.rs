//! The adapter: the port's calls.

use std::fmt;
use std::sync::Arc;

use futures::future::{join_all, try_join_all};
use largesse_app::ports::{Clock, Money, Payment, PortErrorKind, PortResult, Reversal, Standing};
use largesse_domain::grant::Grant;

use crate::answer::{Doubt, Read};
use crate::client::{Client, Lost};
use crate::error::SetupError;
use crate::settings::Settings;
use crate::wire::Order;

/// The money service behind HTTP.
pub struct HttpMoney {
    client: Client,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for HttpMoney {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpMoney").field("settings", self.client.settings()).finish()
    }
}

fn path_of(grant: &Grant) -> String {
    format!("/transfers/{}", grant.id)
}

impl HttpMoney {
    /// An adapter with connections of its own; none is opened yet. `clock` reads the dates of
    /// `Retry-After` and the deadline of an invocation.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, SetupError> {
        Ok(Self { client: Client::new(settings, clock.clone())?, clock })
    }

    async fn pay_one(&self, grant: &Grant) -> Payment {
        let (clock, order) = (&*self.clock, Order::of(grant));
        let sent = self.client.post(clock, "/transfers", grant.id.0, Some(&order)).await;
        let doubt: Doubt = match sent {
            Ok(answer) => match answer.payment(grant, clock.now()) {
                Read::Known(payment) => return payment,
                Read::Doubt(doubt) => doubt,
            },
            Err(Lost::NotSent(cause)) => {
                let cause = cause.not_sent("pay over HTTP");
                return Payment::NotNow { retry_after_ms: None, cause };
            }
            Err(Lost::Unknown(cause)) => cause.into(),
        };
        if !self.client.settings().looks_up {
            return Payment::Unknown(doubt.cause.port("pay over HTTP", PortErrorKind::Unknown));
        }
        // Looked up once, under the same id. Whatever stays unknown comes back with its message.
        match self.client.get(clock, &path_of(grant)).await {
            Ok(answer) => answer.resolved(grant, doubt),
            Err(Lost::NotSent(_) | Lost::Unknown(_)) => {
                Payment::Unknown(doubt.cause.port("pay over HTTP", PortErrorKind::Unknown))
            }
        }
    }

    async fn look_up_one(&self, grant: &Grant) -> PortResult<Standing> {
        match self.client.get(&*self.clock, &path_of(grant)).await {
            Ok(answer) => answer.standing(grant),
            Err(Lost::NotSent(cause)) => Err(cause.not_sent("look up over HTTP")),
            Err(Lost::Unknown(cause)) => {
                Err(cause.port("look up over HTTP", PortErrorKind::Unknown))
            }
        }
    }
}

impl Money for HttpMoney {
    fn must_look_up(&self) -> bool {
        true
    }

    /// Each grant by a call of its own, [`Settings::concurrency_max`] at once.
    async fn pay(&self, grants: &[Grant]) -> Vec<Payment> {
        join_all(grants.iter().map(|grant| self.pay_one(grant))).await
    }

    /// Each grant by a call of its own. One that cannot be looked up fails them all.
    async fn lookup(&self, grants: &[Grant]) -> PortResult<Vec<Standing>> {
        try_join_all(grants.iter().map(|grant| self.look_up_one(grant))).await
    }

    async fn reverse(&self, grant: &Grant) -> PortResult<Reversal> {
        let clock = &*self.clock;
        let (path, key) = (format!("{}/reversal", path_of(grant)), grant.reversal().id.0);
        let doubt: Doubt = match self.client.post(clock, &path, key, None::<&()>).await {
            Ok(answer) => match answer.reversal(grant, clock.now()) {
                Read::Known(outcome) => return outcome,
                Read::Doubt(doubt) => doubt,
            },
            Err(Lost::NotSent(cause)) => {
                return Err(cause.not_sent("reverse over HTTP"));
            }
            Err(Lost::Unknown(cause)) => cause.into(),
        };
        // The reversal may be made again: it has its effect once.
        if !self.client.settings().looks_up {
            return Err(doubt.cause.port("reverse over HTTP", PortErrorKind::Unknown));
        }
        match self.client.get(clock, &path_of(grant)).await {
            Ok(answer) => answer.reversal_resolved(grant, doubt),
            Err(Lost::NotSent(_) | Lost::Unknown(_)) => {
                Err(doubt.cause.port("reverse over HTTP", PortErrorKind::Unknown))
            }
        }
    }
}
