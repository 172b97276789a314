//! The life of a campaign: which action is taken in which state.
//!
//! ```text
//! DRAFT ⇄ SEALING → WAITING → RUNNING → COMPLETED | FAILED | STOPPED → ROLLING_BACK → ROLLED_BACK
//!                      ↑____ start, retry ______________|
//! ```
//!
//! A start queues the campaign; `next_to_run` chooses among the queued ones, and [`Action::Run`]
//! makes it RUNNING under a new **fence**. A worker pays under the fence it was sent with
//! ([`Life::may_pay`]), so one of an earlier start pays nothing, however fast stop and start follow
//! each other. A stop takes a queued start back too: else the campaign would run after the stop.
//!
//! Who acted, when and why stands in the audit entry of the action; an action here carries what the
//! rules read. An action that is repeated after a lost reply is [`Taken::Already`].

use super::Hash;
use super::counts::Counts;
use super::key::Generation;
use super::seal::Totals;
use super::terms::Approvals;
use crate::id::UserId;

/// Where a campaign stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Takes parts.
    Draft,
    /// Its rows are being laid out.
    Sealing,
    /// Sealed; waits for approval, start, or its place in the order.
    Waiting,
    /// Pays.
    Running,
    /// Every row is paid or failed.
    Completed,
    /// A fault of the system ended it; a start goes on.
    Failed,
    /// Stopped by hand; a start goes on.
    Stopped,
    /// Takes back what it paid.
    RollingBack,
    /// Took back what it could. Nothing follows.
    RolledBack,
}

impl State {
    const ALL: [Self; 9] = [
        Self::Draft,
        Self::Sealing,
        Self::Waiting,
        Self::Running,
        Self::Completed,
        Self::Failed,
        Self::Stopped,
        Self::RollingBack,
        Self::RolledBack,
    ];

    /// The name on the wire and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "DRAFT",
            Self::Sealing => "SEALING",
            Self::Waiting => "WAITING",
            Self::Running => "RUNNING",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Stopped => "STOPPED",
            Self::RollingBack => "ROLLING_BACK",
            Self::RolledBack => "ROLLED_BACK",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether it has ended and may be started again, retried or rolled back.
    const fn has_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Stopped)
    }
}

/// What a seal fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The hash that approve and start name.
    pub hash: Hash,
    /// What will be paid.
    pub totals: Totals,
}

/// Who approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// The approver, never the creator.
    pub by: UserId,
}

/// A start that waits for its place in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queued {
    /// Whether it runs beside other campaigns.
    pub forced: bool,
}

/// A campaign, as far as its life goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// Who made it.
    pub creator: UserId,
    /// What its terms ask for.
    pub approvals: Approvals,
    /// Where it stands.
    pub state: State,
    /// How often a seal was begun. A seal that gave up cannot end a later one.
    pub seal_attempt: u32,
    /// What the seal fixed, from WAITING on. Never changed.
    pub sealed: Option<Sealed>,
    /// Who approved it.
    pub approval: Option<Approval>,
    /// The start that waits, in WAITING alone.
    pub queued: Option<Queued>,
    /// The number of its last start or rollback. It only rises; 0 before the first.
    pub fence: u64,
    /// The generation of its payments. It only rises.
    pub generation: Generation,
}

/// What happens to a campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A part is added; `Parts` decides whether it fits.
    AddPart,
    /// The seal begins.
    Seal,
    /// The seal is done.
    Sealed {
        /// Which seal.
        attempt: u32,
        /// What it fixed.
        sealed: Sealed,
    },
    /// The seal is given up: the rows are refused. The campaign takes parts again.
    SealFailed {
        /// Which seal.
        attempt: u32,
    },
    /// A member approves the content.
    Approve {
        /// Who.
        by: UserId,
        /// The content.
        hash: Hash,
    },
    /// A member starts the content, for the first time or after a stop or a fault.
    Start {
        /// The content.
        hash: Hash,
        /// Whether it runs beside other campaigns. A privilege of the caller.
        forced: bool,
    },
    /// The queued campaign runs.
    Run {
        /// The number of the lock, above all before.
        fence: u64,
    },
    /// A member stops it.
    Stop,
    /// All rows have ended.
    End {
        /// Of which start.
        fence: u64,
        /// The counters as they are.
        counts: Counts,
    },
    /// A part of what was sealed cannot be used. The rest goes on.
    Damaged {
        /// Of which start.
        fence: u64,
    },
    /// A fault of the system ends it.
    Fail {
        /// Of which start.
        fence: u64,
    },
    /// A member has the failed rows paid again, in a new generation.
    Retry {
        /// The counters as they are.
        counts: Counts,
    },
    /// A member has all payments taken back.
    Rollback {
        /// The number of the lock, above all before.
        fence: u64,
    },
    /// All payments are taken back, or recorded as shortfalls.
    RolledBack {
        /// Of which rollback.
        fence: u64,
        /// The counters as they are.
        counts: Counts,
    },
}

/// What an action did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The campaign has changed. (A part changes it through `Parts`.)
    Now,
    /// It was as the action wants it: a repeat.
    Already,
}

/// Why an action is refused, in order of precedence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not in this state.
    #[error("the campaign is {}", .0.as_str())]
    State(State),
    /// The action is of an earlier seal.
    #[error("seal {current} is the last one")]
    SealAttempt {
        /// The last seal.
        current: u32,
    },
    /// The action is of an earlier start or rollback, or its number is not above all before.
    #[error("the fence is {current}")]
    Fence {
        /// The campaign's number.
        current: u64,
    },
    /// Another content was sealed than the one named.
    #[error("the content sealed has the hash {sealed}")]
    OtherContent {
        /// What was sealed.
        sealed: Hash,
    },
    /// The terms ask for no approval.
    #[error("the campaign needs no approval")]
    ApprovalNotNeeded,
    /// The creator approves nothing of their own.
    #[error("the creator of a campaign does not approve it")]
    CreatorApproves,
    /// Nobody has approved it.
    #[error("the campaign needs an approval")]
    ApprovalMissing,
    /// Rows are pending or unknown, or for a rollback: paid or unknown.
    #[error("{rows} rows are open")]
    RowsOpen {
        /// How many.
        rows: u64,
    },
    /// The counters do not have the rows and the amount that were sealed: they are damaged.
    #[error("the counters do not have the rows that were sealed")]
    CountsDiffer,
    /// No row has failed.
    #[error("no row has failed")]
    NothingFailed,
    /// The numbers of seals or generations are used up.
    #[error("the campaign was sealed or retried too often")]
    TooOften,
}

mod apply;

#[cfg(test)]
mod tests;
