//! Idempotency of transactions by `ClientRequestToken`.
//!
//! The engine has its own, but it uses the machine's clock (a test could never see a token expire)
//! and walks through all tokens at each call. Every transaction of the SDK carries a token, so a
//! long run would become slower without end.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// How long `DynamoDB` remembers a token, as its documentation states.
const REMEMBERED_MS: i64 = 10 * 60 * 1_000;

/// The hash of a token: a busy process has more tokens in ten minutes than it should keep as text.
type Key = [u8; 16];

/// The state of a token.
pub(super) enum Known {
    /// Unknown: run the transaction and call [`Tokens::remember`].
    New,
    /// The transaction ran, with this reply.
    Done(Vec<u8>),
    /// The token was used for another request.
    Mismatch,
}

/// The tokens of the last ten minutes.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    done: HashMap<Key, (u64, Box<[u8]>)>,
    order: VecDeque<(i64, Key)>,
}

impl Tokens {
    pub(super) fn look_up(&mut self, token: &str, content: u64, now_ms: i64) -> Known {
        while self.order.front().is_some_and(|(at, _)| at.saturating_add(REMEMBERED_MS) <= now_ms) {
            if let Some((_, expired)) = self.order.pop_front() {
                self.done.remove(&expired);
            }
        }
        match self.done.get(&md5::compute(token).0) {
            None => Known::New,
            Some((known, reply)) if *known == content => Known::Done(reply.to_vec()),
            Some(_) => Known::Mismatch,
        }
    }

    pub(super) fn remember(&mut self, token: &str, content: u64, reply: &[u8], now_ms: i64) {
        let key = md5::compute(token).0;
        self.order.push_back((now_ms, key));
        self.done.insert(key, (content, reply.into()));
    }
}

/// A hash of the content of JSON, made while it is parsed. The order of an object's keys does not
/// count: the SDK writes maps in any order, so the same request has many texts.
#[derive(Debug, Default)]
pub(super) struct ContentHash(pub(super) u64);

impl<'de> Deserialize<'de> for ContentHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Hashing).map(Self)
    }
}

struct Hashing;

impl<'de> Visitor<'de> for Hashing {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<u64, E> {
        Ok(hash(&0_u8))
    }

    fn visit_bool<E>(self, value: bool) -> Result<u64, E> {
        Ok(hash(&(1_u8, value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<u64, E> {
        Ok(hash(&(2_u8, value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<u64, E> {
        Ok(hash(&(3_u8, value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<u64, E> {
        Ok(hash(&(4_u8, value.to_bits())))
    }

    fn visit_str<E>(self, value: &str) -> Result<u64, E> {
        Ok(hash(&(5_u8, value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<u64, A::Error> {
        let mut all = DefaultHasher::new();
        while let Some(ContentHash(member)) = members.next_element()? {
            member.hash(&mut all);
        }
        Ok(hash(&(6_u8, all.finish())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<u64, A::Error> {
        let mut sum = 0_u64;
        while let Some((ContentHash(key), ContentHash(member))) = members.next_entry()? {
            sum = sum.wrapping_add(hash(&(key, member)));
        }
        Ok(hash(&(7_u8, sum)))
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(json: &str) -> u64 {
        serde_json::from_str::<ContentHash>(json).unwrap().0
    }

    #[test]
    fn the_order_of_keys_does_not_count_and_everything_else_does() {
        let one = content(r#"[{"a":{"S":"x"},"b":[1,true,null]},{"c":1.5}]"#);
        assert_eq!(one, content(r#"[ {"b":[1, true, null], "\u0061":{"S":"x"}}, {"c":1.5} ]"#));
        for other in [
            r#"[{"a":{"S":"y"},"b":[1,true,null]},{"c":1.5}]"#,
            r#"[{"a":{"N":"x"},"b":[1,true,null]},{"c":1.5}]"#,
            r#"[{"a":{"S":"x"},"b":[true,1,null]},{"c":1.5}]"#,
            r#"[{"a":{"S":"x"},"b":[1,true]},{"c":1.5}]"#,
            r#"[{"a":{"S":"x"},"b":[1,true,null],"c":1.5}]"#,
            r#"[{"c":1.5},{"a":{"S":"x"},"b":[1,true,null]}]"#,
        ] {
            assert_ne!(one, content(other), "{other}");
        }
    }
}
