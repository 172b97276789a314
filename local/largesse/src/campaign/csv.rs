//! `failures` and `duplicates`: the CSV files of a campaign.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::api::Api;
use super::lines::FileLines;
use super::{CampaignError, Ended, Say};

/// A CSV of a campaign.
pub(super) struct Source<'a> {
    /// Its path.
    pub(super) path: String,
    /// The file that was loaded, where its lines are named instead of parts.
    pub(super) lines: Option<&'a FileLines>,
}

impl Source<'_> {
    /// Gives it page by page.
    async fn read(
        &self,
        api: &Api,
        each: &mut impl FnMut(&[u8]) -> Result<(), CampaignError>,
    ) -> Result<(), CampaignError> {
        let mut translated = |rows: &[u8]| match self.lines {
            Some(lines) => each(&lines.translate(rows)?),
            None => each(rows),
        };
        api.download(&self.path, &mut translated).await
    }
}

/// Saves a CSV of a campaign to a file, or prints it. A file is there in full or not at all.
///
/// # Errors
/// [`CampaignError`].
pub(super) async fn fetch(
    api: &Api,
    out: &dyn Say,
    source: &Source<'_>,
    file: Option<&Path>,
) -> Result<Ended, CampaignError> {
    match file {
        Some(file) => save(api, out, source, file).await?,
        None => {
            let mut stdout = std::io::stdout().lock();
            source.read(api, &mut |bytes| Ok(stdout.write_all(bytes)?)).await?;
            stdout.flush()?;
        }
    }
    Ok(Ended::Done)
}

async fn save(
    api: &Api,
    out: &dyn Say,
    source: &Source<'_>,
    file: &Path,
) -> Result<(), CampaignError> {
    let failed = |source| CampaignError::Write { path: file.to_owned(), source };
    let mut unfinished = file.as_os_str().to_owned();
    unfinished.push(".new");
    let unfinished = PathBuf::from(unfinished);
    let mut writer = BufWriter::new(File::create(&unfinished).map_err(failed)?);
    let mut lines = Lines::default();
    let mut keep = |bytes: &[u8]| {
        lines.add(bytes);
        writer.write_all(bytes).map_err(failed)
    };
    let fetched = source.read(api, &mut keep).await;
    let done = fetched.and_then(|()| writer.flush().map_err(failed));
    if let Err(error) = done {
        // What is unfinished is of no use; the first error counts.
        let _ = std::fs::remove_file(&unfinished);
        return Err(error);
    }
    std::fs::rename(&unfinished, file).map_err(failed)?;
    Ok(out.say(&format!("{}: {} rows", file.display(), lines.0.saturating_sub(1)))?)
}

/// Lines of a file that ends with a line end. No cell of these files has one.
#[derive(Default)]
struct Lines(u64);

impl Lines {
    fn add(&mut self, bytes: &[u8]) {
        let ends = bytes.iter().filter(|byte| **byte == b'\n').count();
        self.0 = self.0.saturating_add(u64::try_from(ends).unwrap_or(u64::MAX));
    }
}
