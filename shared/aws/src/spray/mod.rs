//! Sprays: table `sprays`, with token, buckets and ledger in the transaction that creates one.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::builders::PutBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue as Av, CancellationReason, Put, ReturnValuesOnConditionCheckFailure,
    TransactWriteItem, Update,
};
use largesse_app::page::Page;
use largesse_app::ports::{Once, PortResult, SprayNotMade, Sprays, Wallets};
use largesse_domain::id::{SprayId, Token, UserId};
use largesse_domain::ledger::TransferOrder;
use largesse_domain::spray::{Spray, TokenEntry};

use crate::errors::{TransactError, condition_failed, contended, corrupt, port_error};
use crate::item::{Item, Reader, ms, n, s};
use crate::keys::{self, BY_SENDER};
use crate::pool::codec::bucket_item;
use crate::store::Store;
use crate::token::token_item;
use crate::wallet::{POST_TRIES_MAX, read_wallet, request_token};

mod codec;
mod refund;

use codec::{read_spray, spray_item};

/// The attribute that counts a sender's live sprays.
const LIVE: &str = "live";

/// Where each action stands in the transaction that creates a spray; the buckets follow.
const TOKEN_AT: usize = 0;
const SPRAY_AT: usize = 1;
const SENDER_AT: usize = 2;
const WALLET_AT: usize = 3;

impl Store {
    fn put(&self, table: &str, item: Item) -> PutBuilder {
        Put::builder().table_name(table).set_item(Some(item))
    }

    /// Everything of a new spray but the wallet and the transfer.
    ///
    /// The token's condition: absent, or OVER by its own timestamp (TTL may lag by days) AND
    /// refunded (no money hangs on it any more).
    /// The spray's condition: it was never made; permanent, where the request token lasts ten
    /// minutes. Its buckets are made with it, so they need none.
    fn creation(
        &self,
        spray: &Spray,
    ) -> PortResult<(Vec<TransactWriteItem>, Vec<TransactWriteItem>)> {
        let all_old = ReturnValuesOnConditionCheckFailure::AllOld;
        let token = self
            .put(&self.names.tokens, token_item(spray))
            .condition_expression(
                "attribute_not_exists(pk) OR (refunded = :yes AND closes_ms <= :now)",
            )
            .expression_attribute_values(":yes", Av::Bool(true))
            .expression_attribute_values(":now", ms(spray.created_at()));
        let spray_put = self
            .put(&self.names.sprays, spray_item(spray))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(all_old);
        let head = vec![action(token)?, action(spray_put)?, self.counting(&spray.sender)?];
        let buckets = spray.buckets();
        let buckets = buckets.iter().map(|b| self.put(&self.names.pools, bucket_item(b)));
        Ok((head, buckets.map(action).collect::<PortResult<_>>()?))
    }

    /// Counts one more live spray of the sender. Its condition: fewer than a member may have.
    fn counting(&self, sender: &UserId) -> PortResult<TransactWriteItem> {
        let update = Update::builder()
            .table_name(&self.names.sprays)
            .set_key(Some(keys::sender(sender)))
            .update_expression("SET #live = if_not_exists(#live, :none) + :one")
            .condition_expression("attribute_not_exists(#live) OR #live < :max")
            .expression_attribute_names("#live", LIVE)
            .expression_attribute_values(":none", n(0))
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":max", n(self.names.live_sprays_max))
            .build()
            .map_err(|_| corrupt("sender update"))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }
}

fn action(put: PutBuilder) -> PortResult<TransactWriteItem> {
    let put = put.build().map_err(|_| corrupt("spray put"))?;
    Ok(TransactWriteItem::builder().put(put).build())
}

fn old(reasons: &[CancellationReason], index: usize) -> Option<&Item> {
    reasons.get(index).and_then(CancellationReason::item)
}

impl Sprays for Store {
    async fn token_entry(&self, token: Token) -> PortResult<Option<TokenEntry>> {
        self.read_token_entry(token).await
    }

    fn known_token(&self, token: Token) -> Option<TokenEntry> {
        self.remembered_token(token)
    }

    async fn create_spray(
        &self,
        spray: &Spray,
        order: &TransferOrder,
    ) -> PortResult<Result<Once<Spray>, SprayNotMade>> {
        let (head, buckets) = self.creation(spray)?;
        let _lock = self.wallet_locks.lock(&spray.sender).await;
        let mut wallet = self.wallet(&spray.sender).await?;
        for _ in 0..POST_TRIES_MAX {
            let transfer = match wallet.post(order.clone()) {
                Ok(transfer) => transfer,
                // The wallet may be empty because this very spray emptied it.
                Err(refused) => {
                    return Ok(match self.spray(spray.id).await? {
                        Some(earlier) => Ok(Once::Before(earlier)),
                        None => Err(SprayNotMade::Wallet(refused)),
                    });
                }
            };
            let (id, seq) = (spray.id.to_string(), wallet.seq.to_string());
            let at = spray.created_at().ms().to_string();
            let token = request_token(&[&id, &seq, &at, spray.token.as_str()]);
            let mut items = head.clone();
            items.extend(self.posting(&wallet, &transfer)?);
            items.extend(buckets.iter().cloned());
            match self.transact("create spray", token, items).await {
                Ok(()) => return Ok(Ok(Once::Now(spray.clone()))),
                Err(TransactError::Port(error)) => return Err(error),
                Err(TransactError::Refused(reasons)) => {
                    if let Some(earlier) = old(&reasons, SPRAY_AT) {
                        return Ok(Ok(Once::Before(read_spray(earlier)?)));
                    }
                    if condition_failed(&reasons, TOKEN_AT) {
                        return Ok(Err(SprayNotMade::TokenTaken));
                    }
                    if condition_failed(&reasons, SENDER_AT) {
                        return Ok(Err(SprayNotMade::TooManyLive));
                    }
                    wallet = read_wallet(&spray.sender, old(&reasons, WALLET_AT))?;
                }
            }
        }
        Err(contended("create spray"))
    }

    async fn spray(&self, id: SprayId) -> PortResult<Option<Spray>> {
        let got = self
            .dynamo
            .get_item()
            .table_name(&self.names.sprays)
            .set_key(Some(keys::spray(id)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("read spray", error))?;
        got.item.map(|item| read_spray(&item)).transpose()
    }

    async fn sprays(&self, ids: &[SprayId]) -> PortResult<Vec<Spray>> {
        let keys = ids.iter().map(|id| keys::spray(*id)).collect();
        let items = self.batch_get("read sprays", &self.names.sprays, keys).await?;
        items.iter().map(read_spray).collect()
    }

    async fn sprays_by(
        &self,
        sender: &UserId,
        after: Option<SprayId>,
        limit: u32,
    ) -> PortResult<Page<Spray, SprayId>> {
        let got = self
            .dynamo
            .query()
            .table_name(&self.names.sprays)
            .index_name(BY_SENDER)
            .key_condition_expression("#sender = :sender")
            .expression_attribute_names("#sender", keys::SENDER)
            .expression_attribute_values(":sender", s(sender))
            .set_exclusive_start_key(after.map(|id| keys::by_sender(sender, id)))
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| port_error("list sprays", error))?;
        let read = |item: &Item| Reader { item, what: "spray index" }.parse(keys::SPRAY_ID);
        let ids: Vec<SprayId> =
            got.items.unwrap_or_default().iter().map(read).collect::<PortResult<_>>()?;
        let next = got.last_evaluated_key.and_then(|_| ids.last().copied());
        let found = self.sprays(&ids).await?;
        let mut found: HashMap<SprayId, Spray> = found.into_iter().map(|s| (s.id, s)).collect();
        Ok(Page { rows: ids.iter().filter_map(|id| found.remove(id)).collect(), next })
    }
}
