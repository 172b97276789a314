//! The lines of a file that was uploaded in parts.

use std::collections::BTreeMap;
use std::path::Path;

use largesse_domain::campaign::Hash;

use super::api::Api;
use super::split::{Piece, Size, Splitter};
use super::{CampaignError, check, state, upload};

/// The parts of a file, by their numbers, without their bytes.
pub(super) struct FileLines(BTreeMap<u32, Piece>);

impl FileLines {
    /// Splits the file as its load did, and checks that the campaign has these parts.
    ///
    /// # Errors
    /// [`CampaignError`].
    pub(super) async fn read(api: &Api, id: &str, file: &Path) -> Result<Self, CampaignError> {
        let there = upload::parts(api, id).await?;
        let receipt = state::read(&state::beside(file))?;
        let size = receipt.map_or(Size::LOAD, |receipt| receipt.size());
        let mut splitter = Splitter::new(check::open(file)?, check::format_of(file)?, size);
        let mut pieces = BTreeMap::new();
        while let Some(mut piece) = splitter.next_piece()? {
            if there.get(&piece.number) != Some(&Hash::of(&piece.body).to_string()) {
                return Err(CampaignError::OtherContent { part: piece.number });
            }
            piece.body = Vec::new();
            pieces.insert(piece.number, piece);
        }
        Ok(Self(pieces))
    }

    /// Rows of `duplicates.csv`, with the line of the file in the place of part and line.
    ///
    /// # Errors
    /// [`CampaignError::NoPlaces`], [`CampaignError::MoreParts`].
    pub(super) fn translate(&self, rows: &[u8]) -> Result<Vec<u8>, CampaignError> {
        let text = std::str::from_utf8(rows).map_err(|_| CampaignError::NoPlaces)?;
        let translated: Result<Vec<String>, _> = text.lines().map(|row| self.row(row)).collect();
        Ok(translated?.concat().into_bytes())
    }

    fn row(&self, row: &str) -> Result<String, CampaignError> {
        let mut cells = row.rsplitn(3, ',');
        let (line, part, rest) = (cells.next(), cells.next(), cells.next());
        let ((Some(line), Some(part)), Some(rest)) = ((line, part), rest) else {
            return Err(CampaignError::NoPlaces);
        };
        if (part, line) == ("part", "line") {
            return Ok(format!("{rest},line\r\n"));
        }
        let (Ok(line), Ok(part)) = (line.parse(), part.parse()) else {
            return Err(CampaignError::NoPlaces);
        };
        let piece = self.0.get(&part).ok_or(CampaignError::MoreParts { part })?;
        Ok(format!("{rest},{}\r\n", piece.line_in_file(line)))
    }
}
