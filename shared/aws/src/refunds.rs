//! Refunds: what is due, and the one transaction that returns it.

use aws_sdk_dynamodb::types::{
    AttributeValue as Av, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use largesse_app::page::Page;
use largesse_app::ports::{DueSpray, PortResult, RefundOutcome, Refunds, Wallets};
use largesse_domain::id::PoolId;
use largesse_domain::ledger::{PostRefused, TransferOrder};
use largesse_domain::pool::Supply;
use largesse_domain::spray::Spray;
use largesse_domain::time::Timestamp;

use crate::errors::{TransactError, condition_failed, contended, corrupt, port_error};
use crate::item::{Item, Reader, ms, n, s};
use crate::keys::{self, DUE, DUE_MS, DUE_SHARD, SWEEP_MS};
use crate::pools::head;
use crate::store::Store;
use crate::tokens::token_ttl;
use crate::wallets::{POST_TRIES_MAX, read_wallet, request_token};

fn read_due(item: &Item) -> PortResult<DueSpray> {
    let reader = Reader { item, what: "due index" };
    let PoolId::Spray(id) = reader.parse(keys::PK)?;
    Ok(DueSpray { id, due: reader.ms(DUE_MS)? })
}

impl Store {
    /// Closes the head. Its condition: still open, so nothing went back before; the window over, by
    /// its own timestamp; and notes, numbers out and numbers given back as they were read, so that
    /// no claim came between and the remainder is right.
    fn closing(&self, spray: &Spray, remainder: u64, now: Timestamp) -> PortResult<Update> {
        let Supply::Shares { numbers, .. } = &spray.pool.supply else {
            return Err(corrupt("spray without shares"));
        };
        Update::builder()
            .table_name(&self.names.pools)
            .set_key(Some(keys::pool(spray.pool.id)))
            .update_expression(
                "SET #s = :closed, #p = :none, refund = :refund, refunded_ms = :now \
                 REMOVE #shard, #due, #w",
            )
            .condition_expression(
                "#s = :open AND #c <= :now AND #p = :notes AND #t = :taken AND #f = :free",
            )
            .expression_attribute_names("#s", head::STATUS)
            .expression_attribute_names("#p", head::PENDING)
            .expression_attribute_names("#c", head::CLOSES)
            .expression_attribute_names("#t", head::TAKEN)
            .expression_attribute_names("#f", head::FREE)
            .expression_attribute_names("#shard", DUE_SHARD)
            .expression_attribute_names("#due", DUE_MS)
            .expression_attribute_names("#w", SWEEP_MS)
            .expression_attribute_values(":open", s(head::OPEN))
            .expression_attribute_values(":closed", s(head::CLOSED))
            .expression_attribute_values(":none", Av::M(Item::new()))
            .expression_attribute_values(":refund", n(remainder))
            .expression_attribute_values(":now", ms(now))
            .expression_attribute_values(":notes", head::notes(&spray.pool))
            .expression_attribute_values(":taken", n(numbers.taken))
            .expression_attribute_values(":free", head::free(numbers))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|_| corrupt("head update"))
    }

    /// Gives the token free, to be deleted by TTL if no spray takes it before. Its condition: it
    /// still stands for this spray; an item that somebody deleted frees nothing, and an update must
    /// not bring half of it back.
    fn freeing(&self, spray: &Spray) -> PortResult<Update> {
        Update::builder()
            .table_name(&self.names.tokens)
            .set_key(Some(keys::token(spray.token)))
            .update_expression("SET refunded = :yes, #ttl = :ttl")
            .condition_expression("spray = :spray")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":ttl", n(token_ttl(spray.pool.window)))
            .expression_attribute_values(":yes", Av::Bool(true))
            .expression_attribute_values(":spray", s(spray.id))
            .build()
            .map_err(|_| corrupt("token update"))
    }
}

impl Refunds for Store {
    async fn due_sprays(
        &self,
        shard: u32,
        now: Timestamp,
        after: Option<DueSpray>,
        limit: u32,
    ) -> PortResult<Page<DueSpray, DueSpray>> {
        let got = self
            .dynamo
            .query()
            .table_name(&self.names.pools)
            .index_name(DUE)
            .key_condition_expression("#shard = :shard AND #due <= :now")
            .expression_attribute_names("#shard", DUE_SHARD)
            .expression_attribute_names("#due", DUE_MS)
            .expression_attribute_values(":shard", s(shard))
            .expression_attribute_values(":now", ms(now))
            .set_exclusive_start_key(after.map(|due| keys::due(shard, &due)))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| port_error("list due sprays", error))?;
        let rows: Vec<DueSpray> =
            got.items.unwrap_or_default().iter().map(read_due).collect::<PortResult<_>>()?;
        let next = got.last_evaluated_key.and_then(|_| rows.last().copied());
        Ok(Page { rows, next })
    }

    async fn refund_spray(
        &self,
        as_read: &Spray,
        remainder: u64,
        now: Timestamp,
    ) -> PortResult<RefundOutcome> {
        let closing = TransactWriteItem::builder().update(self.closing(as_read, remainder, now)?);
        let mut items = vec![closing.build()];
        let order = as_read.refund_order(remainder);
        let mut frees_token = true;
        let _turn = self.wallet_turns.wait(&as_read.sender).await;
        let mut wallet = match &order {
            Some(_) => Some(self.wallet(&as_read.sender).await?),
            None => None,
        };
        for _ in 0..POST_TRIES_MAX {
            items.truncate(1);
            if let (Some(order), Some(wallet)) = (&order, &wallet) {
                items.extend(self.crediting(order, wallet)?);
            }
            let token_at = items.len();
            if frees_token {
                let freeing = TransactWriteItem::builder().update(self.freeing(as_read)?);
                items.push(freeing.build());
            }
            let seq = wallet.as_ref().map_or(0, |wallet| wallet.seq);
            let notes = format!("{:?}", as_read.pool.pending);
            let (id, seq) = (as_read.id.to_string(), format!("{seq} {frees_token} {}", now.ms()));
            let token = request_token(&["refund", &id, &seq, &notes]);
            match self.transact("refund spray", token, items.clone()).await {
                Ok(()) => return Ok(RefundOutcome::Done),
                Err(TransactError::Port(error)) => return Err(error),
                Err(TransactError::Refused(reasons)) => {
                    if condition_failed(&reasons, 0) {
                        return Ok(RefundOutcome::Changed);
                    }
                    if frees_token && condition_failed(&reasons, token_at) {
                        frees_token = false;
                    }
                    if order.is_some() && condition_failed(&reasons, 1) {
                        let item = reasons.get(1).and_then(|reason| reason.item());
                        wallet = Some(read_wallet(&as_read.sender, item)?);
                    }
                }
            }
        }
        Err(contended("refund spray"))
    }
}

impl Store {
    fn crediting(
        &self,
        order: &TransferOrder,
        wallet: &largesse_domain::ledger::Wallet,
    ) -> PortResult<[TransactWriteItem; 2]> {
        match wallet.post(order.clone()) {
            Ok(transfer) => self.posting(wallet, &transfer),
            // The money stays in the spray until the wallet has room for it.
            Err(PostRefused::TooFull | PostRefused::Insufficient { .. }) => {
                Err(contended("refund to a full wallet"))
            }
        }
    }
}
