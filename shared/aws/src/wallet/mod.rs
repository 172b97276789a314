//! Wallets and transfers: table `ledger`.
//!
//! A wallet is one item; each transfer is an item beside it, under its permanent id. A transfer is
//! posted by one transaction of the two. The wallet is read first and the transaction holds only if
//! nothing was posted since, so that every transfer knows the balance after it; a writer that lost
//! gets the new wallet with the refusal and needs no second read.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{
    Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use largesse_app::invocation;
use largesse_app::page::Page;
use largesse_app::ports::{
    Balances, Clock, Counted, HistoryFilter, Once, PortError, PortErrorKind, PortResult, Wallets,
};
use largesse_domain::id::{TransferId, UserId};
use largesse_domain::ledger::{PostRefused, Posted, Transfer, TransferOrder, Wallet};
use sha2::{Digest, Sha256};

use crate::errors::{TransactError, condition_failed, contended, corrupt, port_error};
use crate::item::{Item, Reader, n, s};
use crate::keys::{self, PK, SK, WALLET};
use crate::store::Store;

mod archive;
mod archived;
pub(crate) mod codec;
mod history;
mod money;
mod run;
mod void;

use codec::transfer_item;
use codec::{LATEST_RUN, last_archived};
pub(crate) use codec::{read_posted, read_wallet};
pub(crate) use run::read_run;

/// How often a transfer is posted anew after losing against another on the same wallet. Writers of
/// one process wait for each other, so this counts concurrent processes.
pub(crate) const POST_TRIES_MAX: u32 = 32;

/// A request token of an attempt: of the operation's id and what the attempt stands on, since AWS
/// refuses the same token with other contents. 32 of the 36 characters allowed.
pub(crate) fn request_token(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hex::encode(hash.finalize().get(..16).unwrap_or_default())
}

impl Store {
    /// A strongly consistent query of a wallet's items from one sort key to another, both included.
    fn query_between(&self, user: &UserId, first: String, last: String) -> QueryFluentBuilder {
        self.dynamo
            .query()
            .table_name(&self.names.ledger)
            .key_condition_expression("#pk = :wallet AND #sk BETWEEN :first AND :last")
            .expression_attribute_names("#pk", PK)
            .expression_attribute_names("#sk", SK)
            .expression_attribute_values(":wallet", s(keys::wallet_pk(user)))
            .expression_attribute_values(":first", s(first))
            .expression_attribute_values(":last", s(last))
            .consistent_read(true)
    }

    /// The two items of a posting: the wallet moved on by one, and the transfer.
    ///
    /// The wallet's condition: `seq = :seen`, nothing was posted since it was read, hence the
    /// balance is still what the domain decided on; for a wallet that never had a transfer,
    /// `attribute_not_exists(pk)`, no other call made it meanwhile. And `run` is not there, or below the
    /// transfer's id: what lies under an id up to the last one that was archived is not in the table
    /// any more, so its absence there proves nothing, and a message that is that late moves nothing.
    /// The transfer's condition: `attribute_not_exists(pk)`, this id never moved money; permanent,
    /// where the request token lasts ten minutes.
    pub(crate) fn posting(
        &self,
        seen: &Wallet,
        transfer: &Transfer,
    ) -> PortResult<[TransactWriteItem; 2]> {
        let all_old = ReturnValuesOnConditionCheckFailure::AllOld;
        let update = Update::builder()
            .table_name(&self.names.ledger)
            .set_key(Some(keys::wallet(&seen.user)))
            .update_expression(
                "SET #balance = :balance, #held = if_not_exists(#held, :zero), #seq = :seq",
            )
            .expression_attribute_names("#balance", "balance")
            .expression_attribute_names("#held", "held")
            .expression_attribute_names("#seq", "seq")
            .expression_attribute_values(":balance", n(transfer.balance_after))
            .expression_attribute_values(":zero", n(0))
            .expression_attribute_values(":seq", n(transfer.seq))
            .return_values_on_condition_check_failure(all_old.clone());
        let update = if seen.seq == 0 {
            update.condition_expression("attribute_not_exists(pk)")
        } else {
            update
                .condition_expression("#seq = :seen AND (attribute_not_exists(#run) OR #run < :id)")
                .expression_attribute_names("#run", LATEST_RUN)
                .expression_attribute_values(":seen", n(seen.seq))
                .expression_attribute_values(":id", s(transfer.order.id))
        };
        let put = Put::builder()
            .table_name(&self.names.ledger)
            .set_item(Some(transfer_item(transfer)))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(all_old);
        Ok([
            TransactWriteItem::builder()
                .update(update.build().map_err(|_| corrupt("wallet update"))?)
                .build(),
            TransactWriteItem::builder()
                .put(put.build().map_err(|_| corrupt("transfer put"))?)
                .build(),
        ])
    }
}

impl Balances for Store {
    async fn wallets(&self, users: &[UserId]) -> PortResult<Vec<Wallet>> {
        let keys = users.iter().map(keys::wallet).collect();
        let items = self.batch_get("read wallets", &self.names.ledger, keys).await?;
        let read = |item: &Item| {
            let user: UserId = Reader { item, what: "wallet item" }.parse_after(PK, WALLET)?;
            read_wallet(&user, Some(item))
        };
        items.iter().map(read).collect()
    }
}

impl Wallets for Store {
    async fn wallet(&self, user: &UserId) -> PortResult<Wallet> {
        let got = self
            .dynamo
            .get_item()
            .table_name(&self.names.ledger)
            .set_key(Some(keys::wallet(user)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("read wallet", error))?;
        read_wallet(user, got.item.as_ref())
    }

    async fn post(&self, order: TransferOrder) -> PortResult<Result<Once<Transfer>, PostRefused>> {
        match self.post_order(order).await? {
            Posting::Now(transfer) => Ok(Ok(Once::Now(transfer))),
            Posting::Before(transfer) => Ok(Ok(Once::Before(transfer))),
            Posting::Refused(refused) => Ok(Err(refused)),
            // Only the payment of a grant is ever voided.
            Posting::Voided => Err(corrupt("post transfer: its id is voided")),
        }
    }

    async fn transfer(&self, user: &UserId, id: TransferId) -> PortResult<Option<Transfer>> {
        Ok(match self.posted(user, id).await? {
            Some(Posted::Transfer(transfer)) => Some(transfer),
            Some(Posted::Voided) => None,
            None => self.archived_transfer(user, id).await?,
        })
    }

    async fn history(
        &self,
        user: &UserId,
        filter: &HistoryFilter,
        after: Option<TransferId>,
        limit: u32,
    ) -> PortResult<Page<Transfer, TransferId>> {
        self.page_of_history(user, filter, after, limit).await
    }

    async fn count(&self, user: &UserId, filter: &HistoryFilter, rows: u64) -> PortResult<Counted> {
        self.counted_history(user, filter, rows).await
    }
}

/// What became of posting an order.
pub(crate) enum Posting {
    /// Posted by this call.
    Now(Transfer),
    /// Posted before.
    Before(Transfer),
    /// The grant of its id is voided.
    Voided,
    /// The wallet refuses it.
    Refused(PostRefused),
}

impl From<Posted> for Posting {
    fn from(posted: Posted) -> Self {
        match posted {
            Posted::Transfer(transfer) => Self::Before(transfer),
            Posted::Voided => Self::Voided,
        }
    }
}

impl Store {
    /// Carries out an order, at most once for its id, for ever.
    pub(crate) async fn post_order(&self, order: TransferOrder) -> PortResult<Posting> {
        let user = order.wallet.clone();
        let _lock = self.wallet_locks.lock(&user).await;
        let mut wallet = self.wallet(&user).await?;
        for _ in 0..POST_TRIES_MAX {
            let transfer = match wallet.post(order.clone()) {
                Ok(transfer) => transfer.posted_at(self.now()),
                // A wallet refuses a transfer that was posted before just as well; then the earlier
                // one is the answer.
                Err(refused) => {
                    let earlier = self.posted(&user, order.id).await?;
                    return Ok(earlier.map_or(Posting::Refused(refused), Posting::from));
                }
            };
            let (id, seq) = (order.id.to_string(), wallet.seq.to_string());
            // Another process may carry it out at another moment: other contents under another token.
            let token = request_token(&[&id, &seq, &format!("{:?}", transfer.posted)]);
            let items = self.posting(&wallet, &transfer)?.to_vec();
            self.may_send("post transfer")?;
            match self.transact("post transfer", token, items).await {
                Ok(()) => return Ok(Posting::Now(transfer)),
                Err(TransactError::Port(error)) => return Err(error),
                Err(TransactError::Refused(reasons)) => {
                    if condition_failed(&reasons, 1) {
                        let earlier = reasons.get(1).and_then(|r| r.item());
                        let earlier = earlier.ok_or_else(|| corrupt("transfer item"))?;
                        return Ok(read_posted(&user, earlier)?.into());
                    }
                    let item = reasons.first().and_then(|r| r.item());
                    if item.and_then(last_archived).is_some_and(|last| order.id <= last) {
                        return Err(corrupt("post transfer: those of its time are archived"));
                    }
                    wallet = read_wallet(&user, item)?;
                }
            }
        }
        Err(contended("post transfer"))
    }

    /// Fails when the work that the transfer is part of sends nothing any more: its invocation is over,
    /// or the campaign's life was read too long ago. Reads and tries before may have taken that long.
    fn may_send(&self, operation: &'static str) -> PortResult<()> {
        match invocation::permits_until() {
            Some(until) if self.now() > until => {
                Err(PortError { operation, kind: PortErrorKind::Throttled, cause: None })
            }
            _ => Ok(()),
        }
    }

    /// What lies under a transfer's id.
    pub(crate) async fn posted(&self, user: &UserId, id: TransferId) -> PortResult<Option<Posted>> {
        let got = self
            .dynamo
            .get_item()
            .table_name(&self.names.ledger)
            .set_key(Some(keys::transfer(user, id)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("read transfer", error))?;
        got.item.map(|item| read_posted(user, &item)).transpose()
    }
}
