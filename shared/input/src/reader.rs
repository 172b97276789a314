//! The reader: bytes in, rows and a summary out.

use std::ops::ControlFlow;

use crate::code::Code;
use crate::csv::Csv;
use crate::encoding::{Foreign, Gate};
use crate::format::Format;
use crate::json::Lines;
use crate::problem::Problem;
use crate::row::{Options, Row};
use crate::summary::Summary;

/// Characters that mark the beginning of a text and show nothing: the byte order mark, the zero
/// width space, the word joiner. Spreadsheets and copying leave them before the first name.
const MARKS: [char; 3] = ['\u{feff}', '\u{200b}', '\u{2060}'];

/// Reads one file, fed in slices of any size. It holds one row and the first problems.
///
/// ```
/// use largesse_input::{Format, Options, Reader};
///
/// let options = Options { rows_max: 1_000, default_amount: None, default_reason: None };
/// let (mut reader, mut rows) = (Reader::new(Format::Csv, options), Vec::new());
/// for bytes in [b"member_id,amount,reason\n00042,10".as_slice(), b"00,Attendance\n"] {
///     reader.feed(bytes, &mut |row| rows.push(row));
/// }
/// let summary = reader.finish(&mut |row| rows.push(row));
/// assert!(!summary.stopped);
/// assert_eq!((rows[0].line, rows[0].member.as_str(), rows[0].amount.get()), (2, "00042", 1000));
/// ```
#[derive(Debug)]
pub struct Reader {
    gate: Gate,
    body: Body,
    /// Whether only marks have come.
    at_start: bool,
    options: Options,
    summary: Summary,
}

#[derive(Debug)]
enum Body {
    Csv(Csv),
    Json(Lines),
}

impl Body {
    fn push(
        &mut self,
        c: char,
        options: &Options,
        summary: &mut Summary,
        sink: &mut impl FnMut(Row),
    ) -> ControlFlow<()> {
        match self {
            Self::Csv(csv) => csv.push(c, options, summary, sink),
            Self::Json(lines) => lines.push(c, options, summary, sink),
        }
    }

    fn line(&self) -> u64 {
        match self {
            Self::Csv(csv) => csv.line(),
            Self::Json(lines) => lines.line(),
        }
    }
}

impl Reader {
    /// A reader of one file.
    #[must_use]
    pub fn new(format: Format, options: Options) -> Self {
        let body = match format {
            Format::Csv => Body::Csv(Csv::new()),
            Format::JsonLines => Body::Json(Lines::new()),
        };
        let summary = Summary::default();
        Self { gate: Gate::default(), body, at_start: true, options, summary }
    }

    /// Takes the next bytes and gives the rows that they complete. Bytes after a stop change
    /// nothing.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut impl FnMut(Row)) {
        if self.summary.stopped {
            return;
        }
        let Self { gate, body, at_start, options, summary } = self;
        let foreign = gate.feed(bytes, |c| {
            if *at_start && MARKS.contains(&c) {
                return ControlFlow::Continue(());
            }
            *at_start = false;
            body.push(c, options, summary, sink)
        });
        if let Some(foreign) = foreign {
            self.refuse(foreign);
        }
    }

    /// Whether the file is refused as a whole, so that no more of it needs to be sent.
    #[must_use]
    pub const fn is_stopped(&self) -> bool {
        self.summary.stopped
    }

    /// Takes the end of the file; gives its last row if no line end follows it.
    pub fn finish(mut self, sink: &mut impl FnMut(Row)) -> Summary {
        if self.summary.stopped {
            return self.summary;
        }
        if let Some(foreign) = self.gate.finish() {
            self.refuse(foreign);
            return self.summary;
        }
        match &mut self.body {
            Body::Csv(csv) => csv.finish(&self.options, &mut self.summary, sink),
            Body::Json(lines) => lines.finish(&self.options, &mut self.summary, sink),
        }
        if self.summary.rows == 0 && !self.summary.stopped {
            self.summary.stop(Problem::at(self.body.line(), Code::RowsNone));
        }
        self.summary
    }

    fn refuse(&mut self, foreign: Foreign) {
        self.summary.stop(Problem::at(self.body.line(), foreign.code).byte(foreign.byte));
    }

    /// The memory that the reader holds besides its own size.
    #[cfg(test)]
    pub(crate) fn held_bytes(&self) -> usize {
        let body = match &self.body {
            Body::Csv(csv) => csv.held_bytes(),
            Body::Json(lines) => lines.held_bytes(),
        };
        body + self.gate.held_bytes() + self.summary.held_bytes()
    }
}

#[cfg(test)]
mod tests;
