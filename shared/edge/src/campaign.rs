//! Campaigns as callers see them: what the function that acts on them and the one that reads them
//! share.

mod counts;
mod estimate;
mod view;

pub use counts::{AmountsView, CountsView, status_name};
pub use estimate::{cost_micro_usd, eta_s};
pub use view::{
    ApprovalView, AuditHeadView, CampaignView, PartsView, QueuedView, SealedView, TermsView,
    WarningView,
};
