//! Tokens: table `tokens`. Each item stands for a spray until its window is over and it is
//! refunded; then it is free, and in the sparse index `free`.

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::caches::FULL_TOKENS;
use largesse_app::ports::{Clock, PortResult, Replenished, TokenSpace};
use largesse_domain::id::Token;
use largesse_domain::spray::{Spray, TokenEntry};
use largesse_domain::time::{Timestamp, Window};

use crate::cache::{count, lock};
use crate::errors::port_error;
use crate::item::{Item, Reader, ms, n, s};
use crate::keys::{self, FREE, FREE_SHARD, PK, TOKEN};
use crate::store::Store;

mod scan;

/// How long after its window TTL may keep a refunded token's item: housekeeping only, since every
/// rule goes by `refunded` and `closes_ms`. Eight days, so that TTL never fires while the sender may
/// still read.
const TOKEN_TTL_S: u64 = 8 * 86_400;

/// When TTL may delete a token's item, once it is refunded: in seconds since 1970.
pub(crate) fn token_ttl(window: Window) -> u64 {
    window.closes.ms_unsigned().div_euclid(1_000).saturating_add(TOKEN_TTL_S)
}

/// The item of a token that stands for a live spray. It has no `ttl`: however long a refund fails,
/// no other spray takes the token. It has no `free_shard`, so it is not in the index.
pub(crate) fn token_item(spray: &Spray) -> Item {
    let mut item = keys::token(spray.token);
    let mut put = |name: &str, value| item.insert(name.to_owned(), value);
    put("spray", s(spray.id));
    put("room", s(spray.room));
    put("giver", s(&spray.sender));
    put("opens_ms", ms(spray.window.opens));
    put("closes_ms", ms(spray.window.closes));
    put("recipients", n(spray.recipients));
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

/// Whether a token's item lets another spray take the token at `now`. The item of a token that was
/// never used, made for the index, has these two attributes only.
fn is_free(item: &Item, now: Timestamp) -> PortResult<bool> {
    let reader = Reader { item, what: "token item" };
    Ok(reader.flag("refunded")? && reader.ms("closes_ms")? <= now)
}

impl Store {
    /// What this process remembers of the token.
    pub(crate) fn remembered_token(&self, token: Token) -> Option<TokenEntry> {
        self.tokens.get(&token, self.now())
    }

    /// What the token stands for. Until its window closes no spray can take it, so an entry stays
    /// true that long.
    pub(crate) async fn read_token_entry(&self, token: Token) -> PortResult<Option<TokenEntry>> {
        if let Some(entry) = self.remembered_token(token) {
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
        // An item without a spray was made for the index: the token stands for nothing.
        let item = got.item.filter(|item| item.contains_key("spray"));
        let entry = item.map(|item| read_token(token, &item)).transpose()?;
        if let Some(entry) = &entry {
            self.tokens.put(token, entry.clone(), entry.window.closes);
        }
        Ok(entry)
    }
}

impl TokenSpace for Store {
    async fn free_among(&self, tokens: [Token; 2], now: Timestamp) -> PortResult<Vec<Token>> {
        let [first, second] = tokens;
        let tokens = if first == second { vec![first] } else { vec![first, second] };
        let keys = tokens.iter().map(|token| keys::token(*token)).collect();
        let mut taken = Vec::new();
        for item in self.batch_get("read tokens", &self.names.tokens, keys).await? {
            if !is_free(&item, now)? {
                let token: Token =
                    Reader { item: &item, what: "token item" }.parse_after(PK, TOKEN)?;
                taken.push(token);
            }
        }
        Ok(tokens.into_iter().filter(|token| !taken.contains(token)).collect())
    }

    async fn indexed_token(&self, shard: u32, from: Token) -> PortResult<Option<Token>> {
        // At or after a random token, else the first: so callers do not all take the same one.
        for from in [Some(from), None] {
            let query = self
                .dynamo
                .query()
                .table_name(&self.names.tokens)
                .index_name(FREE)
                .expression_attribute_names("#shard", FREE_SHARD)
                .expression_attribute_values(":shard", s(shard))
                .limit(1);
            let query = match from {
                None => query.key_condition_expression("#shard = :shard"),
                Some(from) => query
                    .key_condition_expression("#shard = :shard AND #pk >= :from")
                    .expression_attribute_names("#pk", PK)
                    .expression_attribute_values(":from", s(format!("{TOKEN}{from}"))),
            };
            let got = query.send().await.map_err(|error| port_error("read free tokens", error))?;
            if let Some(item) = got.items.unwrap_or_default().first() {
                return Reader { item, what: "free tokens" }.parse_after(PK, TOKEN).map(Some);
            }
        }
        Ok(None)
    }

    async fn replenish(&self, now: Timestamp) -> PortResult<Replenished> {
        self.scan_tokens(now).await
    }

    fn known_full(&self, now: Timestamp) -> Option<Timestamp> {
        let known = *lock(&self.tokens_full);
        let known = known.filter(|(until, _)| now < *until).map(|(_, earliest)| earliest);
        count(&FULL_TOKENS, known.is_some());
        known
    }

    fn remember_full(&self, now: Timestamp, earliest: Timestamp) {
        // Until the first token may become free, and no longer than a few seconds.
        let until = FULL_TOKENS.until(now).min(earliest);
        *lock(&self.tokens_full) = Some((until, earliest));
    }
}
