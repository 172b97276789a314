//! Refunds: what is due, and the one transaction that returns it.

use aws_sdk_dynamodb::types::CancellationReason;
use aws_sdk_dynamodb::types::{AttributeValue as Av, TransactWriteItem, Update};
use largesse_app::page::{DueKey, DuePage};
use largesse_app::ports::{DueSpray, PortResult, RefundOutcome, Refunds, Wallets};
use largesse_domain::id::{PoolId, SprayId};
use largesse_domain::ledger::Wallet;
use largesse_domain::pool::Bucket;
use largesse_domain::spray::{RefusedRefund, Spray};
use largesse_domain::time::Timestamp;

use super::LIVE;
use super::codec::{REFUSED, REFUSED_MS};
use crate::due::{BY_DUE, DueQuery};
use crate::errors::{TransactError, condition_failed, contended, corrupt, unless_refused};
use crate::item::{Reader, ms, n, s};
use crate::keys::{self, DUE_MS, DUE_SHARD, FREE_SHARD};
use crate::pool::codec::{CLOSED, OPEN, STATUS};
use crate::store::Store;
use crate::token::token_ttl;
use crate::wallet::{POST_TRIES_MAX, read_wallet, request_token};

fn read_due(reader: &Reader<'_>) -> PortResult<DueSpray> {
    let PoolId::Spray(id) = reader.parse(keys::PK)? else { return Err(reader.corrupt()) };
    Ok(DueSpray { id, due: reader.ms(DUE_MS)? })
}

fn action(
    update: aws_sdk_dynamodb::types::builders::UpdateBuilder,
) -> PortResult<TransactWriteItem> {
    let update = update.build().map_err(|_| corrupt("refund update"))?;
    Ok(TransactWriteItem::builder().update(update).build())
}

/// What of a refund may turn out to be gone: then it goes on without it.
#[derive(Clone, Copy)]
struct Present {
    token: bool,
    live: bool,
}

impl Store {
    /// Closes a bucket. Its condition: still open, so nothing was returned before; the window over,
    /// by its own timestamp; and as many draws as were read, so that no claim came between and the
    /// remainder is right. It stays in the index of what is to be swept.
    fn closing(&self, bucket: &Bucket, now: Timestamp) -> PortResult<TransactWriteItem> {
        action(
            Update::builder()
                .table_name(&self.names.pools)
                .set_key(Some(keys::bucket(bucket.id)))
                .update_expression("SET #status = :closed")
                .condition_expression("#status = :open AND closes_ms <= :now AND taken = :taken")
                .expression_attribute_names("#status", STATUS)
                .expression_attribute_values(":open", s(OPEN))
                .expression_attribute_values(":closed", s(CLOSED))
                .expression_attribute_values(":now", ms(now))
                .expression_attribute_values(":taken", n(bucket.taken)),
        )
    }

    /// Writes on the spray what was returned, and takes it out of the index of what is due. Nothing
    /// is refused any more. Its condition: it was not refunded.
    fn settling(
        &self,
        spray: &Spray,
        as_read: &[Bucket],
        now: Timestamp,
    ) -> PortResult<TransactWriteItem> {
        let taken = as_read.iter().fold(0_u32, |sum, bucket| sum.saturating_add(bucket.taken));
        action(
            Update::builder()
                .table_name(&self.names.sprays)
                .set_key(Some(keys::spray(spray.id)))
                .update_expression(
                    "SET refund = :amount, refund_shares = :shares, refunded_ms = :now \
                     REMOVE #shard, #due, #refused, #refused_ms",
                )
                .condition_expression("attribute_exists(pk) AND attribute_not_exists(refunded_ms)")
                .expression_attribute_names("#shard", DUE_SHARD)
                .expression_attribute_names("#due", DUE_MS)
                .expression_attribute_names("#refused", REFUSED)
                .expression_attribute_names("#refused_ms", REFUSED_MS)
                .expression_attribute_values(":amount", n(remainder(as_read)))
                .expression_attribute_values(":shares", n(spray.recipients.saturating_sub(taken)))
                .expression_attribute_values(":now", ms(now)),
        )
    }

    /// Frees the token: it is in the index, and TTL may delete it if no spray takes it before. Its
    /// condition: it still stands for this spray; an item that was deleted by hand frees nothing,
    /// and an update must not bring half of it back.
    fn freeing(&self, spray: &Spray) -> PortResult<TransactWriteItem> {
        action(
            Update::builder()
                .table_name(&self.names.tokens)
                .set_key(Some(keys::token(spray.token)))
                .update_expression("SET refunded = :yes, #shard = :shard, #ttl = :ttl")
                .condition_expression("spray = :spray")
                .expression_attribute_names("#ttl", "ttl")
                .expression_attribute_names("#shard", FREE_SHARD)
                .expression_attribute_values(":ttl", n(token_ttl(spray.window)))
                .expression_attribute_values(":shard", s(keys::free_shard(spray.token)))
                .expression_attribute_values(":yes", Av::Bool(true))
                .expression_attribute_values(":spray", s(spray.id)),
        )
    }

    /// Counts one live spray of the sender less. Its condition: one is counted; an item that was
    /// deleted by hand stays deleted.
    fn uncounting(&self, spray: &Spray) -> PortResult<TransactWriteItem> {
        action(
            Update::builder()
                .table_name(&self.names.sprays)
                .set_key(Some(keys::sender(&spray.sender)))
                .update_expression("SET #live = #live - :one")
                .condition_expression("#live >= :one")
                .expression_attribute_names("#live", LIVE)
                .expression_attribute_values(":one", n(1)),
        )
    }
}

fn remainder(buckets: &[Bucket]) -> u64 {
    buckets.iter().map(Bucket::remainder).fold(0, u64::saturating_add)
}

impl Refunds for Store {
    async fn due_sprays(
        &self,
        shard: u32,
        now: Timestamp,
        after: Option<DueKey>,
        limit: u32,
    ) -> PortResult<DuePage<DueSpray>> {
        let after = after.map(|key| keys::due(shard, &key));
        let query = DueQuery { shard, now, after, limit };
        self.due_page("list due sprays", &self.names.sprays, BY_DUE, query, read_due).await
    }

    async fn refund_spray(
        &self,
        spray: &Spray,
        as_read: &[Bucket],
        now: Timestamp,
    ) -> PortResult<RefundOutcome> {
        let mut fixed: Vec<TransactWriteItem> =
            as_read.iter().map(|bucket| self.closing(bucket, now)).collect::<PortResult<_>>()?;
        fixed.push(self.settling(spray, as_read, now)?);
        let order = spray.refund_order(remainder(as_read));
        let mut present = Present { token: true, live: true };
        let _lock = self.wallet_locks.lock(&spray.sender).await;
        let mut wallet: Option<Wallet> = match &order {
            Some(_) => Some(self.wallet(&spray.sender).await?),
            None => None,
        };
        for _ in 0..POST_TRIES_MAX {
            let mut items = fixed.clone();
            if let (Some(order), Some(wallet)) = (&order, &wallet) {
                let Ok(transfer) = wallet.post(order.clone()) else {
                    // It may be full because of this very refund.
                    let posted = self.posted(&spray.sender, order.id).await?;
                    let outcome = posted.map(|_| RefundOutcome::AlreadyPosted);
                    return Ok(outcome.unwrap_or(RefundOutcome::WalletFull));
                };
                items.extend(self.posting(wallet, &transfer)?);
            }
            let token_at = items.len();
            if present.token {
                items.push(self.freeing(spray)?);
            }
            let live_at = items.len();
            if present.live {
                items.push(self.uncounting(spray)?);
            }
            // A request token may not come again with other contents, so it names all that differs.
            let seq = wallet.as_ref().map_or(0, |wallet| wallet.seq);
            let taken: Vec<u32> = as_read.iter().map(|bucket| bucket.taken).collect();
            let attempt =
                format!("{seq} {} {} {} {taken:?}", present.token, present.live, now.ms());
            let token = request_token(&["refund", &spray.id.to_string(), &attempt]);
            match self.transact("refund spray", token, items).await {
                Ok(()) => return Ok(RefundOutcome::Done),
                Err(TransactError::Port(error)) => return Err(error),
                Err(TransactError::Refused(reasons)) => {
                    let failed = |at| condition_failed(&reasons, at);
                    if (0..fixed.len()).any(failed) {
                        return Ok(RefundOutcome::Changed);
                    }
                    let wallet_at = fixed.len();
                    // The spray is as it was read, but the transfer exists.
                    if order.is_some() && failed(wallet_at.saturating_add(1)) {
                        return Ok(RefundOutcome::AlreadyPosted);
                    }
                    if present.token && failed(token_at) {
                        present.token = false;
                    }
                    if present.live && failed(live_at) {
                        present.live = false;
                    }
                    if order.is_some() && failed(wallet_at) {
                        let item = reasons.get(wallet_at).and_then(CancellationReason::item);
                        wallet = Some(read_wallet(&spray.sender, item)?);
                    }
                }
            }
        }
        Err(contended("refund spray"))
    }

    async fn refuse_refund(
        &self,
        id: SprayId,
        refused: RefusedRefund,
        until: Timestamp,
    ) -> PortResult<()> {
        let sent = self
            .dynamo
            .update_item()
            .table_name(&self.names.sprays)
            .set_key(Some(keys::spray(id)))
            .update_expression(
                "SET #due = :until, #refused = :amount, \
                 #refused_ms = if_not_exists(#refused_ms, :since)",
            )
            // Still in the index: what was refunded meanwhile is not marked, and does not come back
            // into it.
            .condition_expression("attribute_exists(#due)")
            .expression_attribute_names("#due", DUE_MS)
            .expression_attribute_names("#refused", REFUSED)
            .expression_attribute_names("#refused_ms", REFUSED_MS)
            .expression_attribute_values(":until", ms(until))
            .expression_attribute_values(":amount", n(refused.amount))
            .expression_attribute_values(":since", ms(refused.since))
            .send()
            .await;
        unless_refused("record refused refund", sent)
    }
}
