//! What investors heard, and whether each refusal was true.
//!
//! What was invested at the moment of a refusal is not known exactly, but it lies between two sums:
//! at least what was answered as invested before the request was sent, and at most that of all
//! requests that are answered as invested or under way when the refusal arrives.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::client::Reply;

/// All answers so far.
#[derive(Debug)]
pub(super) struct Heard {
    target: u64,
    so_far: Mutex<SoFar>,
}

/// Counts of answers, and sums of what was asked.
#[derive(Clone, Debug, Default)]
pub(super) struct SoFar {
    /// What was answered as invested, in won.
    made: u64,
    /// What is asked and not answered, in won.
    under_way: u64,
    /// Investments.
    pub(super) invested: u64,
    /// Refusals of an amount above what remains.
    pub(super) above: u64,
    /// Refusals since nothing remains.
    pub(super) sold_out: u64,
    /// Answers that nothing was done, and a repeat is safe.
    pub(super) busy: u64,
    /// Refusals of an amount that would have fitted.
    pub(super) refused_falsely: u64,
    /// Remainders that cannot have been what remained.
    pub(super) untrue: u64,
    /// Any other answer.
    pub(super) others: u64,
    /// The first of those.
    pub(super) first: Option<String>,
}

/// What an investor does after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing more.
    Done,
    /// Try an amount up to that.
    AtMost(u64),
    /// Repeat the request under its key.
    Repeat,
}

/// A request that is under way.
pub(super) struct Asked<'a> {
    heard: &'a Heard,
    amount: u64,
    /// What was answered as invested before it was sent, in won.
    before: u64,
}

impl Heard {
    pub(super) fn new(target: u64) -> Self {
        Self { target, so_far: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, SoFar> {
        self.so_far.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn so_far(&self) -> SoFar {
        self.lock().clone()
    }

    /// A request for that amount is sent now.
    pub(super) fn ask(&self, amount: u64) -> Asked<'_> {
        let mut so_far = self.lock();
        so_far.under_way = so_far.under_way.saturating_add(amount);
        Asked { heard: self, amount, before: so_far.made }
    }
}

impl SoFar {
    /// All answers.
    pub(super) const fn answers(&self) -> u64 {
        let refused = self.above.saturating_add(self.sold_out);
        self.invested.saturating_add(refused).saturating_add(self.busy).saturating_add(self.others)
    }

    /// That remains at least, if all that is under way is invested.
    const fn remains_at_least(&self, target: u64) -> u64 {
        target.saturating_sub(self.made).saturating_sub(self.under_way)
    }
}

impl Asked<'_> {
    /// Its answer has arrived.
    pub(super) fn answered(self, reply: &Reply) -> Next {
        let Self { heard: Heard { target, .. }, amount, before } = self;
        let mut so_far = self.heard.lock();
        so_far.under_way = so_far.under_way.saturating_sub(amount);
        let least = so_far.remains_at_least(*target);
        let count = |counted: &mut u64, is_one: bool| {
            *counted = counted.saturating_add(u64::from(is_one));
        };
        match (reply.status, reply.code()) {
            (201, _) => {
                so_far.made = so_far.made.saturating_add(amount);
                count(&mut so_far.invested, true);
                Next::Done
            }
            (409, "ERR401") => {
                let told = reply.number("remaining");
                count(&mut so_far.above, true);
                count(&mut so_far.refused_falsely, amount <= told || amount <= least);
                let most = target.saturating_sub(before);
                count(&mut so_far.untrue, !(least..=most).contains(&told));
                Next::AtMost(told)
            }
            (410, "ERR402") => {
                count(&mut so_far.sold_out, true);
                count(&mut so_far.refused_falsely, least > 0);
                Next::Done
            }
            (503, "ERR008") => {
                count(&mut so_far.busy, true);
                Next::Repeat
            }
            (status, _) => {
                count(&mut so_far.others, true);
                let answer = format!("{amount} won were answered {status}: {}", reply.body);
                so_far.first.get_or_insert(answer);
                Next::Done
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reply(status: u16, code: &str, remaining: u64) -> Reply {
        Reply { status, body: json!({ "code": code, "remaining": remaining }) }
    }

    /// Of 100 won, 60 are invested and 10 are under way, when 35 won are refused.
    fn after(refusal: &Reply) -> SoFar {
        let heard = Heard::new(100);
        assert_eq!(heard.ask(60).answered(&reply(201, "", 40)), Next::Done);
        let (_under_way, asked) = (heard.ask(10), heard.ask(35));
        asked.answered(refusal);
        heard.so_far()
    }

    #[test]
    fn a_false_refusal_is_found() {
        let true_one = after(&reply(409, "ERR401", 30));
        assert_eq!((true_one.above, true_one.refused_falsely, true_one.untrue), (1, 0, 0));
        // It fits into what the answer says.
        assert_eq!(after(&reply(409, "ERR401", 35)).refused_falsely, 1);
        // Less than 30 cannot remain, and more than 40 neither.
        for untrue in [29, 41] {
            assert_eq!(after(&reply(409, "ERR401", untrue)).untrue, 1);
        }
        assert_eq!(after(&reply(410, "ERR402", 0)).refused_falsely, 1);
    }

    #[test]
    fn an_amount_that_fits_beside_all_that_is_under_way_is_refused_falsely() {
        let heard = Heard::new(100);
        let _under_way = heard.ask(40);
        heard.ask(60).answered(&reply(409, "ERR401", 59));
        assert_eq!(heard.so_far().refused_falsely, 1);
    }

    #[test]
    fn an_answer_that_is_not_expected_is_kept() {
        let heard = Heard::new(100);
        assert_eq!(heard.ask(1).answered(&reply(503, "ERR008", 0)), Next::Repeat);
        assert_eq!(heard.ask(1).answered(&reply(500, "ERR003", 0)), Next::Done);
        let so_far = heard.so_far();
        assert_eq!((so_far.busy, so_far.others, so_far.answers()), (1, 1, 2));
        assert!(so_far.first.unwrap().starts_with("1 won were answered 500"));
    }
}
