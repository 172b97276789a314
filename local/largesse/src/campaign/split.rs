//! A file of rows into parts that are uploaded one by one.
//!
//! A part ends between two rows, never inside one: a line break inside quotes ends no row. Each part
//! of a CSV file begins with the header, so each is a whole file to its reader. The same file and
//! the same [`Size`] make the same parts, byte for byte; a load that was cut off relies on it.
//!
//! Blank rows before the first row of a part and behind its last one are left out, so no part is
//! blank as a whole, and 100 MB of empty lines are no part at all.

use std::io::Read;

use largesse_input::{Format, ROW_LEN_MAX};

/// How many bytes are read at once.
const READ_BYTES: usize = 65_536;
/// How many bytes of blank rows stand between two rows of one part. More end the part.
const BLANK_BYTES_MAX: usize = 65_536;
/// Characters that a reader skips at the beginning of a file: byte order mark, zero width space,
/// word joiner.
const MARKS: [[u8; 3]; 3] = [*b"\xef\xbb\xbf", *b"\xe2\x80\x8b", *b"\xe2\x81\xa0"];

/// How large a part may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Bytes, the header included. A part of one row may have more.
    pub bytes: usize,
    /// Rows.
    pub rows: u64,
}

impl Size {
    /// What a load uses: two thirds of the 6 MB that a request of AWS Lambda may have, and 20 parts
    /// for a million rows.
    pub const LOAD: Self = Self { bytes: 4_000_000, rows: 50_000 };
}

/// A piece of a file that is a file itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its number, from 1.
    pub number: u32,
    /// Its bytes.
    pub body: Vec<u8>,
    /// How many rows it has, the header and blank rows not counted.
    pub rows: u64,
    /// The line of the file on which the header begins, and how many lines it has.
    header: (u64, u64),
    /// The line of the file on which the first row begins.
    first_line: u64,
}

impl Piece {
    /// The line of the file that a line of this piece is, both from 1.
    #[must_use]
    pub const fn line_in_file(&self, line: u64) -> u64 {
        let (header_line, header_lines) = self.header;
        match line.checked_sub(header_lines.saturating_add(1)) {
            Some(behind) => self.first_line.saturating_add(behind),
            None => header_line.saturating_add(line.saturating_sub(1)),
        }
    }
}

/// Why a file cannot be split.
#[derive(Debug, thiserror::Error)]
pub enum SplitError {
    /// The file cannot be read.
    #[error("cannot read the file")]
    Read(#[from] std::io::Error),
    /// No reader takes such a row, and it would have to be held as a whole.
    #[error(
        "line {line}: a row has more than {ROW_LEN_MAX} bytes, or a quote is opened and not closed"
    )]
    RowTooLong {
        /// The line on which it begins.
        line: u64,
    },
}

/// Where a scan stands inside a row of CSV, as the reader of `largesse-input` does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Bare,
    Quoted,
    Closing,
}

/// Splits what is read into parts.
pub struct Splitter<R> {
    source: Source<R>,
    format: Format,
    size: Size,
    /// The header with its line end, its line in the file, and how many lines it has.
    header: Vec<u8>,
    header_at: (u64, u64),
    number: u32,
    /// Whether the row that was read belongs to the next part.
    is_pending: bool,
    row: Row,
}

/// The row that was read last.
#[derive(Default)]
struct Row {
    bytes: Vec<u8>,
    line: u64,
    has_content: bool,
}

impl<R: Read> Splitter<R> {
    /// A splitter of a file from its first byte.
    pub fn new(input: R, format: Format, size: Size) -> Self {
        Self {
            source: Source { input, buffer: Vec::new(), at: 0, line: 1, is_at_start: true },
            format,
            size,
            header: Vec::new(),
            header_at: (1, 0),
            number: 0,
            is_pending: false,
            row: Row::default(),
        }
    }

    /// The next part; `None` at the end of the file.
    ///
    /// # Errors
    /// [`SplitError`].
    pub fn next_piece(&mut self) -> Result<Option<Piece>, SplitError> {
        if self.number == 0 && self.format == Format::Csv && !self.read_header()? {
            return Ok(None);
        }
        let mut body = self.header.clone();
        // Where the last row ends: blank rows behind it are kept only before another row.
        let (mut end, mut rows, mut first_line) = (body.len(), 0_u64, 0);
        while self.is_pending || self.source.read_row(self.format, &mut self.row)? {
            self.is_pending = false;
            let len = body.len().saturating_add(self.row.bytes.len());
            if !self.row.has_content {
                if rows == 0 {
                    continue;
                }
                if len.saturating_sub(end) > BLANK_BYTES_MAX {
                    break;
                }
                body.extend_from_slice(&self.row.bytes);
                continue;
            }
            if rows > 0 && (len > self.size.bytes || rows >= self.size.rows) {
                self.is_pending = true;
                break;
            }
            if rows == 0 {
                first_line = self.row.line;
            }
            body.extend_from_slice(&self.row.bytes);
            end = body.len();
            rows = rows.saturating_add(1);
        }
        if rows == 0 {
            return Ok(None);
        }
        body.truncate(end);
        self.number = self.number.saturating_add(1);
        let (number, header) = (self.number, self.header_at);
        Ok(Some(Piece { number, body, rows, header, first_line }))
    }

    /// Reads the first row that is not blank; says whether there is one.
    fn read_header(&mut self) -> Result<bool, SplitError> {
        while self.source.read_row(self.format, &mut self.row)? {
            if self.row.has_content {
                let lines = self.source.line.saturating_sub(self.row.line);
                self.header_at = (self.row.line, lines);
                self.header = std::mem::take(&mut self.row.bytes);
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Bytes, and the physical line of the next one.
struct Source<R> {
    input: R,
    buffer: Vec<u8>,
    at: usize,
    line: u64,
    is_at_start: bool,
}

impl<R: Read> Source<R> {
    /// Reads one row with its line end; says whether there is one.
    fn read_row(&mut self, format: Format, row: &mut Row) -> Result<bool, SplitError> {
        if std::mem::take(&mut self.is_at_start) {
            self.skip_marks()?;
        }
        row.bytes.clear();
        (row.line, row.has_content) = (self.line, false);
        let mut state = if format == Format::Csv { State::Start } else { State::Bare };
        while let Some(byte) = self.take()? {
            row.bytes.push(byte);
            if matches!(byte, b'\r' | b'\n') {
                // The second half of CRLF ends no other line.
                if byte == b'\r' && self.peek()? == Some(b'\n') {
                    row.bytes.extend(self.take()?);
                }
                self.line = self.line.saturating_add(1);
                if state != State::Quoted {
                    return Ok(true);
                }
                row.has_content = true;
            } else if format == Format::Csv {
                let is_kept;
                (state, is_kept) = cell_byte(state, byte);
                row.has_content |= is_kept && !matches!(byte, b' ' | b'\t');
            } else {
                row.has_content |= !matches!(byte, b' ' | b'\t');
            }
            // Two bytes more than a reader takes: its line end.
            if row.bytes.len() > ROW_LEN_MAX.saturating_add(2) {
                return Err(SplitError::RowTooLong { line: row.line });
            }
        }
        Ok(!row.bytes.is_empty())
    }

    fn skip_marks(&mut self) -> Result<(), SplitError> {
        loop {
            while self.buffer.len().saturating_sub(self.at) < 3 && self.read_more()? {}
            let ahead = self.buffer.get(self.at..).unwrap_or_default();
            if !MARKS.iter().any(|mark| ahead.starts_with(mark)) {
                return Ok(());
            }
            self.at = self.at.saturating_add(3);
        }
    }

    fn peek(&mut self) -> Result<Option<u8>, SplitError> {
        if self.at >= self.buffer.len() && !self.read_more()? {
            return Ok(None);
        }
        Ok(self.buffer.get(self.at).copied())
    }

    fn take(&mut self) -> Result<Option<u8>, SplitError> {
        let byte = self.peek()?;
        self.at = self.at.saturating_add(usize::from(byte.is_some()));
        Ok(byte)
    }

    /// Reads behind what is not taken yet; says whether anything came.
    fn read_more(&mut self) -> Result<bool, SplitError> {
        self.buffer.drain(..self.at.min(self.buffer.len()));
        self.at = 0;
        let wanted = u64::try_from(READ_BYTES).unwrap_or(u64::MAX);
        let read = self.input.by_ref().take(wanted).read_to_end(&mut self.buffer)?;
        Ok(read > 0)
    }
}

/// Where a byte of a cell leads, and whether it is part of the cell's text.
const fn cell_byte(state: State, byte: u8) -> (State, bool) {
    match (state, byte) {
        (State::Start | State::Bare | State::Closing, b',') => (State::Start, false),
        (State::Start, b'"') => (State::Quoted, false),
        (State::Quoted, b'"') => (State::Closing, false),
        (State::Closing, b'"') | (State::Quoted, _) => (State::Quoted, true),
        (State::Start | State::Bare | State::Closing, _) => (State::Bare, true),
    }
}

#[cfg(test)]
mod tests;
