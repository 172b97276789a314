//! The contracts with everything outside this crate: one file for each noun.
//!
//! # Errors
//! Every port method fails with [`PortError`] and nothing else. A [`PortErrorKind::Unknown`]
//! outcome is never a failure: the call may have taken effect. Every write here is therefore
//! idempotent under the identity it carries, and the caller repeats it under the same identity.

mod archive;
mod breaker;
mod budget;
mod campaign;
mod campaign_results;
mod campaign_rows;
mod drop;
mod environment;
mod error;
mod event;
mod grant;
mod idempotency;
mod key;
mod money;
mod notice;
mod permits;
mod pool;
mod product;
mod reconcile;
mod room;
mod spray;
mod things;
mod wallet;

pub use archive::{MemberRef, Objects, PackedRun, Removed, StoredRun, TransferArchive};
pub use breaker::{BreakerWritten, Breakers, StoredBreaker};
pub use budget::{Budgets, Spent};
pub use campaign::{
    Backlog, COUNT_SHARDS, CampaignJob, CampaignJobs, CampaignMarks, Campaigns, Change,
    CountsChange, Mark, Versioned,
};
pub use campaign_results::{
    CampaignQueue, CampaignResults, ChunkMessage, ChunkWork, Commit, StoredChunk, StoredSnapshot,
};
pub use campaign_rows::{
    CampaignRows, ChunkRange, ChunkSet, Line, PartReport, PassRecord, StagedRows, Upload,
};
pub use drop::{
    DropCache, DropFigures, DropReads, DropReturned, Drops, DropsClosed, DropsMade, DueDrop,
    Promoted, Promotions, Shuffles,
};
pub use environment::{Clock, Ids, Pause, Rng};
pub use error::{Cause, PortError, PortErrorKind, PortResult, causes_of};
pub use event::{CampaignEnded, Event, Events, ProductSoldOut};
pub use grant::{
    Deliveries, FailedGrants, GrantMessage, GrantQueue, Grants, SEND_BATCH_MAX, Written,
};
pub use idempotency::{Begun, Idempotency, Retention, StoredAnswer};
pub use key::{KeyAdmin, Keys, KeysWritten, Nonce, OwnerKeys};
pub use money::{
    Money, NoRefusalCode, Payment, REFUSAL_CODE_LEN_MAX, Refusal, RefusalCode, Reversal, Standing,
    Void, Voids,
};
pub use notice::Notices;
pub use permits::{Leased, Permits};
pub use pool::{DeadRecords, INDEX_SHARDS, NotDrawn, Pools, Sweepable, UnreadableRecord, Won};
pub use product::{
    Closing, DueProduct, InvestOrder, InvestmentRefund, NotInvested, PartKey, Products,
    SettleOutcome, Settlements,
};
pub use reconcile::{
    DailyStats, Freezes, FrozenPool, LedgerRow, OwnerRow, Passes, ScanKey, Scanned, Scans, Segment,
};
pub use room::{MembersChanged, Room, Rooms};
pub use spray::{
    DueSpray, RefundOutcome, Refunds, Replenished, SprayNotMade, Sprays, TOKEN_SHARDS, TokenSpace,
};
pub use things::{
    ArchivePasses, ItemsKey, Packed, Replaced, ThingKind, Things, Tombstone, Tombstones,
};
pub use wallet::{Balances, Counted, HistoryFilter, Once, Wallets};
