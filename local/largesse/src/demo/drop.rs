//! Many people enter one drop at once.
//!
//! # Guarantees
//! * Every slot has one winner, who is paid once, and the others wait or hear that it is sold out:
//!   `every_slot_of_the_demonstration_is_won_and_paid_once`,
//!   `fewer_people_than_slots_all_win`.
//! * A proof that fails is an error and says why: `a_drop_whose_proof_fails_says_what_is_wrong`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt;
use largesse_app::ports::Clock;
use largesse_domain::audit::{Books, Totals, audit};
use largesse_domain::id::PoolId;
use largesse_domain::ledger::TransferKind;
use largesse_edge::time;
use serde_json::json;

use super::claims::{self, Claim, line};
use super::{DemoError, Stage, bar, started};
use crate::campaign::{Output, Say};
use crate::client::ClientError;
use crate::plain::counted;

/// What a slot is worth, in won.
const AMOUNT: u64 = 5_000;
/// The funder.
const FUNDER: &str = "funder";
/// How long the drop is open, in milliseconds: longer than any demonstration.
const OPEN_MS: u64 = 86_400_000;

/// Runs the demonstration and prints its proof.
///
/// # Errors
/// [`DemoError`], also when the outcome is not the expected one.
pub async fn run(people: u32, slots: u32, clients: u16) -> Result<(), DemoError> {
    let proof = play(people, slots, clients, &Output).await?;
    match claims::broken(&proof.claims()) {
        broken if broken.is_empty() => Ok(()),
        mut broken => {
            broken.extend(proof.answers.others.first().cloned());
            Err(DemoError::Broken(broken.join("; ")))
        }
    }
}

async fn play(people: u32, slots: u32, clients: u16, out: &dyn Say) -> Result<Proof, DemoError> {
    let stage = Stage::start().await?;
    let text = format!(
        "{}, one drop of {} of {AMOUNT} won each, {} at once.\n",
        counted(people.into(), "person", "people"),
        counted(slots.into(), "slot", "slots"),
        counted(clients.into(), "request", "requests"),
    );
    out.say(&text).map_err(DemoError::Print)?;
    let drop = open(&stage, slots).await?;
    let (answers, took) = enter_all(&stage, &drop, people, clients).await?;
    let paying = started();
    stage.world().settle().await;
    let paid_after = paying.elapsed();
    let books = stage.local.store.books().await?;
    let totals = audit(&books).map_err(DemoError::NotConserved)?;
    stage.stop().await;
    let ledger = Ledger::read(&books, &drop, &answers);
    let proof = Proof { people, slots, answers, ledger, totals, took, paid_after };
    out.say(&proof.table()).map_err(DemoError::Print)?;
    Ok(proof)
}

/// Makes the drop, open from now on, with the waiting list that is made by default.
async fn open(stage: &Stage, slots: u32) -> Result<String, DemoError> {
    stage.client.deposit(FUNDER, AMOUNT.saturating_mul(slots.into())).await?;
    let now = stage.local.store.now();
    let terms = json!({
        "name": "demonstration", "slots": slots, "amount": AMOUNT,
        "opens_at": time::format(now), "closes_at": time::format(now.plus_ms(OPEN_MS)),
    });
    Ok(stage.client.make_drop(FUNDER, &terms).await?)
}

/// The answers to all entries.
#[derive(Debug, Default)]
struct Answers {
    /// The slot and the amount that each winner was told.
    won: BTreeMap<String, (u64, u64)>,
    waiting: u64,
    sold_out: u64,
    others: Vec<String>,
}

async fn enter_all(
    stage: &Stage,
    drop: &str,
    people: u32,
    clients: u16,
) -> Result<(Answers, Duration), DemoError> {
    let bar = bar(people, "entering");
    let began = started();
    let entries = futures::stream::iter(0..people).map(|n| {
        let client = stage.client.clone();
        async move {
            let user = format!("user-{n}");
            let reply = client.enter(drop, &user).await?;
            Ok::<_, ClientError>((user, reply))
        }
    });
    let mut entries = entries.buffer_unordered(usize::from(clients));
    let mut answers = Answers::default();
    while let Some(entry) = entries.next().await {
        let (user, reply) = entry?;
        bar.inc(1);
        match (reply.status, reply.code()) {
            (201, _) => {
                answers.won.insert(user, (reply.number("slot"), reply.number("amount")));
            }
            (202, _) => answers.waiting = answers.waiting.saturating_add(1),
            (410, "ERR302") => answers.sold_out = answers.sold_out.saturating_add(1),
            (status, _) => {
                answers.others.push(format!("{user} was answered {status}: {}", reply.body));
            }
        }
    }
    let took = began.elapsed();
    bar.finish();
    Ok((answers, took))
}

/// What the tables say of the drop, beside what was answered.
#[derive(Debug, Default)]
struct Ledger {
    /// Winners with exactly one payment, of the amount that they were told.
    paid_once: u64,
    /// All payments of the drop, and what they sum to.
    payments: u64,
    paid: u64,
    /// Winners with the slot that they were told.
    agreeing: u64,
    /// Places of the waiting list that are taken.
    waiting: u64,
}

impl Ledger {
    fn read(books: &Books, drop: &str, answers: &Answers) -> Self {
        let Ok(id) = drop.parse() else { return Self::default() };
        let mut ledger = Self::default();
        let mut payments: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for order in books.transfers.iter().map(|transfer| &transfer.order) {
            if order.kind == TransferKind::Claim && order.pool == Some(PoolId::Drop(id)) {
                payments.entry(order.wallet.as_str()).or_default().push(order.amount.get());
                ledger.payments = ledger.payments.saturating_add(1);
                ledger.paid = ledger.paid.saturating_add(order.amount.get());
            }
        }
        let told = answers.won.iter();
        let is_paid = |(user, (_, amount)): &(&String, &(u64, u64))| {
            payments.get(user.as_str()).is_some_and(|paid| **paid == [*amount])
        };
        ledger.paid_once = count(told.filter(is_paid));
        for bucket in &books.buckets {
            let slots = bucket.draws.iter().filter(|(user, entry)| {
                let slot = bucket.part(entry.index).saturating_add(1);
                answers.won.get(user.as_str()).is_some_and(|(told, _)| *told == slot)
            });
            match bucket.id.pool {
                PoolId::Drop(of) if of == id => {
                    ledger.agreeing = ledger.agreeing.saturating_add(count(slots));
                }
                PoolId::Waiting(of) if of == id => {
                    ledger.waiting = ledger.waiting.saturating_add(count(bucket.draws.iter()));
                }
                _ => {}
            }
        }
        ledger
    }
}

fn count<T>(some: impl Iterator<Item = T>) -> u64 {
    u64::try_from(some.count()).unwrap_or(u64::MAX)
}

/// What was answered, what the tables say, and how long it took.
#[derive(Debug)]
struct Proof {
    people: u32,
    slots: u32,
    answers: Answers,
    ledger: Ledger,
    totals: Totals,
    took: Duration,
    paid_after: Duration,
}

impl Proof {
    /// What must hold.
    fn claims(&self) -> Vec<Claim> {
        let (answers, ledger) = (&self.answers, &self.ledger);
        let (people, slots) = (u64::from(self.people), u64::from(self.slots));
        let won = slots.min(people);
        let waiting = slots.div_euclid(10).min(people.saturating_sub(won));
        let numbers: BTreeSet<u64> = answers.won.values().map(|(slot, _)| *slot).collect();
        let valid = count(numbers.iter().filter(|slot| (1..=slots).contains(slot)));
        let sold_out = people.saturating_sub(won).saturating_sub(waiting);
        vec![
            ("slots taken", count(answers.won.iter()), won),
            ("different numbers, from 1 to the last", valid, won),
            ("winners with that number in the table", ledger.agreeing, won),
            ("winners paid once, read in the ledger", ledger.paid_once, won),
            ("payments in the ledger", ledger.payments, won),
            ("won that were paid", ledger.paid, AMOUNT.saturating_mul(won)),
            ("told that they wait", answers.waiting, waiting),
            ("places taken on the waiting list", ledger.waiting, waiting),
            ("told that it is sold out", answers.sold_out, sold_out),
            ("any other answer", count(answers.others.iter()), 0),
        ]
    }

    fn table(&self) -> String {
        let Self { people, took, paid_after, totals, .. } = self;
        let ms = took.as_millis();
        let each_s = u128::from(*people).saturating_mul(1_000).checked_div(ms.max(1)).unwrap_or(0);
        let claims = self.claims();
        let mut lines = vec![String::new()];
        lines.extend(claims::lines(&claims));
        lines.extend([
            String::new(),
            line("entries a second", format!("{each_s} ({people} in {ms} ms)")),
            line("all paid after another", format!("{} ms", paid_after.as_millis())),
            String::new(),
            line("issued", format!("{} won", totals.issued)),
            line("= in wallets", format!("{} won", totals.wallets)),
            line("+ held", format!("{} won", totals.held)),
            line("+ in the drop", format!("{} won", totals.escrows)),
            "  money is conserved: every transfer was read back and added up".to_owned(),
        ]);
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::trial::Silent;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_slot_of_the_demonstration_is_won_and_paid_once() {
        let proof = play(150, 40, 32, &Silent).await.unwrap();
        assert_eq!(claims::broken(&proof.claims()), Vec::<String>::new());
        let Proof { answers, ledger, totals, .. } = &proof;
        assert_eq!((answers.won.len(), answers.waiting, answers.sold_out), (40, 4, 106));
        assert_eq!((ledger.paid_once, ledger.agreeing), (40, 40));
        assert_eq!((totals.wallets, totals.escrows), (40 * AMOUNT, 0));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn fewer_people_than_slots_all_win() {
        let proof = play(30, 40, 8, &Silent).await.unwrap();
        assert_eq!(claims::broken(&proof.claims()), Vec::<String>::new());
        assert_eq!((proof.answers.won.len(), proof.answers.waiting), (30, 0));
        assert_eq!(proof.totals.escrows, 10 * AMOUNT);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_drop_whose_proof_fails_says_what_is_wrong() {
        let mut proof = play(20, 10, 8, &Silent).await.unwrap();
        proof.ledger.paid_once = 9;
        let broken = claims::broken(&proof.claims());
        assert_eq!(broken, ["winners paid once, read in the ledger: 9 and not 10"]);
        assert!(proof.table().contains("WRONG: it must be 10"));
        // A number that two winners were told is found, and so is one that there is not.
        proof.ledger.paid_once = 10;
        let first = proof.answers.won.values_mut().find(|(slot, _)| *slot == 1).unwrap();
        first.0 = 2;
        let twice = claims::broken(&proof.claims());
        proof.answers.won.values_mut().find(|(slot, _)| *slot == 2).unwrap().0 = 11;
        let above = claims::broken(&proof.claims());
        for broken in [twice, above] {
            assert_eq!(broken, ["different numbers, from 1 to the last: 9 and not 10"]);
        }
    }
}
