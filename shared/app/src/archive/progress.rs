//! How far the stage of the ledger has come.

use largesse_domain::id::UserId;

use crate::ports::{PortError, PortErrorKind, PortResult};
use crate::reconcile::{Place, SEGMENTS};

/// How many wallets with strays or damage a pass names: an operator looks at the first ones.
pub const LEFT_MAX: usize = 100;

/// How far the scan has come, and what was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerProgress {
    /// How far each segment of the ledger has come: [`SEGMENTS`].
    pub places: Vec<Place>,
    /// Objects that were written.
    pub objects: u64,
    /// Runs that were recorded.
    pub runs: u64,
    /// Transfers in them.
    pub transfers: u64,
    /// Rows that were removed from the table, voided payments included.
    pub rows: u64,
    /// Rows that stay, since their run does not hold them as they are.
    pub strays: u64,
    /// Wallets that were left as they are, since a row or a run of them cannot be read.
    pub damaged: u64,
    /// The first [`LEFT_MAX`] wallets with strays or damage. No log names a member.
    pub left: Vec<UserId>,
}

impl Default for LedgerProgress {
    fn default() -> Self {
        let places = (0..SEGMENTS).map(|_| Place::Start).collect();
        Self {
            places,
            objects: 0,
            runs: 0,
            transfers: 0,
            rows: 0,
            strays: 0,
            damaged: 0,
            left: Vec::new(),
        }
    }
}

impl LedgerProgress {
    /// Whether all segments are at their end.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.places.iter().all(|place| *place == Place::End)
    }

    /// Leaves a wallet as it is that cannot be read; every other failure ends the round.
    pub(super) fn leave(&mut self, user: &UserId, error: PortError) -> PortResult<()> {
        if error.kind != PortErrorKind::Corrupt {
            return Err(error);
        }
        tracing::error!(
            archive.damaged = 1,
            error.cause = error.causes(),
            "a wallet is not archived"
        );
        self.damaged = self.damaged.saturating_add(1);
        self.name(user);
        Ok(())
    }

    /// Passes over transfers whose key names no wallet: they stay.
    pub(super) fn pass_over(&mut self) {
        tracing::error!(archive.damaged = 1, "a key of the ledger cannot be read");
        self.damaged = self.damaged.saturating_add(1);
    }

    pub(super) fn name(&mut self, user: &UserId) {
        if self.left.len() < LEFT_MAX && !self.left.contains(user) {
            self.left.push(user.clone());
        }
    }
}
