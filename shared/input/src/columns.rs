//! The columns of a CSV file. A column is found by its exact name, never by its place.

use largesse_domain::id::UserId;
use largesse_domain::ledger::Memo;
use largesse_domain::money::Amount;

use crate::code::Code;
use crate::problem::Problem;
use crate::row::{Options, Row};
use crate::splitter::Cell;
use crate::{amount, member, reason};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    Member,
    Amount,
    Reason,
    /// Why the row failed, in a file that Largesse wrote. It is not read.
    Failure,
    /// The part that the row came in, in a file that Largesse wrote. It is not read.
    Part,
    /// The line of that part. It is not read.
    Line,
}

impl Column {
    const ALL: [Self; 6] =
        [Self::Member, Self::Amount, Self::Reason, Self::Failure, Self::Part, Self::Line];

    /// The column's name in a header, and the field's in JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Member => "member_id",
            Self::Amount => "amount",
            Self::Reason => "reason",
            Self::Failure => "failure",
            Self::Part => "part",
            Self::Line => "line",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|column| column.name() == name)
    }
}

/// The columns of a file, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Columns(Vec<Column>);

impl Columns {
    /// Reads the header: each name once, and every column that the campaign has no default for.
    ///
    /// # Errors
    /// Every problem of the header, in its order, then the missing columns.
    pub(crate) fn read(cells: &[Cell<'_>], options: &Options) -> Result<Self, Vec<Problem>> {
        let (mut columns, mut problems) = (Vec::new(), Vec::new());
        for cell in cells {
            let refused = |code| Problem::at(cell.line, code).column(cell.text);
            match Column::named(cell.text) {
                Some(column) if columns.contains(&column) => {
                    problems.push(refused(Code::ColumnDuplicate));
                }
                Some(column) => columns.push(column),
                None if cell.text.is_empty() => problems.push(refused(Code::ColumnUnnamed)),
                None => problems.push(refused(Code::ColumnUnknown)),
            }
        }
        let needed = [
            (Column::Member, true),
            (Column::Amount, options.default_amount.is_none()),
            (Column::Reason, options.reason().is_none()),
        ];
        let line = cells.first().map_or(1, |cell| cell.line);
        for (column, is_needed) in needed {
            if is_needed && !columns.contains(&column) {
                problems.push(Problem::at(line, Code::ColumnMissing).column(column.name()));
            }
        }
        if problems.is_empty() { Ok(Self(columns)) } else { Err(problems) }
    }

    /// The name of a column by its place.
    pub(crate) fn name(&self, index: usize) -> Option<&'static str> {
        self.0.get(index).map(|column| column.name())
    }

    /// Reads a row that is not blank.
    ///
    /// # Errors
    /// The row has another number of cells, or its bad cells, in the order of the columns.
    pub(crate) fn row(
        &self,
        cells: &[Cell<'_>],
        line: u64,
        options: &Options,
    ) -> Result<Row, Vec<Problem>> {
        if cells.len() != self.0.len() {
            return Err(vec![self.ragged(cells, line)]);
        }
        let mut problems = Vec::new();
        let mut fields = Fields::default();
        for (column, cell) in self.0.iter().zip(cells) {
            if let Err(code) = fields.read(*column, cell.text, options) {
                let problem = Problem::at(cell.line, code).column(column.name());
                problems.push(problem.value(cell.text));
            }
        }
        let amount = fields.amount.or(options.default_amount);
        let reason = fields.reason.or_else(|| options.reason().cloned());
        match (fields.member, amount, reason) {
            (Some(member), Some(amount), Some(reason)) if problems.is_empty() => {
                Ok(Row { line, member, amount, reason })
            }
            // A column that is missing has a default, so whatever is missing has its problem.
            _ => Err(problems),
        }
    }

    /// The problem of a row with too few or too many cells.
    fn ragged(&self, cells: &[Cell<'_>], line: u64) -> Problem {
        if let Some(amount) = self.split_amount(cells) {
            let problem = Problem::at(line, Code::AmountThousands).column(Column::Amount.name());
            return problem.value(&amount);
        }
        let found = format!("{} cells for {} columns", cells.len(), self.0.len());
        match self.name(cells.len()) {
            Some(first_missing) => {
                Problem::at(line, Code::CellsFew).column(first_missing).value(&found)
            }
            None => Problem::at(line, Code::CellsMany).value(&found),
        }
    }

    /// The amount `1,000` without quotes is two cells: it is written back if every additional cell
    /// is a group of three digits behind the amount.
    fn split_amount(&self, cells: &[Cell<'_>]) -> Option<String> {
        let first = self.0.iter().position(|column| *column == Column::Amount)?;
        let last = first.checked_add(cells.len().checked_sub(self.0.len())?)?;
        let groups: Vec<&str> = cells.get(first..=last)?.iter().map(|cell| cell.text).collect();
        let (head, tail) = groups.split_first()?;
        let digits = |group: &str| group.bytes().all(|b| b.is_ascii_digit());
        let is_head = (1..=3).contains(&head.len()) && digits(head);
        let is_split = !tail.is_empty() && tail.iter().all(|g| g.len() == 3 && digits(g));
        (is_head && is_split).then(|| groups.join(","))
    }
}

/// The fields of a row as far as they could be read.
#[derive(Default)]
struct Fields {
    member: Option<UserId>,
    amount: Option<Amount>,
    reason: Option<Memo>,
}

impl Fields {
    fn read(&mut self, column: Column, text: &str, options: &Options) -> Result<(), Code> {
        match column {
            Column::Member => self.member = Some(member::read(text)?),
            Column::Amount => self.amount = Some(amount::read(text, options.default_amount)?),
            // A line break in these may be rows behind a lost quote. No other cell may have one.
            Column::Reason | Column::Failure | Column::Part | Column::Line
                if text.contains(['\r', '\n']) =>
            {
                return Err(Code::CellLineBreak);
            }
            Column::Reason => self.reason = Some(reason::read_cell(text, options.reason())?),
            Column::Failure | Column::Part | Column::Line => {}
        }
        Ok(())
    }
}
