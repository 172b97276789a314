//! The survey of all tokens: one caller at a time, under a lease that also tells what was found.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use largesse_app::ports::{Clock, PortResult, Survey};
use largesse_domain::id::{TOKEN_COUNT, Token};
use largesse_domain::time::Timestamp;

use crate::errors::{contended, corrupt, port_error, unless_refused};
use crate::item::{Item, Reader, ms};
use crate::keys::{self, PK, TOKEN};
use crate::store::Store;

/// How long one survey keeps others from making another: several times what one takes. Whoever is
/// killed in the middle of it holds them up no longer.
const LEASE_MS: u64 = 5_000;
/// How long nobody surveys again after none was found, even where the first token may be free any
/// moment: reading the whole table takes some 900 read units.
const FULL_MS: u64 = 1_000;
/// The tokens' table is read in this many pages at most: 46,656 items of some 150 bytes are 7.
const PAGES_MAX: usize = 64;

/// What the survey's item tells whoever does not survey: `None` when nobody does.
pub(super) fn told(item: &Item, now: Timestamp) -> PortResult<Option<Survey>> {
    let reader = Reader { item, what: "token survey" };
    let until = reader.optional("until_ms", |r, name| r.ms(name))?;
    if until.is_none_or(|until| until <= now) {
        return Ok(None);
    }
    let earliest = reader.optional("earliest_ms", |r, name| r.ms(name))?;
    // No token is given back before its window is over: until then, none having been free proves
    // that none is. From then on it proves nothing.
    let full = earliest.filter(|earliest| now < *earliest);
    Ok(Some(full.map_or(Survey::Underway, |earliest| Survey::Full { earliest })))
}

impl Store {
    pub(super) async fn survey_tokens(&self, now: Timestamp) -> PortResult<Survey> {
        let until = now.plus_ms(LEASE_MS);
        if let Err(item) = self.lease_survey(now, until).await? {
            // One that ended since is as good as under way: its finder has filled the hint.
            return Ok(told(&item, now)?.unwrap_or(Survey::Underway));
        }
        let taken = self.taken_tokens(now).await?;
        let tokens: Vec<Token> = (0..TOKEN_COUNT)
            .map(Token::from_index)
            .filter(|token| !taken.contains_key(token))
            .collect();
        if !tokens.is_empty() {
            return Ok(Survey::Free { tokens, until });
        }
        let earliest = taken.values().min().copied().ok_or_else(|| corrupt("token survey"))?;
        self.keep_full(until, earliest).await?;
        Ok(Survey::Full { earliest })
    }

    pub(super) async fn read_survey(&self) -> PortResult<Item> {
        let got = self
            .dynamo
            .get_item()
            .table_name(&self.names.tokens)
            .set_key(Some(keys::token_survey()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("read token survey", error))?;
        Ok(got.item.unwrap_or_default())
    }

    /// Takes the lease of the survey; `Err` holds the item of whoever has it.
    async fn lease_survey(&self, now: Timestamp, until: Timestamp) -> PortResult<Result<(), Item>> {
        let sent = self
            .dynamo
            .update_item()
            .table_name(&self.names.tokens)
            .set_key(Some(keys::token_survey()))
            // What an earlier survey found is not what this one will find.
            .update_expression("SET until_ms = :until REMOVE earliest_ms")
            // Nobody surveys, or their lease is over by its own timestamp.
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
            _ => Err(port_error("survey tokens", error)),
        }
    }

    /// Every token that stands for something that is not over and refunded.
    async fn taken_tokens(&self, now: Timestamp) -> PortResult<HashMap<Token, Timestamp>> {
        let mut taken = HashMap::new();
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
                .map_err(|error| port_error("survey tokens", error))?;
            for item in got.items.unwrap_or_default() {
                let reader = Reader { item: &item, what: "token item" };
                if !reader.text(PK)?.starts_with(TOKEN) {
                    continue;
                }
                let (closes, refunded) = (reader.ms("closes_ms")?, reader.flag("refunded")?);
                if !(refunded && now >= closes) {
                    taken.insert(reader.parse_after(PK, TOKEN)?, closes);
                }
            }
            match got.last_evaluated_key {
                Some(key) => start = Some(key),
                None => return Ok(taken),
            }
        }
        Err(contended("survey tokens"))
    }

    /// Tells others that none is free: as long as that is sure, but no longer than the lease runs.
    async fn keep_full(&self, until: Timestamp, earliest: Timestamp) -> PortResult<()> {
        let sure = earliest.max(self.now().plus_ms(FULL_MS)).min(until);
        let sent = self
            .dynamo
            .update_item()
            .table_name(&self.names.tokens)
            .set_key(Some(keys::token_survey()))
            .update_expression("SET earliest_ms = :earliest, until_ms = :sure")
            // Still this survey's lease: a later one is not told what this one found.
            .condition_expression("until_ms = :until")
            .expression_attribute_values(":earliest", ms(earliest))
            .expression_attribute_values(":sure", ms(sure))
            .expression_attribute_values(":until", ms(until))
            .send()
            .await;
        unless_refused("keep token survey", sent)
    }

    pub(super) async fn end_lease(&self, until: Timestamp) -> PortResult<()> {
        let sent = self
            .dynamo
            .update_item()
            .table_name(&self.names.tokens)
            .set_key(Some(keys::token_survey()))
            .update_expression("SET until_ms = :now")
            // Still this survey's lease: a later one goes on.
            .condition_expression("until_ms = :until")
            .expression_attribute_values(":now", ms(self.now().min(until)))
            .expression_attribute_values(":until", ms(until))
            .send()
            .await;
        unless_refused("end token survey", sent)
    }
}
