//! The rows of campaigns: table `campaign-rows`.
//!
//! No write here has a condition. What an item holds follows from its key: the content of an upload,
//! or the staged rows under the attempt and the layout of a seal. So two writers of one item write
//! the same.
//!
//! # Guarantees
//! * No item reaches the limit of DynamoDB, whatever the rows are:
//!   `the_largest_rows_stay_below_the_limit_of_an_item`.
//! * A damaged item is an error and never other rows: `a_damaged_item_is_corrupt_and_no_panic`.

mod codec;

pub(crate) use codec::read_chunk;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use largesse_app::ports::{
    CampaignRows, ChunkSet, Line, PartReport, PassRecord, PortResult, StagedRows, Upload,
};
use largesse_domain::campaign::{ChunkNumber, Duplicate, Place, Row};

use self::codec::{
    DATA, cut_duplicates, cut_lines, cut_problems, pack_chunk, pack_duplicates, pack_lines,
    pack_pass, pack_problems, pack_report, read_duplicates, read_lines, read_pass, read_problems,
    read_report,
};
use crate::errors::{corrupt, port_error};
use crate::item::{Item, Reader, s};
use crate::keys::{self, PK, SK, pk_sk};
use crate::store::Store;

/// How many items of staged rows one call reads: some 200 KB as rows usually are, and never more
/// than the 1 MB of a page.
const STAGED_PAGE: i32 = 8;

/// An item of one packed attribute.
fn packed(mut key: Item, data: aws_sdk_dynamodb::types::AttributeValue) -> Item {
    key.insert(DATA.to_owned(), data);
    key
}

impl Store {
    async fn row_item(&self, operation: &'static str, key: Item) -> PortResult<Option<Item>> {
        let got = self
            .dynamo
            .get_item()
            .table_name(&self.names.campaign_rows)
            .set_key(Some(key))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error(operation, error))?;
        Ok(got.item)
    }

    /// A query of the items of `pk` whose sort keys are `from` to `to`.
    fn query_rows(&self, pk: String, from: String, to: String) -> QueryFluentBuilder {
        self.dynamo
            .query()
            .table_name(&self.names.campaign_rows)
            .key_condition_expression("#pk = :pk AND #sk BETWEEN :from AND :to")
            .expression_attribute_names("#pk", PK)
            .expression_attribute_names("#sk", SK)
            .expression_attribute_values(":pk", s(pk))
            .expression_attribute_values(":from", s(from))
            .expression_attribute_values(":to", s(to))
            .consistent_read(true)
    }

    async fn put_rows(
        &self,
        operation: &'static str,
        items: impl IntoIterator<Item = Item>,
    ) -> PortResult<()> {
        self.batch_put(operation, &self.names.campaign_rows, items).await
    }
}

impl CampaignRows for Store {
    async fn stage_part(
        &self,
        upload: &Upload,
        rows: &[Line],
        report: &PartReport,
    ) -> PortResult<()> {
        let pk = keys::upload_pk(upload);
        let rows = (0..).zip(cut_lines(rows));
        let rows = rows.map(|(number, lines)| {
            packed(pk_sk(pk.clone(), keys::staged_sk(number)), pack_lines(lines))
        });
        let problems = (0..).zip(cut_problems(&report.problems));
        let problems = problems.map(|(number, problems)| {
            packed(pk_sk(pk.clone(), keys::problems_sk(number)), pack_problems(problems))
        });
        self.put_rows("stage rows", rows.chain(problems)).await?;
        let report = packed(pk_sk(pk, keys::REPORT.to_owned()), pack_report(report));
        self.put_rows("stage rows", [report]).await
    }

    async fn part_report(&self, upload: &Upload) -> PortResult<Option<PartReport>> {
        let operation = "read report of a part";
        let (from, to) = (keys::REPORT.to_owned(), keys::problems_sk(u32::MAX));
        let query = self.query_rows(keys::upload_pk(upload), from, to);
        let mut report: Option<PartReport> = None;
        let mut start = None;
        loop {
            let page = query.clone().set_exclusive_start_key(start).send().await;
            let page = page.map_err(|error| port_error(operation, error))?;
            for item in page.items.unwrap_or_default() {
                match &mut report {
                    // The item without a number comes first. Without it, the upload was cut off.
                    None if Reader { item: &item, what: operation }.text(SK)? == keys::REPORT => {
                        report = Some(read_report(&item)?);
                    }
                    None => return Ok(None),
                    Some(report) => report.problems.append(&mut read_problems(&item)?),
                }
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(report);
            }
        }
    }

    async fn staged(&self, upload: &Upload, after: Option<u32>) -> PortResult<StagedRows> {
        let operation = "read staged rows";
        let from = after.map_or(0, |after| after.saturating_add(1));
        let (from, to) = (keys::staged_sk(from), keys::staged_sk(u32::MAX));
        let query = self.query_rows(keys::upload_pk(upload), from, to).limit(STAGED_PAGE);
        let page = query.send().await.map_err(|error| port_error(operation, error))?;
        let mut staged = StagedRows::default();
        for item in page.items.unwrap_or_default() {
            staged.rows.append(&mut read_lines(&item)?);
        }
        let number = |item: Item| Reader { item: &item, what: operation }.parse_after(SK, "ROWS#");
        staged.next = page.last_evaluated_key.map(number).transpose()?;
        Ok(staged)
    }

    async fn put_chunks(
        &self,
        set: &ChunkSet,
        chunks: &[(ChunkNumber, Vec<Row>)],
    ) -> PortResult<()> {
        let items = chunks
            .iter()
            .map(|(chunk, rows)| packed(keys::chunk_rows(set, *chunk), pack_chunk(rows)));
        self.put_rows("write chunks", items).await
    }

    async fn chunk(&self, set: &ChunkSet, chunk: ChunkNumber) -> PortResult<Option<Vec<Row>>> {
        let item = self.row_item("read chunk", keys::chunk_rows(set, chunk)).await?;
        item.map(|item| read_chunk(&item)).transpose()
    }

    async fn put_duplicates(
        &self,
        set: &ChunkSet,
        pass: u32,
        duplicates: &[Duplicate],
    ) -> PortResult<()> {
        let item = |duplicates: &[Duplicate]| {
            let last = duplicates.last()?.place;
            let key = pk_sk(keys::seal_pk(set), keys::duplicates_sk(set, pass, last));
            Some(packed(key, pack_duplicates(duplicates)))
        };
        let items = cut_duplicates(duplicates).into_iter().filter_map(item);
        self.put_rows("write duplicates", items).await
    }

    async fn duplicates(
        &self,
        set: &ChunkSet,
        pass: u32,
        after: Option<Place>,
    ) -> PortResult<Vec<Duplicate>> {
        // An item is found by its last place, so the first item behind `after` may begin before it.
        let [first, to] = keys::duplicates_of(set, pass);
        let behind = after.map(|place| Place { line: place.line.saturating_add(1), ..place });
        let from = behind.map_or(first, |place| keys::duplicates_sk(set, pass, place));
        let query = self.query_rows(keys::seal_pk(set), from, to).limit(1);
        let page = query.send().await.map_err(|error| port_error("read duplicates", error))?;
        let Some(item) = page.items.unwrap_or_default().into_iter().next() else {
            return Ok(Vec::new());
        };
        let mut duplicates = read_duplicates(&item)?;
        duplicates.retain(|duplicate| Some(duplicate.place) > after);
        if duplicates.is_empty() { Err(corrupt("duplicates")) } else { Ok(duplicates) }
    }

    async fn put_pass(&self, set: &ChunkSet, pass: u32, record: &PassRecord) -> PortResult<()> {
        self.put_rows("write pass", [packed(keys::pass(set, pass), pack_pass(record))]).await
    }

    async fn pass(&self, set: &ChunkSet, pass: u32) -> PortResult<Option<PassRecord>> {
        let item = self.row_item("read pass", keys::pass(set, pass)).await?;
        item.map(|item| read_pass(&item)).transpose()
    }
}
