//! Permits to call a money service: the rate that all workers share.

use std::future::Future;

use largesse_domain::id::ServiceId;
use largesse_domain::rate::{Block, Moment, Rate, Wish};

use super::PortResult;

/// What became of asking for permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leased {
    /// These are the worker's own.
    Block(Block),
    /// Until the wish's last moment, all are leased. Nothing was leased.
    None {
        /// The moment of the next one.
        next: Moment,
    },
}

/// The rate of calls to a money service, one for all workers
/// ([`largesse_domain::rate`] has the rule and its proof).
pub trait Permits: Send + Sync {
    /// Leases permits, at most as many as are wanted and one block holds. `rate` is the rate as the
    /// caller knows it; the store's is what counts, and the block carries it. The first lease of all
    /// sets the caller's.
    ///
    /// Atomic: no permit is leased twice. Not idempotent: each call leases other permits, and those
    /// of a call whose reply is lost are lost.
    fn lease(
        &self,
        service: &ServiceId,
        rate: Rate,
        wish: &Wish,
    ) -> impl Future<Output = PortResult<Leased>> + Send;

    /// Sets the rate, behind all permits that are leased and after a pause of a second, so that no
    /// second holds permits of both rates. Idempotent.
    fn set_rate(
        &self,
        service: &ServiceId,
        rate: Rate,
    ) -> impl Future<Output = PortResult<()>> + Send;
}
