//! What a file turned out to be.

use crate::PROBLEMS_KEPT_MAX;
use crate::code::Scope;
use crate::problem::Problem;
use crate::row::Row;
use crate::widths::IdWidths;

/// The counts and problems of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Rows that are not blank, as far as the file was read: `accepted` + `refused`.
    pub rows: u64,
    /// Rows that were given to the caller.
    pub accepted: u64,
    /// Rows with at least one problem.
    pub refused: u64,
    /// Blank rows: empty lines, and in CSV also rows of blank cells. They are skipped.
    pub blank: u64,
    /// The first problems in the order of the file: [`PROBLEMS_KEPT_MAX`] of rows, and those of the
    /// file. A row has a problem for each bad cell.
    pub problems: Vec<Problem>,
    /// How many problems there are.
    pub problem_count: u64,
    /// The last problems are those of the file. The reader has stopped there: the caller refuses
    /// the whole file and drops the rows that it was given.
    pub stopped: bool,
    /// The widths of the accepted ids that look like numbers.
    pub id_widths: IdWidths,
}

impl Summary {
    pub(crate) fn skip_blank(&mut self) {
        self.blank = self.blank.saturating_add(1);
    }

    pub(crate) fn accept(&mut self, row: &Row) {
        self.rows = self.rows.saturating_add(1);
        self.accepted = self.accepted.saturating_add(1);
        self.id_widths.add(&row.member);
    }

    pub(crate) fn refuse(&mut self, problems: Vec<Problem>) {
        self.rows = self.rows.saturating_add(1);
        self.refused = self.refused.saturating_add(1);
        for problem in problems {
            self.count(problem);
        }
    }

    /// Refuses the file.
    pub(crate) fn stop(&mut self, problem: Problem) {
        self.stopped = true;
        self.count(problem);
    }

    fn count(&mut self, problem: Problem) {
        self.problem_count = self.problem_count.saturating_add(1);
        if self.problems.len() < PROBLEMS_KEPT_MAX || problem.code.scope() == Scope::File {
            self.problems.push(problem);
        }
    }

    #[cfg(test)]
    pub(crate) fn held_bytes(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::capacity);
        let texts: usize = self.problems.iter().map(|p| text(&p.column) + text(&p.value)).sum();
        texts + self.problems.capacity() * size_of::<Problem>()
    }
}
