//! What is owed back to wallets that are too full: the rest of sprays, the remainders of drops, what
//! products owe. What it is, and another try.

use largesse_app::drop::close::{Closed, close};
use largesse_app::ports::{DropReads, PortError, PortErrorKind, PortResult, Products, Sprays};
use largesse_app::product::settle::{SettleReport, settle};
use largesse_app::spray::refund::{Refunded, refund};
use largesse_app::{drop, product, spray};
use largesse_domain::drop::DropRecord;
use largesse_domain::id::{PoolId, ProductId, UserId};
use largesse_domain::product::{Outcome, Product};
use largesse_domain::spray::Spray;
use largesse_domain::time::{TIMESTAMP_MS_MAX, Timestamp};

use super::report::{RetryReport, increase};
use super::{Dlq, DlqError, text};

/// What a source returns to a wallet, or has returned. What a product pays its issuer is one, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// The source.
    pub source: PoolId,
    /// Whose wallet: the sender's, the funder's or the issuer's; `None`: the investors' of a product.
    pub to: Option<UserId>,
    /// When the source is over.
    pub over: Timestamp,
    /// How much was returned, and when.
    pub returned: Option<(u64, Timestamp)>,
    /// How much a full wallet refuses.
    pub refused: Option<u64>,
    /// Since when; a drop does not record it.
    pub since: Option<Timestamp>,
}

impl From<&Spray> for Refund {
    fn from(spray: &Spray) -> Self {
        Self {
            source: spray.pool(),
            to: Some(spray.sender.clone()),
            over: spray.window.closes,
            returned: spray.refund.as_ref().map(|refund| (refund.amount, refund.at)),
            refused: spray.refused.map(|refused| refused.amount),
            since: spray.refused.map(|refused| refused.since),
        }
    }
}

impl From<&DropRecord> for Refund {
    fn from(record: &DropRecord) -> Self {
        let DropRecord { drop, drawn: _, refund, refused } = record;
        Self {
            source: drop.pool(),
            to: Some(drop.funder.clone()),
            over: drop.window.closes,
            returned: refund.as_ref().map(|refund| (refund.amount, refund.at)),
            refused: *refused,
            since: None,
        }
    }
}

impl Refund {
    /// What a product owes, or has paid.
    fn of_product(product: &Product, owed: u64) -> Self {
        let outcome = product.settled.map(|settled| settled.outcome);
        let is_refunding = matches!(outcome, Some(Outcome::Refunding | Outcome::Refunded));
        let is_done = matches!(outcome, Some(Outcome::PaidOut | Outcome::Refunded));
        let returned = product.settled.filter(|_| is_done);
        let refused = product.refused.filter(|_| !is_done);
        Self {
            source: product.pool(),
            to: (!is_refunding).then(|| product.terms.issuer.clone()),
            over: product.sold_out.unwrap_or(product.terms.window.closes),
            returned: returned.map(|settled| (settled.raised, settled.at)),
            refused: refused.map(|_| owed),
            since: refused,
        }
    }
}

/// The refunds that are refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefundsView {
    /// Of sprays, of drops, and of products; of each, the oldest first.
    pub refunds: Vec<Refund>,
    /// The names of sources that cannot be read.
    pub unreadable: Vec<String>,
}

/// What another try came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// Returned by this call.
    Now {
        /// How much.
        amount: u64,
    },
    /// Returned before.
    Before,
    /// The source is not over.
    NotDue,
    /// A wallet is too full.
    WalletFull {
        /// What is owed.
        amount: u64,
    },
}

impl Dlq {
    /// All refunds that are refused. Looking changes nothing.
    ///
    /// # Errors
    /// [`DlqError`].
    pub async fn list_refunds(&self) -> Result<RefundsView, DlqError> {
        let sprays = spray::refused::refused(&self.store).await?;
        let drops = drop::refused::refused(&self.store).await?;
        let products = product::refused::refused(&self.store).await?;
        let mut refunds: Vec<Refund> = sprays.sprays.iter().map(Refund::from).collect();
        refunds.extend(drops.drops.iter().map(Refund::from));
        for product in &products.products {
            refunds.push(self.of_product(product).await?);
        }
        let unreadable = [sprays.unreadable, drops.unreadable, products.unreadable].concat();
        Ok(RefundsView { refunds, unreadable })
    }

    async fn of_product(&self, product: &Product) -> PortResult<Refund> {
        let owed = product::refused::owed(&self.store, product).await?;
        Ok(Refund::of_product(product, owed))
    }

    /// A source, whose refund may be refused.
    ///
    /// # Errors
    /// [`DlqError`].
    pub async fn find_refund(&self, source: PoolId) -> Result<Refund, DlqError> {
        let found = match source {
            PoolId::Spray(id) => self.store.spray(id).await?.as_ref().map(Refund::from),
            PoolId::Drop(id) => self.store.drop_record(id).await?.as_ref().map(Refund::from),
            PoolId::Product(id) => match self.store.product(id).await? {
                Some(product) => Some(self.of_product(&product).await?),
                None => None,
            },
            PoolId::Campaign(_) | PoolId::Waiting(_) | PoolId::Lots(_) => None,
        };
        found.ok_or(DlqError::NoSuchSource(source))
    }

    /// Tries a refund now; gives it as it was before, too.
    ///
    /// # Errors
    /// [`DlqError`].
    pub async fn retry_refund(&self, source: PoolId) -> Result<(Refund, Tried), DlqError> {
        let before = self.find_refund(source).await?;
        Ok((before, self.try_refund(source).await?))
    }

    async fn try_refund(&self, source: PoolId) -> PortResult<Tried> {
        match source {
            PoolId::Spray(id) => Ok(match refund(&self.store, id).await? {
                Refunded::Now { amount } => Tried::Now { amount },
                Refunded::Before => Tried::Before,
                Refunded::NotDue => Tried::NotDue,
                Refunded::WalletFull { amount } => Tried::WalletFull { amount },
            }),
            PoolId::Drop(id) => Ok(match close(&self.store, id).await? {
                Closed::Now { amount } => Tried::Now { amount },
                Closed::Before => Tried::Before,
                Closed::NotDue => Tried::NotDue,
                Closed::WalletFull { amount } => Tried::WalletFull { amount },
            }),
            PoolId::Product(id) => self.try_product(id).await,
            PoolId::Campaign(_) | PoolId::Waiting(_) | PoolId::Lots(_) => {
                Err(PortError::corrupt("refund: the source has none"))
            }
        }
    }

    async fn try_product(&self, id: ProductId) -> PortResult<Tried> {
        let (mut report, stop_at) = (SettleReport::default(), Timestamp::from_ms(TIMESTAMP_MS_MAX));
        settle(&self.store, id, stop_at, &mut report).await?;
        let Some(product) = self.store.product(id).await? else { return Ok(Tried::Before) };
        if report.wallet_full > 0 {
            let amount = product::refused::owed(&self.store, &product).await?;
            return Ok(Tried::WalletFull { amount });
        }
        if report.settled > 0 || report.refunded > 0 {
            return Ok(Tried::Now { amount: report.paid_out.saturating_add(report.returned) });
        }
        Ok(if product.settled.is_some() { Tried::Before } else { Tried::NotDue })
    }

    /// Tries all refunds that are refused. `report` says what was done, also after an error.
    pub(super) async fn retry_refunds(&self, report: &mut RetryReport) -> Result<(), DlqError> {
        let found = self.list_refunds().await?;
        for name in &found.unreadable {
            report.keep("the source cannot be read".to_owned(), name);
        }
        for Refund { source, .. } in found.refunds {
            let name = source.to_string();
            match self.try_refund(source).await {
                Ok(Tried::Now { .. }) => increase(&mut report.refunded),
                Ok(Tried::Before | Tried::NotDue) => {}
                Ok(Tried::WalletFull { .. }) => report.keep(text::REFUND_REFUSED.to_owned(), &name),
                Err(error) => match error.kind {
                    // It is about this source alone.
                    PortErrorKind::Contended => report.keep(text::CONTENDED.to_owned(), &name),
                    PortErrorKind::Corrupt => report.keep(error.causes(), &name),
                    PortErrorKind::Throttled | PortErrorKind::Unknown | PortErrorKind::Rejected => {
                        return Err(error.into());
                    }
                },
            }
        }
        Ok(())
    }
}
