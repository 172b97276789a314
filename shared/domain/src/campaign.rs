//! A campaign (대량 지급): up to a million rows of member, amount and reason, each paid once.
//!
//! The caller uploads [`Part`]s. The seal folds their rows by the [`Duplicates`] policy, lays them
//! out in chunks by their members ([`Layout`]) and fixes a hash of content; approve and start name
//! that hash. A start opens the first [`Generation`] of payments, and a retry another one, with the
//! failed rows alone. [`Life`] says which action is taken in which state, [`Outcome`] where one row
//! stands, [`Counts`] where all of them do, and [`verify`] whether the audit was changed.
//!
//! Workers commit under three keys that only rise: the **fence** of the campaign (which start they
//! work for), the generation of the rows, and the revision of the chunk.
//!
//! # Guarantees
//! * A row has one permanent id in each generation:
//!   `the_id_of_a_row_follows_from_campaign_member_and_generation`, `the_id_of_a_row_never_changes`.
//! * A part sent again changes nothing:
//!   `a_part_sent_again_is_the_same_part_and_another_under_its_number_is_refused`.
//! * A member is kept once: `a_member_is_kept_once_and_every_other_row_is_listed`.
//! * Every member of a sealed campaign is in one chunk, and no chunk is too large:
//!   `no_chunk_of_a_million_rows_is_above_the_limit`.
//! * The hash of content covers all that is paid and how: `the_hash_covers_everything`; the way the
//!   rows were cut into parts is no part of it: `the_cut_into_parts_does_not_change_the_hash`.
//! * Nothing is added after the seal, and the fence only rises:
//!   `any_sequence_of_actions_keeps_the_rules_of_a_life`.
//! * Every action in every state is taken or refused as the table says:
//!   `every_action_in_every_state_is_as_the_table_says`.
//! * A verdict counts once, in whichever order it comes:
//!   `verdicts_count_once_in_whichever_order_they_come`.
//! * A campaign is completed only when paid + failed = rows:
//!   `a_campaign_with_an_open_row_does_not_end`.
//! * After a worker that was killed every open row is looked up before it is sent:
//!   `after_a_lease_without_a_commit_every_open_row_is_unknown`.
//! * A retry opens the failed rows alone: `a_retry_opens_the_failed_rows_alone`.
//! * A commit counts once: `a_commit_counts_once_however_often_it_is_applied`.
//! * A change to the audit is found: `any_change_to_the_audit_is_found`,
//!   `an_audit_that_was_cut_off_is_found_when_the_head_is_known`.

use crate::money::BALANCE_MAX;

mod chain;
mod chunk;
mod counts;
mod duplicates;
mod hash;
mod key;
mod layout;
mod life;
mod order;
mod outcome;
mod part;
mod progress;
mod record;
mod seal;
mod terms;

pub use chain::{Actor, AuditBroken, AuditEntry, AuditHead, Broken, verify};
pub use chunk::{ChunkRecord, Lease, RowRecord};
pub use counts::{ChunkResult, CommitError, Committed, Counts, Delta, Sum, Tally};
pub use duplicates::{Duplicate, Duplicates, Fold, SumTooLarge};
pub use hash::{Hash, HashError};
pub use key::{ChunkNumber, Generation, PART_NUMBER_MAX, PartNumber, RowKey};
pub use layout::{CHUNK_ROWS_MAX, CHUNK_ROWS_MEAN, ChunkTooLarge, LAYOUT_ROUNDS, Layout};
pub use life::{Action, Approval, Life, Queued, Refused, Sealed, State, Taken};
pub use order::{AGENDA_MAX, Agenda, AgendaFull, Candidate, Running, next_to_run};
pub use outcome::{Facts, Failure, Outcome, RowState, Said, Verdict, VerdictRefused};
pub use part::{Added, Part, PartRefused, Parts, Place, Row};
pub use progress::{Snapshot, eta_s, rows_per_1000_s};
pub use record::{Campaign, Seal};
pub use seal::{SealError, Totals, chunk_hash, content_hash, rows_hash};
pub use terms::{Approvals, CampaignName, CampaignNameError, PRIORITY_MAX, Priority, Terms};

/// The most rows that the parts of a campaign may have together (architecture.md 1).
pub const ROWS_MAX: u64 = 1_000_000;

/// The most that a campaign may pay, in minor units: the largest integer that every JSON reader
/// keeps exactly, as for a balance. So no sum of a campaign can be above it.
pub const CAMPAIGN_AMOUNT_MAX: u64 = BALANCE_MAX;
