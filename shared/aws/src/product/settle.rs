//! Settlements: what is due, the one transaction that ends a product, and that of each refund.

use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{CancellationReason, TransactWriteItem, Update};
use largesse_app::page::{DueKey, DuePage, Page};
use largesse_app::ports::{
    DueProduct, InvestmentRefund, PartKey, PortResult, SettleOutcome, Settlements, Wallets,
};
use largesse_domain::id::ProductId;
use largesse_domain::ledger::Wallet;
use largesse_domain::product::{Investment, Outcome, Product, Settled, Shard};
use largesse_domain::time::Timestamp;

use super::codec::{
    CLOSED, INVESTED, OPEN, OUTCOME, REFUNDED, REFUSED_MS, STATUS, investment_key, outcome_name,
    read_investment,
};
use crate::due::{BY_DUE, DueQuery};
use crate::errors::{
    TransactError, condition_failed, contended, corrupt, port_error, unless_refused,
};
use crate::item::{Reader, ms, n, s};
use crate::keys::{self, DUE_MS, DUE_SHARD, LIST, PK, PRODUCT, SK};
use crate::store::Store;
use crate::wallet::{POST_TRIES_MAX, read_wallet, request_token};

fn read_due(reader: &Reader<'_>) -> PortResult<DueProduct> {
    Ok(DueProduct { id: reader.parse_after(PK, PRODUCT)?, due: reader.ms(DUE_MS)? })
}

fn action(update: UpdateBuilder) -> PortResult<TransactWriteItem> {
    let update = update.build().map_err(|_| corrupt("settlement update"))?;
    Ok(TransactWriteItem::builder().update(update).build())
}

impl Store {
    /// Closes a shard. Its condition:
    /// * `status = OPEN`: it was not closed before;
    /// * `remaining` as read: nothing was invested since, so what was raised is right;
    /// * `closes_ms <= now`, or nothing remains: it is at its end by its own values.
    fn closing_shard(
        &self,
        product: &Product,
        shard: &Shard,
        now: Timestamp,
    ) -> PortResult<TransactWriteItem> {
        action(
            Update::builder()
                .table_name(&self.names.products)
                .set_key(Some(keys::product_shard(product.id, shard.number)))
                .update_expression("SET #status = :closed")
                .condition_expression(
                    "#status = :open AND remaining = :read \
                     AND (closes_ms <= :now OR remaining = :none)",
                )
                .expression_attribute_names("#status", STATUS)
                .expression_attribute_values(":closed", s(CLOSED))
                .expression_attribute_values(":open", s(OPEN))
                .expression_attribute_values(":read", n(shard.remaining))
                .expression_attribute_values(":none", n(0))
                .expression_attribute_values(":now", ms(now)),
        )
    }

    /// Records the settlement, and takes the product out of the list and, unless it refunds, out of the
    /// index of what is due. Its condition: there is such a product, since an item that was deleted by
    /// hand must not come back by half; and it was not settled.
    fn settling_product(
        &self,
        product: &Product,
        settled: &Settled,
    ) -> PortResult<TransactWriteItem> {
        let refunds = settled.outcome == Outcome::Refunding;
        let update = Update::builder()
            .table_name(&self.names.products)
            .set_key(Some(keys::product(product.id)))
            .update_expression(if refunds {
                "SET #outcome = :outcome, raised = :raised, investors = :investors, \
                 settled_ms = :now, #due = :now REMOVE #list, #refused"
            } else {
                "SET #outcome = :outcome, raised = :raised, investors = :investors, \
                 settled_ms = :now REMOVE #list, #refused, #due, #shard"
            })
            .condition_expression("attribute_exists(pk) AND attribute_not_exists(#outcome)")
            .expression_attribute_names("#outcome", OUTCOME)
            .expression_attribute_names("#due", DUE_MS)
            .expression_attribute_names("#list", LIST)
            .expression_attribute_names("#refused", REFUSED_MS)
            .expression_attribute_values(":outcome", s(outcome_name(settled.outcome)))
            .expression_attribute_values(":raised", n(settled.raised))
            .expression_attribute_values(":investors", n(settled.investors))
            .expression_attribute_values(":now", ms(settled.at));
        action(if refunds {
            update
        } else {
            update.expression_attribute_names("#shard", DUE_SHARD)
        })
    }

    /// Marks an investment as refunded. Its condition: it was not.
    fn refunding_investment(
        &self,
        product: &Product,
        investment: &Investment,
    ) -> PortResult<TransactWriteItem> {
        let count = investment.position.count;
        action(
            Update::builder()
                .table_name(&self.names.products)
                .set_key(Some(investment_key(product, &investment.investor, count)))
                .update_expression("SET #status = :refunded")
                .condition_expression("#status = :invested")
                .expression_attribute_names("#status", STATUS)
                .expression_attribute_values(":refunded", s(REFUNDED))
                .expression_attribute_values(":invested", s(INVESTED)),
        )
    }

    async fn is_refunded(&self, product: &Product, investment: &Investment) -> PortResult<bool> {
        let count = investment.position.count;
        let got = self
            .dynamo
            .get_item()
            .table_name(&self.names.products)
            .set_key(Some(investment_key(product, &investment.investor, count)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("read investment", error))?;
        let item = got.item.ok_or_else(|| corrupt("investment item"))?;
        Ok(read_investment(&item)?.is_refunded)
    }
}

impl Settlements for Store {
    async fn due_products(
        &self,
        shard: u32,
        now: Timestamp,
        after: Option<DueKey>,
        limit: u32,
    ) -> PortResult<DuePage<DueProduct>> {
        let after = after.map(|key| keys::due_product(shard, &key));
        let query = DueQuery { shard, now, after, limit };
        self.due_page("list due products", &self.names.products, BY_DUE, query, read_due).await
    }

    async fn settle_product(
        &self,
        product: &Product,
        as_read: &[Shard],
        settled: &Settled,
    ) -> PortResult<SettleOutcome> {
        let closing = |shard| self.closing_shard(product, shard, settled.at);
        let mut fixed = as_read.iter().map(closing).collect::<PortResult<Vec<_>>>()?;
        fixed.push(self.settling_product(product, settled)?);
        let (issuer, order) = (&product.terms.issuer, product.payout(settled));
        let _lock = self.wallet_locks.lock(issuer).await;
        let mut wallet: Option<Wallet> = match &order {
            Some(_) => Some(self.wallet(issuer).await?),
            None => None,
        };
        for _ in 0..POST_TRIES_MAX {
            let mut items = fixed.clone();
            if let (Some(order), Some(wallet)) = (&order, &wallet) {
                let Ok(transfer) = wallet.post(order.clone()) else {
                    // It may be full because of this very payout.
                    let posted = self.posted(issuer, order.id).await?;
                    let outcome = posted.map(|_| SettleOutcome::AlreadyPosted);
                    return Ok(outcome.unwrap_or(SettleOutcome::WalletFull));
                };
                items.extend(self.posting(wallet, &transfer)?);
            }
            // A request token may not come again with other contents, so it names all that differs.
            let seq = wallet.as_ref().map_or(0, |wallet| wallet.seq);
            let remaining: Vec<u64> = as_read.iter().map(|shard| shard.remaining).collect();
            let attempt = format!("{seq} {settled:?} {remaining:?}");
            let token = request_token(&["settle", &product.id.to_string(), &attempt]);
            match self.transact("settle product", token, items).await {
                Ok(()) => return Ok(SettleOutcome::Done),
                Err(TransactError::Port(error)) => return Err(error),
                Err(TransactError::Refused(reasons)) => {
                    let failed = |at| condition_failed(&reasons, at);
                    if (0..fixed.len()).any(failed) {
                        return Ok(SettleOutcome::Changed);
                    }
                    // The product is as it was read, but the transfer exists.
                    if failed(fixed.len().saturating_add(1)) {
                        return Ok(SettleOutcome::AlreadyPosted);
                    }
                    let item = reasons.get(fixed.len()).and_then(CancellationReason::item);
                    wallet = Some(read_wallet(issuer, item)?);
                }
            }
        }
        Err(contended("settle product"))
    }

    async fn investments_in(
        &self,
        product: &Product,
        part: u32,
        after: Option<PartKey>,
        limit: u32,
    ) -> PortResult<Page<Investment, PartKey>> {
        let start = after.map(|key| investment_key(product, &key.investor, key.count));
        let got = self
            .dynamo
            .query()
            .table_name(&self.names.products)
            .key_condition_expression("#pk = :part")
            .expression_attribute_names("#pk", PK)
            .expression_attribute_values(":part", s(keys::investments_pk(product.id, part)))
            .set_exclusive_start_key(start)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("read investments", error))?;
        let items = got.items.unwrap_or_default();
        let rows = items.iter().map(read_investment).collect::<PortResult<Vec<_>>>()?;
        let next = got.last_evaluated_key.as_ref().map(|item| {
            let reader = Reader { item, what: "investment key" };
            let key = reader.text(SK)?.rsplit_once('#').and_then(|(investor, count)| {
                Some(PartKey { investor: investor.parse().ok()?, count: count.parse().ok()? })
            });
            key.ok_or_else(|| reader.corrupt())
        });
        Ok(Page { rows, next: next.transpose()? })
    }

    async fn refund_investment(
        &self,
        product: &Product,
        investment: &Investment,
    ) -> PortResult<InvestmentRefund> {
        let (investor, order) = (&investment.investor, investment.refund());
        let _lock = self.wallet_locks.lock(investor).await;
        let mut wallet = self.wallet(investor).await?;
        for _ in 0..POST_TRIES_MAX {
            let Ok(transfer) = wallet.post(order.clone()) else {
                // It may be full because of this very refund.
                if self.is_refunded(product, investment).await? {
                    return Ok(InvestmentRefund::Before);
                }
                let posted = self.posted(investor, order.id).await?;
                let outcome = posted.map(|_| InvestmentRefund::AlreadyPosted);
                return Ok(outcome.unwrap_or(InvestmentRefund::WalletFull));
            };
            let mut items = vec![self.refunding_investment(product, investment)?];
            items.extend(self.posting(&wallet, &transfer)?);
            let (id, seq) = (order.id.to_string(), wallet.seq.to_string());
            let token = request_token(&["refund investment", &id, &seq]);
            match self.transact("refund investment", token, items).await {
                Ok(()) => return Ok(InvestmentRefund::Done),
                Err(TransactError::Port(error)) => return Err(error),
                Err(TransactError::Refused(reasons)) => {
                    if condition_failed(&reasons, 0) {
                        return Ok(InvestmentRefund::Before);
                    }
                    if condition_failed(&reasons, 2) {
                        return Ok(InvestmentRefund::AlreadyPosted);
                    }
                    let item = reasons.get(1).and_then(CancellationReason::item);
                    wallet = read_wallet(investor, item)?;
                }
            }
        }
        Err(contended("refund investment"))
    }

    async fn finish_refunds(&self, id: ProductId) -> PortResult<()> {
        let sent = self
            .dynamo
            .update_item()
            .table_name(&self.names.products)
            .set_key(Some(keys::product(id)))
            .update_expression("SET #outcome = :refunded REMOVE #shard, #due, #refused")
            // It is being refunded: no other outcome is overwritten.
            .condition_expression("#outcome = :refunding")
            .expression_attribute_names("#outcome", OUTCOME)
            .expression_attribute_names("#shard", DUE_SHARD)
            .expression_attribute_names("#due", DUE_MS)
            .expression_attribute_names("#refused", REFUSED_MS)
            .expression_attribute_values(":refunded", s(outcome_name(Outcome::Refunded)))
            .expression_attribute_values(":refunding", s(outcome_name(Outcome::Refunding)))
            .send()
            .await;
        unless_refused("finish refunds of a product", sent)
    }

    async fn defer_product(
        &self,
        id: ProductId,
        since: Timestamp,
        until: Timestamp,
    ) -> PortResult<()> {
        let sent = self
            .dynamo
            .update_item()
            .table_name(&self.names.products)
            .set_key(Some(keys::product(id)))
            .update_expression("SET #due = :until, #refused = if_not_exists(#refused, :since)")
            // Still in the index: what was settled meanwhile does not come back into it.
            .condition_expression("attribute_exists(#due)")
            .expression_attribute_names("#due", DUE_MS)
            .expression_attribute_names("#refused", REFUSED_MS)
            .expression_attribute_values(":until", ms(until))
            .expression_attribute_values(":since", ms(since))
            .send()
            .await;
        unless_refused("defer product", sent)
    }
}
