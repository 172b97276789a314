//! What is asked of a campaign, and which action of its life that is.

use largesse_domain::campaign::{
    Action, Agenda, Campaign, Counts, Hash, Seal, Sealed, State, Tally,
};
use largesse_domain::id::UserId;
use largesse_domain::ledger::Memo;
use largesse_domain::time::Timestamp;

/// What is asked of a campaign.
#[derive(Clone, Debug)]
pub enum Request {
    /// The seal begins.
    Seal,
    /// The seal is done.
    Sealed {
        /// Which seal.
        attempt: u32,
        /// What start and approve name.
        sealed: Sealed,
        /// What else it fixed.
        seal: Seal,
        /// The counters as they begin, shard by shard.
        tallies: Vec<Tally>,
    },
    /// The rows are refused.
    SealFailed {
        /// Which seal.
        attempt: u32,
        /// Why.
        problem: String,
    },
    /// A member approves the content.
    Approve {
        /// Who.
        by: UserId,
        /// The content.
        hash: Hash,
    },
    /// A member starts the content.
    Start {
        /// The content.
        hash: Hash,
    },
    /// A member starts the content beside other campaigns.
    Force {
        /// The content.
        hash: Hash,
        /// Why.
        memo: Memo,
    },
    /// The campaign runs. [`super::next`] asks for it, of the campaign that is next.
    Run,
    /// A member stops it.
    Stop {
        /// Why.
        memo: Memo,
    },
    /// A member has the failed rows paid again.
    Retry,
    /// A member has all payments taken back.
    Rollback {
        /// Why.
        memo: Memo,
    },
    /// All rows have ended.
    End {
        /// Of which start.
        fence: u64,
    },
    /// A part of what was sealed cannot be used. The rest goes on.
    Damaged {
        /// Of which start.
        fence: u64,
        /// Which part, and how.
        problem: String,
    },
    /// A fault of the system ends it.
    Fail {
        /// Of which start.
        fence: u64,
        /// Which fault.
        failure: String,
    },
    /// All payments are taken back.
    RolledBack {
        /// Of which rollback.
        fence: u64,
    },
}

impl Request {
    /// Its name in the audit.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Seal => "seal",
            Self::Sealed { .. } => "sealed",
            Self::SealFailed { .. } => "seal_failed",
            Self::Approve { .. } => "approve",
            Self::Start { .. } => "start",
            Self::Force { .. } => "force",
            Self::Run => "run",
            Self::Stop { .. } => "stop",
            Self::Retry => "retry",
            Self::Rollback { .. } => "rollback",
            Self::End { .. } => "end",
            Self::Damaged { .. } => "damaged",
            Self::Fail { .. } => "fail",
            Self::RolledBack { .. } => "rolled_back",
        }
    }

    /// Whether the campaign's place on the agenda changes.
    pub(super) const fn places(&self) -> bool {
        match self {
            Self::Approve { .. } | Self::Damaged { .. } => false,
            Self::Seal
            | Self::Sealed { .. }
            | Self::SealFailed { .. }
            | Self::Start { .. }
            | Self::Force { .. }
            | Self::Run
            | Self::Stop { .. }
            | Self::Retry
            | Self::Rollback { .. }
            | Self::End { .. }
            | Self::Fail { .. }
            | Self::RolledBack { .. } => true,
        }
    }

    /// Whether the rules decide by the counters.
    pub(super) const fn counts(&self) -> bool {
        matches!(self, Self::Retry | Self::End { .. } | Self::RolledBack { .. })
    }

    /// Whether its audit entry tells the counters. A stop and a fault are taken even when these
    /// cannot be read.
    pub(super) const fn tells_counts(&self) -> bool {
        matches!(self, Self::Stop { .. } | Self::Fail { .. })
    }

    /// The action on that campaign, by agenda and counters as they were read.
    pub(super) fn action(
        &self,
        campaign: &Campaign,
        agenda: Option<&Agenda>,
        counts: Counts,
    ) -> Action {
        let next_fence = next_fence(campaign, agenda);
        match self.clone() {
            Self::Seal => Action::Seal,
            Self::Sealed { attempt, sealed, .. } => Action::Sealed { attempt, sealed },
            Self::SealFailed { attempt, .. } => Action::SealFailed { attempt },
            Self::Approve { by, hash } => Action::Approve { by, hash },
            Self::Start { hash } => Action::Start { hash, forced: false },
            Self::Force { hash, .. } => Action::Start { hash, forced: true },
            Self::Run => Action::Run { fence: next_fence },
            Self::Stop { .. } => Action::Stop,
            Self::Retry => Action::Retry { counts },
            // A repeat names the rollback that goes on.
            Self::Rollback { .. } if campaign.life.state == State::RollingBack => {
                Action::Rollback { fence: campaign.life.fence }
            }
            Self::Rollback { .. } => Action::Rollback { fence: next_fence },
            Self::End { fence } => Action::End { fence, counts },
            Self::Damaged { fence, .. } => Action::Damaged { fence },
            Self::Fail { fence, .. } => Action::Fail { fence },
            Self::RolledBack { fence } => Action::RolledBack { fence, counts },
        }
    }

    /// Whether it changes nothing although the rules take it: the first damage of a run stands for all,
    /// so that a campaign of 10,000 damaged chunks has one entry in its audit. The log names each.
    pub(super) const fn is_known(&self, campaign: &Campaign) -> bool {
        matches!(self, Self::Damaged { .. }) && campaign.problem.is_some()
    }

    /// What the action changes beside the campaign's life. `was` is its state before.
    pub(super) fn mark(&self, campaign: &mut Campaign, was: State, now: Timestamp) {
        match self {
            Self::Sealed { seal, .. } => campaign.seal = Some(*seal),
            Self::Seal => campaign.problem = None,
            Self::SealFailed { problem, .. } => campaign.problem = Some(problem.clone()),
            Self::Run => {
                campaign.problem = None;
                (campaign.started_at, campaign.ended_at) = (Some(now), None);
            }
            Self::Rollback { .. } => campaign.ended_at = None,
            // A queued start that is taken back ended nothing.
            Self::Stop { .. } if was != State::Running => {}
            Self::Stop { .. } | Self::RolledBack { .. } => campaign.ended_at = Some(now),
            // What could not be used could in the end.
            Self::End { .. } => (campaign.problem, campaign.ended_at) = (None, Some(now)),
            Self::Damaged { problem, .. } => campaign.problem = Some(problem.clone()),
            Self::Fail { failure, .. } => {
                campaign.problem = Some(failure.clone());
                campaign.ended_at = Some(now);
            }
            Self::Approve { .. } | Self::Start { .. } | Self::Force { .. } | Self::Retry => {}
        }
    }
}

/// A fence above all before. An agenda that was restored may be behind the campaign.
fn next_fence(campaign: &Campaign, agenda: Option<&Agenda>) -> u64 {
    let last = agenda.map_or(0, |agenda| agenda.fence).max(campaign.life.fence);
    last.saturating_add(1)
}
