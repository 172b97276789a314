//! Grants that were refused: table `grants`. A grant that is pending or paid has no item.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use largesse_app::ports::{FailedGrants, Grants, PortResult, Written};
use largesse_domain::grant::{FailedGrant, Grant, GrantStatus, Reason};
use largesse_domain::id::{PoolId, UserId};

use crate::errors::port_error;
use crate::item::{Item, Reader, item, ms, n, s};
use crate::keys::{self, MEMBER, PK, SK};
use crate::store::Store;

pub mod dead;
pub mod message;

pub(crate) const STATUS: &str = "status";

fn failed_item(failed: &FailedGrant) -> Item {
    let grant = &failed.grant;
    let mut item = keys::grant(grant.source, &grant.member);
    let mut put = |name: &str, value| item.insert(name.to_owned(), value);
    put("grant_id", s(grant.id));
    put("amount", n(grant.amount));
    put("reason", s(grant.reason.as_str()));
    put("funder", s(&grant.funder));
    put(STATUS, s(failed.status.as_str()));
    put("attempts", n(failed.attempts));
    put("failure", s(&failed.failure));
    put("failed_ms", ms(failed.failed_at));
    item
}

pub(crate) fn status_of(reader: &Reader<'_>) -> PortResult<GrantStatus> {
    GrantStatus::from_name(reader.text(STATUS)?).ok_or_else(|| reader.corrupt())
}

pub(crate) fn read_failed(item: &Item) -> PortResult<FailedGrant> {
    let reader = Reader { item, what: "grant item" };
    // The failed rows of a campaign stand with its chunks, never here.
    let source: PoolId = reader.parse(PK)?;
    if !matches!(source, PoolId::Spray(_) | PoolId::Drop(_)) {
        return Err(reader.corrupt());
    }
    let grant = Grant {
        id: reader.parse("grant_id")?,
        source,
        member: reader.parse_after(SK, MEMBER)?,
        amount: reader.amount("amount")?,
        reason: Reason::from_name(reader.text("reason")?).ok_or_else(|| reader.corrupt())?,
        funder: reader.parse("funder")?,
        memo: None,
    };
    Ok(FailedGrant {
        grant,
        status: status_of(&reader)?,
        attempts: reader.number("attempts")?,
        failure: reader.text("failure")?.to_owned(),
        failed_at: reader.ms("failed_ms")?,
    })
}

impl Grants for Store {
    async fn failed_grant(
        &self,
        source: PoolId,
        member: &UserId,
    ) -> PortResult<Option<FailedGrant>> {
        let got = self
            .dynamo
            .get_item()
            .table_name(&self.names.grants)
            .set_key(Some(keys::grant(source, member)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("read failed grant", error))?;
        got.item.map(|item| read_failed(&item)).transpose()
    }

    async fn failed_grants(
        &self,
        source: PoolId,
        after: Option<String>,
        limit: u32,
    ) -> PortResult<FailedGrants> {
        let key = |member: String| item([(PK, s(source)), (SK, s(format!("{MEMBER}{member}")))]);
        let got = self
            .dynamo
            .query()
            .table_name(&self.names.grants)
            .key_condition_expression("#pk = :source")
            .expression_attribute_names("#pk", PK)
            .expression_attribute_values(":source", s(source))
            .set_exclusive_start_key(after.map(key))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("list failed grants", error))?;
        let member = |item: &Item| -> PortResult<String> {
            Reader { item, what: "grant key" }.parse_after(SK, MEMBER)
        };
        let mut page = FailedGrants::default();
        for item in got.items.unwrap_or_default() {
            match read_failed(&item) {
                Ok(failed) => page.rows.push(failed),
                Err(_) => page.unreadable.push(member(&item)?),
            }
        }
        page.next = got.last_evaluated_key.as_ref().map(member).transpose()?;
        Ok(page)
    }

    async fn put_failed(&self, failed: &FailedGrant, seen_attempts: u32) -> PortResult<Written> {
        let put = self.dynamo.put_item().table_name(&self.names.grants);
        let put = if seen_attempts == 0 {
            // No item, or one that an operator's retry has reset: `attempts = 0`.
            put.condition_expression(
                "attribute_not_exists(pk) \
                 OR (grant_id = :id AND attempts = :seen AND #status <> :voided)",
            )
        } else {
            // This very grant. As many refusals as were read: each refusal counts once,
            // whichever worker counts it. Not voided: a voided grant stays voided.
            put.condition_expression("grant_id = :id AND attempts = :seen AND #status <> :voided")
        };
        let sent = put
            .set_item(Some(failed_item(failed)))
            .expression_attribute_names("#status", STATUS)
            .expression_attribute_values(":id", s(failed.grant.id))
            .expression_attribute_values(":seen", n(seen_attempts))
            .expression_attribute_values(":voided", s(GrantStatus::Voided.as_str()))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Written::Done),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(Written::Changed),
                _ => Err(port_error("write failed grant", error)),
            },
        }
    }

    async fn remove_failed(&self, paid: &Grant) -> PortResult<()> {
        // No condition: the ledger has the transfer, and a member has one grant from a source.
        self.dynamo
            .delete_item()
            .table_name(&self.names.grants)
            .set_key(Some(keys::grant(paid.source, &paid.member)))
            .send()
            .await
            .map(drop)
            .map_err(|error| port_error("remove failed grant", error))
    }
}

/// Some of the grants that were refused.
#[derive(Debug, Default)]
pub struct FailedPage {
    /// The grants.
    pub grants: Vec<FailedGrant>,
    /// The keys, pk and sk, of items that cannot be read.
    pub unreadable: Vec<(String, String)>,
    /// The keys, pk and sk, behind which to read on; `None` at the end.
    pub next: Option<(String, String)>,
}

impl Store {
    /// All grants that were refused, a page of the table at a time. Strongly consistent. For an
    /// operator's hands only: no function may scan this table.
    ///
    /// # Errors
    /// [`largesse_app::ports::PortError`].
    pub async fn scan_failed_grants(
        &self,
        after: Option<(String, String)>,
    ) -> PortResult<FailedPage> {
        let got = self
            .dynamo
            .scan()
            .table_name(&self.names.grants)
            .set_exclusive_start_key(after.map(|(pk, sk)| item([(PK, s(pk)), (SK, s(sk))])))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("scan failed grants", error))?;
        let keys_of = |item: &Item| -> PortResult<(String, String)> {
            let reader = Reader { item, what: "grant key" };
            Ok((reader.text(PK)?.to_owned(), reader.text(SK)?.to_owned()))
        };
        let mut page = FailedPage::default();
        for item in got.items.unwrap_or_default() {
            match read_failed(&item) {
                Ok(failed) => page.grants.push(failed),
                Err(_) => page.unreadable.push(keys_of(&item)?),
            }
        }
        page.next = got.last_evaluated_key.as_ref().map(keys_of).transpose()?;
        Ok(page)
    }
}
