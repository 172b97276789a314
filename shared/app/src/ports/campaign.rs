//! Campaigns: their lives, parts, counters and audit.

mod jobs;
mod watch;

use std::future::Future;

use largesse_domain::campaign::{Agenda, AuditEntry, Campaign, Hash, Part, PartNumber, Tally};
use largesse_domain::id::CampaignId;

use super::{Once, PortResult, Written};
use crate::page::Page;
use crate::trace::TraceId;

pub use self::jobs::{CampaignJob, CampaignJobs};
pub use self::watch::{Backlog, CampaignMarks, Mark};

/// Something that is stored, and how often it was written: 0 when it never was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versioned<T> {
    /// What is stored.
    pub value: T,
    /// How often it was written.
    pub version: u64,
    /// The trace of the last request of a member that wrote it; of campaigns alone.
    pub trace: Option<TraceId>,
}

/// The counters of a campaign are kept in this many items, by chunk number modulo this, so that
/// workers that commit at once seldom write the same item. 5,000 rows a second are 50 commits.
pub const COUNT_SHARDS: u32 = 16;

/// What a change does to the counters, shard by shard: [`COUNT_SHARDS`] of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CountsChange {
    /// The campaign is sealed: the counters begin with these.
    Open(Vec<Tally>),
    /// Rows are opened again: the counters are as they were read in `seen`, and become `after`.
    Replace {
        /// As they were read.
        seen: Vec<Tally>,
        /// As they become.
        after: Vec<Tally>,
    },
}

/// One action on a campaign, all of it or nothing.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// The campaign as it was read.
    pub seen: &'a Versioned<Campaign>,
    /// The campaign as it becomes.
    pub campaign: &'a Campaign,
    /// The action's entry in the audit; `campaign.audit` is its head.
    pub entry: &'a AuditEntry,
    /// The part that is added, if one is.
    pub part: Option<&'a Part>,
    /// The agenda as it was read and as it becomes, if it changes.
    pub agenda: Option<(&'a Versioned<Agenda>, &'a Agenda)>,
    /// What becomes of the counters, if they change.
    pub counts: Option<&'a CountsChange>,
}

/// Campaigns.
pub trait Campaigns: Send + Sync {
    /// Makes a campaign with the first entry of its audit, at most once for its id.
    fn create_campaign(
        &self,
        campaign: &Campaign,
        entry: &AuditEntry,
    ) -> impl Future<Output = PortResult<Once<Campaign>>> + Send;

    /// A campaign. Strongly consistent.
    fn campaign(
        &self,
        id: CampaignId,
    ) -> impl Future<Output = PortResult<Option<Versioned<Campaign>>>> + Send;

    /// What waits and what runs. Strongly consistent.
    fn agenda(&self) -> impl Future<Output = PortResult<Versioned<Agenda>>> + Send;

    /// Carries out an action in one transaction, if campaign, agenda and counters are as they were
    /// read and the part's number is free. Idempotent: a repeat after a lost reply finds its own
    /// entry in the audit and is [`Written::Done`].
    fn save_campaign(
        &self,
        change: &Change<'_>,
    ) -> impl Future<Output = PortResult<Written>> + Send;

    /// Corrects an agenda that contradicts a campaign, if it is as it was read. A repeat after a
    /// lost reply is [`Written::Changed`].
    fn mend_agenda(
        &self,
        seen: &Versioned<Agenda>,
        agenda: &Agenda,
    ) -> impl Future<Output = PortResult<Written>> + Send;

    /// A part of a campaign. Strongly consistent.
    fn part(
        &self,
        id: CampaignId,
        number: PartNumber,
    ) -> impl Future<Output = PortResult<Option<Part>>> + Send;

    /// All parts of a campaign, in the order of their numbers. Strongly consistent.
    fn parts(&self, id: CampaignId) -> impl Future<Output = PortResult<Vec<Part>>> + Send;

    /// The counters of a campaign, shard by shard; none before it is sealed. Strongly consistent;
    /// each shard is exact at the moment when it is read.
    fn counts(&self, id: CampaignId) -> impl Future<Output = PortResult<Vec<Tally>>> + Send;

    /// The ids of the campaigns made before that one, newest first. May lag behind by a second.
    fn campaign_ids(
        &self,
        before: Option<CampaignId>,
        limit: u32,
    ) -> impl Future<Output = PortResult<Page<CampaignId, CampaignId>>> + Send;

    /// The campaigns made before that one, newest first. May lag behind by a second.
    fn campaigns(
        &self,
        before: Option<CampaignId>,
        limit: u32,
    ) -> impl Future<Output = PortResult<Page<Campaign, CampaignId>>> + Send;

    /// The audit of a campaign behind the entry `after`, in order. Strongly consistent.
    fn audit_of(
        &self,
        id: CampaignId,
        after: u64,
        limit: u32,
    ) -> impl Future<Output = PortResult<Vec<AuditEntry>>> + Send;

    /// The first campaign that sealed rows of this hash: `id` itself, unless another one was before.
    /// Idempotent.
    fn first_with_rows(
        &self,
        rows: Hash,
        id: CampaignId,
    ) -> impl Future<Output = PortResult<CampaignId>> + Send;
}
