//! The rows that name a member again, as a seal lists them.

use futures::future::try_join_all;
use largesse_domain::campaign::{Campaign, Duplicate, Place};

use crate::page::Page;
use crate::ports::{CampaignRows, ChunkRange, ChunkSet, PortError, PortResult};

/// The duplicates of one seal, in the order (part, line).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuplicateList {
    /// Which chunks the seal made.
    pub(super) set: ChunkSet,
    /// The ranges of its passes. Each pass listed its own duplicates.
    pub(super) passes: Vec<ChunkRange>,
}

impl DuplicateList {
    /// The list of a sealed campaign; `None` before it is sealed.
    ///
    /// # Errors
    /// [`PortError`].
    pub async fn of<D>(deps: &D, campaign: &Campaign) -> PortResult<Option<Self>>
    where
        D: CampaignRows,
    {
        let Some((set, seal)) = ChunkSet::of(campaign).zip(campaign.seal) else { return Ok(None) };
        let (mut passes, mut first) = (Vec::new(), 0);
        while first < seal.layout.chunks() {
            let missing = PortError::corrupt("list duplicates: a pass of the seal is missing");
            let record = deps.pass(&set, first).await?.ok_or(missing)?;
            let count = u32::try_from(record.chunks.len()).unwrap_or(u32::MAX).max(1);
            passes.push(ChunkRange { first, count });
            first = first.saturating_add(count);
        }
        Ok(Some(Self { set, passes }))
    }

    /// At most `limit` duplicates behind the place `after`.
    ///
    /// # Errors
    /// [`PortError`].
    pub async fn page<D>(
        &self,
        deps: &D,
        after: Option<Place>,
        limit: u32,
    ) -> PortResult<Page<Duplicate, Place>>
    where
        D: CampaignRows,
    {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut page = Page { rows: Vec::new(), next: after };
        while page.rows.len() < limit {
            let after = page.next;
            let reads = self.passes.iter().map(|range| deps.duplicates(&self.set, range, after));
            let mut found = try_join_all(reads).await?;
            // Of each pass the next ones are known to the last that was read: up to the least of
            // these places, nothing is missing.
            let lasts = found.iter().filter_map(|of_pass| of_pass.last());
            let Some(known_to) = lasts.map(|duplicate| duplicate.place).min() else {
                page.next = None;
                break;
            };
            found.iter_mut().for_each(|of_pass| of_pass.retain(|d| d.place <= known_to));
            let mut known = found.concat();
            known.sort_by_key(|duplicate| duplicate.place);
            known.truncate(limit.saturating_sub(page.rows.len()));
            page.rows.append(&mut known);
            page.next = page.rows.last().map(|duplicate| duplicate.place);
        }
        Ok(page)
    }
}
