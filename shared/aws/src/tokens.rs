//! Tokens: table `tokens`. Each item stands for a spray until its window is over and it is
//! refunded; beside them lie hints of free ones.

use std::sync::atomic::Ordering;

use aws_sdk_dynamodb::types::{AttributeValue as Av, ReturnValue};
use largesse_app::ports::{Clock, HINT_LEN_MAX, PortResult, Survey, TokenSpace};
use largesse_domain::id::Token;
use largesse_domain::spray::{Spray, TokenEntry};
use largesse_domain::time::{Timestamp, Window};

use crate::errors::{is_refused, port_error, unless_refused};
use crate::item::{Item, Reader, ms, n, s};
use crate::keys;
use crate::store::Store;

mod survey;

/// How long after its window a refunded token's item may be kept by TTL: housekeeping only, since
/// every rule goes by `refunded` and `closes_ms`. Eight days, so that TTL never fires while the
/// sender may still read.
const TOKEN_TTL_S: u64 = 8 * 86_400;

/// When TTL may delete a token's item, once it is refunded: in seconds since 1970.
pub(crate) fn token_ttl(window: Window) -> u64 {
    window.closes.ms_unsigned().div_euclid(1_000).saturating_add(TOKEN_TTL_S)
}

/// The item of a token that stands for a live spray. It has no `ttl`: however long a refund fails,
/// the token is not given away. The refund sets it.
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

const HINTED: &str = "tokens";

impl Store {
    /// What the token stands for. Until its window closes nobody can take it, so an entry stays
    /// true that long.
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
}

impl TokenSpace for Store {
    fn note_look(&self, is_free: bool) {
        self.looked_in_vain.store(!is_free, Ordering::Relaxed);
    }

    fn spares_look(&self) -> bool {
        self.looked_in_vain.swap(false, Ordering::Relaxed)
    }

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
            Err(error) if is_refused(&error) => Ok(None),
            Err(error) => Err(port_error("take token hint", error)),
        }
    }

    async fn push_hint(&self, part: u32, tokens: &[Token]) -> PortResult<()> {
        let room = HINT_LEN_MAX.saturating_sub(tokens.len());
        if tokens.is_empty() {
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
            .expression_attribute_values(":room", n(room))
            .expression_attribute_values(":none", Av::L(Vec::new()))
            .expression_attribute_values(":hinted", hinted(tokens))
            .send()
            .await;
        unless_refused("keep token hint", sent)
    }

    async fn renew_hint(&self, part: u32, tokens: &[Token]) -> PortResult<()> {
        self.dynamo
            .update_item()
            .table_name(&self.names.tokens)
            .set_key(Some(keys::token_hint(part)))
            .update_expression("SET #hinted = :hinted")
            .expression_attribute_names("#hinted", HINTED)
            .expression_attribute_values(":hinted", hinted(tokens))
            .send()
            .await
            .map(drop)
            .map_err(|error| port_error("renew token hint", error))
    }

    async fn survey(&self, now: Timestamp) -> PortResult<Survey> {
        self.survey_tokens(now).await
    }

    async fn is_surveyed(&self, now: Timestamp) -> PortResult<bool> {
        let item = self.read_survey().await?;
        Ok(survey::told(&item, now)? == Some(Survey::Underway))
    }

    async fn end_survey(&self, until: Timestamp) -> PortResult<()> {
        self.end_lease(until).await
    }
}

fn hinted(tokens: &[Token]) -> Av {
    Av::L(tokens.iter().take(HINT_LEN_MAX).map(s).collect())
}
