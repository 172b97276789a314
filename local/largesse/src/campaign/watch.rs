//! `watch`: live counts until a campaign ends.

use largesse_domain::campaign::State;

use super::api::Api;
use super::progress::Progress;
use super::wire::{Campaign, Counts};
use super::{CampaignError, Ended, Say, load, text};

/// Shows how far a campaign has come until it ends, and then how it ended.
///
/// # Errors
/// [`CampaignError`].
pub async fn watch(api: &Api, out: &dyn Say, id: &str) -> Result<Ended, CampaignError> {
    let mut campaign = load::get(api, id).await?;
    let state = campaign.state.0;
    if matches!(state, State::Draft | State::Sealing) {
        return Err(CampaignError::NothingRuns(state.as_str()));
    }
    let mut shown = Shown { state: None, progress: None };
    while !has_ended(campaign.state.0) {
        shown.show(out, &campaign)?;
        api.pause().await;
        campaign = load::get(api, id).await?;
    }
    shown.end();
    out.say(&text::ended(&campaign))?;
    let counts = campaign.counts.unwrap_or_default();
    let is_done = match campaign.state.0 {
        State::Completed => counts.failed == 0,
        State::RolledBack => counts.shortfall == 0,
        _ => false,
    };
    Ok(if is_done { Ended::Done } else { Ended::Left })
}

const fn has_ended(state: State) -> bool {
    matches!(state, State::Completed | State::Failed | State::Stopped | State::RolledBack)
}

/// What was shown so far.
struct Shown {
    state: Option<(State, bool)>,
    progress: Option<Progress>,
}

impl Shown {
    fn show(&mut self, out: &dyn Say, campaign: &Campaign) -> Result<(), CampaignError> {
        let (state, counts) = (campaign.state.0, campaign.counts.unwrap_or_default());
        let seen = (state, campaign.queued.is_some());
        if self.state != Some(seen) {
            self.end();
            self.state = Some(seen);
            out.say(&text::state(campaign))?;
            self.progress = match state {
                State::Running => Some(Progress::begin("paying", "rows", counts.rows)),
                State::RollingBack => Some(Progress::begin("reversing", "rows", counts.rows)),
                _ => None,
            };
            // What was done before somebody watched makes no rate.
            self.progress.iter().for_each(|progress| progress.skip(done(state, &counts)));
        }
        let beside = match state {
            State::RollingBack => format!("{} short", counts.shortfall),
            _ => format!("{} failed", counts.failed),
        };
        self.progress.iter().for_each(|progress| progress.set(done(state, &counts), &beside));
        Ok(())
    }

    fn end(&mut self) {
        if let Some(progress) = self.progress.take() {
            progress.end();
        }
    }
}

/// Rows that need nothing more in this state.
const fn done(state: State, counts: &Counts) -> u64 {
    match state {
        // Rows that were not paid are not taken back.
        State::RollingBack => counts.rows.saturating_sub(counts.success),
        _ => counts.rows.saturating_sub(counts.pending).saturating_sub(counts.processing),
    }
}
