//! The archive: what ended long ago goes from the tables to an object store.
//!
//! # What goes, and when
//! A pass goes through sprays, drops, products and campaigns first. One that is finished and ended
//! longer ago than the age ([`daily::Policy`]) goes with all its items (`things.rs`); of the others,
//! the oldest one holds the **horizon** of the pass ([`Pass::horizon`]). Then transfers with ids
//! below the horizon go, from each wallet.
//!
//! # Why nothing is paid twice
//! A transfer in its table is the proof that its grant was paid. Every transfer that can still be
//! posted belongs to a thing that is not archived, and its id has a time at or after the creation of
//! that thing, so it is not below the horizon. A transfer that is archived is never asked for by a
//! payment again.
//!
//! # Guarantees
//! * A thing is archived whole, and removed: `a_finished_spray_is_archived_whole_and_removed`.
//! * What is not finished stays, with all its transfers:
//!   `what_is_not_finished_stays_and_holds_the_horizon`.
//! * A run that is killed anywhere loses nothing:
//!   `a_run_that_is_killed_at_any_await_loses_nothing`,
//!   `a_run_that_is_killed_at_any_await_loses_nothing_of_a_product`,
//!   `a_run_that_is_killed_at_any_await_loses_nothing_of_a_campaign`.
//! * A run ends at its deadline, and the next ones go on:
//!   `runs_that_stop_within_a_thing_finish_the_pass_together`.
//! * A thing that one run is too short for holds up no other:
//!   `a_thing_that_one_run_is_too_short_for_stays_and_holds_up_no_other`.
//! * Nothing is removed whose object is damaged: `nothing_is_removed_when_its_object_is_damaged`.

mod batch;
pub mod daily;
mod finished;
mod flight;
mod pass;
mod progress;
mod things;
pub mod transfers;

pub use flight::READ_BACK_MS;
pub use pass::{Counts, Held, Pass, Stage};

use crate::ports::{ArchivePasses, Campaigns, Freezes, Ids, Objects, Things, TransferArchive};
use crate::reconcile::Reads;

/// The ports of the archive.
pub trait Deps:
    Reads + Things + TransferArchive + ArchivePasses + Objects + Freezes + Campaigns + Ids
{
}

impl<T> Deps for T where
    T: Reads + Things + TransferArchive + ArchivePasses + Objects + Freezes + Campaigns + Ids
{
}

/// Why a run stops before its pass is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Its time is over.
    Deadline,
    /// Another run works on the same pass.
    Overtaken,
}
