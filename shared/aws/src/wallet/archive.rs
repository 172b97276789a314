//! Moving old transfers into the archive.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{Delete, Put, TransactWriteItem, Update};
use bytes::Bytes;
use largesse_app::ports::{
    MemberRef, OwnerRow, PackedRun, PortResult, Removed, ScanKey, Scanned, Segment, StoredRun,
    TransferArchive, Written,
};
use largesse_domain::audit::Run;
use largesse_domain::id::{TransferId, Ulid, UserId};
use largesse_domain::ledger::{Posted, Transfer};
use largesse_domain::time::Timestamp;

use super::codec::LATEST_RUN;
use super::run::{Which, run_item};
use super::{read_posted, request_token};
use crate::archive::{MEMBER_LEN_MAX, MemberWriter, PackedMember, line_of, read_member};
use crate::errors::{TransactError, corrupt, port_error};
use crate::item::{Item, Reader, s};
use crate::keys::{self, PK, SK, TX, WALLET};
use crate::reconcile::{key_of, start};
use crate::store::Store;

/// How many rows a run has, but for those of its last millisecond: some 1.3 MB as JSON, and 100 KB
/// or more compressed. A read of one archived transfer reads its whole run.
const RUN_ROWS_MAX: usize = 5_000;
/// What a row has at most as a line: a memo of 200 characters in 4 bytes each, ids, and numbers.
const ROW_LEN_MAX: usize = 2_000;
const _: () = assert!(RUN_ROWS_MAX * ROW_LEN_MAX < MEMBER_LEN_MAX, "a run fits into a member");
/// How many rows one transaction removes (Amazon DynamoDB Developer Guide, `TransactWriteItems`: at
/// most 100 actions).
const REMOVED_TOGETHER_MAX: usize = 100;
/// The greatest id below a moment.
fn last_below(horizon: Timestamp) -> TransferId {
    TransferId(Ulid::from_parts(horizon.minus_ms(1).ms_unsigned(), u128::MAX))
}

fn id_of(item: &Item) -> PortResult<TransferId> {
    Reader { item, what: "transfer item" }.parse_after(SK, TX)
}

fn ms_of(item: &Item) -> PortResult<u64> {
    Ok(id_of(item)?.0.timestamp_ms())
}

/// How many of the rows are a run: [`RUN_ROWS_MAX`], and those behind with the same millisecond,
/// since a payment of a campaign and its reversal share one. `None` where no later row shows its
/// end.
fn run_len(rows: &[Item]) -> PortResult<Option<usize>> {
    let Some(last) = rows.get(RUN_ROWS_MAX.saturating_sub(1)) else { return Ok(None) };
    let ms = ms_of(last)?;
    for (at, row) in rows.iter().enumerate().skip(RUN_ROWS_MAX) {
        if ms_of(row)? != ms {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

impl Store {
    /// A page of a wallet's rows with ids from `first` to `last`, the oldest first.
    async fn old_rows(
        &self,
        user: &UserId,
        first: TransferId,
        last: TransferId,
        after: Option<Item>,
        limit: Option<i32>,
    ) -> PortResult<(Vec<Item>, Option<Item>)> {
        let got = self
            .query_between(user, keys::transfer_sk(first), keys::transfer_sk(last))
            .set_exclusive_start_key(after)
            .set_limit(limit)
            .send()
            .await
            .map_err(|error| port_error("read old transfers", error))?;
        Ok((got.items.unwrap_or_default(), got.last_evaluated_key))
    }

    /// The rows of the next run, and whether there are more below the horizon.
    async fn rows_to_archive(
        &self,
        user: &UserId,
        latest: Option<TransferId>,
        horizon: Timestamp,
    ) -> PortResult<(Vec<Item>, bool)> {
        let first = latest.map_or(Ulid(0), |last| last.0.0.saturating_add(1).into());
        let (first, last) = (TransferId(first), last_below(horizon));
        let (mut rows, mut after) = (Vec::new(), None);
        if first > last {
            return Ok((rows, false));
        }
        loop {
            let (page, next) = self.old_rows(user, first, last, after, None).await?;
            rows.extend(page);
            if let Some(len) = run_len(&rows)? {
                rows.truncate(len);
                return Ok((rows, true));
            }
            match next {
                Some(next) => after = Some(next),
                None => return Ok((rows, false)),
            }
        }
    }

    /// Removes rows that the archive holds, in their order.
    async fn remove_rows(&self, user: &UserId, ids: &[TransferId]) -> PortResult<()> {
        for ids in ids.chunks(REMOVED_TOGETHER_MAX) {
            let mut actions = Vec::with_capacity(ids.len());
            let mut names = vec!["archive".to_owned(), user.to_string()];
            for id in ids {
                let delete = Delete::builder()
                    .table_name(&self.names.ledger)
                    .set_key(Some(keys::transfer(user, *id)))
                    .build()
                    .map_err(|_| corrupt("delete of transfer"))?;
                actions.push(TransactWriteItem::builder().delete(delete).build());
                names.push(id.to_string());
            }
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            // They have no condition: the rows were compared, and a transfer never changes.
            match self.transact("remove transfers", request_token(&names), actions).await {
                Ok(()) => {}
                Err(TransactError::Port(error)) => return Err(error),
                Err(TransactError::Refused(_)) => return Err(corrupt("remove transfers")),
            }
        }
        Ok(())
    }

    /// Removes the rows from `first` on that are in a run, and says which of them are not as in it.
    async fn remove_run(
        &self,
        user: &UserId,
        first: TransferId,
        stored: &StoredRun,
    ) -> PortResult<Removed> {
        let mut archived: HashMap<TransferId, String> = HashMap::new();
        for (id, item) in self.run_rows(user, stored).await? {
            archived.insert(id, line_of(&item)?);
        }
        let (mut ids, mut strays, mut after) = (Vec::new(), 0_u64, None);
        loop {
            let (rows, next) = self.old_rows(user, first, stored.run.last, after, None).await?;
            for row in rows {
                let id = id_of(&row)?;
                if archived.get(&id) == Some(&line_of(&row)?) {
                    ids.push(id);
                } else {
                    strays = strays.saturating_add(1);
                }
            }
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        self.remove_rows(user, &ids).await?;
        Ok(Removed { rows: u64::try_from(ids.len()).unwrap_or(u64::MAX), strays })
    }
}

/// The transfers among rows. A voided payment is none.
fn transfers(user: &UserId, rows: &[Item]) -> PortResult<Vec<Transfer>> {
    let mut transfers = Vec::with_capacity(rows.len());
    for row in rows {
        if let Posted::Transfer(transfer) = read_posted(user, row)? {
            transfers.push(transfer);
        }
    }
    Ok(transfers)
}

fn packed(
    user: &UserId,
    latest: Option<&Run>,
    rows: &[Item],
    has_more: bool,
) -> PortResult<Option<PackedRun>> {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(None) };
    let (first, last) = (id_of(first)?, id_of(last)?);
    let transfers = transfers(user, rows)?;
    // A member whose payments were voided may have no wallet. Voids alone wait for a transfer.
    if transfers.is_empty() {
        return Ok(None);
    }
    let run = Run::behind(latest, first, last, &transfers);
    let run = run.map_err(|_| corrupt("transfer leads to a balance that it cannot"))?;
    let mut writer = MemberWriter::new();
    rows.iter().try_for_each(|row| writer.push(row))?;
    let PackedMember { bytes, lines, hash } = writer.finish()?;
    Ok(Some(PackedRun {
        user: user.clone(),
        latest: latest.map(|run| run.last),
        run,
        bytes: Bytes::from(bytes),
        lines,
        hash,
        has_more,
    }))
}

impl TransferArchive for Store {
    async fn archivable(
        &self,
        segment: Segment,
        after: Option<ScanKey>,
        horizon: Timestamp,
    ) -> PortResult<Scanned<OwnerRow<UserId>>> {
        let got = self
            .dynamo
            .scan()
            .table_name(&self.names.ledger)
            .segment(i32::try_from(segment.number).unwrap_or(i32::MAX))
            .total_segments(i32::try_from(segment.total).unwrap_or(i32::MAX))
            .filter_expression("#sk BETWEEN :first AND :last")
            .projection_expression("#pk, #sk")
            .expression_attribute_names("#pk", PK)
            .expression_attribute_names("#sk", SK)
            .expression_attribute_values(":first", s(TX))
            .expression_attribute_values(":last", s(keys::transfer_sk(last_below(horizon))))
            .consistent_read(true)
            .set_exclusive_start_key(after.map(start))
            .send()
            .await
            .map_err(|error| port_error("scan old transfers", error))?;
        let mut rows: Vec<OwnerRow<UserId>> = Vec::new();
        for item in got.items.unwrap_or_default() {
            let reader = Reader { item: &item, what: "transfer key" };
            let row = match reader.parse_after(PK, WALLET) {
                Ok(user) => OwnerRow::Whole(user),
                Err(_) => OwnerRow::Unreadable(reader.text(PK).unwrap_or_default().to_owned()),
            };
            if rows.last() != Some(&row) {
                rows.push(row);
            }
        }
        Ok(Scanned { rows, next: got.last_evaluated_key.as_ref().map(key_of) })
    }

    async fn pack_run(&self, user: &UserId, horizon: Timestamp) -> PortResult<Option<PackedRun>> {
        let latest = self.run(user, Which::Latest).await?.map(|stored| stored.run);
        let last = latest.as_ref().map(|run| run.last);
        let (rows, has_more) = self.rows_to_archive(user, last, horizon).await?;
        packed(user, latest.as_ref(), &rows, has_more)
    }

    fn check_member(&self, member: &MemberRef, bytes: &[u8]) -> PortResult<()> {
        read_member(bytes, member).map(drop)
    }

    /// One transaction. The run's condition: `attribute_not_exists(pk)`, a run with this last
    /// transfer is not recorded. The wallet's condition: it is there, and its latest run is the one
    /// whose sums this one goes on from, so two processes with different horizons never record
    /// both.
    async fn record_run(
        &self,
        user: &UserId,
        latest: Option<TransferId>,
        stored: &StoredRun,
    ) -> PortResult<Written> {
        let put = Put::builder()
            .table_name(&self.names.ledger)
            .set_item(Some(run_item(user, stored)))
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .map_err(|_| corrupt("put of run"))?;
        let update = Update::builder()
            .table_name(&self.names.ledger)
            .set_key(Some(keys::wallet(user)))
            .update_expression("SET #run = :run")
            .expression_attribute_names("#run", LATEST_RUN)
            .expression_attribute_values(":run", s(stored.run.last));
        let update = match latest {
            Some(latest) => update
                .condition_expression("#run = :latest")
                .expression_attribute_values(":latest", s(latest)),
            None => {
                update.condition_expression("attribute_exists(pk) AND attribute_not_exists(#run)")
            }
        };
        let update = update.build().map_err(|_| corrupt("update of wallet"))?;
        let actions = vec![
            TransactWriteItem::builder().put(put).build(),
            TransactWriteItem::builder().update(update).build(),
        ];
        let member = &stored.member;
        let token = request_token(&["run", &member.object, &member.offset.to_string()]);
        match self.transact("record run", token, actions).await {
            Ok(()) => Ok(Written::Done),
            Err(TransactError::Refused(_)) => Ok(Written::Changed),
            Err(TransactError::Port(error)) => Err(error),
        }
    }

    async fn remove_archived(&self, user: &UserId) -> PortResult<Removed> {
        let mut removed = Removed::default();
        let Some(latest) = self.run(user, Which::Latest).await? else { return Ok(removed) };
        let mut first = TransferId(Ulid(0));
        while first <= latest.run.last {
            // The oldest row that a run stands for, and that run.
            let (rows, _) = self.old_rows(user, first, latest.run.last, None, Some(1)).await?;
            let Some(oldest) = rows.first().map(id_of).transpose()? else { break };
            let Some(stored) = self.run(user, Which::From(oldest)).await? else { break };
            let of_run = self.remove_run(user, oldest, &stored).await?;
            removed.rows = removed.rows.saturating_add(of_run.rows);
            removed.strays = removed.strays.saturating_add(of_run.strays);
            first = TransferId(stored.run.last.0.0.saturating_add(1).into());
        }
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(of_ms: &[(u64, usize)]) -> Vec<Item> {
        let user: UserId = "u".parse().unwrap();
        let ids = of_ms.iter().flat_map(|(ms, count)| {
            (0..*count).map(|n| Ulid::from_parts(*ms, u128::try_from(n).unwrap()))
        });
        ids.map(|id| keys::transfer(&user, TransferId(id))).collect()
    }

    #[test]
    fn a_run_ends_with_a_whole_millisecond_once_it_is_long_enough() {
        let len = |of_ms: &[(u64, usize)]| run_len(&rows(of_ms)).unwrap();
        assert_eq!(len(&[(1, 10), (2, 10)]), None);
        assert_eq!(len(&[(1, RUN_ROWS_MAX)]), None, "the millisecond may go on");
        assert_eq!(len(&[(1, RUN_ROWS_MAX), (2, 1)]), Some(RUN_ROWS_MAX));
        assert_eq!(len(&[(1, RUN_ROWS_MAX - 1), (2, 5), (3, 9)]), Some(RUN_ROWS_MAX + 4));
    }
}
