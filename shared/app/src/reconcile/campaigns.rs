//! The figures of campaigns that are not in the ledger: how many were made, which of their rows
//! failed, and how long their runs took. They are read from the campaigns themselves.
//!
//! # Guarantees
//! * A row that failed for good is counted as failed until it is paid:
//!   `what_campaigns_failed_to_pay_is_in_the_figures`.
//! * A campaign that cannot be read holds up no other:
//!   `a_campaign_that_cannot_be_read_is_left_out_of_the_figures`.

use futures::{StreamExt, TryStreamExt};
use largesse_domain::campaign::{Campaign, Counts, State};
use largesse_domain::id::CampaignId;
use largesse_domain::product::made_at;
use largesse_domain::stats::{Cell, Feature, Latencies, Stats};
use largesse_domain::time::Timestamp;

use super::CONCURRENCY;
use super::walk::Counted;
use crate::ports::{Campaigns, PortErrorKind, PortResult};

/// Ids read at a time.
const PAGE: u32 = 100;

/// What the campaigns that were made in these moments came to, as they stand now. Each stands at the
/// moment at which it was made, as its payments do.
pub(super) async fn figures<D: Campaigns>(deps: &D, counted: Counted) -> PortResult<Stats> {
    let mut stats = Stats::default();
    let mut before = None;
    loop {
        let page = deps.campaign_ids(before, PAGE).await?;
        let ids = page.rows.iter().copied().filter(|id| counted.has(made_at(id.0)));
        let cells = futures::stream::iter(ids.map(|id| one(deps, id))).buffered(CONCURRENCY);
        let cells: Vec<(Timestamp, Cell)> = cells.try_collect().await?;
        for (at, cell) in cells {
            stats.add(at, Feature::Campaign, cell);
        }
        // The newest come first.
        match page.next.filter(|last| made_at(last.0) >= counted.from) {
            Some(last) => before = Some(last),
            None => return Ok(stats),
        }
    }
}

async fn one<D: Campaigns>(deps: &D, id: CampaignId) -> PortResult<(Timestamp, Cell)> {
    let at = made_at(id.0);
    match cell(deps, id).await {
        Ok(cell) => Ok((at, cell)),
        Err(error) if error.kind == PortErrorKind::Corrupt => {
            tracing::error!(campaign.id = %id, %error, "a campaign is missing from the figures");
            Ok((at, Cell::default()))
        }
        Err(error) => Err(error),
    }
}

async fn cell<D: Campaigns>(deps: &D, id: CampaignId) -> PortResult<Cell> {
    let Some(campaign) = deps.campaign(id).await? else { return Ok(Cell::default()) };
    let counts = Counts::of_shards(&deps.counts(id).await?);
    let failed = counts.map_or(0, |counts| counts.tally.failed.rows);
    let campaign = campaign.value;
    Ok(Cell {
        made: 1,
        made_amount: campaign.life.sealed.as_ref().map_or(0, |sealed| sealed.totals.amount),
        failed,
        latencies: run_of(&campaign),
        ..Cell::default()
    })
}

/// How long the last run took; nothing before its end.
fn run_of(campaign: &Campaign) -> Latencies {
    let ran = campaign.started_at.zip(campaign.ended_at);
    let ran = ran.filter(|_| campaign.life.state == State::Completed);
    ran.map_or_else(Latencies::default, |(began, ended)| Latencies::of(ended.ms_since(began)))
}
