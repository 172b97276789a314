//! The scan of all tokens: one process at a time, under a lease that also says what was found.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue as Av, ReturnValuesOnConditionCheckFailure};
use futures::{StreamExt, stream};
use largesse_app::ports::{Clock, PortResult, Replenished, Rng};
use largesse_domain::id::{TOKEN_COUNT, Token};
use largesse_domain::time::Timestamp;

use super::is_free;
use crate::errors::{contended, corrupt, port_error, unless_refused};
use crate::item::{Item, Reader, ms, n, s};
use crate::keys::{self, FREE_SHARD, PK, TOKEN};
use crate::store::Store;

/// How long one scan keeps other processes from scanning: several times what one takes. After a
/// crash in the middle of it, the next one starts then.
const LEASE_MS: u64 = 5_000;
/// How long no process scans again after none was found, even where the first token may be free any
/// moment: reading the whole table takes some 900 read units.
const FULL_MS: u64 = 1_000;
/// The table is read in this many pages at most: 46,656 items of some 150 bytes are 7.
const PAGES_MAX: usize = 64;
/// How many tokens without an item one scan adds to the index.
const ADDED_MAX: usize = 512;
/// How many of them are written at the same time.
const CONCURRENCY: usize = 16;

/// What the items of the table say.
#[derive(Default)]
struct Scanned {
    /// The tokens that have an item.
    seen: BTreeSet<Token>,
    /// Those of them that a spray could take.
    free: Vec<Token>,
    /// When the first of the others is over.
    earliest: Option<Timestamp>,
}

impl Store {
    pub(super) async fn scan_tokens(&self, now: Timestamp) -> PortResult<Replenished> {
        let until = now.plus_ms(LEASE_MS);
        if let Err(item) = self.lease_scan(now, until).await? {
            let reader = Reader { item: &item, what: "token scan" };
            let earliest = reader.optional("earliest_ms", |r, name| r.ms(name))?;
            // Until the first window is over no token is freed, so what that scan found is true.
            let found = earliest.filter(|earliest| now < *earliest);
            return Ok(
                found.map_or(Replenished::Underway, |earliest| Replenished::NoneFree { earliest })
            );
        }
        let Scanned { seen, mut free, earliest } = self.read_tokens(now).await?;
        let unused = (0..TOKEN_COUNT).map(Token::from_index).filter(|t| !seen.contains(t));
        let mut unused: Vec<Token> = unused.collect();
        if free.is_empty() && unused.is_empty() {
            let earliest = earliest.ok_or_else(|| corrupt("token scan"))?;
            self.end_scan(until, now.plus_ms(FULL_MS).max(earliest).min(until), Some(earliest))
                .await?;
            return Ok(Replenished::NoneFree { earliest });
        }
        shuffle(self, &mut unused);
        unused.truncate(ADDED_MAX);
        let puts: Vec<_> = unused.iter().map(|token| self.add_free(*token)).collect();
        let mut puts = stream::iter(puts).buffer_unordered(CONCURRENCY);
        while let Some(put) = puts.next().await {
            put?;
        }
        free.extend(unused);
        // A lease that is not ended runs out by itself.
        drop(self.end_scan(until, now, None).await);
        Ok(Replenished::Free(free))
    }

    /// Takes the lease of the scan; `Err` holds the item of the process that has it.
    async fn lease_scan(&self, now: Timestamp, until: Timestamp) -> PortResult<Result<(), Item>> {
        let sent = self
            .dynamo
            .update_item()
            .table_name(&self.names.tokens)
            .set_key(Some(keys::token_scan()))
            // What an earlier scan found is not what this one will find.
            .update_expression("SET until_ms = :until REMOVE earliest_ms")
            // No process scans, or its lease is over by its own timestamp.
            .condition_expression("attribute_not_exists(pk) OR until_ms <= :now")
            .expression_attribute_values(":until", ms(until))
            .expression_attribute_values(":now", ms(now))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match sent {
            Ok(_) => return Ok(Ok(())),
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                Ok(Err(failed.item().cloned().unwrap_or_default()))
            }
            _ => Err(port_error("lease token scan", error)),
        }
    }

    /// Ends the lease at `end`, and leaves word of when the first token may become free.
    async fn end_scan(
        &self,
        until: Timestamp,
        end: Timestamp,
        earliest: Option<Timestamp>,
    ) -> PortResult<()> {
        let update = self
            .dynamo
            .update_item()
            .table_name(&self.names.tokens)
            .set_key(Some(keys::token_scan()))
            // Still this scan's lease: a later one goes on undisturbed.
            .condition_expression("until_ms = :until")
            .expression_attribute_values(":until", ms(until))
            .expression_attribute_values(":end", ms(end));
        let update = match earliest {
            None => update.update_expression("SET until_ms = :end"),
            Some(earliest) => update
                .update_expression("SET until_ms = :end, earliest_ms = :earliest")
                .expression_attribute_values(":earliest", ms(earliest)),
        };
        unless_refused("end token scan", update.send().await)
    }

    async fn read_tokens(&self, now: Timestamp) -> PortResult<Scanned> {
        let mut scanned = Scanned::default();
        let mut start = None;
        for _ in 0..PAGES_MAX {
            let got = self
                .dynamo
                .scan()
                .table_name(&self.names.tokens)
                .projection_expression("pk, closes_ms, refunded")
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| port_error("scan tokens", error))?;
            for item in got.items.unwrap_or_default() {
                let reader = Reader { item: &item, what: "token item" };
                if !reader.text(PK)?.starts_with(TOKEN) {
                    continue;
                }
                let token = reader.parse_after(PK, TOKEN)?;
                scanned.seen.insert(token);
                if is_free(&item, now)? {
                    scanned.free.push(token);
                } else {
                    let closes = reader.ms("closes_ms")?;
                    let earliest = scanned.earliest.map_or(closes, |e| e.min(closes));
                    scanned.earliest = Some(earliest);
                }
            }
            match got.last_evaluated_key {
                Some(key) => start = Some(key),
                None => return Ok(scanned),
            }
        }
        Err(contended("scan tokens"))
    }

    /// Adds a token that has no item to the index of free ones.
    async fn add_free(&self, token: Token) -> PortResult<()> {
        let mut item = keys::token(token);
        item.insert("refunded".to_owned(), Av::Bool(true));
        item.insert("closes_ms".to_owned(), n(0));
        item.insert(FREE_SHARD.to_owned(), s(keys::free_shard(token)));
        let sent = self
            .dynamo
            .put_item()
            .table_name(&self.names.tokens)
            .set_item(Some(item))
            // It still has no item: a spray that took it meanwhile keeps it.
            .condition_expression("attribute_not_exists(pk)")
            .send()
            .await;
        match sent {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(()),
                _ => Err(port_error("add free token", error)),
            },
        }
    }
}

/// The shuffle of Fisher and Yates (Knuth, TAOCP volume 2, algorithm 3.4.2 P): a token must not be
/// foreseeable.
fn shuffle<D: Rng + Clock>(deps: &D, tokens: &mut [Token]) {
    for last in (1..tokens.len()).rev() {
        let below = u32::try_from(last).unwrap_or(u32::MAX).saturating_add(1);
        tokens.swap(last, usize::try_from(deps.below(below)).unwrap_or(0));
    }
}
