//! Sprays: table `pools`, with token and ledger in the transaction that creates one.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::builders::PutBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue as Av, CancellationReason, KeysAndAttributes, Put,
    ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use largesse_app::page::Page;
use largesse_app::ports::{Once, Pause, PortResult, Rng, SprayNotMade, Sprays, Wallets};
use largesse_domain::id::{PoolId, SprayId, Token, UserId};
use largesse_domain::ledger::TransferOrder;
use largesse_domain::pool::Supply;
use largesse_domain::spray::{Refund, Spray, TokenEntry};

use crate::errors::{TransactError, condition_failed, contended, corrupt, port_error};
use crate::item::{Item, Reader, ms, n, s};
use crate::keys::{self, BY_SENDER};
use crate::pools::head;
use crate::retry;
use crate::store::Store;
use crate::tokens::token_item;
use crate::wallets::{POST_TRIES_MAX, read_wallet, request_token};

fn spray_item(spray: &Spray) -> PortResult<Item> {
    let Supply::Shares { split, seed, amount, numbers } = &spray.pool.supply else {
        return Err(corrupt("spray without shares"));
    };
    let mut item = head::item(&spray.pool);
    let mut put = |name: &str, value| item.insert(name.to_owned(), value);
    put("amount", n(amount));
    put("recipients", n(numbers.total));
    put("split", s(split.as_str()));
    put("seed", Av::B(Blob::new(seed.0)));
    put(keys::SPRAY_ID, s(spray.id));
    put(keys::SENDER, s(&spray.sender));
    put("room", s(spray.room));
    put("token", s(spray.token));
    put("created_ms", ms(spray.created_at));
    put(keys::DUE_SHARD, s(keys::due_shard(spray.id.0)));
    put(keys::DUE_MS, ms(spray.pool.window.closes));
    Ok(item)
}

pub(crate) fn read_spray(item: &Item) -> PortResult<Spray> {
    let reader = Reader { item, what: "spray item" };
    Ok(Spray {
        id: reader.parse(keys::SPRAY_ID)?,
        token: reader.parse("token")?,
        room: reader.parse("room")?,
        sender: reader.parse(keys::SENDER)?,
        created_at: reader.ms("created_ms")?,
        pool: head::read(item)?,
        refund: reader.optional("refunded_ms", |r, name| {
            Ok(Refund { amount: r.number("refund")?, at: r.ms(name)? })
        })?,
    })
}

impl Store {
    fn put_once(&self, table: &str, item: Item, condition: &str) -> PutBuilder {
        Put::builder()
            .table_name(table)
            .set_item(Some(item))
            .condition_expression(condition)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    /// The token's and the head's items of a new spray.
    ///
    /// The token's condition: absent, or OVER by its own timestamp (TTL may lag by days) AND
    /// refunded (nobody's money hangs on it any more).
    /// The head's condition: this spray was never made; permanent, where the request token lasts
    /// ten minutes.
    fn birth(&self, spray: &Spray) -> PortResult<[TransactWriteItem; 2]> {
        let token = self
            .put_once(
                &self.names.tokens,
                token_item(spray, recipients_of(spray)?),
                "attribute_not_exists(pk) OR (refunded = :yes AND closes_ms <= :now)",
            )
            .expression_attribute_values(":yes", Av::Bool(true))
            .expression_attribute_values(":now", ms(spray.created_at));
        let head = self.put_once(&self.names.pools, spray_item(spray)?, "attribute_not_exists(pk)");
        let put = |put: PutBuilder| {
            let put = put.build().map_err(|_| corrupt("spray put"))?;
            Ok(TransactWriteItem::builder().put(put).build())
        };
        Ok([put(token)?, put(head)?])
    }
}

fn recipients_of(spray: &Spray) -> PortResult<u32> {
    match &spray.pool.supply {
        Supply::Shares { numbers, .. } => Ok(numbers.total),
        Supply::Slots { .. } | Supply::Amount { .. } => Err(corrupt("spray without shares")),
    }
}

fn old(reasons: &[CancellationReason], index: usize) -> Option<&Item> {
    reasons.get(index).and_then(CancellationReason::item)
}

impl Sprays for Store {
    async fn token_entry(&self, token: Token) -> PortResult<Option<TokenEntry>> {
        self.read_token_entry(token).await
    }

    async fn create_spray(
        &self,
        spray: &Spray,
        order: &TransferOrder,
    ) -> PortResult<Result<Once<Spray>, SprayNotMade>> {
        let _turn = self.wallet_turns.wait(&spray.sender).await;
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
            let at = spray.created_at.ms().to_string();
            let token = request_token(&[&id, &seq, &at, spray.token.as_str()]);
            let mut items = self.birth(spray)?.to_vec();
            items.extend(self.posting(&wallet, &transfer)?);
            match self.transact("create spray", token, items).await {
                Ok(()) => return Ok(Ok(Once::Now(spray.clone()))),
                Err(TransactError::Port(error)) => return Err(error),
                Err(TransactError::Refused(reasons)) => {
                    if let Some(earlier) = old(&reasons, 1) {
                        return Ok(Ok(Once::Before(read_spray(earlier)?)));
                    }
                    if condition_failed(&reasons, 0) {
                        return Ok(Err(SprayNotMade::TokenTaken));
                    }
                    wallet = read_wallet(&spray.sender, old(&reasons, 2))?;
                }
            }
        }
        Err(contended("create spray"))
    }

    async fn spray(&self, id: SprayId) -> PortResult<Option<Spray>> {
        let got = self
            .dynamo
            .get_item()
            .table_name(&self.names.pools)
            .set_key(Some(keys::pool(PoolId::Spray(id))))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("read spray", error))?;
        got.item.map(|item| read_spray(&item)).transpose()
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
            .table_name(&self.names.pools)
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
        let rows = self.sprays_of(&ids).await?;
        Ok(Page { rows, next })
    }
}

impl Store {
    /// The heads of those sprays, in that order.
    async fn sprays_of(&self, ids: &[SprayId]) -> PortResult<Vec<Spray>> {
        let mut found: HashMap<SprayId, Spray> = HashMap::new();
        let mut wanted: Vec<Item> = ids.iter().map(|id| keys::pool(PoolId::Spray(*id))).collect();
        for wait_ms in retry::waits_ms() {
            if wanted.is_empty() {
                break;
            }
            if wait_ms > 0 {
                // A batch that is throttled in part is no error to the SDK, which does not wait.
                self.pause_ms(self.below(wait_ms).into()).await;
            }
            let keys = KeysAndAttributes::builder()
                .set_keys(Some(std::mem::take(&mut wanted)))
                .consistent_read(true)
                .build()
                .map_err(|_| corrupt("spray keys"))?;
            let got = self
                .dynamo
                .batch_get_item()
                .request_items(&self.names.pools, keys)
                .send()
                .await
                .map_err(|error| port_error("read sprays", error))?;
            for item in got.responses.unwrap_or_default().into_values().flatten() {
                let spray = read_spray(&item)?;
                found.insert(spray.id, spray);
            }
            let rest = got.unprocessed_keys.unwrap_or_default().into_values();
            wanted = rest.flat_map(|keys| keys.keys).collect();
        }
        if !wanted.is_empty() {
            return Err(contended("read sprays"));
        }
        Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
    }
}
