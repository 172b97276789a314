//! Sparse indexes of what is due: the hash key is a shard, the sort key a time.

use largesse_app::page::{DueKey, DuePage};
use largesse_app::ports::PortResult;
use largesse_domain::time::Timestamp;

use crate::errors::port_error;
use crate::item::{Item, Reader, ms, s};
use crate::keys::{DUE, DUE_MS, DUE_SHARD, PK, SWEEP, SWEEP_MS, SWEEP_SHARD};
use crate::store::Store;

/// The names of an index, and of its two keys.
#[derive(Clone, Copy)]
pub(crate) struct DueIndex {
    name: &'static str,
    shard: &'static str,
    at: &'static str,
}

/// What refund-batch has to do.
pub(crate) const BY_DUE: DueIndex = DueIndex { name: DUE, shard: DUE_SHARD, at: DUE_MS };
/// The buckets that pool-sweep has to look at.
pub(crate) const BY_SWEEP: DueIndex = DueIndex { name: SWEEP, shard: SWEEP_SHARD, at: SWEEP_MS };

/// Which page of an index: what is due at `now` in a shard, oldest first, after a key.
pub(crate) struct DueQuery {
    pub(crate) shard: u32,
    pub(crate) now: Timestamp,
    pub(crate) after: Option<Item>,
    pub(crate) limit: u32,
}

impl Store {
    /// A page of an index of what is due. A row that `read` cannot read is named.
    pub(crate) async fn due_page<T>(
        &self,
        operation: &'static str,
        table: &str,
        index: DueIndex,
        query: DueQuery,
        read: impl Fn(&Reader<'_>) -> PortResult<T>,
    ) -> PortResult<DuePage<T>> {
        let got = self
            .dynamo
            .query()
            .table_name(table)
            .index_name(index.name)
            .key_condition_expression("#shard = :shard AND #at <= :now")
            .expression_attribute_names("#shard", index.shard)
            .expression_attribute_names("#at", index.at)
            .expression_attribute_values(":shard", s(query.shard))
            .expression_attribute_values(":now", ms(query.now))
            .set_exclusive_start_key(query.after)
            .limit(i32::try_from(query.limit).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| port_error(operation, error))?;
        let mut page = DuePage { rows: Vec::new(), unreadable: Vec::new(), next: None };
        for item in got.items.iter().flatten() {
            let reader = Reader { item, what: "index of what is due" };
            match read(&reader) {
                Ok(row) => page.rows.push(row),
                Err(_) => page.unreadable.push(reader.text(PK)?.to_owned()),
            }
        }
        if let Some(item) = &got.last_evaluated_key {
            let reader = Reader { item, what: "key of what is due" };
            page.next =
                Some(DueKey { name: reader.text(PK)?.to_owned(), at: reader.ms(index.at)? });
        }
        Ok(page)
    }
}
