//! Voiding: a grant that was given up ends, and its amount is returned to its funder.

use aws_sdk_dynamodb::types::{
    AttributeValue as Av, CancellationReason, Put, ReturnValuesOnConditionCheckFailure,
    TransactWriteItem, Update,
};
use largesse_app::ports::{PortResult, Void, Voids, Wallets};
use largesse_domain::grant::{FailedGrant, Grant, GrantStatus};
use largesse_domain::ledger::PostRefused;

use super::codec::void_item;
use super::{POST_TRIES_MAX, read_posted, read_wallet, request_token};
use crate::errors::{TransactError, condition_failed, contended, corrupt};
use crate::grant::{STATUS, status_of};
use crate::item::{Reader, s};
use crate::keys;
use crate::store::Store;

impl Store {
    /// Takes the place of the payment for ever. Its condition: nothing lies under the grant's id,
    /// so the grant is not paid, and was not voided before.
    pub(crate) fn barring(&self, grant: &Grant) -> PortResult<TransactWriteItem> {
        let put = Put::builder()
            .table_name(&self.names.ledger)
            .set_item(Some(void_item(grant)))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|_| corrupt("void item"))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Marks the grant's item. Its condition: this very grant, and given up. One that is still
    /// retried may be paid at any moment, and what an operator has not seen is not voided.
    pub(crate) fn marking(&self, grant: &Grant) -> PortResult<TransactWriteItem> {
        let update = Update::builder()
            .table_name(&self.names.grants)
            .set_key(Some(keys::grant(grant.source, &grant.member)))
            .update_expression("SET #status = :voided")
            .condition_expression("grant_id = :id AND #status = :given_up")
            .expression_attribute_names("#status", STATUS)
            .expression_attribute_values(":id", s(grant.id))
            .expression_attribute_values(":voided", status(GrantStatus::Voided))
            .expression_attribute_values(":given_up", status(GrantStatus::PermanentlyFailed))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|_| corrupt("void update"))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }
}

fn status(status: GrantStatus) -> Av {
    s(status.as_str())
}

/// Why a void was refused; `None` when only the funder's wallet had moved on.
fn refusal(grant: &Grant, reasons: &[CancellationReason]) -> PortResult<Option<Void>> {
    let item = |at: usize| reasons.get(at).and_then(CancellationReason::item);
    if condition_failed(reasons, 0) {
        let item = item(0).ok_or_else(|| corrupt("void item"))?;
        return Ok(Some(read_posted(&grant.member, item)?.into()));
    }
    if condition_failed(reasons, 1) {
        let status = item(1).map(|item| status_of(&Reader { item, what: "grant item" }));
        return Ok(Some(match status.transpose()? {
            Some(GrantStatus::Voided) => Void::AlreadyVoided,
            _ => Void::NotGivenUp,
        }));
    }
    if condition_failed(reasons, 3) {
        // The return was posted, so the grant was voided before.
        return Ok(Some(Void::AlreadyVoided));
    }
    Ok(None)
}

impl Voids for Store {
    async fn void(&self, given_up: &FailedGrant) -> PortResult<Void> {
        let grant = &given_up.grant;
        let _lock = self.wallet_locks.lock(&grant.funder).await;
        let mut wallet = self.wallet(&grant.funder).await?;
        for _ in 0..POST_TRIES_MAX {
            let transfer = match wallet.post(grant.void_return()) {
                Ok(transfer) => transfer,
                // It may be full because the amount was returned before; then that is the answer.
                Err(PostRefused::TooFull | PostRefused::Insufficient { .. }) => {
                    let posted = self.posted(&grant.member, grant.id.transfer()).await?;
                    return Ok(posted.map_or(Void::FunderFull, Void::from));
                }
            };
            let mut items = vec![self.barring(grant)?, self.marking(grant)?];
            items.extend(self.posting(&wallet, &transfer)?);
            let (id, seq) = (grant.id.to_string(), wallet.seq.to_string());
            match self.transact("void grant", request_token(&["void", &id, &seq]), items).await {
                Ok(()) => return Ok(Void::Voided),
                Err(TransactError::Port(error)) => return Err(error),
                Err(TransactError::Refused(reasons)) => {
                    if let Some(refusal) = refusal(grant, &reasons)? {
                        return Ok(refusal);
                    }
                    let item = reasons.get(2).and_then(CancellationReason::item);
                    wallet = read_wallet(&grant.funder, item)?;
                }
            }
        }
        Err(contended("void grant"))
    }
}
