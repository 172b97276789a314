//! `generate`: a file of rows for trials, the same at each run.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use largesse_domain::ledger::Memo;
use largesse_domain::money::Amount;
use largesse_input::generate::Plan;
use largesse_input::{Format, Row, write};
use serde_json::json;

use super::CampaignError;

/// The least and the largest amount.
const AMOUNTS: (u64, u64) = (100, 10_000);
/// The amount of a bad row, as a damaged spreadsheet has it.
const BAD_AMOUNT: &str = "1E+05";

/// What to generate.
#[derive(Clone, Debug)]
pub struct Generate {
    /// All rows, bad ones and duplicates included.
    pub rows: u64,
    /// Another seed makes other amounts.
    pub seed: u64,
    /// Rows that are refused.
    pub bad_rows: u64,
    /// Rows that name the member of the row before.
    pub duplicates: u64,
    /// The format.
    pub format: Format,
    /// Where it goes.
    pub file: PathBuf,
}

/// What stands in a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Good,
    Bad,
    Duplicate,
}

impl Generate {
    /// Whether bad rows and duplicates leave at least one good row, which comes first.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        self.bad_rows.saturating_add(self.duplicates) < self.rows
    }

    /// What stands in a row, from 1: bad rows and duplicates are spread over the file.
    fn kind(&self, number: u64) -> Kind {
        let others = self.bad_rows.saturating_add(self.duplicates);
        let before = spread(number.saturating_sub(1), others, self.rows);
        if spread(number, others, self.rows) == before {
            return Kind::Good;
        }
        let bad = |count| spread(count, self.bad_rows, others);
        if bad(before.saturating_add(1)) > bad(before) { Kind::Bad } else { Kind::Duplicate }
    }
}

/// How many of `part` lie among the first `count` of `whole`, evenly.
fn spread(count: u64, part: u64, whole: u64) -> u64 {
    let share = u128::from(count).saturating_mul(u128::from(part));
    let share = share.checked_div(u128::from(whole)).unwrap_or(0);
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// Writes the file, row by row.
///
/// # Errors
/// [`CampaignError::Write`].
pub fn generate(wanted: &Generate) -> Result<(), CampaignError> {
    let path: &Path = &wanted.file;
    let failed = |source| CampaignError::Write { path: path.to_owned(), source };
    let mut file = BufWriter::new(File::create(path).map_err(failed)?);
    write_rows(wanted, &mut file).and_then(|()| file.flush()).map_err(failed)
}

fn write_rows(wanted: &Generate, to: &mut impl Write) -> std::io::Result<()> {
    let other = |_| std::io::Error::other("the amounts or the reason of a plan are none");
    let amount = |minor| Amount::new(minor).map_err(|_| std::io::Error::other("no amount"));
    let plan = Plan {
        rows: wanted.rows,
        seed: wanted.seed,
        amount_min: amount(AMOUNTS.0)?,
        amount_max: amount(AMOUNTS.1)?,
        reason: Memo::new("generated").map_err(other)?,
    };
    if wanted.format == Format::Csv {
        to.write_all(write::Layout::Rows.header().as_bytes())?;
    }
    let mut good = plan.rows();
    let mut last = None;
    for number in 1..=wanted.rows {
        let kind = wanted.kind(number);
        if kind != Kind::Duplicate {
            last = good.next();
        }
        if let Some(row) = &last {
            to.write_all(line(row, kind, wanted.format).as_bytes())?;
        }
    }
    Ok(())
}

fn line(row: &Row, kind: Kind, format: Format) -> String {
    let (member, amount, reason) = (row.member.as_str(), row.amount.get(), row.reason.as_str());
    match (format, kind) {
        (Format::Csv, Kind::Bad) => format!("{member},{BAD_AMOUNT},{reason}\r\n"),
        (Format::Csv, _) => write::row(row),
        (Format::JsonLines, Kind::Bad) => {
            format!("{}\n", json!({ "member_id": member, "amount": BAD_AMOUNT, "reason": reason }))
        }
        (Format::JsonLines, _) => {
            format!("{}\n", json!({ "member_id": member, "amount": amount, "reason": reason }))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use largesse_input::{Options, Reader};
    use rstest::rstest;

    fn written(wanted: &Generate) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_rows(wanted, &mut bytes).unwrap();
        bytes
    }

    #[rstest]
    #[case(1, 0, 0)]
    #[case(2, 1, 0)]
    #[case(2, 0, 1)]
    #[case(1_000, 10, 25)]
    #[case(1_000, 0, 999)]
    #[case(1_000, 999, 0)]
    #[case(1_000, 500, 499)]
    fn a_file_has_the_rows_that_were_asked_for(
        #[case] rows: u64,
        #[case] bad_rows: u64,
        #[case] duplicates: u64,
        #[values(Format::Csv, Format::JsonLines)] format: Format,
    ) {
        let file = PathBuf::new();
        let wanted = Generate { rows, seed: 7, bad_rows, duplicates, format, file };
        assert!(wanted.is_possible());
        let bytes = written(&wanted);
        assert_eq!(bytes, written(&wanted));
        let options = Options { rows_max: rows, default_amount: None, default_reason: None };
        let (mut reader, mut members, mut repeats) =
            (Reader::new(format, options), BTreeSet::new(), 0);
        let mut keep = |row: Row| repeats += u64::from(!members.insert(row.member));
        reader.feed(&bytes, &mut keep);
        let summary = reader.finish(&mut keep);
        assert!(!summary.stopped);
        // A duplicate of a bad row names a member who has no other row.
        let good = rows - bad_rows - duplicates;
        assert_eq!((summary.rows, summary.refused), (rows, bad_rows));
        assert!(repeats <= duplicates && u64::try_from(members.len()).unwrap() >= good);
    }

    #[test]
    fn a_file_of_nothing_but_bad_rows_is_not_possible() {
        let file = PathBuf::new();
        let wanted =
            Generate { rows: 3, seed: 1, bad_rows: 1, duplicates: 2, format: Format::Csv, file };
        assert!(!wanted.is_possible());
    }
}
