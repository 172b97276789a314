//! Voiding one grant: its amount is returned to its funder, and it is never paid.

use largesse_app::grant::operate;
use largesse_app::ports::{Standing, Void};

use super::find::{Known, Wanted};
use super::queue::Run;
use super::{Dlq, DlqError};

/// What voiding came to.
#[derive(Clone, Debug)]
pub struct Voided {
    /// The grant as it stood before.
    pub grant: Known,
    /// What became of it; `None` when it can be voided and the operator has not confirmed it.
    pub outcome: Option<Void>,
}

impl Voided {
    /// Whether the grant is voided, or nothing was to be done yet.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self.outcome, None | Some(Void::Voided | Void::AlreadyVoided))
    }
}

impl Dlq {
    /// Voids a grant that was given up, and deletes its message. Without `is_confirmed` nothing
    /// changes.
    ///
    /// # Errors
    /// [`DlqError`].
    pub async fn void(&self, wanted: &Wanted, is_confirmed: bool) -> Result<Voided, DlqError> {
        let mut run = self.grants.run();
        let done = self.void_found(wanted, is_confirmed, &mut run).await;
        run.end().await?;
        done
    }

    async fn void_found(
        &self,
        wanted: &Wanted,
        is_confirmed: bool,
        run: &mut Run<'_>,
    ) -> Result<Voided, DlqError> {
        let found = self.find(wanted, run).await?;
        let grant = found.grant.ok_or_else(|| DlqError::not_found(wanted))?;
        let outcome = match (grant.standing, &grant.failed) {
            (Standing::Paid, _) => Some(Void::Paid),
            (Standing::Voided, _) => Some(Void::AlreadyVoided),
            // It may still be paid, so it cannot be voided.
            (Standing::NotPaid, None) | (Standing::Unknown, _) => Some(Void::NotGivenUp),
            (Standing::NotPaid, Some(_)) if !grant.is_given_up() => Some(Void::NotGivenUp),
            (Standing::NotPaid, Some(_)) if !is_confirmed => None,
            (Standing::NotPaid, Some(failed)) => Some(operate::void(&self.store, failed).await?),
        };
        if let (true, Some(Void::Voided | Void::AlreadyVoided | Void::Paid), Some((_, message))) =
            (is_confirmed, outcome, found.message)
        {
            run.delete(&[&message]).await?;
        }
        Ok(Voided { grant, outcome })
    }
}
