//! A row, and what a campaign gives to every row.

use largesse_domain::id::UserId;
use largesse_domain::ledger::Memo;
use largesse_domain::money::Amount;

/// One payment of a campaign, as the file asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The physical line on which the row begins, from 1.
    pub line: u64,
    /// Who is paid.
    pub member: UserId,
    /// How much: the row's amount, or the campaign's.
    pub amount: Amount,
    /// What for: the row's reason, or the campaign's.
    pub reason: Memo,
}

/// What the caller decides about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The most rows of the file, blank ones not counted.
    pub rows_max: u64,
    /// The amount of a row that has none.
    pub default_amount: Option<Amount>,
    /// The reason of a row that has none. A blank reason is no default.
    pub default_reason: Option<Memo>,
}

impl Options {
    /// The default reason, unless it is blank.
    pub(crate) fn reason(&self) -> Option<&Memo> {
        self.default_reason.as_ref().filter(|memo| !is_blank(memo.as_str()))
    }
}

/// Whether a cell says nothing: it is empty, or has only spaces and tabs.
pub(crate) fn is_blank(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b' ' | b'\t'))
}
