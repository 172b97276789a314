//! Campaigns: table `campaigns`, all but their rows.
//!
//! An action is one transaction (module `save`): the campaign, its entry in the audit, and what else it
//! changes. It holds only if all of them are as they were read, so that of two actions at once one
//! is decided anew.
//!
//! # Guarantees
//! * Of two actions at once one takes effect: `of_two_actions_at_once_one_is_decided_anew`.
//! * An action whose reply was lost takes effect once:
//!   `an_action_whose_reply_was_lost_is_done_and_stands_in_the_audit_once`.
//! * All of an action or nothing: `an_action_that_is_refused_changes_nothing`.

mod agenda;
mod audit;
mod codec;
pub(crate) mod counts;
pub mod ended;
pub mod jobs;
mod save;
pub mod stream;
mod watch;

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use largesse_app::page::Page;
use largesse_app::ports::{COUNT_SHARDS, Campaigns, Change, Once, PortResult, Versioned, Written};
use largesse_domain::campaign::{Agenda, AuditEntry, Campaign, Hash, Part, PartNumber, Tally};
use largesse_domain::id::CampaignId;

use self::agenda::read_agenda;
use self::audit::read_audit;
use self::codec::{read_campaign, read_part};
use self::counts::read_tally;
use crate::errors::{corrupt, port_error};
use crate::item::{Item, Reader, s};
use crate::keys::{self, BY_TIME, COUNT, PART};
use crate::store::Store;

/// The last place of an audit that its sort key has digits for.
const AUDIT_SEQ_MAX: u64 = 9_999_999_999;

impl Store {
    async fn read_campaigns_item(
        &self,
        operation: &'static str,
        key: Item,
    ) -> PortResult<Option<Item>> {
        let got = self
            .dynamo
            .get_item()
            .table_name(&self.names.campaigns)
            .set_key(Some(key))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error(operation, error))?;
        Ok(got.item)
    }

    /// A consistent query within one campaign.
    pub(crate) fn campaign_query(&self, id: CampaignId) -> QueryFluentBuilder {
        let query = self.dynamo.query().table_name(&self.names.campaigns).consistent_read(true);
        query.expression_attribute_values(":pk", s(keys::campaign_pk(id)))
    }

    /// All items of a campaign whose sort keys begin with `prefix`, in their order.
    pub(crate) async fn items_of(
        &self,
        operation: &'static str,
        id: CampaignId,
        prefix: &str,
    ) -> PortResult<Vec<Item>> {
        let query = self
            .campaign_query(id)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":prefix", s(prefix));
        read_on(operation, query, usize::MAX).await
    }
}

/// The items of a query, as many as are wanted: one reply holds 1 MB at most.
pub(crate) async fn read_on(
    operation: &'static str,
    query: QueryFluentBuilder,
    wanted: usize,
) -> PortResult<Vec<Item>> {
    let mut items: Vec<Item> = Vec::new();
    let mut start = None;
    loop {
        let left = i32::try_from(wanted.saturating_sub(items.len())).unwrap_or(i32::MAX);
        let got = query
            .clone()
            .limit(left)
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(|error| port_error(operation, error))?;
        items.extend(got.items.unwrap_or_default());
        start = got.last_evaluated_key;
        if start.is_none() || items.len() >= wanted {
            return Ok(items);
        }
    }
}

impl Campaigns for Store {
    async fn create_campaign(
        &self,
        campaign: &Campaign,
        entry: &AuditEntry,
    ) -> PortResult<Once<Campaign>> {
        self.write_new_campaign(campaign, entry).await
    }

    async fn campaign(&self, id: CampaignId) -> PortResult<Option<Versioned<Campaign>>> {
        let item = self.read_campaigns_item("read campaign", keys::campaign(id)).await?;
        item.map(|item| read_campaign(&item)).transpose()
    }

    async fn agenda(&self) -> PortResult<Versioned<Agenda>> {
        let item = self.read_campaigns_item("read agenda", keys::agenda()).await?;
        item.map_or_else(|| Ok(Versioned::default()), |item| read_agenda(&item))
    }

    async fn save_campaign(&self, change: &Change<'_>) -> PortResult<Written> {
        self.write_change(change).await
    }

    async fn mend_agenda(&self, seen: &Versioned<Agenda>, agenda: &Agenda) -> PortResult<Written> {
        self.write_agenda(seen, agenda).await
    }

    async fn part(&self, id: CampaignId, number: PartNumber) -> PortResult<Option<Part>> {
        let key = keys::campaign_part(id, number);
        let item = self.read_campaigns_item("read part", key).await?;
        item.map(|item| read_part(&item)).transpose()
    }

    async fn parts(&self, id: CampaignId) -> PortResult<Vec<Part>> {
        let items = self.items_of("list parts", id, PART).await?;
        items.iter().map(read_part).collect()
    }

    async fn counts(&self, id: CampaignId) -> PortResult<Vec<Tally>> {
        let items = self.items_of("read counters", id, COUNT).await?;
        let is_whole = u32::try_from(items.len()) == Ok(COUNT_SHARDS);
        if !items.is_empty() && !is_whole {
            return Err(corrupt("read counters: a shard is missing"));
        }
        items.iter().map(read_tally).collect()
    }

    async fn campaign_ids(
        &self,
        before: Option<CampaignId>,
        limit: u32,
    ) -> PortResult<Page<CampaignId, CampaignId>> {
        let got = self
            .dynamo
            .query()
            .table_name(&self.names.campaigns)
            .index_name(BY_TIME)
            .key_condition_expression("#list = :all")
            .expression_attribute_names("#list", keys::LIST)
            .expression_attribute_values(":all", s(keys::LIST_ALL))
            .set_exclusive_start_key(before.map(keys::by_time))
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| port_error("list campaigns", error))?;
        let read = |item: &Item| Reader { item, what: "campaign index" }.parse(keys::CAMPAIGN_ID);
        let ids: Vec<CampaignId> =
            got.items.unwrap_or_default().iter().map(read).collect::<PortResult<_>>()?;
        let next = got.last_evaluated_key.and_then(|_| ids.last().copied());
        Ok(Page { rows: ids, next })
    }

    async fn campaigns(
        &self,
        before: Option<CampaignId>,
        limit: u32,
    ) -> PortResult<Page<Campaign, CampaignId>> {
        let Page { rows: ids, next } = self.campaign_ids(before, limit).await?;
        let keys = ids.iter().map(|id| keys::campaign(*id)).collect();
        let found = self.batch_get("read campaigns", &self.names.campaigns, keys).await?;
        let found = found.iter().map(|item| {
            let campaign = read_campaign(item)?.value;
            Ok((campaign.id, campaign))
        });
        let mut found: HashMap<CampaignId, Campaign> = found.collect::<PortResult<_>>()?;
        Ok(Page { rows: ids.iter().filter_map(|id| found.remove(id)).collect(), next })
    }

    async fn audit_of(
        &self,
        id: CampaignId,
        after: u64,
        limit: u32,
    ) -> PortResult<Vec<AuditEntry>> {
        let first = after.saturating_add(1).min(AUDIT_SEQ_MAX);
        let query = self
            .campaign_query(id)
            .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
            .expression_attribute_values(":first", s(keys::audit_sk(first)))
            .expression_attribute_values(":last", s(keys::audit_sk(AUDIT_SEQ_MAX)));
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let items = read_on("read audit", query, wanted).await?;
        items.iter().map(read_audit).collect()
    }

    async fn first_with_rows(&self, rows: Hash, id: CampaignId) -> PortResult<CampaignId> {
        let mut item = keys::rows_of(rows);
        item.insert("campaign".to_owned(), s(id));
        let sent = self
            .dynamo
            .put_item()
            .table_name(&self.names.campaigns)
            .set_item(Some(item))
            // No campaign sealed these rows before: the first one stays.
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match sent {
            Ok(_) => return Ok(id),
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                let item = failed.item().ok_or_else(|| corrupt("rows item"))?;
                Reader { item, what: "rows item" }.parse("campaign")
            }
            _ => Err(port_error("remember rows", error)),
        }
    }
}
