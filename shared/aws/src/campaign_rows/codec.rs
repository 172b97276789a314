//! The packed items of a campaign's rows. Values of one kind stand together, which deflates better.

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::{Line, PartReport, PassRecord, PortResult};
use largesse_domain::campaign::{Duplicate, Hash, PartNumber, Place, Row, Sum, Totals};
use largesse_domain::ledger::Memo;
use largesse_domain::money::Amount;
use largesse_input::{Code, IdWidths, Problem};

use crate::blob::{PACKED_LEN_MAX, Packer, Unpacker, unpack};
use crate::item::{Item, Reader};

/// The attribute of every packed item.
pub(super) const DATA: &str = "data";

const LINES_VERSION: u8 = 1;
const ROWS_VERSION: u8 = 1;
const DUPLICATES_VERSION: u8 = 1;
const REPORT_VERSION: u8 = 1;
const PROBLEMS_VERSION: u8 = 1;
const PASS_VERSION: u8 = 1;

/// The most entries of one item: architecture.md 5.4.
const ENTRIES_MAX: usize = 1_000;
/// More than the integers of an entry take: four of at most 10 bytes and three of at most 6.
const INTEGERS_LEN_MAX: usize = 58;
/// The entries of an item, as [`len_max`] counts them. The rest is for their number.
const ENTRIES_LEN_MAX: usize = PACKED_LEN_MAX - 10;

/// More than the length of a row with its places, packed.
fn len_max(row: &Row) -> usize {
    let texts = row.member.as_str().len().saturating_add(row.reason.as_str().len());
    texts.saturating_add(INTEGERS_LEN_MAX)
}

fn problem_len_max(problem: &Problem) -> usize {
    let len = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let texts = len(&problem.column).saturating_add(len(&problem.value));
    texts.saturating_add(problem.code.as_str().len()).saturating_add(INTEGERS_LEN_MAX)
}

/// Cuts entries so that the packed items stay below [`PACKED_LEN_MAX`], at the same places each
/// time. One entry is far below it.
fn cut<T>(entries: &[T], len_max: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let (mut items, mut rest) = (Vec::new(), entries);
    while !rest.is_empty() {
        let mut len: usize = 0;
        let fits = |entry: &&T| {
            len = len.saturating_add(len_max(entry));
            len <= ENTRIES_LEN_MAX
        };
        let count = rest.iter().take(ENTRIES_MAX).take_while(fits).count().max(1);
        let (item, behind) = rest.split_at(count);
        items.push(item);
        rest = behind;
    }
    items
}

pub(super) fn cut_lines(lines: &[Line]) -> Vec<&[Line]> {
    cut(lines, |(_, row)| len_max(row))
}

pub(super) fn cut_duplicates(duplicates: &[Duplicate]) -> Vec<&[Duplicate]> {
    cut(duplicates, |duplicate| len_max(&duplicate.row))
}

pub(super) fn cut_problems(problems: &[Problem]) -> Vec<&[Problem]> {
    cut(problems, problem_len_max)
}

fn pack_rows<'a>(packer: &mut Packer, rows: impl Iterator<Item = &'a Row> + Clone) {
    rows.clone().for_each(|row| packer.int(row.amount.get()));
    rows.clone().for_each(|row| packer.text(row.member.as_str()));
    rows.for_each(|row| packer.text(row.reason.as_str()));
}

fn unpack_rows(unpacker: &mut Unpacker<'_>, count: usize) -> PortResult<Vec<Row>> {
    let mut amounts = Vec::with_capacity(count);
    for _ in 0..count {
        amounts.push(Amount::new(unpacker.int()?).map_err(|_| unpacker.corrupt())?);
    }
    let mut members = Vec::with_capacity(count);
    for _ in 0..count {
        members.push(unpacker.text()?.parse().map_err(|_| unpacker.corrupt())?);
    }
    let mut rows = Vec::with_capacity(count);
    for (amount, member) in amounts.into_iter().zip(members) {
        let reason = Memo::new(unpacker.text()?).map_err(|_| unpacker.corrupt())?;
        rows.push(Row { member, amount, reason });
    }
    Ok(rows)
}

/// Staged rows: the distance of each line from the one before, then the rows.
pub(super) fn pack_lines(lines: &[Line]) -> Av {
    let mut packer = Packer::default();
    packer.count(lines.len());
    let mut last: u64 = 0;
    for (line, _) in lines {
        packer.int(line.wrapping_sub(last));
        last = *line;
    }
    pack_rows(&mut packer, lines.iter().map(|(_, row)| row));
    packer.pack(LINES_VERSION)
}

pub(super) fn read_lines(item: &Item) -> PortResult<Vec<Line>> {
    let reader = Reader { item, what: "staged rows" };
    let bytes = unpack(&reader, DATA, LINES_VERSION)?;
    let mut unpacker = Unpacker::new(&bytes, reader.what);
    let count = unpacker.count()?;
    let (mut lines, mut last) = (Vec::with_capacity(count), 0_u64);
    for _ in 0..count {
        last = last.wrapping_add(unpacker.int()?);
        lines.push(last);
    }
    let rows = unpack_rows(&mut unpacker, count)?;
    unpacker.end()?;
    Ok(lines.into_iter().zip(rows).collect())
}

/// A chunk. Its rows are at most 200, each of 64 bytes of member, 800 of reason and 9 more, so it is
/// below 175 KB before it is deflated.
pub(super) fn pack_chunk(rows: &[Row]) -> Av {
    let mut packer = Packer::default();
    packer.count(rows.len());
    pack_rows(&mut packer, rows.iter());
    packer.pack(ROWS_VERSION)
}

pub(crate) fn read_chunk(item: &Item) -> PortResult<Vec<Row>> {
    let reader = Reader { item, what: "chunk of rows" };
    let bytes = unpack(&reader, DATA, ROWS_VERSION)?;
    let mut unpacker = Unpacker::new(&bytes, reader.what);
    let count = unpacker.count()?;
    let rows = unpack_rows(&mut unpacker, count)?;
    unpacker.end()?;
    Ok(rows)
}

fn pack_place(packer: &mut Packer, place: Place) {
    packer.int(place.part.get());
    packer.int(place.line);
}

fn unpack_place(unpacker: &mut Unpacker<'_>) -> PortResult<Place> {
    let part = PartNumber::new(unpacker.number()?).ok_or_else(|| unpacker.corrupt())?;
    Ok(Place { part, line: unpacker.int()? })
}

/// Duplicates: their places, the places of the rows that came first, then the rows.
pub(super) fn pack_duplicates(duplicates: &[Duplicate]) -> Av {
    let mut packer = Packer::default();
    packer.count(duplicates.len());
    duplicates.iter().for_each(|duplicate| pack_place(&mut packer, duplicate.place));
    duplicates.iter().for_each(|duplicate| pack_place(&mut packer, duplicate.first));
    pack_rows(&mut packer, duplicates.iter().map(|duplicate| &duplicate.row));
    packer.pack(DUPLICATES_VERSION)
}

pub(super) fn read_duplicates(item: &Item) -> PortResult<Vec<Duplicate>> {
    let reader = Reader { item, what: "duplicates" };
    let bytes = unpack(&reader, DATA, DUPLICATES_VERSION)?;
    let mut unpacker = Unpacker::new(&bytes, reader.what);
    let count = unpacker.count()?;
    let (mut places, mut firsts) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for _ in 0..count {
        places.push(unpack_place(&mut unpacker)?);
    }
    for _ in 0..count {
        firsts.push(unpack_place(&mut unpacker)?);
    }
    let rows = unpack_rows(&mut unpacker, count)?;
    unpacker.end()?;
    let places = places.into_iter().zip(firsts);
    let duplicate = |((place, first), row)| Duplicate { place, row, first };
    Ok(places.zip(rows).map(duplicate).collect())
}

/// What a caller was told, without the problems.
pub(super) fn pack_report(report: &PartReport) -> Av {
    let PartReport { rows, accepted, refused, blank, problems: _, problem_count } = report;
    let mut packer = Packer::default();
    for count in [rows, accepted, refused, blank, problem_count] {
        packer.int(*count);
    }
    packer.pack(REPORT_VERSION)
}

pub(super) fn read_report(item: &Item) -> PortResult<PartReport> {
    let reader = Reader { item, what: "report of a part" };
    let bytes = unpack(&reader, DATA, REPORT_VERSION)?;
    let mut unpacker = Unpacker::new(&bytes, reader.what);
    let mut int = || unpacker.int();
    let report = PartReport {
        rows: int()?,
        accepted: int()?,
        refused: int()?,
        blank: int()?,
        problem_count: int()?,
        problems: Vec::new(),
    };
    unpacker.end()?;
    Ok(report)
}

/// A text that may be missing: 0, or 1 and the text.
fn pack_optional(packer: &mut Packer, text: Option<&str>) {
    packer.int(u8::from(text.is_some()));
    if let Some(text) = text {
        packer.text(text);
    }
}

fn unpack_optional(unpacker: &mut Unpacker<'_>) -> PortResult<Option<String>> {
    match unpacker.int()? {
        0 => Ok(None),
        1 => Ok(Some(unpacker.text()?.to_owned())),
        _ => Err(unpacker.corrupt()),
    }
}

pub(super) fn pack_problems(problems: &[Problem]) -> Av {
    let mut packer = Packer::default();
    packer.count(problems.len());
    for Problem { line, byte, column, value, code } in problems {
        packer.int(*line);
        // A byte's place, counted from 1: 0 where there is none.
        packer.int(byte.map_or(0, |byte| byte.saturating_add(1)));
        packer.text(code.as_str());
        pack_optional(&mut packer, column.as_deref());
        pack_optional(&mut packer, value.as_deref());
    }
    packer.pack(PROBLEMS_VERSION)
}

pub(super) fn read_problems(item: &Item) -> PortResult<Vec<Problem>> {
    let reader = Reader { item, what: "problems of a part" };
    let bytes = unpack(&reader, DATA, PROBLEMS_VERSION)?;
    let mut unpacker = Unpacker::new(&bytes, reader.what);
    let mut problems = Vec::new();
    for _ in 0..unpacker.count()? {
        let (line, byte) = (unpacker.int()?, unpacker.int()?.checked_sub(1));
        let code = unpacker.text()?;
        let code = Code::ALL.iter().copied().find(|known| known.as_str() == code);
        let code = code.ok_or_else(|| unpacker.corrupt())?;
        let (column, value) = (unpack_optional(&mut unpacker)?, unpack_optional(&mut unpacker)?);
        problems.push(Problem { line, byte, column, value, code });
    }
    unpacker.end()?;
    Ok(problems)
}

/// A pass has at most 5,000 chunks, hence 160 KB of hashes.
pub(super) fn pack_pass(record: &PassRecord) -> Av {
    let PassRecord { chunks, totals, shards, widths } = record;
    let mut packer = Packer::default();
    packer.count(chunks.len());
    chunks.iter().for_each(|hash| packer.bytes(&hash.0));
    for total in [totals.rows, totals.amount, totals.duplicates, totals.refused] {
        packer.int(total);
    }
    packer.count(shards.len());
    for Sum { rows, amount } in shards {
        packer.int(*rows);
        packer.int(*amount);
    }
    packer.count(widths.counts().count());
    for (width, count) in widths.counts() {
        packer.count(width);
        packer.int(count);
    }
    packer.pack(PASS_VERSION)
}

pub(super) fn read_pass(item: &Item) -> PortResult<PassRecord> {
    let reader = Reader { item, what: "pass of a seal" };
    let bytes = unpack(&reader, DATA, PASS_VERSION)?;
    let mut unpacker = Unpacker::new(&bytes, reader.what);
    let mut chunks = Vec::new();
    for _ in 0..unpacker.count()? {
        chunks.push(Hash(unpacker.bytes(32)?.try_into().map_err(|_| unpacker.corrupt())?));
    }
    let mut int = || unpacker.int();
    let totals = Totals { rows: int()?, amount: int()?, duplicates: int()?, refused: int()? };
    let mut shards = Vec::new();
    for _ in 0..unpacker.count()? {
        shards.push(Sum { rows: unpacker.int()?, amount: unpacker.int()? });
    }
    let mut widths = Vec::new();
    for _ in 0..unpacker.count()? {
        widths.push((unpacker.number()?, unpacker.int()?));
    }
    unpacker.end()?;
    Ok(PassRecord { chunks, totals, shards, widths: IdWidths::from_counts(widths) })
}

#[cfg(test)]
mod tests;
