//! A file of rows is read once before anything is sent: a fault in its last line costs no upload, and
//! every error names the line of the file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use largesse_domain::campaign::ROWS_MAX;
use largesse_domain::ledger::Memo;
use largesse_domain::money::Amount;
use largesse_input::{Format, Options, Reader, Summary};

use super::CampaignError;
use super::progress::Progress;

/// How many bytes are read at once.
const READ_BYTES: usize = 1 << 16;

/// The format of a file: from its name, or else from its first character.
///
/// # Errors
/// [`CampaignError::File`].
pub fn format_of(path: &Path) -> Result<Format, CampaignError> {
    let extension = path.extension().and_then(|text| text.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "csv" => return Ok(Format::Csv),
        "jsonl" | "ndjson" => return Ok(Format::JsonLines),
        _ => {}
    }
    let mut start = Vec::new();
    open(path)?.take(64).read_to_end(&mut start).map_err(|source| unreadable(path, source))?;
    let start = String::from_utf8_lossy(&start);
    let marks = ['\u{feff}', '\u{200b}', '\u{2060}', ' ', '\t', '\r', '\n'];
    let is_json = start.trim_start_matches(marks).starts_with('{');
    Ok(if is_json { Format::JsonLines } else { Format::Csv })
}

/// Opens a file of rows.
///
/// # Errors
/// [`CampaignError::File`].
pub fn open(path: &Path) -> Result<File, CampaignError> {
    File::open(path).map_err(|source| unreadable(path, source))
}

/// The error of a file that cannot be read.
#[must_use]
pub fn unreadable(path: &Path, source: std::io::Error) -> CampaignError {
    CampaignError::File { path: path.to_owned(), source }
}

/// Reads the file to its end, or to where it is refused. It blocks.
///
/// # Errors
/// [`CampaignError::File`].
pub fn check(
    path: &Path,
    format: Format,
    default_amount: Option<Amount>,
    default_reason: Option<Memo>,
    progress: &Progress,
) -> Result<Summary, CampaignError> {
    let mut file = open(path)?;
    let options = Options { rows_max: ROWS_MAX, default_amount, default_reason };
    let mut reader = Reader::new(format, options);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let len = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => len,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(unreadable(path, source)),
        };
        reader.feed(buffer.get(..len).unwrap_or_default(), &mut |_| {});
        progress.advance(u64::try_from(len).unwrap_or(u64::MAX));
        if reader.is_stopped() {
            break;
        }
    }
    Ok(reader.finish(&mut |_| {}))
}
