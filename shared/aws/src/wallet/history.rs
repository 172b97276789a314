//! A wallet's history: the rows of the table, and behind them those of the archive.
//!
//! The archive removes the rows of a run in several transactions, the oldest first. So a page that
//! reaches the end of the table's rows has only those behind the latest run from the table, and the
//! others from the archive.
//!
//! # Guarantees
//! * A history is the same before, while and after its transfers are archived:
//!   `a_history_is_the_same_before_and_after_it_is_archived`,
//!   `an_archive_that_is_killed_anywhere_loses_nothing_and_is_finished_by_the_next_run`.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::Select;
use largesse_app::page::Page;
use largesse_app::ports::{Counted, HistoryFilter, PortResult, StoredRun};
use largesse_domain::id::{TransferId, Ulid, UserId};
use largesse_domain::ledger::{Posted, Transfer};
use largesse_domain::time::{TIMESTAMP_MS_MAX, Timestamp};

use super::codec::VOID;
use super::read_posted;
use super::run::Which;
use crate::errors::port_error;
use crate::item::{Reader, s};
use crate::keys::{self, PK, SK, TX};
use crate::store::Store;

/// Items that one read of a history reads at most: some 256 KB. A filter that matches few of them
/// gives a page that is not full.
const HISTORY_READ_MAX: u32 = 1_000;
/// Runs that one page of a history reads at most: some 100 KB each on the wire.
const RUNS_READ_MAX: u32 = 4;

/// The transfer with the next greater id: as a place, it has this one behind it.
fn behind(id: TransferId) -> TransferId {
    TransferId(id.0.0.saturating_add(1).into())
}

/// The least id of a moment.
fn first_at(at: Timestamp) -> TransferId {
    TransferId(Ulid::from_parts(at.ms_unsigned(), 0))
}

/// What a filter and a place in the history leave of the archive.
struct Window<'a> {
    filter: &'a HistoryFilter,
    /// Ids from this one on.
    from: TransferId,
    /// Ids below this one.
    below: Option<TransferId>,
}

impl<'a> Window<'a> {
    fn new(filter: &'a HistoryFilter, after: Option<TransferId>) -> Self {
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

/// The rows of the table that a page has.
struct OfTable {
    rows: Vec<Transfer>,
    /// Where the next page begins; `None` where the table has no more.
    next: Option<TransferId>,
}

impl Store {
    pub(super) async fn page_of_history(
        &self,
        user: &UserId,
        filter: &HistoryFilter,
        after: Option<TransferId>,
        limit: u32,
    ) -> PortResult<Page<Transfer, TransferId>> {
        let OfTable { mut rows, next } = self.page_of_table(user, filter, after, limit).await?;
        if next.is_some() {
            return Ok(Page { rows, next });
        }
        let Some(latest) = self.run(user, Which::Latest).await? else {
            return Ok(Page { rows, next: None });
        };
        rows.retain(|row| row.order.id > latest.run.last);
        let window = Window::new(filter, after);
        self.page_of_runs(user, &window, latest, rows, limit).await
    }

    /// Goes on in the runs, the newest first, until the page is full or [`RUNS_READ_MAX`] are read.
    async fn page_of_runs(
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

    async fn page_of_table(
        &self,
        user: &UserId,
        filter: &HistoryFilter,
        after: Option<TransferId>,
        limit: u32,
    ) -> PortResult<OfTable> {
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut rows: Vec<Transfer> = Vec::new();
        let mut start = after.map(|id| keys::transfer(user, id));
        let read_max = HISTORY_READ_MAX.max(limit.saturating_add(1));
        // First as many as fill the page; if the filter left some out, as many as are allowed.
        let (mut left, mut step) = (read_max, limit.saturating_add(1));
        loop {
            let got = self
                .history_query(user, filter, None, step)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| port_error("list transfers", error))?;
            let scanned = u32::try_from(got.scanned_count).unwrap_or(step);
            for item in got.items.unwrap_or_default() {
                if let Posted::Transfer(transfer) = read_posted(user, &item)? {
                    rows.push(transfer);
                }
            }
            start = got.last_evaluated_key;
            // The filter leaves rows of a query out, so more queries fill the page; one row beyond it
            // says whether there is a next one.
            left = left.saturating_sub(scanned);
            step = left;
            if rows.len() > wanted || start.is_none() || left == 0 {
                break;
            }
        }
        let has_more = rows.len() > wanted;
        rows.truncate(wanted);
        let next = match start {
            _ if has_more => rows.last().map(|row| row.order.id),
            // Behind the last item that was read, whether or not it is a row.
            Some(item) => Some(Reader { item: &item, what: "transfer key" }.parse_after(SK, TX)?),
            None => None,
        };
        Ok(OfTable { rows, next })
    }

    pub(super) async fn counted_history(
        &self,
        user: &UserId,
        filter: &HistoryFilter,
        rows: u64,
    ) -> PortResult<Counted> {
        let latest = self.run(user, Which::Latest).await?;
        let archived = latest.as_ref().map(|stored| stored.run.last);
        let mut counted = Counted { rows: 0, next: None };
        let mut start = None;
        loop {
            let left = rows.saturating_sub(counted.rows);
            let got = self
                .history_query(user, filter, archived, u32::try_from(left).unwrap_or(u32::MAX))
                .select(Select::Count)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| port_error("count transfers", error))?;
            counted.rows = counted.rows.saturating_add(u64::try_from(got.count).unwrap_or(0));
            start = got.last_evaluated_key;
            if counted.rows >= rows || start.is_none() {
                break;
            }
        }
        if let Some(item) = start {
            let reader = Reader { item: &item, what: "transfer key" };
            counted.next = Some(reader.parse_after(SK, TX)?);
            return Ok(counted);
        }
        match latest {
            Some(latest) => self.count_runs(user, filter, rows, latest, counted).await,
            None => Ok(counted),
        }
    }

    /// Goes on in the runs. One that the filter does not cut is counted by its number.
    async fn count_runs(
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

    /// The rows of the table that a filter lets through, the newest first; those behind `archived`
    /// where it is given.
    fn history_query(
        &self,
        user: &UserId,
        filter: &HistoryFilter,
        archived: Option<TransferId>,
        limit: u32,
    ) -> QueryFluentBuilder {
        let from = filter.from.unwrap_or(Timestamp::from_ms(0));
        let to = filter.to.unwrap_or(Timestamp::from_ms(TIMESTAMP_MS_MAX));
        let (mut first, last) = (keys::transfer_sk_from(from), keys::transfer_sk_before(to));
        if let Some(archived) = archived {
            first = first.max(keys::transfer_sk(behind(archived)));
        }
        // BETWEEN must not be reversed: an empty range becomes one that holds nothing.
        let first = if first <= last { first } else { last.clone() };
        let query = self
            .dynamo
            .query()
            .table_name(&self.names.ledger)
            .key_condition_expression("#pk = :wallet AND #sk BETWEEN :first AND :last")
            .expression_attribute_names("#pk", PK)
            .expression_attribute_names("#sk", SK)
            .expression_attribute_values(":wallet", s(keys::wallet_pk(user)))
            .expression_attribute_values(":first", s(first))
            .expression_attribute_values(":last", s(last))
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .consistent_read(true);
        // A voided grant is no transfer.
        let (matches, kinds) = if filter.kinds.is_empty() {
            ("#kind <> :kind0".to_owned(), vec![VOID])
        } else {
            let names: Vec<_> = (0..filter.kinds.len()).map(|n| format!(":kind{n}")).collect();
            let kinds = filter.kinds.iter().map(|kind| kind.as_str());
            (format!("#kind IN ({})", names.join(", ")), kinds.collect())
        };
        let query = query.filter_expression(matches).expression_attribute_names("#kind", "kind");
        kinds.into_iter().enumerate().fold(query, |query, (n, kind)| {
            query.expression_attribute_values(format!(":kind{n}"), s(kind))
        })
    }
}
