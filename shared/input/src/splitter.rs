//! CSV into cells: RFC 4180, strict about quotes, with any line ends.
//!
//! A state machine over characters. It holds one row, and refuses what would make it hold more.

use crate::code::Code;
use crate::{CELL_LEN_MAX, COLUMNS_MAX, ROW_LEN_MAX};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing of the cell has come.
    Start,
    /// Inside a cell without quotes, or behind text after a closing quote.
    Bare,
    /// Inside quotes.
    Quoted,
    /// Behind a quote inside quotes: it closes the cell, or is the first of two.
    Closing,
}

/// What a character led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The row goes on.
    Going,
    /// A row is complete; [`Splitter::clear`] before the next character.
    RowEnd,
    /// The file cannot be read any further.
    Stop(Code),
}

/// Where a cell ends in the text of its row, and the line on which it begins.
#[derive(Clone, Copy, Debug)]
struct Mark {
    end: usize,
    line: u64,
}

/// A cell: its text without its quotes, and the physical line on which it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell<'a> {
    pub(crate) text: &'a str,
    pub(crate) line: u64,
}

/// One row at a time.
#[derive(Debug)]
pub(crate) struct Splitter {
    state: State,
    /// The texts of the row's cells, one behind the other.
    text: String,
    marks: Vec<Mark>,
    /// Where the current cell begins in `text`.
    cell_start: usize,
    cell_line: u64,
    row_line: u64,
    /// Bytes of the row as they came.
    row_len: usize,
    /// The first cell of the row with a quote in the wrong place.
    misplaced: Option<usize>,
    /// The current physical line.
    line: u64,
    after_cr: bool,
}

impl Splitter {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Start,
            text: String::new(),
            marks: Vec::new(),
            cell_start: 0,
            cell_line: 1,
            row_line: 1,
            row_len: 0,
            misplaced: None,
            line: 1,
            after_cr: false,
        }
    }

    /// The physical line of the next character.
    pub(crate) const fn line(&self) -> u64 {
        self.line
    }

    /// The line on which the row begins.
    pub(crate) const fn row_line(&self) -> u64 {
        self.row_line
    }

    /// The complete cells of the row.
    pub(crate) fn cells(&self) -> Vec<Cell<'_>> {
        let mut start = 0;
        let mut cells = Vec::with_capacity(self.marks.len());
        for Mark { end, line } in &self.marks {
            cells.push(Cell { text: self.text.get(start..*end).unwrap_or_default(), line: *line });
            start = *end;
        }
        cells
    }

    /// The current cell, as far as it has come, and its index.
    pub(crate) fn cell(&self) -> (usize, Cell<'_>) {
        let text = self.text.get(self.cell_start..).unwrap_or_default();
        (self.marks.len(), Cell { text, line: self.cell_line })
    }

    /// The index of the first cell with a quote inside an unquoted cell or behind a closing quote.
    pub(crate) const fn misplaced(&self) -> Option<usize> {
        self.misplaced
    }

    /// Takes the next character.
    pub(crate) fn push(&mut self, c: char) -> Step {
        let is_line_end = matches!(c, '\r' | '\n');
        // The second half of CRLF ends no other line.
        let ends_line = is_line_end && !(self.after_cr && c == '\n');
        self.after_cr = c == '\r';
        if is_line_end && self.state != State::Quoted {
            if !ends_line {
                return Step::Going;
            }
            self.line = self.line.saturating_add(1);
            self.end_cell();
            return Step::RowEnd;
        }
        self.row_len = self.row_len.saturating_add(c.len_utf8());
        if self.row_len > ROW_LEN_MAX {
            return Step::Stop(self.overflow(Code::RowTooLong));
        }
        let step = self.cell_character(c);
        if ends_line {
            self.line = self.line.saturating_add(1);
        }
        step
    }

    /// A character of a row: one that does not end it.
    fn cell_character(&mut self, c: char) -> Step {
        match (self.state, c) {
            (State::Start | State::Bare | State::Closing, ',') => {
                self.end_cell();
                if self.marks.len() >= COLUMNS_MAX {
                    return Step::Stop(Code::ColumnsTooMany);
                }
            }
            (State::Start, '"') => self.state = State::Quoted,
            (State::Quoted, '"') => self.state = State::Closing,
            (State::Closing, '"') => {
                self.state = State::Quoted;
                return self.keep(c);
            }
            (State::Closing, _) | (State::Bare, '"') => {
                self.state = State::Bare;
                self.misplaced = self.misplaced.or(Some(self.marks.len()));
                return self.keep(c);
            }
            (State::Start, _) => {
                self.state = State::Bare;
                return self.keep(c);
            }
            (State::Bare | State::Quoted, _) => return self.keep(c),
        }
        Step::Going
    }

    /// Takes the end of the input.
    pub(crate) fn finish(&mut self) -> Step {
        match self.state {
            State::Quoted => Step::Stop(Code::QuoteUnclosed),
            State::Start | State::Bare | State::Closing if self.row_len > 0 => {
                self.end_cell();
                Step::RowEnd
            }
            State::Start | State::Bare | State::Closing => Step::Going,
        }
    }

    /// Forgets the row.
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.marks.clear();
        self.cell_start = 0;
        self.row_line = self.line;
        self.row_len = 0;
        self.misplaced = None;
    }

    fn keep(&mut self, c: char) -> Step {
        let len = self.text.len().saturating_sub(self.cell_start).saturating_add(c.len_utf8());
        if len > CELL_LEN_MAX {
            return Step::Stop(self.overflow(Code::CellTooLong));
        }
        self.text.push(c);
        Step::Going
    }

    fn end_cell(&mut self) {
        self.marks.push(Mark { end: self.text.len(), line: self.cell_line });
        self.cell_start = self.text.len();
        self.cell_line = self.line;
        self.state = State::Start;
    }

    /// A quoted cell that runs over lines until it is too long has most likely lost its quote.
    fn overflow(&self, code: Code) -> Code {
        let (_, cell) = self.cell();
        let is_open = self.state == State::Quoted && cell.text.contains(['\r', '\n']);
        if is_open { Code::QuoteUnclosed } else { code }
    }

    #[cfg(test)]
    pub(crate) fn held_bytes(&self) -> usize {
        self.text.capacity() + self.marks.capacity() * size_of::<Mark>()
    }
}

#[cfg(test)]
mod tests;
