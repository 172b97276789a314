//! Tokens: table `tokens`. Each item stands for a spray until its window is over and it is refunded;
//! beside them lie hints of free ones.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue as Av, ReturnValue, ReturnValuesOnConditionCheckFailure,
};
use largesse_app::ports::{Clock, PortResult, Survey, TokenSpace};
use largesse_domain::id::{TOKEN_COUNT, Token};
use largesse_domain::spray::{Spray, TokenEntry};
use largesse_domain::time::{Timestamp, Window};

use crate::errors::{contended, corrupt, port_error};
use crate::item::{Item, Reader, ms, n, s};
use crate::keys::{self, PK, TOKEN};
use crate::store::Store;

/// How long after its window a refunded token's item may be kept by TTL: housekeeping only, since
/// every rule goes by `refunded` and `closes_ms`. Eight days, so that TTL never fires while the sender
/// may still read.
const TOKEN_TTL_S: u64 = 8 * 86_400;

/// When TTL may delete a token's item, once it is refunded: in seconds since 1970.
pub(crate) fn token_ttl(window: Window) -> u64 {
    window.closes.ms_unsigned().div_euclid(1_000).saturating_add(TOKEN_TTL_S)
}

/// The item of a token that stands for a live spray. It has no `ttl`: however long a refund fails, the
/// token is not given away. The refund sets it.
pub(crate) fn token_item(spray: &Spray, recipients: u32) -> Item {
    let window = spray.pool.window;
    let mut item = keys::token(spray.token);
    // Names other than the head's: `sender` and `spray_id` would put it into the index by sender.
    let mut put = |name: &str, value| item.insert(name.to_owned(), value);
    put("spray", s(spray.id));
    put("room", s(spray.room));
    put("giver", s(&spray.sender));
    put("opens_ms", ms(window.opens));
    put("closes_ms", ms(window.closes));
    put("recipients", n(recipients));
    put("refunded", Av::Bool(false));
    item
}

fn read_token(token: Token, item: &Item) -> PortResult<TokenEntry> {
    let reader = Reader { item, what: "token item" };
    Ok(TokenEntry {
        token,
        spray: reader.parse("spray")?,
        room: reader.parse("room")?,
        sender: reader.parse("giver")?,
        window: Window { opens: reader.ms("opens_ms")?, closes: reader.ms("closes_ms")? },
        recipients: reader.number("recipients")?,
        refunded: reader.flag("refunded")?,
    })
}

/// Tokens in one part of the hint: below 1 KB, so that a pop costs one write unit.
const HINT_LEN_MAX: usize = 128;
/// How long one survey keeps others from making another.
const SURVEY_LEASE_MS: u64 = 5_000;
/// The tokens' table is read in this many pages at most: 46,656 items of some 150 bytes are 7.
const SURVEY_PAGES_MAX: usize = 64;

const HINTED: &str = "tokens";

impl Store {
    /// What the token stands for. Until its window closes nobody can take it, so an entry stays true
    /// that long.
    pub(crate) async fn read_token_entry(&self, token: Token) -> PortResult<Option<TokenEntry>> {
        if let Some(entry) = self.tokens.get(&token, self.now()) {
            return Ok(Some(entry));
        }
        let got = self
            .dynamo
            .get_item()
            .table_name(&self.names.tokens)
            .set_key(Some(keys::token(token)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("read token", error))?;
        let entry = got.item.map(|item| read_token(token, &item)).transpose()?;
        if let Some(entry) = &entry {
            self.tokens.put(token, entry.clone(), entry.window.closes);
        }
        Ok(entry)
    }

    /// Takes the lease of the survey; `Err` holds the item of whoever has it.
    async fn lease_survey(&self, now: Timestamp) -> PortResult<Result<(), Item>> {
        let sent = self
            .dynamo
            .update_item()
            .table_name(&self.names.tokens)
            .set_key(Some(keys::token_survey()))
            .update_expression("SET until_ms = :until")
            // Nobody surveys, or their lease is over by its own timestamp.
            .condition_expression("attribute_not_exists(pk) OR until_ms <= :now")
            .expression_attribute_values(":until", ms(now.plus_ms(SURVEY_LEASE_MS)))
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
        for _ in 0..SURVEY_PAGES_MAX {
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

    async fn keep_survey(&self, earliest: Timestamp) -> PortResult<()> {
        self.dynamo
            .update_item()
            .table_name(&self.names.tokens)
            .set_key(Some(keys::token_survey()))
            .update_expression("SET earliest_ms = :earliest")
            .expression_attribute_values(":earliest", ms(earliest))
            .send()
            .await
            .map(drop)
            .map_err(|error| port_error("survey tokens", error))
    }
}

impl TokenSpace for Store {
    async fn is_free(&self, token: Token) -> PortResult<bool> {
        let now = self.now();
        let got = self
            .dynamo
            .get_item()
            .table_name(&self.names.tokens)
            .set_key(Some(keys::token(token)))
            .send()
            .await
            .map_err(|error| port_error("look at token", error))?;
        let entry = got.item.map(|item| read_token(token, &item)).transpose()?;
        Ok(entry.is_none_or(|entry| entry.is_reusable(now)))
    }

    async fn pop_hint(&self, part: u32) -> PortResult<Option<Token>> {
        let sent = self
            .dynamo
            .update_item()
            .table_name(&self.names.tokens)
            .set_key(Some(keys::token_hint(part)))
            .update_expression("REMOVE #hinted[0]")
            // It holds one: an empty part is not to become an item.
            .condition_expression("attribute_exists(#hinted[0])")
            .expression_attribute_names("#hinted", HINTED)
            .return_values(ReturnValue::AllOld)
            .send()
            .await;
        match sent {
            Ok(popped) => {
                let item = popped.attributes.unwrap_or_default();
                let reader = Reader { item: &item, what: "token hint" };
                match reader.list(HINTED)?.first() {
                    Some(Av::S(token)) => Ok(token.parse().ok()),
                    _ => Err(reader.corrupt()),
                }
            }
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(None)
            }
            Err(error) => Err(port_error("take token hint", error)),
        }
    }

    async fn push_hint(&self, part: u32, tokens: &[Token]) -> PortResult<()> {
        let hinted: Vec<Av> = tokens.iter().take(HINT_LEN_MAX).map(s).collect();
        if hinted.is_empty() {
            return Ok(());
        }
        let sent = self
            .dynamo
            .update_item()
            .table_name(&self.names.tokens)
            .set_key(Some(keys::token_hint(part)))
            .update_expression("SET #hinted = list_append(if_not_exists(#hinted, :none), :hinted)")
            // There is room, so that the hint stays small.
            .condition_expression("attribute_not_exists(#hinted) OR size(#hinted) <= :room")
            .expression_attribute_names("#hinted", HINTED)
            .expression_attribute_values(":room", n(HINT_LEN_MAX.saturating_sub(hinted.len())))
            .expression_attribute_values(":none", Av::L(Vec::new()))
            .expression_attribute_values(":hinted", Av::L(hinted))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(())
            }
            Err(error) => Err(port_error("keep token hint", error)),
        }
    }

    async fn survey(&self, now: Timestamp) -> PortResult<Survey> {
        if let Err(item) = self.lease_survey(now).await? {
            let reader = Reader { item: &item, what: "token survey" };
            let known = reader.optional("earliest_ms", |r, name| r.ms(name))?;
            // Whoever has the lease will have filled the hint by then.
            return Ok(Survey::Full { earliest: known.unwrap_or(now.plus_ms(SURVEY_LEASE_MS)) });
        }
        let taken = self.taken_tokens(now).await?;
        let free: Vec<Token> = (0..TOKEN_COUNT)
            .map(Token::from_index)
            .filter(|token| !taken.contains_key(token))
            .collect();
        if !free.is_empty() {
            return Ok(Survey::Free(free));
        }
        let earliest = taken.values().min().copied().ok_or_else(|| corrupt("token survey"))?;
        self.keep_survey(earliest).await?;
        Ok(Survey::Full { earliest })
    }
}
