//! Grants, the records of draws: table `grants`, whose stream the outbox reads.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use largesse_app::page::Page;
use largesse_app::ports::{GrantRef, Grants, PayOutcome, PortResult, Recorded};
use largesse_domain::grant::{Grant, GrantStatus};
use largesse_domain::id::{PoolId, UserId};
use largesse_domain::pool::Drawn;

use crate::errors::{corrupt, port_error};
use crate::item::{Item, Reader, item, n, s};
use crate::keys::{self, MEMBER, PK, SK};
use crate::store::Store;

fn grant_item(grant: &Grant) -> Item {
    let mut item = keys::grant(grant.pool, &grant.member);
    let mut put = |name: &str, value| item.insert(name.to_owned(), value);
    put("grant_id", s(grant.id));
    put("amount", n(grant.amount));
    put("drawn", n(grant.drawn.pack()));
    put("counterpart", s(&grant.counterpart));
    put("status", s(grant.status.as_str()));
    put("attempts", n(grant.attempts));
    item
}

fn status_of(reader: &Reader<'_>) -> PortResult<GrantStatus> {
    GrantStatus::from_name(reader.text("status")?).ok_or_else(|| reader.corrupt())
}

pub(crate) fn read_grant(item: &Item) -> PortResult<Grant> {
    let reader = Reader { item, what: "grant item" };
    let drawn = Drawn::unpack(reader.number("drawn")?).map_err(|_| reader.corrupt())?;
    Ok(Grant {
        id: reader.parse("grant_id")?,
        pool: reader.parse(PK)?,
        member: reader.parse_after(SK, MEMBER)?,
        amount: reader.amount("amount")?,
        drawn,
        counterpart: reader.parse("counterpart")?,
        status: status_of(&reader)?,
        attempts: reader.number("attempts")?,
        failure: reader.optional("failure", |r, name| Ok(r.text(name)?.to_owned()))?,
    })
}

impl Grants for Store {
    async fn grant(&self, pool: PoolId, member: &UserId) -> PortResult<Option<Grant>> {
        let got = self
            .dynamo
            .get_item()
            .table_name(&self.names.grants)
            .set_key(Some(keys::grant(pool, member)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("read grant", error))?;
        got.item.map(|item| read_grant(&item)).transpose()
    }

    async fn record(&self, grant: &Grant) -> PortResult<Recorded> {
        let put = self
            .dynamo
            .put_item()
            .table_name(&self.names.grants)
            .set_item(Some(grant_item(grant)))
            // The member has no grant from this pool: one record each, for ever. What stands there
            // is returned, and tells a repeat of this draw from another draw.
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match put {
            Ok(_) => return Ok(Recorded::New),
            Err(error) => error,
        };
        let Some(PutItemError::ConditionalCheckFailedException(failed)) = error.as_service_error()
        else {
            return Err(port_error("record grant", error));
        };
        let earlier = read_grant(failed.item().ok_or_else(|| corrupt("grant item"))?)?;
        Ok(if earlier.drawn == grant.drawn {
            Recorded::Same(earlier)
        } else {
            Recorded::Other(earlier)
        })
    }

    async fn grants_of(
        &self,
        pool: PoolId,
        after: Option<UserId>,
        limit: u32,
    ) -> PortResult<Page<Grant, UserId>> {
        let got = self
            .dynamo
            .query()
            .table_name(&self.names.grants)
            .key_condition_expression("#pk = :pool")
            .expression_attribute_names("#pk", PK)
            .expression_attribute_values(":pool", s(pool))
            .set_exclusive_start_key(after.map(|member| keys::grant(pool, &member)))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("list grants", error))?;
        let items = got.items.unwrap_or_default();
        let rows: Vec<Grant> = items.iter().map(read_grant).collect::<PortResult<_>>()?;
        let next = got.last_evaluated_key.and_then(|_| rows.last().map(|g| g.member.clone()));
        Ok(Page { rows, next })
    }

    async fn note_outcome(&self, grant: &Grant, outcome: &PayOutcome) -> PortResult<GrantStatus> {
        let update = self
            .dynamo
            .update_item()
            .table_name(&self.names.grants)
            .set_key(Some(keys::grant(grant.pool, &grant.member)))
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":id", s(grant.id))
            .return_values(ReturnValue::None)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let (update, status) = match outcome {
            PayOutcome::Paid => (
                update
                    // This very grant: the ledger has moved its money, so nothing else matters.
                    .condition_expression("grant_id = :id")
                    .update_expression("SET #status = :status REMOVE failure"),
                GrantStatus::Success,
            ),
            PayOutcome::NotPaid { attempts, status, failure } => (
                update
                    // This very grant; not paid by another worker meanwhile; and no later failure
                    // was counted before (the number of attempts never falls).
                    .condition_expression(
                        "grant_id = :id AND #status <> :paid AND attempts <= :attempts",
                    )
                    .update_expression(
                        "SET #status = :status, attempts = :attempts, failure = :failure",
                    )
                    .expression_attribute_values(":paid", s(GrantStatus::Success.as_str()))
                    .expression_attribute_values(":attempts", n(attempts))
                    .expression_attribute_values(":failure", s(failure)),
                *status,
            ),
        };
        let sent = update.expression_attribute_values(":status", s(status.as_str())).send().await;
        let error = match sent {
            Ok(_) => return Ok(status),
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                let item = failed.item().ok_or_else(|| corrupt("grant item"))?;
                status_of(&Reader { item, what: "grant item" })
            }
            _ => Err(port_error("note outcome", error)),
        }
    }
}

/// Some of the grants that nobody has tried to pay.
#[derive(Debug, Default)]
pub struct Untried {
    /// Which they are.
    pub grants: Vec<GrantRef>,
    /// The keys, pk and sk, of those that cannot be read: nobody can pay them as they are.
    pub unreadable: Vec<(String, String)>,
    /// The keys, pk and sk, behind which to read on; `None` at the end. As they stand: what cannot
    /// be read must not keep what lies behind it from being read.
    pub next: Option<(String, String)>,
}

/// For an operator's hands only: no function may call these.
impl Store {
    /// Lets a grant that was given up be tried anew, as often as any. Gives where the grant stands
    /// then, or `None` when there is none of that id. Repeating it changes nothing, and what is
    /// paid stays paid: the payment's id is the grant's, whoever tries. It looks at the id and the
    /// status only: whether anybody can read the rest is the caller's to find out.
    ///
    /// # Errors
    /// [`largesse_app::ports::PortError`].
    pub async fn revive_grant(&self, wanted: &GrantRef) -> PortResult<Option<GrantStatus>> {
        let sent = self
            .dynamo
            .update_item()
            .table_name(&self.names.grants)
            .set_key(Some(keys::grant(wanted.pool, &wanted.member)))
            // The failure stays to be read; `attempts` starts again, or the first failure would
            // be the last.
            .update_expression("SET #status = :failed, attempts = :none")
            // This very grant; and given up: a paid one must never look unpaid, and one that is
            // still being tried must not be tried more often than its policy says.
            .condition_expression("grant_id = :id AND #status = :given_up")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":id", s(wanted.id))
            .expression_attribute_values(":failed", s(GrantStatus::Failed.as_str()))
            .expression_attribute_values(":none", n(0))
            .expression_attribute_values(":given_up", s(GrantStatus::PermanentlyFailed.as_str()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match sent {
            Ok(_) => return Ok(Some(GrantStatus::Failed)),
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                let Some(item) = failed.item() else { return Ok(None) };
                let reader = Reader { item, what: "grant item" };
                if reader.text("grant_id")? != wanted.id.to_string() {
                    return Ok(None);
                }
                status_of(&reader).map(Some)
            }
            _ => Err(port_error("revive grant", error)),
        }
    }

    /// Grants that nobody has tried to pay, a page of the table at a time; most of them are only on
    /// their way. Strongly consistent. It reads the whole table: for the rare day on which the
    /// outbox gave up.
    ///
    /// # Errors
    /// [`largesse_app::ports::PortError`].
    pub async fn untried_grants(&self, after: Option<(String, String)>) -> PortResult<Untried> {
        let got = self
            .dynamo
            .scan()
            .table_name(&self.names.grants)
            .filter_expression("#status = :pending")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":pending", s(GrantStatus::Pending.as_str()))
            .set_exclusive_start_key(after.map(|(pk, sk)| item([(PK, s(pk)), (SK, s(sk))])))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("list untried grants", error))?;
        let keys_of = |item: &Item| -> PortResult<(String, String)> {
            let reader = Reader { item, what: "grant key" };
            Ok((reader.text(PK)?.to_owned(), reader.text(SK)?.to_owned()))
        };
        let mut untried = Untried::default();
        for item in got.items.unwrap_or_default() {
            match read_grant(&item) {
                Ok(Grant { id, pool, member, .. }) => {
                    untried.grants.push(GrantRef { pool, member, id });
                }
                Err(_) => untried.unreadable.push(keys_of(&item)?),
            }
        }
        untried.next = got.last_evaluated_key.as_ref().map(keys_of).transpose()?;
        Ok(untried)
    }
}
