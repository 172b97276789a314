//! The designs that come to mind first, over the same embedded `DynamoDB`, for comparison.
//!
//! Each has one counter, and a row for each member. None has a wallet or a ledger, so each does less
//! than the system that it is compared with.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::builders::TransactWriteItemBuilder;
use aws_sdk_dynamodb::types::{AttributeValue as Av, Put, ReturnValue, TransactWriteItem, Update};
use largesse_app::ports::{Clock, Ids, Pause, Rng};
use largesse_aws::Store;

use super::contest::{Arrival, Spent, Stored, Sum, Taken};
use super::lab::Lab;
use super::{BenchError, broken};

/// A table whose key is `pk` alone.
const TABLE: &str = "largesse-edge";
/// How often a transaction or a lock is tried; then the caller gets no answer.
const TRIES_MAX: u32 = 64;
/// The longest wait before another try, of which a random part is taken, in milliseconds.
const WAIT_MS_MAX: u32 = 64;
/// After so long, a lock belongs to whom it is taken from: else a process that died kept it for ever.
const LEASE_MS: i64 = 500;

/// How the counter and the row are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Design {
    /// In one transaction.
    Transaction,
    /// The counter first, then the row.
    Separate,
    /// Both are read, checked and written while a lock is held.
    Lock,
}

impl Design {
    pub(super) const ALL: [Self; 3] = [Self::Transaction, Self::Separate, Self::Lock];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Transaction => "counter and row in a transaction",
            Self::Separate => "counter, then row",
            Self::Lock => "read, check, write under a lock",
        }
    }
}

/// One counter with its rows.
pub(super) struct Naive {
    client: Client,
    store: Arc<Store>,
    design: Design,
    /// What its keys begin with.
    name: String,
    capacity: u64,
    /// Whether each member gets a number; else only the sum counts.
    is_numbered: bool,
}

impl Naive {
    pub(super) fn new(
        lab: &Lab,
        design: Design,
        capacity: u64,
        is_numbered: bool,
    ) -> Result<Self, BenchError> {
        let store = lab.another_store()?;
        let client = Client::new(&lab.world.sdk_config());
        let name = store.ulid().to_string();
        Ok(Self { client, store, design, name, capacity, is_numbered })
    }

    /// All arrivals ask it, and what went wrong is counted.
    pub(super) async fn fill(
        &self,
        lab: &Lab,
        arrivals: &[Arrival],
        callers: usize,
        sum: &mut Sum,
    ) -> Result<(), BenchError> {
        self.put_counter(0).await?;
        lab.world.recorder().reset();
        let take = |_, arrival: Arrival| {
            let member = lab.member(arrival.member);
            async move { self.take(&member, arrival.amount).await }
        };
        let told = sum.fill(arrivals, callers, take).await?;
        // A transaction has two actions, of two units each.
        let units = Spent::read(lab.world.recorder()).with_failed(1.0, 4.0);
        sum.check(units, &told, self.stored().await?, self.capacity);
        Ok(())
    }

    /// A member takes that much.
    async fn take(&self, member: &str, amount: u64) -> Result<Taken, BenchError> {
        match self.design {
            Design::Transaction => self.in_transaction(member, amount).await,
            Design::Separate => self.separately(member, amount).await,
            Design::Lock => self.under_lock(member, amount).await,
        }
    }

    fn key(&self, what: &str) -> Av {
        Av::S(format!("{}#{what}", self.name))
    }

    fn row(&self, member: &str, amount: u64) -> HashMap<String, Av> {
        let pk = self.key(&format!("row#{member}"));
        HashMap::from([("pk".to_owned(), pk), ("amount".to_owned(), number(amount))])
    }

    async fn put_counter(&self, taken: u64) -> Result<(), BenchError> {
        let put = self.client.put_item().table_name(TABLE).item("pk", self.key("counter"));
        put.item("taken", number(taken)).send().await.map(drop).map_err(broken)
    }

    async fn read(&self, pk: Av, what: &str) -> Result<Option<u64>, BenchError> {
        let get = self.client.get_item().table_name(TABLE).key("pk", pk).consistent_read(true);
        let item = get.send().await.map_err(broken)?.item;
        Ok(item.and_then(|item| read_number(&item, what)))
    }

    async fn taken(&self) -> Result<u64, BenchError> {
        Ok(self.read(self.key("counter"), "taken").await?.unwrap_or(0))
    }

    async fn has_row(&self, member: &str) -> Result<bool, BenchError> {
        let row = self.read(self.key(&format!("row#{member}")), "amount").await?;
        Ok(row.is_some())
    }

    async fn wait(&self, tried: u32) {
        if tried > 0 {
            let most = 1_u32.checked_shl(tried).unwrap_or(WAIT_MS_MAX).min(WAIT_MS_MAX);
            self.store.pause_ms(self.store.below(most).into()).await;
        }
    }

    /// The conditions:
    /// * counter, with numbers, `taken = before`: the number is not another member's;
    /// * counter, without, `taken <= most`: so much remains;
    /// * row, `attribute_not_exists(pk)`: the member has none.
    async fn in_transaction(&self, member: &str, amount: u64) -> Result<Taken, BenchError> {
        for tried in 0..TRIES_MAX {
            self.wait(tried).await;
            let most = self.capacity.saturating_sub(amount);
            let before = if self.is_numbered { self.taken().await? } else { 0 };
            if before > most {
                return Ok(if self.has_row(member).await? { Taken::Already } else { Taken::Full });
            }
            let (condition, bound) = match self.is_numbered {
                true => ("taken = :bound", before),
                false => ("taken <= :bound", most),
            };
            let update = Update::builder()
                .table_name(TABLE)
                .key("pk", self.key("counter"))
                .update_expression("SET taken = taken + :amount")
                .condition_expression(condition)
                .expression_attribute_values(":amount", number(amount))
                .expression_attribute_values(":bound", number(bound));
            let put = Put::builder()
                .table_name(TABLE)
                .set_item(Some(self.row(member, amount)))
                .condition_expression("attribute_not_exists(pk)");
            let transact = self
                .client
                .transact_write_items()
                .transact_items(item().update(update.build().map_err(broken)?).build())
                .transact_items(item().put(put.build().map_err(broken)?).build());
            let Err(error) = transact.send().await else {
                return Ok(Taken::Got { number: before.saturating_add(amount) });
            };
            let refused = error.as_service_error().and_then(|error| match error {
                TransactWriteItemsError::TransactionCanceledException(cancelled) => {
                    cancelled.cancellation_reasons.clone()
                }
                _ => None,
            });
            let Some(reasons) = refused else { return Err(broken(error)) };
            let failed = |at: usize| {
                let code = reasons.get(at).and_then(|reason| reason.code.as_deref());
                code == Some("ConditionalCheckFailed")
            };
            if failed(1) {
                return Ok(Taken::Already);
            }
            if failed(0) && !self.is_numbered {
                return Ok(Taken::Full);
            }
        }
        Ok(Taken::Unanswered)
    }

    /// Condition of the counter, `taken <= most`: so much remains. The row has none.
    async fn separately(&self, member: &str, amount: u64) -> Result<Taken, BenchError> {
        if self.has_row(member).await? {
            return Ok(Taken::Already);
        }
        let counted = self
            .client
            .update_item()
            .table_name(TABLE)
            .key("pk", self.key("counter"))
            .update_expression("SET taken = taken + :amount")
            .condition_expression("taken <= :most")
            .expression_attribute_values(":amount", number(amount))
            .expression_attribute_values(":most", number(self.capacity.saturating_sub(amount)))
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await;
        let counted = match counted {
            Ok(counted) => counted.attributes.unwrap_or_default(),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                return Ok(Taken::Full);
            }
            Err(error) => return Err(broken(error)),
        };
        self.put_row(member, amount).await?;
        Ok(Taken::Got { number: read_number(&counted, "taken").unwrap_or(0) })
    }

    async fn put_row(&self, member: &str, amount: u64) -> Result<(), BenchError> {
        let put = self.client.put_item().table_name(TABLE);
        let put = put.set_item(Some(self.row(member, amount)));
        put.send().await.map(drop).map_err(broken)
    }

    async fn under_lock(&self, member: &str, amount: u64) -> Result<Taken, BenchError> {
        for tried in 0..TRIES_MAX {
            self.wait(tried).await;
            if self.lock().await? {
                let taken = self.while_locked(member, amount).await;
                // Without a condition: a lock that was held for too long may be another's by now.
                let free = self.client.delete_item().table_name(TABLE).key("pk", self.key("lock"));
                free.send().await.map_err(broken)?;
                return taken;
            }
        }
        Ok(Taken::Unanswered)
    }

    /// Condition: `attribute_not_exists(pk)`: nobody holds it; or `until_ms < now`: its holder has
    /// held it for too long and may be dead.
    async fn lock(&self) -> Result<bool, BenchError> {
        let now = self.store.now().ms();
        let put = self.client.put_item().table_name(TABLE).item("pk", self.key("lock"));
        let locked = put
            .item("until_ms", Av::N(now.saturating_add(LEASE_MS).to_string()))
            .condition_expression("attribute_not_exists(pk) OR until_ms < :now")
            .expression_attribute_values(":now", Av::N(now.to_string()))
            .send()
            .await;
        match locked {
            Ok(_) => Ok(true),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(PutItemError::is_conditional_check_failed_exception) =>
            {
                Ok(false)
            }
            Err(error) => Err(broken(error)),
        }
    }

    async fn while_locked(&self, member: &str, amount: u64) -> Result<Taken, BenchError> {
        if self.has_row(member).await? {
            return Ok(Taken::Already);
        }
        let after = self.taken().await?.saturating_add(amount);
        if after > self.capacity {
            return Ok(Taken::Full);
        }
        self.put_counter(after).await?;
        self.put_row(member, amount).await?;
        Ok(Taken::Got { number: after })
    }

    /// What its items say.
    async fn stored(&self) -> Result<Stored, BenchError> {
        let mut stored = Stored { taken: self.taken().await?, given: 0 };
        let mut start = None;
        loop {
            let scan = self.client.scan().table_name(TABLE).consistent_read(true);
            let scan = scan.filter_expression("begins_with(pk, :rows)");
            let scan = scan.expression_attribute_values(":rows", self.key("row#"));
            let page = scan.set_exclusive_start_key(start).send().await.map_err(broken)?;
            for row in page.items() {
                let amount = read_number(row, "amount").unwrap_or(0);
                stored.given = stored.given.saturating_add(amount);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(stored);
            }
        }
    }
}

fn item() -> TransactWriteItemBuilder {
    TransactWriteItem::builder()
}

fn number(number: u64) -> Av {
    Av::N(number.to_string())
}

fn read_number(item: &HashMap<String, Av>, name: &str) -> Option<u64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}
