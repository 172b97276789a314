//! The receipt of a load: a small file beside the file of rows. With it, a load that is repeated goes
//! on with the same campaign, and never makes a second one.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::CampaignError;
use super::split::Size;

/// What a load keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The deployment.
    pub url: String,
    /// The idempotency key under which the campaign is made: kept before the request is sent, so
    /// a load that was killed in between makes no other campaign.
    pub key: String,
    /// What the campaign was made of, byte for byte: a key covers its body.
    pub terms: Value,
    /// How the file is split, whatever a later version of this program prefers.
    pub part_bytes: usize,
    /// The same in rows.
    pub part_rows: u64,
    /// The campaign, when it is known.
    pub campaign_id: Option<String>,
}

impl Receipt {
    /// The sizes of the parts.
    #[must_use]
    pub const fn size(&self) -> Size {
        Size { bytes: self.part_bytes, rows: self.part_rows }
    }
}

/// Where the receipt of a file lies, if no other place is named.
#[must_use]
pub fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".largesse.json");
    PathBuf::from(name)
}

/// The receipt at a path; `None` when there is none.
///
/// # Errors
/// [`CampaignError::Receipt`], [`CampaignError::ReceiptUnreadable`].
pub fn read(path: &Path) -> Result<Option<Receipt>, CampaignError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(CampaignError::Receipt { path: path.to_owned(), source }),
    };
    let receipt = serde_json::from_slice(&bytes);
    receipt
        .map(Some)
        .map_err(|source| CampaignError::ReceiptUnreadable { path: path.to_owned(), source })
}

/// The receipt at a path, which is `new` if there was none. Of several loads that begin at once, one
/// writes it, and all go on with that one.
///
/// # Errors
/// [`CampaignError::Receipt`], [`CampaignError::ReceiptUnreadable`].
pub fn read_or_write(path: &Path, new: &Receipt) -> Result<Receipt, CampaignError> {
    let failed = |source| CampaignError::Receipt { path: path.to_owned(), source };
    if let Some(there) = read(path)? {
        return Ok(there);
    }
    let unfinished = unfinished(path, new)?;
    // A link is made whole, and only where nothing is.
    match std::fs::hard_link(&unfinished, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            // A file system without links: two loads at once are not told apart there.
            std::fs::rename(&unfinished, path)
        }
        _ => std::fs::remove_file(&unfinished),
    }
    .map_err(failed)?;
    Ok(read(path)?.unwrap_or_else(|| new.clone()))
}

/// Writes the receipt so that a crash leaves the old one or the new one.
///
/// # Errors
/// [`CampaignError::Receipt`].
pub fn write(path: &Path, receipt: &Receipt) -> Result<(), CampaignError> {
    let failed = |source| CampaignError::Receipt { path: path.to_owned(), source };
    let unfinished = unfinished(path, receipt)?;
    std::fs::rename(&unfinished, path).map_err(failed)
}

/// Writes the receipt under a name that no other load of the file has.
fn unfinished(path: &Path, receipt: &Receipt) -> Result<PathBuf, CampaignError> {
    let failed = |source| CampaignError::Receipt { path: path.to_owned(), source };
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}-{number}.new", std::process::id()));
    let unfinished = PathBuf::from(name);
    let text = serde_json::to_vec_pretty(receipt).map_err(|error| failed(error.into()))?;
    let mut file = std::fs::File::create(&unfinished).map_err(failed)?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(unfinished)
}
