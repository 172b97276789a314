//! A campaign on the wire.

use largesse_domain::campaign::{Campaign, Duplicates, Parts, Tally, Terms};
use serde::Serialize;
use utoipa::ToSchema;

use super::counts::{AmountsView, CountsView};
use super::estimate::{cost_micro_usd, eta_s};
use crate::config::MoneyFacts;
use crate::time;

/// The terms of a campaign.
#[derive(Debug, Serialize, ToSchema)]
pub struct TermsView {
    /// The reason of a row that has none; empty when each row must have its own.
    #[schema(example = "Attendance in October")]
    default_reason: String,
    /// The amount of a row that has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1_000)]
    default_amount: Option<u64>,
    /// Nothing is paid earlier.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2026-01-31T09:00:00.000Z", format = DateTime)]
    starts_at: Option<String>,
    /// Which runs first of those due at the same time: the higher one.
    #[schema(example = 0)]
    priority: u8,
    /// What happens to a member who is named twice: `first`, `refuse` or `sum`.
    #[schema(example = "first")]
    duplicates: &'static str,
    /// How many members other than the creator approve it: 0 or 1.
    #[schema(example = 0)]
    approvals: u8,
}

impl From<&Terms> for TermsView {
    fn from(terms: &Terms) -> Self {
        Self {
            default_reason: terms.default_reason.as_str().to_owned(),
            default_amount: terms.default_amount.map(|amount| amount.get()),
            starts_at: terms.starts_at.map(time::format),
            priority: terms.priority.get(),
            duplicates: terms.duplicates.as_str(),
            approvals: terms.approvals.count(),
        }
    }
}

/// What the parts hold together.
#[derive(Debug, Serialize, ToSchema)]
pub struct PartsView {
    /// How many parts there are.
    #[schema(example = 2)]
    count: u32,
    /// Their accepted rows, duplicates included.
    #[schema(example = 1_500)]
    rows: u64,
    /// Rows that were refused and left out.
    #[schema(example = 1)]
    refused: u64,
    /// What the accepted rows sum to.
    #[schema(example = 1_500_000)]
    amount: u64,
}

impl From<&Parts> for PartsView {
    fn from(parts: &Parts) -> Self {
        Self { count: parts.count, rows: parts.rows, refused: parts.refused, amount: parts.amount }
    }
}

/// Something to look at before the start.
#[derive(Debug, Serialize, ToSchema)]
pub struct WarningView {
    /// For programs: `same_rows`, `widths_differ`, `rows_refused` or `duplicates`.
    #[schema(example = "same_rows")]
    code: &'static str,
    /// For people.
    #[schema(example = "Another campaign sealed the same rows before.")]
    detail: String,
    /// For `same_rows`: the campaign that sealed them first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "01K9Z3NDEKTSV4RRFFQ69G5FAV")]
    campaign_id: Option<String>,
}

/// What the seal fixed.
#[derive(Debug, Serialize, ToSchema)]
pub struct SealedView {
    /// Rows that are paid.
    #[schema(example = 1_499)]
    rows: u64,
    /// What they sum to.
    #[schema(example = 1_499_000)]
    amount: u64,
    /// Rows that name a member again; `duplicates.csv` lists them.
    #[schema(example = 1)]
    duplicates: u64,
    /// Rows that the parts left out.
    #[schema(example = 1)]
    refused: u64,
    /// The hash that approve, start and force name: it covers all that is paid, and the terms.
    content_hash: String,
    /// The hash of the rows alone: equal for two campaigns with the same rows.
    rows_hash: String,
    /// When.
    #[schema(example = "2026-01-31T09:00:00.000Z", format = DateTime)]
    sealed_at: String,
    /// The seconds that the payments take at the rate of the money service; absent when the
    /// deployment states none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 15)]
    eta_s: Option<u64>,
    /// An estimate of what the writes cost at AWS, in millionths of a US dollar: of bookkeeping, and
    /// of payments where the ledger pays.
    #[schema(example = 4_029)]
    cost: u64,
    /// What to look at before the start.
    warnings: Vec<WarningView>,
}

impl SealedView {
    /// `None` before the campaign is sealed.
    fn of(campaign: &Campaign, money: MoneyFacts) -> Option<Self> {
        let (sealed, seal) = (campaign.life.sealed?, campaign.seal?);
        let totals = sealed.totals;
        Some(Self {
            rows: totals.rows,
            amount: totals.amount,
            duplicates: totals.duplicates,
            refused: totals.refused,
            content_hash: sealed.hash.to_string(),
            rows_hash: seal.rows.to_string(),
            sealed_at: time::format(seal.at),
            eta_s: eta_s(totals.rows, money.per_s),
            cost: cost_micro_usd(totals.rows, money.is_http),
            warnings: warnings(campaign),
        })
    }
}

/// What to look at before the start, the gravest first.
fn warnings(campaign: &Campaign) -> Vec<WarningView> {
    let (Some(sealed), Some(seal)) = (campaign.life.sealed, campaign.seal) else {
        return Vec::new();
    };
    let warning = |code, detail: String| WarningView { code, detail, campaign_id: None };
    let mut warnings = Vec::new();
    if let Some(first) = seal.same_as {
        let detail = "Another campaign sealed the same rows before: each member is paid by both.";
        let campaign_id = Some(first.to_string());
        warnings.push(WarningView { campaign_id, ..warning("same_rows", detail.to_owned()) });
    }
    if seal.widths_differ {
        let detail = "Ids of digits alone differ in width: a spreadsheet may have removed leading \
                      zeros.";
        warnings.push(warning("widths_differ", detail.to_owned()));
    }
    if sealed.totals.refused > 0 {
        let detail = match sealed.totals.refused {
            1 => "1 row was refused and is left out.".to_owned(),
            refused => format!("{refused} rows were refused and are left out."),
        };
        warnings.push(warning("rows_refused", detail));
    }
    if sealed.totals.duplicates > 0 {
        let fate = match campaign.terms.duplicates {
            Duplicates::First | Duplicates::Refuse => "the first row of each counts",
            Duplicates::Sum => "their amounts are added",
        };
        let detail = match sealed.totals.duplicates {
            1 => format!("1 row names a member again: {fate}."),
            duplicates => format!("{duplicates} rows name a member again: {fate}."),
        };
        warnings.push(warning("duplicates", detail));
    }
    warnings
}

/// Who approved.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApprovalView {
    /// The approver, never the creator.
    #[schema(example = "eve")]
    by: String,
}

/// A start that waits for its place in the order.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueuedView {
    /// Whether it runs beside other campaigns.
    #[schema(example = false)]
    forced: bool,
}

/// Where the audit ends. With it, a caller notices that the last entries were removed.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditHeadView {
    /// The number of the last entry.
    #[schema(example = 7)]
    seq: u64,
    /// Its hash.
    hash: String,
}

/// A campaign.
#[derive(Debug, Serialize, ToSchema)]
pub struct CampaignView {
    /// The permanent id.
    #[schema(example = "01K9Z3NDEKTSV4RRFFQ69G5FAV")]
    campaign_id: String,
    /// The name.
    #[schema(example = "Attendance in October")]
    name: String,
    /// `DRAFT`, `SEALING`, `WAITING`, `RUNNING`, `COMPLETED`, `FAILED`, `STOPPED`, `ROLLING_BACK` or
    /// `ROLLED_BACK`.
    #[schema(example = "RUNNING")]
    state: &'static str,
    /// Who made it.
    #[schema(example = "ann")]
    creator: String,
    /// When.
    #[schema(example = "2026-01-31T09:00:00.000Z", format = DateTime)]
    created_at: String,
    /// What its creator decided.
    terms: TermsView,
    /// What was uploaded.
    parts: PartsView,
    /// What the seal fixed; absent before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed: Option<SealedView>,
    /// Who approved it; absent before.
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<ApprovalView>,
    /// A start that waits for its time or for the campaigns before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    queued: Option<QueuedView>,
    /// The rows by where they stand; absent before the seal, and in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    counts: Option<CountsView>,
    /// Their amounts; absent with `counts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    amounts: Option<AmountsView>,
    /// When the last run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2026-01-31T09:10:00.000Z", format = DateTime)]
    started_at: Option<String>,
    /// When the last run or rollback ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2026-01-31T09:11:00.000Z", format = DateTime)]
    ended_at: Option<String>,
    /// Why the last seal was refused, what cannot be paid, or which fault ended the campaign.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// Where its audit ends.
    audit: AuditHeadView,
}

impl CampaignView {
    /// A campaign with its counters, if they are read.
    #[must_use]
    pub fn new(campaign: &Campaign, tally: Option<&Tally>, money: MoneyFacts) -> Self {
        let life = &campaign.life;
        // The counters are opened with the seal; before, they say nothing.
        let tally = tally.filter(|_| life.sealed.is_some());
        let approval = life.approval.as_ref();
        Self {
            campaign_id: campaign.id.to_string(),
            name: campaign.terms.name.as_str().to_owned(),
            state: life.state.as_str(),
            creator: life.creator.to_string(),
            created_at: time::format(campaign.made_at()),
            terms: (&campaign.terms).into(),
            parts: (&campaign.parts).into(),
            sealed: SealedView::of(campaign, money),
            approval: approval.map(|approval| ApprovalView { by: approval.by.to_string() }),
            queued: life.queued.map(|queued| QueuedView { forced: queued.forced }),
            counts: tally.map(Into::into),
            amounts: tally.map(Into::into),
            started_at: campaign.started_at.map(time::format),
            ended_at: campaign.ended_at.map(time::format),
            problem: campaign.problem.clone(),
            audit: AuditHeadView { seq: campaign.audit.seq, hash: campaign.audit.hash.to_string() },
        }
    }
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
