//! The transactions that write campaigns.

use aws_sdk_dynamodb::types::builders::PutBuilder;
use aws_sdk_dynamodb::types::{
    CancellationReason, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use largesse_app::invocation;
use largesse_app::ports::{Change, CountsChange, Once, PortResult, Versioned, Written};
use largesse_domain::campaign::{Actor, Agenda, AuditEntry, Campaign, Tally};
use largesse_domain::id::CampaignId;

use super::agenda::agenda_item;
use super::audit::{audit_item, read_audit};
use super::codec::{VERSION, campaign_item, part_item, read_campaign};
use super::counts::{count_item, tally_values};
use crate::errors::{TransactError, corrupt};
use crate::item::{Item, n};
use crate::keys;
use crate::store::Store;
use crate::wallet::request_token;

/// Where campaign and audit stand in each transaction.
const CAMPAIGN_AT: usize = 0;
const AUDIT_AT: usize = 1;

/// The condition of an item that is written once.
const ABSENT: &str = "attribute_not_exists(pk)";

fn action(put: PutBuilder) -> PortResult<TransactWriteItem> {
    let put = put.build().map_err(|_| corrupt("campaign put"))?;
    Ok(TransactWriteItem::builder().put(put).build())
}

fn old(reasons: &[CancellationReason], index: usize) -> Option<&Item> {
    reasons.get(index).and_then(CancellationReason::item).filter(|item| !item.is_empty())
}

impl Store {
    fn campaigns_put(&self, item: Item) -> PutBuilder {
        Put::builder().table_name(&self.names.campaigns).set_item(Some(item))
    }

    /// Writes a new item of the table; when there is one under its key, that one comes back.
    fn put_once(&self, item: Item) -> PortResult<TransactWriteItem> {
        let all_old = ReturnValuesOnConditionCheckFailure::AllOld;
        let put = self.campaigns_put(item).condition_expression(ABSENT);
        action(put.return_values_on_condition_check_failure(all_old))
    }

    /// A new campaign and the first entry of its audit. The conditions: neither was ever made;
    /// permanent, where the request token lasts ten minutes.
    pub(super) async fn write_new_campaign(
        &self,
        campaign: &Campaign,
        entry: &AuditEntry,
    ) -> PortResult<Once<Campaign>> {
        let items = vec![
            self.put_once(campaign_item(campaign, 1, None))?,
            self.put_once(audit_item(campaign.id, entry))?,
        ];
        let token = request_token(&[&campaign.id.to_string(), &entry.hash.to_string()]);
        match self.transact("create campaign", token, items).await {
            Ok(()) => Ok(Once::Now(campaign.clone())),
            Err(TransactError::Port(error)) => Err(error),
            Err(TransactError::Refused(reasons)) => match old(&reasons, CAMPAIGN_AT) {
                Some(earlier) => Ok(Once::Before(read_campaign(earlier)?.value)),
                None => Err(corrupt("create campaign: it has an audit but is not there")),
            },
        }
    }

    /// An action. Its conditions, each beside its item:
    /// * the campaign is as it was read: no other action came between, so the rules decided on what
    ///   is there;
    /// * the entry's place in the audit is free: an entry is never overwritten, even where a
    ///   restored campaign does not know it;
    /// * the part's number is free;
    /// * the agenda is as it was read: no other campaign came on it or left it;
    /// * the counters are not there before the seal, or are as they were read.
    ///
    /// The entry that is found in the place tells a repeat from a loss: an entry's hash covers who
    /// did what when, so an equal one is this action's own.
    pub(super) async fn write_change(&self, change: &Change<'_>) -> PortResult<Written> {
        let Change { seen, campaign, entry, part, agenda, counts } = *change;
        let version = seen.version.saturating_add(1);
        // What the system does later belongs to the trace of the member's request that set it going.
        let trace = match entry.by {
            Actor::Member(_) => invocation::trace(),
            Actor::System => seen.trace,
        };
        let campaign_put = self
            .campaigns_put(campaign_item(campaign, version, trace))
            // As it was read: each action writes the next version.
            .condition_expression("#version = :seen")
            .expression_attribute_names("#version", VERSION)
            .expression_attribute_values(":seen", n(seen.version));
        let mut items = vec![action(campaign_put)?, self.put_once(audit_item(campaign.id, entry))?];
        if let Some(part) = part {
            items.push(self.put_once(part_item(campaign.id, part))?);
        }
        if let Some((seen, agenda)) = agenda {
            items.push(action(self.agenda_put(seen, agenda))?);
        }
        match counts {
            Some(CountsChange::Open(tallies)) => {
                for (shard, tally) in (0..).zip(tallies) {
                    items.push(self.put_once(count_item(campaign.id, shard, tally))?);
                }
            }
            Some(CountsChange::Replace { seen, after }) => {
                for (shard, (seen, after)) in (0..).zip(seen.iter().zip(after)) {
                    items.push(self.replacing(campaign.id, shard, seen, after)?);
                }
            }
            None => {}
        }
        // A request token may not come again with other contents: the entry says what is done, the
        // trace by which request, and the rest is what it is decided on.
        let agenda_seen = agenda.map_or(0, |(seen, _)| seen.version).to_string();
        let id = campaign.id.to_string();
        let (hash, counts) = (entry.hash.to_string(), format!("{counts:?}{trace:?}"));
        let token = request_token(&[&id, &hash, &agenda_seen, &counts]);
        match self.transact("save campaign", token, items).await {
            Ok(()) => Ok(Written::Done),
            Err(TransactError::Port(error)) => Err(error),
            Err(TransactError::Refused(reasons)) => {
                let found = old(&reasons, AUDIT_AT).map(read_audit).transpose()?;
                let is_own = found.is_some_and(|found| found.hash == entry.hash);
                Ok(if is_own { Written::Done } else { Written::Changed })
            }
        }
    }

    /// The agenda, written over the one that was read.
    fn agenda_put(&self, seen: &Versioned<Agenda>, agenda: &Agenda) -> PutBuilder {
        let put = self.campaigns_put(agenda_item(agenda, seen.version.saturating_add(1)));
        if seen.version == 0 {
            // The first campaign of all comes on it.
            put.condition_expression(ABSENT)
        } else {
            // No campaign came on it or left it since.
            put.condition_expression("#version = :seen")
                .expression_attribute_names("#version", VERSION)
                .expression_attribute_values(":seen", n(seen.version))
        }
    }

    /// A shard of the counters, replaced. Its condition, a clause for each number: it is as it was
    /// read, so no commit is lost.
    fn replacing(
        &self,
        id: CampaignId,
        shard: u32,
        seen: &Tally,
        after: &Tally,
    ) -> PortResult<TransactWriteItem> {
        let join = |format: fn(&str) -> String, by: &str| {
            tally_values(seen).map(|(name, _)| format(name)).join(by)
        };
        let mut update = Update::builder()
            .table_name(&self.names.campaigns)
            .set_key(Some(keys::count(id, shard)))
            .update_expression(format!(
                "SET {}",
                join(|name| format!("{name} = :new_{name}"), ", ")
            ))
            .condition_expression(join(|name| format!("{name} = :old_{name}"), " AND "));
        for (name, value) in tally_values(seen) {
            update = update.expression_attribute_values(format!(":old_{name}"), n(value));
        }
        for (name, value) in tally_values(after) {
            update = update.expression_attribute_values(format!(":new_{name}"), n(value));
        }
        let update = update.build().map_err(|_| corrupt("counters update"))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// The agenda alone, on the condition that it is as it was read.
    pub(super) async fn write_agenda(
        &self,
        seen: &Versioned<Agenda>,
        agenda: &Agenda,
    ) -> PortResult<Written> {
        let items = vec![action(self.agenda_put(seen, agenda))?];
        let token =
            request_token(&["mend agenda", &seen.version.to_string(), &format!("{agenda:?}")]);
        match self.transact("mend agenda", token, items).await {
            Ok(()) => Ok(Written::Done),
            Err(TransactError::Port(error)) => Err(error),
            Err(TransactError::Refused(_)) => Ok(Written::Changed),
        }
    }
}
