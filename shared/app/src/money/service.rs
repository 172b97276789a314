//! The money service of a deployment: the ledger, or another one behind its rate.

use std::sync::Arc;

use largesse_domain::breaker::BreakerPolicy;
use largesse_domain::grant::Grant;
use largesse_domain::id::ServiceId;
use largesse_domain::rate::Rate;

use super::governed::Governed;
use crate::ports::{
    Breakers, Clock, Ids, Money, Pause, Payment, Permits, PortResult, Reversal, Rng, Standing,
};
use crate::telemetry::PAYMENTS;

/// Where grants are paid. `L` is the store, whose ledger is one service and whose table `edge` holds
/// the rate and the circuit breaker of the other, `H`. A process has one, and all its tasks share it.
pub enum MoneyService<L, H> {
    /// The ledger of the store. Nothing limits its rate.
    Ledger(Arc<L>),
    /// Another service.
    Governed(Box<Governed<H, L>>),
}

impl<L, H> MoneyService<L, H>
where
    L: Money + Permits + Breakers + Clock + Pause + Ids + Rng,
    H: Money,
{
    /// The ledger of the store.
    pub const fn ledger(store: Arc<L>) -> Self {
        Self::Ledger(store)
    }

    /// `service` under its name. `rate` is used until the store has one.
    pub fn governed(store: Arc<L>, service: H, name: ServiceId, rate: Rate) -> Self {
        let policy = BreakerPolicy::default();
        Self::Governed(Box::new(Governed::new(Arc::new(service), store, name, rate, policy)))
    }
}

impl<L, H> Money for MoneyService<L, H>
where
    L: Money + Permits + Breakers + Clock + Pause + Ids + Rng,
    H: Money,
{
    fn must_look_up(&self) -> bool {
        match self {
            Self::Ledger(ledger) => ledger.must_look_up(),
            Self::Governed(service) => service.must_look_up(),
        }
    }

    async fn pay(&self, grants: &[Grant]) -> Vec<Payment> {
        let payments = match self {
            Self::Ledger(ledger) => ledger.pay(grants).await,
            Self::Governed(service) => service.pay(grants).await,
        };
        for payment in &payments {
            metrics::counter!(PAYMENTS.name, "outcome" => payment.as_str()).increment(1);
        }
        payments
    }

    async fn lookup(&self, grants: &[Grant]) -> PortResult<Vec<Standing>> {
        match self {
            Self::Ledger(ledger) => ledger.lookup(grants).await,
            Self::Governed(service) => service.lookup(grants).await,
        }
    }

    async fn reverse(&self, grant: &Grant) -> PortResult<Reversal> {
        match self {
            Self::Ledger(ledger) => ledger.reverse(grant).await,
            Self::Governed(service) => service.reverse(grant).await,
        }
    }
}
