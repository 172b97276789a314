//! Idempotency of transactions by `ClientRequestToken`.
//!
//! The engine has its own, but it lives by the machine's clock (a test could never see a token
//! expire) and walks through all tokens at each call (every call of the SDK carries one, so a long
//! run would slow down without end).

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

/// How long `DynamoDB` remembers a token, as its documentation states.
const REMEMBERED_MS: i64 = 10 * 60 * 1_000;

/// What is known of a token.
pub(super) enum Known {
    /// Nothing: run the transaction and call [`Tokens::remember`].
    New,
    /// It ran, with this answer.
    Done(Vec<u8>),
    /// It was used for another request.
    Mismatch,
}

#[derive(Debug, Default)]
pub(super) struct Tokens {
    gate: Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    done: HashMap<String, (u64, Vec<u8>)>,
    order: VecDeque<(i64, String)>,
}

impl Tokens {
    /// Held from the look-up to the remembering: two calls under one token must not both run.
    pub(super) fn alone(&self) -> MutexGuard<'_, ()> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn look_up(&self, token: &str, content: u64, now_ms: i64) -> Known {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.order.front().is_some_and(|(at, _)| at.saturating_add(REMEMBERED_MS) <= now_ms)
        {
            if let Some((_, expired)) = state.order.pop_front() {
                state.done.remove(&expired);
            }
        }
        match state.done.get(token) {
            None => Known::New,
            Some((known, answer)) if *known == content => Known::Done(answer.clone()),
            Some(_) => Known::Mismatch,
        }
    }

    pub(super) fn remember(&self, token: String, content: u64, answer: Vec<u8>, now_ms: i64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.order.push_back((now_ms, token.clone()));
        state.done.insert(token, (content, answer));
    }
}

/// A hash of what a request says. The order of an object's keys does not count: the SDK writes maps
/// in an order of its own, so the same request has many spellings.
pub(super) fn content_hash(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    match value {
        Value::Object(members) => {
            let sum = members.iter().fold(0_u64, |sum, (key, member)| {
                let mut one = DefaultHasher::new();
                (key, content_hash(member)).hash(&mut one);
                sum.wrapping_add(one.finish())
            });
            (1_u8, sum).hash(&mut hasher);
        }
        Value::Array(members) => {
            2_u8.hash(&mut hasher);
            members.iter().map(content_hash).for_each(|member| member.hash(&mut hasher));
        }
        Value::String(text) => (3_u8, text).hash(&mut hasher),
        other => (4_u8, other.to_string()).hash(&mut hasher),
    }
    hasher.finish()
}
