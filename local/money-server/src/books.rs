//! What was paid, to whom, and what came of the rest.

use std::collections::BTreeMap;

use crate::report::Report;
use crate::wire::{Order, Status, Transfer};

/// How a new attempt at a payment ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The money moves: so much of it.
    Pay(u64),
    /// It does not, for this reason.
    Refuse(String),
    /// That is decided later: at that time, or by hand.
    Pend(Option<Due>),
}

/// A verdict that time brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) at_ms: u64,
    /// `None`: paid.
    pub(crate) refusal: Option<String>,
}

/// What a payment that was asked for comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Paid,
    PaidBefore,
    Pending,
    Refused(String),
    OtherContent,
}

/// What a reversal that was asked for comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Reversed,
    ReversedBefore,
    NeverPaid,
    StillPending,
    Shortfall(u64),
}

#[derive(Clone, Debug)]
enum State {
    Paid,
    /// The verdict, where one is due.
    Pending(Option<Due>),
    /// `is_told`: a caller has had this refusal for an answer, so its next call is a new attempt.
    Refused {
        code: String,
        is_told: bool,
    },
    Reversed,
}

#[derive(Clone, Debug)]
struct Kept {
    order: Order,
    /// How much moved.
    moved: Option<u64>,
    state: State,
}

/// One movement of money, as it happened. The report counts these and not the states, so that it
/// would show what the states hide.
#[derive(Clone, Debug)]
struct Movement {
    id: String,
    member: String,
    amount: u64,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Payment,
    Reversal,
    Spending,
}

#[derive(Debug, Default)]
pub(crate) struct Books {
    kept: BTreeMap<String, Kept>,
    movements: Vec<Movement>,
    held: BTreeMap<String, u64>,
    duplicates: u64,
    refusals: u64,
    verdicts_ignored: u64,
}

impl Books {
    /// Pays once for an id. `decide` is called for a new attempt only.
    pub(crate) fn pay(
        &mut self,
        order: &Order,
        now_ms: u64,
        decide: impl FnOnce() -> Decision,
    ) -> Asked {
        self.settle(&order.id, now_ms);
        if let Some(kept) = self.kept.get_mut(&order.id) {
            if kept.order != *order {
                self.duplicates = self.duplicates.saturating_add(1);
                return Asked::OtherContent;
            }
            match &mut kept.state {
                State::Paid | State::Reversed => return Asked::PaidBefore,
                State::Pending(_) => return Asked::Pending,
                // The verdict on an attempt that was accepted is given once, and begins no other.
                State::Refused { code, is_told: is_told @ false } => {
                    *is_told = true;
                    return Asked::Refused(code.clone());
                }
                State::Refused { .. } => {}
            }
        }
        let kept = Kept { order: order.clone(), moved: None, state: State::Pending(None) };
        self.kept.insert(order.id.clone(), kept);
        match decide() {
            Decision::Pay(amount) => {
                self.commit(&order.id, amount);
                Asked::Paid
            }
            Decision::Refuse(code) => {
                self.refuse(&order.id, code.clone(), true);
                Asked::Refused(code)
            }
            Decision::Pend(due) => {
                if let Some(kept) = self.kept.get_mut(&order.id) {
                    kept.state = State::Pending(due);
                }
                Asked::Pending
            }
        }
    }

    fn commit(&mut self, id: &str, amount: u64) {
        let Some(kept) = self.kept.get_mut(id) else { return };
        kept.state = State::Paid;
        kept.moved = Some(amount);
        let member = kept.order.member.clone();
        let held = self.held.entry(member.clone()).or_default();
        *held = held.saturating_add(amount);
        self.movements.push(Movement { id: id.to_owned(), member, amount, kind: Kind::Payment });
    }

    fn refuse(&mut self, id: &str, code: String, is_told: bool) {
        let Some(kept) = self.kept.get_mut(id) else { return };
        kept.state = State::Refused { code, is_told };
        self.refusals = self.refusals.saturating_add(1);
    }

    /// Lets a verdict happen that is due.
    fn settle(&mut self, id: &str, now_ms: u64) {
        let due = match self.kept.get(id).map(|kept| &kept.state) {
            Some(State::Pending(Some(due))) if due.at_ms <= now_ms => due.clone(),
            _ => return,
        };
        self.verdict(id, due.refusal);
    }

    /// Decides a pending transfer: `None` pays it. `Some(false)`: it was decided before, and nothing
    /// has changed. `None`: there is no such transfer.
    pub(crate) fn verdict(&mut self, id: &str, refusal: Option<String>) -> Option<bool> {
        let kept = self.kept.get(id)?;
        if !matches!(kept.state, State::Pending(_)) {
            self.verdicts_ignored = self.verdicts_ignored.saturating_add(1);
            return Some(false);
        }
        let amount = kept.order.amount;
        match refusal {
            None => self.commit(id, amount),
            Some(code) => self.refuse(id, code, false),
        }
        Some(true)
    }

    /// Where a transfer stands.
    pub(crate) fn look_up(&mut self, id: &str, now_ms: u64) -> Option<Transfer> {
        self.settle(id, now_ms);
        let kept = self.kept.get(id)?;
        let status = match kept.state {
            State::Paid => Status::Paid,
            State::Pending(_) => Status::Pending,
            State::Refused { .. } => Status::Refused,
            State::Reversed => Status::Reversed,
        };
        let Order { id, member, amount, .. } = &kept.order;
        let amount = kept.moved.unwrap_or(*amount);
        Some(Transfer { id: id.clone(), status, amount, member: member.clone() })
    }

    /// Takes a payment back from its member, whole or not at all.
    pub(crate) fn reverse(&mut self, id: &str, now_ms: u64) -> Taken {
        self.settle(id, now_ms);
        let Some(kept) = self.kept.get_mut(id) else { return Taken::NeverPaid };
        match (&kept.state, kept.moved) {
            (State::Reversed, _) => Taken::ReversedBefore,
            (State::Pending(_), _) => Taken::StillPending,
            (State::Paid, Some(amount)) => {
                let member = kept.order.member.clone();
                let held = self.held.entry(member.clone()).or_default();
                let Some(rest) = held.checked_sub(amount) else {
                    return Taken::Shortfall(amount.saturating_sub(*held));
                };
                *held = rest;
                kept.state = State::Reversed;
                let kind = Kind::Reversal;
                self.movements.push(Movement { id: id.to_owned(), member, amount, kind });
                Taken::Reversed
            }
            (State::Paid | State::Refused { .. }, _) => Taken::NeverPaid,
        }
    }

    /// A member spends; the rest that it holds, or `None` when it has too little.
    pub(crate) fn spend(&mut self, member: &str, amount: u64) -> Option<u64> {
        let held = self.held.get_mut(member)?;
        *held = held.checked_sub(amount)?;
        let rest = *held;
        let (id, member) = (String::new(), member.to_owned());
        self.movements.push(Movement { id, member, amount, kind: Kind::Spending });
        Some(rest)
    }

    /// What the books hold, without what is counted elsewhere.
    pub(crate) fn report(&mut self, now_ms: u64) -> Report {
        let ids: Vec<String> = self.kept.keys().cloned().collect();
        ids.iter().for_each(|id| self.settle(id, now_ms));
        let mut report = Report {
            duplicates: self.duplicates,
            refusals: self.refusals,
            verdicts_ignored: self.verdicts_ignored,
            ..Report::default()
        };
        let add = |to: &mut u64, n: u64| *to = to.saturating_add(n);
        for kept in self.kept.values() {
            add(&mut report.transfers, 1);
            match kept.state {
                State::Paid => add(&mut report.paid, 1),
                State::Pending(_) => add(&mut report.pending, 1),
                State::Refused { .. } => add(&mut report.refused, 1),
                State::Reversed => add(&mut report.reversed, 1),
            }
        }
        let mut payments: BTreeMap<&str, u64> = BTreeMap::new();
        for Movement { id, member, amount, kind } in &self.movements {
            match kind {
                Kind::Payment => {
                    add(&mut report.paid_sum, *amount);
                    add(payments.entry(id).or_default(), 1);
                    let order = self.kept.get(id).map(|kept| &kept.order);
                    let is_right =
                        order.is_some_and(|o| o.amount == *amount && o.member == *member);
                    add(&mut report.wrong_amounts, u64::from(!is_right));
                }
                Kind::Reversal => add(&mut report.reversed_sum, *amount),
                Kind::Spending => add(&mut report.spent_sum, *amount),
            }
        }
        let twice = payments.values().filter(|count| **count > 1).count();
        report.paid_twice = u64::try_from(twice).unwrap_or(u64::MAX);
        self.held.values().for_each(|held| add(&mut report.held_sum, *held));
        report
    }
}

#[cfg(test)]
mod tests;
