//! A CSV file: the header, then rows.

use std::ops::ControlFlow;

use crate::code::Code;
use crate::columns::Columns;
use crate::problem::Problem;
use crate::row::{Options, Row, is_blank};
use crate::splitter::{Splitter, Step};
use crate::summary::Summary;

/// Reads the characters of a CSV file.
#[derive(Debug)]
pub(crate) struct Csv {
    splitter: Splitter,
    columns: Option<Columns>,
}

impl Csv {
    pub(crate) fn new() -> Self {
        Self { splitter: Splitter::new(), columns: None }
    }

    /// The physical line of the next character.
    pub(crate) const fn line(&self) -> u64 {
        self.splitter.line()
    }

    /// Takes a character; breaks when the file is refused.
    pub(crate) fn push(
        &mut self,
        c: char,
        options: &Options,
        summary: &mut Summary,
        sink: &mut impl FnMut(Row),
    ) -> ControlFlow<()> {
        let step = self.splitter.push(c);
        self.after(step, options, summary, sink)
    }

    /// Takes the end of the file.
    pub(crate) fn finish(
        &mut self,
        options: &Options,
        summary: &mut Summary,
        sink: &mut impl FnMut(Row),
    ) {
        let step = self.splitter.finish();
        if self.after(step, options, summary, sink).is_continue() && self.columns.is_none() {
            summary.stop(Problem::at(1, Code::HeaderMissing));
        }
    }

    fn after(
        &mut self,
        step: Step,
        options: &Options,
        summary: &mut Summary,
        sink: &mut impl FnMut(Row),
    ) -> ControlFlow<()> {
        match step {
            Step::Going => ControlFlow::Continue(()),
            Step::RowEnd => {
                self.row(options, summary, sink);
                self.splitter.clear();
                if summary.stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            }
            Step::Stop(code) => {
                summary.stop(self.unreadable(code));
                ControlFlow::Break(())
            }
        }
    }

    /// The problem of a row that cannot be read to its end.
    fn unreadable(&self, code: Code) -> Problem {
        if matches!(code, Code::ColumnsTooMany | Code::RowTooLong) {
            return Problem::at(self.splitter.row_line(), code);
        }
        let (index, cell) = self.splitter.cell();
        let problem = Problem::at(cell.line, code).value(cell.text);
        match self.name(index) {
            Some(name) => problem.column(name),
            None => problem,
        }
    }

    fn name(&self, index: usize) -> Option<&'static str> {
        self.columns.as_ref().and_then(|columns| columns.name(index))
    }

    /// Takes a complete row: a blank one, the header, or a row of the campaign.
    fn row(&mut self, options: &Options, summary: &mut Summary, sink: &mut impl FnMut(Row)) {
        let (cells, line) = (self.splitter.cells(), self.splitter.row_line());
        if cells.iter().all(|cell| is_blank(cell.text)) {
            return summary.skip_blank();
        }
        let misplaced =
            self.splitter.misplaced().and_then(|index| cells.get(index).zip(Some(index)));
        let Some(columns) = &self.columns else {
            match Columns::read(&cells, options) {
                Ok(columns) => self.columns = Some(columns),
                Err(problems) => problems.into_iter().for_each(|problem| summary.stop(problem)),
            }
            return;
        };
        if summary.rows >= options.rows_max {
            return summary.stop(Problem::at(line, Code::RowsTooMany));
        }
        if let Some((cell, index)) = misplaced {
            let problem = Problem::at(cell.line, Code::QuoteMisplaced).value(cell.text);
            let name = columns.name(index).unwrap_or_default();
            return summary.refuse(vec![problem.column(name)]);
        }
        match columns.row(&cells, line, options) {
            Ok(row) => {
                summary.accept(&row);
                sink(row);
            }
            Err(problems) => summary.refuse(problems),
        }
    }

    #[cfg(test)]
    pub(crate) fn held_bytes(&self) -> usize {
        self.splitter.held_bytes()
    }
}
