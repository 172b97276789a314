//! The parts of a file into a campaign: several side by side, each once.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::try_unfold;
use largesse_domain::campaign::Hash;
use largesse_input::Format;
use serde::Deserialize;

use super::api::Api;
use super::progress::Progress;
use super::split::{Piece, Size, Splitter};
use super::wire::{Problem, Uploaded};
use super::{CampaignError, check};

/// How many parts are under way at once. With the one that is read, five are held: 20 MB.
const AT_ONCE: usize = 4;
/// The code of a part whose number has other content.
const OTHER_PART: &str = "ERR208";
/// How many problems of a refused part are shown.
const PROBLEMS_SHOWN: usize = 20;

/// What an upload came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Upload {
    /// Parts of the file.
    pub(super) parts: u64,
    /// Parts that were there before.
    pub(super) before: u64,
}

/// A campaign that takes the parts of a file.
pub(super) struct Target<'a> {
    pub(super) api: &'a Api,
    pub(super) campaign: &'a str,
    /// The state that takes no parts any more, if it is in one.
    pub(super) closed: Option<&'static str>,
}

/// A page of the parts of a campaign.
#[derive(Deserialize)]
struct Parts {
    parts: Vec<Uploaded>,
    next_cursor: Option<String>,
}

/// The hashes of the parts that a campaign has, by their numbers.
///
/// # Errors
/// [`CampaignError`].
pub(super) async fn parts(api: &Api, id: &str) -> Result<BTreeMap<u32, String>, CampaignError> {
    let path = format!("/campaigns/{id}/parts");
    let (mut all, mut cursor) = (BTreeMap::new(), String::new());
    loop {
        let page: Parts = api.get(&format!("{path}{cursor}")).await?;
        all.extend(page.parts.into_iter().map(|part| (part.part, part.hash)));
        match page.next_cursor {
            Some(next) => cursor = format!("?cursor={next}"),
            None => return Ok(all),
        }
    }
}

impl Target<'_> {
    /// Sends the parts of the file that the campaign lacks.
    ///
    /// # Errors
    /// [`CampaignError`]; parts that were sent stay.
    pub(super) async fn upload(
        &self,
        path: &Path,
        format: Format,
        size: Size,
        progress: &Progress,
    ) -> Result<Upload, CampaignError> {
        let there = parts(self.api, self.campaign).await?;
        let splitter = Splitter::new(check::open(path)?, format, size);
        let pieces = try_unfold(splitter, |mut splitter| async move {
            // A file may be on a slow disk: reading it blocks no other task.
            let read = tokio::task::spawn_blocking(move || {
                let piece = splitter.next_piece()?;
                Ok::<_, CampaignError>(piece.map(|piece| (piece, splitter)))
            });
            read.await?
        });
        let there = &there;
        let sent = pieces.map_ok(|piece| async move {
            let is_there = self.is_there(&piece, there)?;
            let rows = piece.rows;
            if is_there {
                progress.skip(rows);
            } else {
                self.send(piece, format).await?;
                progress.advance(rows);
            }
            Ok(u64::from(is_there))
        });
        let add = |sum: Upload, before: u64| async move {
            let (parts, before) = (sum.parts.saturating_add(1), sum.before.saturating_add(before));
            Ok(Upload { parts, before })
        };
        let sum = sent.try_buffer_unordered(AT_ONCE).try_fold(Upload::default(), add).await?;
        match there.keys().find(|part| u64::from(**part) > sum.parts) {
            Some(part) => Err(CampaignError::MoreParts { part: *part }),
            None => Ok(sum),
        }
    }

    /// Whether the campaign has this part already.
    fn is_there(
        &self,
        piece: &Piece,
        there: &BTreeMap<u32, String>,
    ) -> Result<bool, CampaignError> {
        match (there.get(&piece.number), self.closed) {
            (Some(hash), _) if *hash == Hash::of(&piece.body).to_string() => Ok(true),
            (Some(_), _) => Err(CampaignError::OtherContent { part: piece.number }),
            (None, Some(state)) => Err(CampaignError::Closed { state, part: piece.number }),
            (None, None) => Ok(false),
        }
    }

    async fn send(&self, mut piece: Piece, format: Format) -> Result<(), CampaignError> {
        let path = format!("/campaigns/{}/parts/{}", self.campaign, piece.number);
        let body = Bytes::from(std::mem::take(&mut piece.body));
        match self.api.put_part(&path, format, body).await {
            Ok(_) => Ok(()),
            Err(CampaignError::Refused { problem, .. }) if problem.code == OTHER_PART => {
                Err(CampaignError::OtherContent { part: piece.number })
            }
            Err(CampaignError::Refused { problem, .. }) if has_lines(&problem) => {
                let problem = by_lines_of_file(&problem, &piece);
                Err(CampaignError::PartRefused { part: piece.number, problem })
            }
            Err(error) => Err(error),
        }
    }
}

fn has_lines(problem: &Problem) -> bool {
    problem.errors.iter().any(|error| error.line.is_some())
}

/// The errors of a part, by the lines of the file.
fn by_lines_of_file(problem: &Problem, piece: &Piece) -> String {
    let of = |error: &super::wire::Detail| {
        let line = error.line.map(|line| format!("line {}", piece.line_in_file(line)));
        let column = error.column.clone();
        let place: Vec<String> = line.into_iter().chain(column).collect();
        format!("{}: {} ({})", place.join(", "), error.detail, error.code)
    };
    let shown: Vec<String> = problem.errors.iter().take(PROBLEMS_SHOWN).map(of).collect();
    shown.join("\n")
}
