//! `largesse campaign`: pays the rows of a file, over the HTTP API of any deployment.
//!
//! # Guarantees
//! * The parts have the rows and the problems of the file, and are the same at every run:
//!   `the_parts_of_a_file_have_the_rows_and_the_problems_of_the_file`,
//!   `the_parts_do_not_depend_on_how_the_bytes_come`.
//! * Memory is bounded, whatever the file holds:
//!   `a_huge_row_is_refused_without_being_read_as_a_whole`, `blank_rows_without_end_are_not_held`.
//! * A load that was cut off sends only what is missing:
//!   `a_load_that_was_cut_off_sends_only_what_is_missing`.
//! * A file is one campaign, however often its load is repeated, also when the first answer was lost:
//!   `a_load_whose_first_answer_was_lost_makes_no_second_campaign`,
//!   `a_load_that_is_repeated_after_its_end_sends_nothing`,
//!   `loads_of_a_file_that_begin_at_once_make_one_campaign`.
//! * A file that was changed after its load began is not loaded:
//!   `a_file_that_was_changed_is_not_loaded_on`.
//! * A start that leaves rows out, or pays rows again, is an explicit choice:
//!   `a_start_without_the_refused_rows_is_an_explicit_choice`,
//!   `a_start_of_rows_that_were_sealed_before_is_an_explicit_choice`.
//! * A file of the campaign is saved with all its pages, or not at all:
//!   `a_csv_is_saved_whole_or_not_at_all`.
//! * Errors and duplicates name the lines of the file, not those of its parts:
//!   `a_line_of_a_part_is_found_in_the_file`, `duplicates_of_a_file_are_named_by_its_lines`.

pub mod api;
pub mod change;
pub mod check;
pub mod command;
pub mod generate;
pub mod load;
pub mod look;
pub mod progress;
pub mod split;
pub mod state;
pub mod trial;
pub mod verify;
pub mod watch;
pub mod wire;

mod csv;
mod lines;
mod text;
mod upload;

use std::path::PathBuf;

use largesse_aws::production::SetupError;
use largesse_domain::campaign::AuditBroken;

use crate::holder::HolderError;
use crate::plain;
use split::SplitError;
use wire::Problem;

/// How a command ended that no error stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All is done.
    Done,
    /// Something is left: rows that failed, or a start that needs a decision.
    Left,
}

/// Where the output goes.
pub trait Say: Sync {
    /// Prints some lines.
    ///
    /// # Errors
    /// When they cannot be written.
    fn say(&self, text: &str) -> std::io::Result<()>;
}

/// Standard output.
pub struct Output;

impl Say for Output {
    fn say(&self, text: &str) -> std::io::Result<()> {
        plain::print(text)
    }
}

/// Why a command cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum CampaignError {
    /// Standard input is no file.
    #[error(
        "standard input cannot be read again after a break: save the rows to a file and load that"
    )]
    StandardInput,
    /// The file of rows cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// The file of rows is refused as a whole. Nothing was sent.
    #[error("{} is refused, and nothing was sent: {problem}", path.display())]
    FileRefused {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where.
        problem: String,
    },
    /// No row of the file can be paid. Nothing was sent.
    #[error("{} has no row that can be paid, and nothing was sent\n{problems}", path.display())]
    NoRows {
        /// The file.
        path: PathBuf,
        /// What is wrong with its rows.
        problems: String,
    },
    /// The file cannot be split.
    #[error("cannot split the file")]
    Split(#[from] SplitError),
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// The receipt of the load cannot be read or written.
    #[error(
        "cannot keep the receipt of the load in {}; --receipt names another place", path.display()
    )]
    Receipt {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// The receipt of the load is damaged.
    #[error(
        "the receipt {} cannot be read; --id goes on with a campaign without it", path.display()
    )]
    ReceiptUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The receipt is of a load with other terms or to another deployment.
    #[error(
        "the file was loaded before with another {what}, as {} says: repeat the load as it was, or \
         make another campaign of the file by --receipt with a new place", path.display()
    )]
    OtherLoad {
        /// The receipt.
        path: PathBuf,
        /// What differs.
        what: &'static str,
    },
    /// A part stands in the campaign with other content.
    #[error(
        "part {part} of the campaign has other content: the file was changed after its load began, \
         or it is another campaign's; `load` with --receipt and a new place makes another campaign \
         of it"
    )]
    OtherContent {
        /// The number of the part.
        part: u32,
    },
    /// The campaign has parts behind the last one of the file.
    #[error("the campaign has part {part}, and the file ends before it: it is not the same file")]
    MoreParts {
        /// The number of the part.
        part: u32,
    },
    /// The campaign does not take parts any more, and lacks some of the file.
    #[error("the campaign is {state} and lacks part {part} of the file")]
    Closed {
        /// Where it stands.
        state: &'static str,
        /// The number of the part.
        part: u32,
    },
    /// The service refused a part that this program accepts.
    #[error("part {part}: {problem}")]
    PartRefused {
        /// The number of the part.
        part: u32,
        /// What is wrong, by the lines of the file.
        problem: String,
    },
    /// A start before the approval.
    #[error("a campaign that needs an approval is started after it: leave out --start")]
    ApprovalFirst,
    /// A file of bad rows and duplicates alone.
    #[error("--bad-rows and --duplicates together are less than --rows: the others are good rows")]
    NothingGood,
    /// The seal gave up.
    #[error(
        "the campaign was not sealed: {0}\nits parts stay: correct the file and load it as another \
         campaign, by --receipt with a new place"
    )]
    NotSealed(String),
    /// The campaign is in no state in which there is something to watch.
    #[error("the campaign is {0}: nothing runs")]
    NothingRuns(&'static str),
    /// The rows of duplicates.csv have no part and line.
    #[error("the duplicates do not name their parts: the deployment is older than this program")]
    NoPlaces,
    /// The operating system gave no randomness.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The requests cannot be signed.
    #[error(transparent)]
    Holder(#[from] HolderError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] largesse_money::SetupError),
    /// The HTTP client cannot be made.
    #[error("cannot make an HTTP client")]
    Client(#[source] reqwest::Error),
    /// Nothing answers there.
    #[error("cannot reach {url}; start `largesse up`, or name another address by --url")]
    Unreachable {
        /// The address.
        url: String,
        /// The error of the connection.
        #[source]
        source: reqwest::Error,
    },
    /// A request was not answered in time, or the connection was lost.
    #[error("no answer from {url}; the same command again goes on where it stood")]
    NoAnswer {
        /// The address.
        url: String,
        /// The error of the request.
        #[source]
        source: reqwest::Error,
    },
    /// The service refused.
    #[error("{request} was answered {status}: {problem}")]
    Refused {
        /// Method and path.
        request: String,
        /// The HTTP status.
        status: u16,
        /// What it said. Boxed: it is far larger than the other errors.
        problem: Box<Problem>,
    },
    /// The answer is not what this program knows.
    #[error("the answer to {request} cannot be read")]
    Unreadable {
        /// Method and path.
        request: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The service does not say where the audit ends, or an entry is none.
    #[error("the audit cannot be checked: {0}")]
    AuditUnreadable(String),
    /// The audit was changed.
    #[error("the audit was changed")]
    AuditBroken(#[source] AuditBroken),
    /// The output is lost.
    #[error("cannot write to standard output")]
    Print(#[from] std::io::Error),
    /// A task of this program ended by itself.
    #[error("a task of this program failed")]
    Task(#[from] tokio::task::JoinError),
}

impl CampaignError {
    /// Whether the command line was wrong, and nothing was tried.
    #[must_use]
    pub const fn is_wrong_use(&self) -> bool {
        matches!(self, Self::StandardInput | Self::ApprovalFirst | Self::NothingGood)
    }

    /// The code of a refusal.
    fn code(&self) -> &str {
        match self {
            Self::Refused { problem, .. } => &problem.code,
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests;
