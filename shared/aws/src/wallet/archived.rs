//! The part of a history that is archived.

use largesse_app::page::Page;
use largesse_app::ports::{Counted, HistoryFilter, PortResult, StoredRun};
use largesse_domain::id::{TransferId, Ulid, UserId};
use largesse_domain::ledger::{Posted, Transfer};
use largesse_domain::time::Timestamp;

use super::read_posted;
use super::run::Which;
use crate::store::Store;

/// Runs that one page of a history reads at most: some 100 KB each on the wire.
const RUNS_READ_MAX: u32 = 4;

/// The transfer with the next greater id: as a place, it has this one behind it.
pub(super) fn behind(id: TransferId) -> TransferId {
    TransferId(id.0.0.saturating_add(1).into())
}

/// The least id of a moment.
fn first_at(at: Timestamp) -> TransferId {
    TransferId(Ulid::from_parts(at.ms_unsigned(), 0))
}

/// What a filter and a place in the history leave of the archive.
pub(super) struct Window<'a> {
    filter: &'a HistoryFilter,
    /// Ids from this one on.
    from: TransferId,
    /// Ids below this one.
    below: Option<TransferId>,
}

impl<'a> Window<'a> {
    pub(super) fn new(filter: &'a HistoryFilter, after: Option<TransferId>) -> Self {
        let to = filter.to.map(first_at);
        let below = after.map_or(to, |after| Some(to.map_or(after, |to| to.min(after))));
        Self { filter, from: filter.from.map_or(TransferId(Ulid(0)), first_at), below }
    }

    fn has(&self, id: TransferId, transfer: &Transfer) -> bool {
        let kinds = &self.filter.kinds;
        let is_wanted = kinds.is_empty() || kinds.contains(&transfer.order.kind);
        is_wanted && id >= self.from && self.below.is_none_or(|below| id < below)
    }

    /// Whether all of a run's transfers are in it.
    fn has_all(&self, run: &StoredRun) -> bool {
        let is_below = self.below.is_none_or(|below| run.run.last < below);
        self.filter.kinds.is_empty() && run.run.first >= self.from && is_below
    }

    /// The run, if its ids reach into the window.
    fn reached(&self, run: Option<StoredRun>) -> Option<StoredRun> {
        run.filter(|run| run.run.last >= self.from)
    }
}

impl Store {
    /// Goes on in the runs, the newest first, until the page is full or [`RUNS_READ_MAX`] are read.
    pub(super) async fn page_of_runs(
        &self,
        user: &UserId,
        window: &Window<'_>,
        latest: StoredRun,
        mut rows: Vec<Transfer>,
        limit: u32,
    ) -> PortResult<Page<Transfer, TransferId>> {
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut run = self.first_run(user, window, latest).await?;
        let mut reads = 0_u32;
        // Where a page ends that has no row.
        let mut place = window.below;
        while let Some(stored) = &run {
            if rows.len() >= wanted || reads >= RUNS_READ_MAX {
                break;
            }
            let mut of_run = self.transfers_of(user, window, stored).await?;
            reads = reads.saturating_add(1);
            of_run.reverse();
            rows.extend(of_run);
            place = Some(stored.run.first);
            if rows.len() > wanted {
                break;
            }
            let before = self.run(user, Which::Before(stored.run.first)).await?;
            run = window.reached(before);
        }
        let is_full = rows.len() >= wanted;
        rows.truncate(wanted);
        // A run that is not read, or not to its end, is where the next page goes on.
        let next = run.and(if is_full { rows.last().map(|row| row.order.id) } else { place });
        Ok(Page { rows, next })
    }

    /// The newest run that reaches into the window.
    async fn first_run(
        &self,
        user: &UserId,
        window: &Window<'_>,
        latest: StoredRun,
    ) -> PortResult<Option<StoredRun>> {
        let run = match window.below {
            Some(below) if below <= latest.run.last => {
                match self.run(user, Which::From(below)).await? {
                    Some(around) if around.run.first < below => Some(around),
                    Some(_) | None => self.run(user, Which::Before(below)).await?,
                }
            }
            Some(_) | None => Some(latest),
        };
        Ok(window.reached(run))
    }

    /// The transfers of a run that are in the window, the oldest first.
    async fn transfers_of(
        &self,
        user: &UserId,
        window: &Window<'_>,
        stored: &StoredRun,
    ) -> PortResult<Vec<Transfer>> {
        let mut transfers = Vec::new();
        for (id, item) in self.run_rows(user, stored).await? {
            match read_posted(user, &item)? {
                Posted::Transfer(transfer) if window.has(id, &transfer) => transfers.push(transfer),
                Posted::Transfer(_) | Posted::Voided => {}
            }
        }
        Ok(transfers)
    }

    /// A transfer that is in no row of the table.
    pub(super) async fn archived_transfer(
        &self,
        user: &UserId,
        id: TransferId,
    ) -> PortResult<Option<Transfer>> {
        let run = self.run(user, Which::From(id)).await?;
        let Some(stored) = run.filter(|stored| stored.run.first <= id) else { return Ok(None) };
        let rows = self.run_rows(user, &stored).await?;
        let row = rows.into_iter().find(|(of_row, _)| *of_row == id);
        Ok(match row.map(|(_, item)| read_posted(user, &item)).transpose()? {
            Some(Posted::Transfer(transfer)) => Some(transfer),
            Some(Posted::Voided) | None => None,
        })
    }

    /// Goes on in the runs. One that the filter does not cut is counted by its number.
    pub(super) async fn count_runs(
        &self,
        user: &UserId,
        filter: &HistoryFilter,
        rows: u64,
        latest: StoredRun,
        mut counted: Counted,
    ) -> PortResult<Counted> {
        let window = Window::new(filter, None);
        let mut place = behind(latest.run.last);
        let mut run = self.first_run(user, &window, latest).await?;
        while let Some(stored) = run {
            if counted.rows >= rows {
                counted.next = Some(place);
                break;
            }
            let left = rows.saturating_sub(counted.rows);
            if window.has_all(&stored) && stored.run.transfers <= left {
                counted.rows = counted.rows.saturating_add(stored.run.transfers);
            } else {
                let of_run = self.transfers_of(user, &window, &stored).await?;
                let in_run = u64::try_from(of_run.len()).unwrap_or(u64::MAX);
                counted.rows = counted.rows.saturating_add(in_run.min(left));
                if in_run > left {
                    let last = usize::try_from(left)
                        .ok()
                        .and_then(|left| of_run.iter().rev().nth(left.saturating_sub(1)));
                    counted.next = last.map(|transfer| transfer.order.id);
                    break;
                }
            }
            place = stored.run.first;
            run = window.reached(self.run(user, Which::Before(stored.run.first)).await?);
        }
        Ok(counted)
    }
}
