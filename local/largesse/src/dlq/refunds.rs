//! Refunds that are refused, since the sender's wallet is too full: what they are, and another try.

use largesse_app::ports::{PortErrorKind, Sprays};
use largesse_app::spray::refund::{Refunded, refund};
use largesse_app::spray::refused::{RefusedRefunds, refused};
use largesse_domain::id::SprayId;
use largesse_domain::spray::Spray;

use super::report::{RetryReport, increase};
use super::{Dlq, DlqError, text};

impl Dlq {
    /// All refunds that are refused, the oldest first. Looking changes nothing.
    ///
    /// # Errors
    /// [`DlqError`].
    pub async fn list_refunds(&self) -> Result<RefusedRefunds, DlqError> {
        Ok(refused(&self.store).await?)
    }

    /// A spray, whose refund may be refused.
    ///
    /// # Errors
    /// [`DlqError`].
    pub async fn find_spray(&self, id: SprayId) -> Result<Spray, DlqError> {
        self.store.spray(id).await?.ok_or(DlqError::NoSuchSpray(id))
    }

    /// Tries a refund now; gives the spray as it was before, too.
    ///
    /// # Errors
    /// [`DlqError`].
    pub async fn retry_refund(&self, id: SprayId) -> Result<(Spray, Refunded), DlqError> {
        let spray = self.find_spray(id).await?;
        let refunded = refund(&self.store, id).await?;
        Ok((spray, refunded))
    }

    /// Tries all refunds that are refused. `report` says what was done, also after an error.
    pub(super) async fn retry_refunds(&self, report: &mut RetryReport) -> Result<(), DlqError> {
        let found = self.list_refunds().await?;
        for name in &found.unreadable {
            report.keep("the spray cannot be read".to_owned(), name);
        }
        for spray in found.sprays {
            let source = spray.pool().to_string();
            match refund(&self.store, spray.id).await {
                Ok(Refunded::Now { .. }) => increase(&mut report.refunded),
                Ok(Refunded::Before | Refunded::NotDue) => {}
                Ok(Refunded::WalletFull { .. }) => {
                    report.keep(text::REFUND_REFUSED.to_owned(), &source)
                }
                Err(error) => match error.kind {
                    // It is about this spray alone.
                    PortErrorKind::Contended => report.keep(text::CONTENDED.to_owned(), &source),
                    PortErrorKind::Corrupt => report.keep(error.causes(), &source),
                    PortErrorKind::Throttled | PortErrorKind::Unknown | PortErrorKind::Rejected => {
                        return Err(error.into());
                    }
                },
            }
        }
        Ok(())
    }
}
