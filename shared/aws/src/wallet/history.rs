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
use largesse_app::ports::{Counted, HistoryFilter, PortResult};
use largesse_domain::id::{TransferId, UserId};
use largesse_domain::ledger::{Posted, Transfer};
use largesse_domain::time::{TIMESTAMP_MS_MAX, Timestamp};

use super::archived::{Window, behind};
use super::codec::VOID;
use super::read_posted;
use super::run::Which;
use crate::errors::port_error;
use crate::item::{Reader, s};
use crate::keys::{self, SK, TX};
use crate::store::Store;

/// Items that one read of a history reads at most: some 256 KB. A filter that matches few of them
/// gives a page that is not full.
const HISTORY_READ_MAX: u32 = 1_000;
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
            // The filter leaves rows of a query out, so more queries fill the page; one row beyond
            // it says whether there is a next one.
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
            .query_between(user, first, last)
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
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
