//! The rows of a campaign: read from CSV or JSON Lines, written as CSV.
//!
//! A [`Reader`] takes the bytes of one part in slices of any size and gives [`Row`]s. A fault in one
//! row refuses that row; a fault after which the file cannot be trusted stops the reader, and the
//! caller drops what it gave before. [`mod@write`] makes the CSV files that Largesse gives out, and
//! [`generate`] makes rows for trials. docs/campaign-input.md says what is accepted.
//!
//! Nothing here waits, reads a clock or knows AWS.
//!
//! # Guarantees
//! * The way the bytes are cut changes nothing: `the_way_the_bytes_are_cut_changes_nothing`.
//! * No input makes the reader panic or hold more than [`HELD_BYTES_MAX`]:
//!   `arbitrary_bytes_never_panic_and_stay_within_the_bounds`.
//! * What cannot be a row is refused early: `an_endless_quoted_cell_is_refused_early` and the other
//!   tests of `tests/input/bounds.rs`.
//! * Every row of a file is accepted, refused or blank: `every_row_is_accepted_refused_or_blank`.
//! * Rows that are written are read as they were: `rows_that_are_written_are_read_as_they_were`.
//! * A column is found by its exact name: `c7_a_header_is_exact_names_in_any_order`.

#![deny(clippy::float_arithmetic)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod amount;
mod code;
mod columns;
mod csv;
mod encoding;
mod format;
pub mod generate;
mod json;
mod member;
mod problem;
mod reader;
mod reason;
mod row;
mod splitter;
mod summary;
mod widths;
pub mod write;

pub use code::{Code, Scope, codes_markdown};
pub use format::{ContentTypeError, Format};
pub use problem::Problem;
pub use reader::Reader;
pub use row::{Options, Row};
pub use summary::Summary;
pub use widths::IdWidths;

/// The longest cell, in bytes of UTF-8 without its quotes. The longest reason is 200 characters of
/// at most 4 bytes; five times as much tells a long text from a quote that is never closed.
pub const CELL_LEN_MAX: usize = 4_096;

/// The longest row of CSV and the longest line of JSON, in bytes: four of the longest cells. A
/// reason of 200 characters, each escaped in JSON by 12 bytes, has 2,400.
pub const ROW_LEN_MAX: usize = 16_384;

/// The most cells of a row. A header has at most six names; a spreadsheet writes up to 16,384
/// empty cells.
pub const COLUMNS_MAX: usize = 64;

/// How many problems of rows a [`Summary`] keeps. All are counted.
pub const PROBLEMS_KEPT_MAX: usize = 1_000;

/// The longest text of a value or of a column's name in a [`Problem`], in characters.
pub const VALUE_LEN_MAX: usize = 64;

/// The most memory that a [`Reader`] holds between two calls, in bytes: two rows, and
/// [`PROBLEMS_KEPT_MAX`] problems of two texts of [`VALUE_LEN_MAX`] characters of at most 4 bytes.
pub const HELD_BYTES_MAX: usize = 1_048_576;
