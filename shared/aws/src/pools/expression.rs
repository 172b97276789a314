//! The one conditional write that decides draws.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_domain::id::UserId;
use largesse_domain::pool::{Ask, Draw, Drawn, PENDING_MAX, Pool};

use super::head;
use crate::item::{ms, n, s};
use crate::keys;

/// The most draws of one write. A draw takes 31 to 33 bytes of the condition, a trim 49 to 55, and
/// a condition holds 4 KB (Amazon DynamoDB Developer Guide, "Constraints": expression string):
/// 40 of each fit.
pub(crate) const DRAWS_MAX: usize = 40;
/// The most trims that ride on it.
pub(crate) const TRIMS_MAX: usize = 40;

/// The most notes that one write without draws forgets: more than a full head has, within 4 KB.
pub(crate) const NOTES_MAX: usize = 64;

/// A write that draws for several members at once.
pub(crate) struct Write {
    pub(crate) update: String,
    pub(crate) condition: String,
    pub(crate) names: HashMap<String, String>,
    pub(crate) values: HashMap<String, Av>,
}

impl Write {
    fn name(&mut self, placeholder: &str, name: &str) {
        self.names.insert(placeholder.to_owned(), name.to_owned());
    }

    fn value(&mut self, placeholder: &str, value: Av) {
        self.values.insert(placeholder.to_owned(), value);
    }

    fn require(&mut self, clause: &str) {
        if !self.condition.is_empty() {
            self.condition.push_str(" AND ");
        }
        self.condition.push_str(clause);
    }

    /// The write that only forgets notes of recorded draws, at least one.
    pub(crate) fn trims(trims: &[(UserId, Drawn)]) -> Self {
        let mut write = Self::empty();
        let mut removals = Vec::new();
        write.trim(trims, &mut removals);
        write.update = format!("REMOVE {}", removals.join(", "));
        write
    }

    fn empty() -> Self {
        let mut write = Self {
            update: String::new(),
            condition: String::new(),
            names: HashMap::new(),
            values: HashMap::new(),
        };
        write.name("#p", head::PENDING);
        write
    }

    /// The write for `draws`, at least one, all of the same kind of ask.
    ///
    /// `free_known` is how many released numbers the head is believed to hold: they go first.
    pub(crate) fn new(draws: &[Draw], trims: &[(UserId, Drawn)], free_known: usize) -> Self {
        let mut write = Self::empty();
        let mut removals = Vec::new();
        let is_amount = draws.iter().any(|draw| matches!(draw.ask, Ask::Amount(_)));
        let sets = if is_amount {
            write.take_amounts(draws)
        } else {
            write.take_numbers(draws, free_known, &mut removals)
        };
        let sets = write.wake_the_sweep(draws, sets);
        write.require_window(draws);
        write.require_new(draws);
        write.require_room(draws.len(), trims.len());
        write.trim(trims, &mut removals);
        write.update = format!("SET {}", sets.join(", "));
        if !removals.is_empty() {
            write.update.push_str(" REMOVE ");
            write.update.push_str(&removals.join(", "));
        }
        write
    }

    /// Puts the pool into the sweep's index, unless it is there: whoever is killed between this
    /// write and the record is found by it.
    fn wake_the_sweep(&mut self, draws: &[Draw], mut sets: Vec<String>) -> Vec<String> {
        if let Some(last) = draws.iter().map(|draw| draw.at).max() {
            self.name("#w", keys::SWEEP_MS);
            self.value(":w", ms(Pool::sweep_at(last)));
            sets.push("#w = if_not_exists(#w, :w)".to_owned());
        }
        sets
    }

    /// Open: nothing went back yet. Inside the window: the earliest draw is not before it, the
    /// latest not after it; by our own timestamps, since TTL may lag by days.
    fn require_window(&mut self, draws: &[Draw]) {
        self.name("#s", head::STATUS);
        self.name("#o", head::OPENS);
        self.name("#c", head::CLOSES);
        self.value(":open", s(head::OPEN));
        self.require("#s = :open AND #o <= :first AND #c > :last");
        let times = || draws.iter().map(|draw| draw.at);
        if let (Some(first), Some(last)) = (times().min(), times().max()) {
            self.value(":first", ms(first));
            self.value(":last", ms(last));
        }
    }

    /// None of them has a draw pending: nobody draws twice. (Who has a record is known before.)
    fn require_new(&mut self, draws: &[Draw]) {
        for (i, draw) in draws.iter().enumerate() {
            self.name(&format!("#d{i}"), draw.member.as_str());
            self.require(&format!("attribute_not_exists(#p.#d{i})"));
        }
    }

    /// The notes that this write leaves are bounded, so that the head stays small.
    fn require_room(&mut self, draws: usize, trims: usize) {
        let room = PENDING_MAX.saturating_add(trims).saturating_sub(draws);
        self.value(":room", n(room));
        self.require("size(#p) <= :room");
    }

    /// Takes released numbers first, then new ones.
    ///
    /// Enough left: `#l >= :fresh`. And `free` is as known: with new numbers to take, it holds
    /// exactly what is taken from it; otherwise at least that. So a released number is never passed
    /// over for a new one.
    fn take_numbers(
        &mut self,
        draws: &[Draw],
        free_known: usize,
        removals: &mut Vec<String>,
    ) -> Vec<String> {
        self.name("#f", head::FREE);
        let released = free_known.min(draws.len());
        let fresh = draws.len().saturating_sub(released);
        let mut sets = Vec::with_capacity(draws.len().saturating_add(2));
        for (i, draw) in draws.iter().enumerate() {
            let mut stamp = Drawn::stamp(draw.at, draw.attempt);
            if i < released {
                sets.push(format!("#p.#d{i} = #f[{i}] + :d{i}"));
                removals.push(format!("#f[{i}]"));
            } else {
                // Every operand is the value before the write, so the j-th new number is taken + j.
                let nth = i.saturating_sub(released);
                stamp = stamp.saturating_add(u128::try_from(nth).unwrap_or(0));
                sets.push(format!("#p.#d{i} = #t + :d{i}"));
            }
            self.value(&format!(":d{i}"), n(stamp));
        }
        if fresh == 0 {
            self.require(&format!("attribute_exists(#f[{}])", released.saturating_sub(1)));
            return sets;
        }
        self.name("#t", head::TAKEN);
        self.name("#l", head::LEFT);
        self.value(":fresh", n(fresh));
        sets.push("#t = #t + :fresh".to_owned());
        sets.push("#l = #l - :fresh".to_owned());
        self.require("#l >= :fresh");
        if released > 0 {
            self.require(&format!("attribute_exists(#f[{}])", released.saturating_sub(1)));
        }
        self.require(&format!("attribute_not_exists(#f[{released}])"));
        sets
    }

    /// Takes amounts. Enough left for all of them: `#l >= :sum`, and the subtraction is this very
    /// write.
    fn take_amounts(&mut self, draws: &[Draw]) -> Vec<String> {
        self.name("#l", head::LEFT);
        let mut sets = Vec::with_capacity(draws.len().saturating_add(1));
        let mut sum = 0_u64;
        for (i, draw) in draws.iter().enumerate() {
            let part = match draw.ask {
                Ask::Amount(amount) => amount.get(),
                Ask::Next => 0,
            };
            sum = sum.saturating_add(part);
            let drawn = Drawn { part, at: draw.at, attempt: draw.attempt };
            self.value(&format!(":d{i}"), n(drawn.pack()));
            sets.push(format!("#p.#d{i} = :d{i}"));
        }
        self.value(":sum", n(sum));
        sets.push("#l = #l - :sum".to_owned());
        self.require("#l >= :sum");
        sets
    }

    /// Forgets notes of recorded draws. Each is gone already or still that very draw's: a later
    /// draw of the same member is not forgotten with it.
    fn trim(&mut self, trims: &[(UserId, Drawn)], removals: &mut Vec<String>) {
        for (i, (member, drawn)) in trims.iter().enumerate() {
            self.name(&format!("#r{i}"), member.as_str());
            self.value(&format!(":r{i}"), n(drawn.pack()));
            self.require(&format!("(attribute_not_exists(#p.#r{i}) OR #p.#r{i} = :r{i})"));
            removals.push(format!("#p.#r{i}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use largesse_domain::pool::Attempt;
    use largesse_domain::time::{TIMESTAMP_MS_MAX, Timestamp};

    #[test]
    fn the_largest_write_stays_within_the_limits_of_an_expression() {
        let at = Timestamp::from_ms(TIMESTAMP_MS_MAX);
        let attempt = Attempt::from_bits(999_999_999_999);
        let user = |n: usize| format!("{n:0>64}").parse::<UserId>().unwrap();
        let draws: Vec<Draw> =
            (0..DRAWS_MAX).map(|n| Draw { member: user(n), at, attempt, ask: Ask::Next }).collect();
        let drawn = Drawn { part: 999, at, attempt };
        let trims: Vec<_> = (100..100 + TRIMS_MAX).map(|n| (user(n), drawn)).collect();
        let notes: Vec<_> = (0..NOTES_MAX).map(|n| (user(n), drawn)).collect();
        let write = Write::trims(&notes);
        assert!(write.condition.len().max(write.update.len()) <= 4096, "{}", write.condition.len());
        for free in [0, 20, DRAWS_MAX] {
            let write = Write::new(&draws, &trims, free);
            assert!(write.condition.len() <= 4096, "{}", write.condition.len());
            assert!(write.update.len() <= 4096, "{}", write.update.len());
        }
    }
}
