//! What goes wrong, and how often.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Shares are given in thousandths.
pub(crate) const PERMILLE: u16 = 1_000;

/// One thing that goes wrong with a call. Those after a commit are lost answers: the money moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The payment is refused: 422. Payments only.
    Refuse,
    /// The payment is accepted, 202, and decided later. Payments only.
    Pend,
    /// More moves than was asked for, and the answer says so. Payments only.
    WrongAmount,
    /// The answer names another member; the money is where it belongs. Payments only.
    WrongMember,
    /// 429 with nothing done, whatever the limit.
    Throttle,
    /// 403 with nothing done.
    Deny,
    /// 503 with nothing done.
    Fail,
    /// 504 after the commit.
    FailAfter,
    /// The commit, then an answer after the client has gone.
    Stall,
    /// The connection is reset with nothing done.
    ResetBefore,
    /// The connection is reset after the commit.
    ResetAfter,
    /// The commit, then an answer byte by byte.
    Trickle,
    /// The commit, then an answer that ends in the middle.
    Malformed,
    /// The commit, then an answer of 128 KiB.
    Oversized,
}

impl Fault {
    /// Whether it makes sense for a payment only.
    pub(crate) const fn is_of_payments(self) -> bool {
        matches!(self, Self::Refuse | Self::Pend | Self::WrongAmount | Self::WrongMember)
    }
}

/// A call of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// `POST /transfers`.
    Pay,
    /// `GET /transfers/{id}`.
    LookUp,
    /// `POST /transfers/{id}/reversal`.
    Reverse,
}

/// How a 429 says when to come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// In whole seconds.
    #[default]
    Seconds,
    /// As an HTTP date.
    Date,
    /// Not at all.
    None,
}

/// What goes wrong. The default: nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Requests in any sliding second; above it 429. 0: no limit.
    pub limit_per_s: u32,
    /// How a 429 says when to come back.
    pub retry_after: RetryAfter,
    /// How long every answer takes, in milliseconds.
    pub latency_ms: u64,
    /// For so many milliseconds from now, every call is answered 503.
    pub outage_ms: u64,
    /// How often each fault happens, in thousandths of the calls; 1,000 together at most.
    pub shares: BTreeMap<Fault, u16>,
    /// Which calls the shares are of; without it, all.
    pub only: Option<Verb>,
    /// The code of a refusal.
    pub refusal_code: String,
    /// Members whose payments are always refused.
    pub closed: BTreeSet<String>,
    /// When the answer of [`Fault::Stall`] comes, in milliseconds.
    pub stall_ms: u64,
    /// The time between two bytes of [`Fault::Trickle`], in milliseconds.
    pub trickle_ms: u64,
    /// When a transfer of [`Fault::Pend`] is decided, in milliseconds; without it, by hand only.
    pub verdict_after_ms: Option<u64>,
    /// How many of those verdicts are refusals, in thousandths.
    pub verdict_refused: u16,
    /// How often a burst of 5xx begins, in thousandths of the blocks of `burst_calls` calls.
    pub burst: u16,
    /// How many calls a burst holds.
    pub burst_calls: u32,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            limit_per_s: 0,
            retry_after: RetryAfter::Seconds,
            latency_ms: 0,
            outage_ms: 0,
            shares: BTreeMap::new(),
            only: None,
            refusal_code: "refused".to_owned(),
            closed: BTreeSet::new(),
            stall_ms: 10_000,
            trickle_ms: 500,
            verdict_after_ms: None,
            verdict_refused: 0,
            burst: 0,
            burst_calls: 10,
        }
    }
}

/// Why faults are not set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultsError {
    /// The shares, or a share, are more than the whole.
    #[error("shares are thousandths: each, and all of them together, at most 1000")]
    AboveWhole,
    /// No share `fault=thousandths`.
    #[error("`{0}` is no share of a fault: write it as refuse=200, in thousandths")]
    Share(String),
    /// No call of the API.
    #[error("`{0}` is no call: pay, look_up or reverse")]
    Verb(String),
    /// No form of `Retry-After`.
    #[error("`{0}` is no form of Retry-After: seconds, date or none")]
    RetryAfter(String),
}

/// Reads a value of an enumeration by the name that it has in JSON.
fn by_name<T: DeserializeOwned>(name: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(name.to_owned())).ok()
}

impl FromStr for Verb {
    type Err = FaultsError;

    fn from_str(text: &str) -> Result<Self, FaultsError> {
        by_name(text).ok_or_else(|| FaultsError::Verb(text.to_owned()))
    }
}

impl FromStr for RetryAfter {
    type Err = FaultsError;

    fn from_str(text: &str) -> Result<Self, FaultsError> {
        by_name(text).ok_or_else(|| FaultsError::RetryAfter(text.to_owned()))
    }
}

/// A share on a command line: `refuse=200`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultShare(pub Fault, pub u16);

impl FromStr for FaultShare {
    type Err = FaultsError;

    fn from_str(text: &str) -> Result<Self, FaultsError> {
        let read = || {
            let (name, share) = text.split_once('=')?;
            Some(Self(by_name(name)?, share.parse().ok()?))
        };
        read().ok_or_else(|| FaultsError::Share(text.to_owned()))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = serde_json::to_value(self).ok();
        f.write_str(name.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default())
    }
}

impl Faults {
    /// No more than everything goes wrong.
    ///
    /// # Errors
    /// [`FaultsError::AboveWhole`].
    pub fn check(&self) -> Result<(), FaultsError> {
        let sum: u32 = self.shares.values().map(|share| u32::from(*share)).sum();
        let shares = [sum, u32::from(self.verdict_refused), u32::from(self.burst)];
        let is_whole = shares.into_iter().all(|share| share <= u32::from(PERMILLE));
        if is_whole { Ok(()) } else { Err(FaultsError::AboveWhole) }
    }

    /// Sets the share of one fault.
    #[must_use]
    pub fn with(mut self, fault: Fault, permille: u16) -> Self {
        self.shares.insert(fault, permille);
        self
    }

    /// The fault that meets the `nth` call of its kind on a transfer.
    pub(crate) fn meet(&self, seed: u64, verb: Verb, id: &str, nth: u64) -> Option<Fault> {
        if self.only.is_some_and(|only| only != verb) {
            return None;
        }
        let drawn = draw(seed, &format!("{verb:?} {id}"), nth);
        let mut below = 0_u16;
        let met = self.shares.iter().find(|(_, share)| {
            below = below.saturating_add(**share);
            drawn < below
        });
        met.map(|(fault, _)| *fault).filter(|fault| verb == Verb::Pay || !fault.is_of_payments())
    }

    /// Whether the `nth` call of all lies in a burst of 5xx.
    pub(crate) fn is_in_burst(&self, seed: u64, nth: u64) -> bool {
        let block = nth.checked_div(u64::from(self.burst_calls)).unwrap_or(0);
        draw(seed, "burst", block) < self.burst
    }

    /// Whether the verdict on a pending transfer is a refusal.
    pub(crate) fn verdict_is_refusal(&self, seed: u64, id: &str, nth: u64) -> bool {
        draw(seed, &format!("verdict {id}"), nth) < self.verdict_refused
    }
}

/// A number from 0 to 999 that depends on the arguments alone.
fn draw(seed: u64, call: &str, nth: u64) -> u16 {
    let digest = Sha256::digest(format!("{seed}\n{call}\n{nth}"));
    let bits = digest.iter().take(8).fold(0, |bits: u64, byte| (bits << 8) | u64::from(*byte));
    fastrand::Rng::with_seed(bits).u16(0..PERMILLE)
}

#[cfg(test)]
mod tests;
