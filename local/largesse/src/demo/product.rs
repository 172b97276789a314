//! Investors invest in one product at once, until it is sold out.
//!
//! An investor whose amount is above what remains tries a smaller one. Each refusal is checked when
//! it arrives: capacity only falls, so a refused amount that would still fit was refused wrongly.
//!
//! # Guarantees
//! * The product raises its target, and no amount that fits is refused:
//!   `the_product_of_the_demonstration_raises_its_target_to_the_last_won`.
//! * A refusal that is not true is found: `a_false_refusal_is_found`,
//!   `an_amount_that_fits_beside_all_that_is_under_way_is_refused_falsely`.

use std::time::Duration;

use futures::StreamExt;
use largesse_app::ports::{Clock, Rng};
use largesse_domain::audit::{Books, Totals, audit};
use largesse_domain::id::{PoolId, ProductId};
use largesse_domain::ledger::TransferKind;
use largesse_edge::time;
use serde_json::json;

use super::claims::{self, Claim, line};
use super::{DemoError, Stage, bar, started};
use crate::campaign::{Output, Say};
use crate::client::ClientError;
use crate::plain::counted;

mod heard;

use heard::{Heard, Next, SoFar};

/// The issuer.
const ISSUER: &str = "issuer";
/// How long the product takes investments, in milliseconds: longer than any demonstration.
const OPEN_MS: u64 = 86_400_000;
/// The largest first amount, in equal shares of the target: so two thirds of the investors fill the
/// product in the mean.
const MOST: u32 = 3;
/// How often all investors are asked, at most. Each pass ends with what is left refused or invested.
const PASSES_MAX: u32 = 16;
/// How often one investor tries in a pass, at most: each refusal halves the amount in the mean.
const TRIES_MAX: u32 = 64;

/// Runs the demonstration and prints its proof.
///
/// # Errors
/// [`DemoError`], also when the outcome is not the expected one.
pub async fn run(people: u32, target: u32, clients: u16) -> Result<(), DemoError> {
    let proof = play(people, target, clients, &Output).await?;
    match claims::broken(&proof.claims()) {
        broken if broken.is_empty() => Ok(()),
        mut broken => {
            broken.extend(proof.heard.first.clone());
            Err(DemoError::Broken(broken.join("; ")))
        }
    }
}

async fn play(people: u32, target: u32, clients: u16, out: &dyn Say) -> Result<Proof, DemoError> {
    let stage = Stage::start().await?;
    let text = format!(
        "{}, one product that raises {target} won, {} at once.\n",
        counted(people.into(), "investor", "investors"),
        counted(clients.into(), "request", "requests"),
    );
    out.say(&text).map_err(DemoError::Print)?;
    let crowd = Crowd { stage, people, target, clients, product: String::new() };
    let crowd = crowd.open().await?;
    let began = started();
    let heard = crowd.invest_all().await?;
    let took = began.elapsed();
    crowd.stage.world().settle().await;
    let books = crowd.stage.local.store.books().await?;
    let totals = audit(&books).map_err(DemoError::NotConserved)?;
    let ledger = Ledger::read(&books, &crowd.product);
    crowd.stage.stop().await;
    let heard = heard.so_far();
    let proof = Proof { target: target.into(), heard, ledger, totals, took };
    out.say(&proof.table()).map_err(DemoError::Print)?;
    Ok(proof)
}

/// The investors.
struct Crowd {
    stage: Stage,
    people: u32,
    target: u32,
    clients: u16,
    product: String,
}

impl Crowd {
    /// Fills the wallets and makes the product.
    async fn open(mut self) -> Result<Self, DemoError> {
        let bar = bar(self.people, "saving");
        let deposits = futures::stream::iter(0..self.people).map(|n| {
            let (client, bar) = (self.stage.client.clone(), bar.clone());
            // No wallet is ever empty: what is refused is refused by the product.
            let amount = u64::from(self.target).saturating_mul(2);
            async move {
                client.deposit(&format!("user-{n}"), amount).await?;
                bar.inc(1);
                Ok::<_, ClientError>(())
            }
        });
        let mut deposits = deposits.buffer_unordered(usize::from(self.clients));
        while let Some(deposited) = deposits.next().await {
            deposited?;
        }
        drop(deposits);
        bar.finish();
        let now = self.stage.local.store.now();
        let terms = json!({
            "title": "demonstration", "target": self.target,
            "opens_at": time::format(now), "closes_at": time::format(now.plus_ms(OPEN_MS)),
        });
        self.product = self.stage.client.make_product(ISSUER, &terms).await?;
        Ok(self)
    }

    /// Asks all investors, again and again until one hears that the product is sold out.
    async fn invest_all(&self) -> Result<Heard, DemoError> {
        let heard = Heard::new(self.target.into());
        for pass in 0..PASSES_MAX {
            let bar = bar(self.people, "investing");
            let tries = futures::stream::iter(0..self.people).map(|n| self.invest(n, pass, &heard));
            let mut tries = tries.buffer_unordered(usize::from(self.clients));
            while let Some(tried) = tries.next().await {
                tried?;
                bar.inc(1);
            }
            drop(tries);
            bar.finish();
            if heard.so_far().sold_out > 0 {
                break;
            }
        }
        Ok(heard)
    }

    /// One investor invests once, or hears that it is sold out.
    async fn invest(&self, n: u32, pass: u32, heard: &Heard) -> Result<(), ClientError> {
        let user = format!("user-{n}");
        let most = self.target.saturating_mul(MOST).div_euclid(self.people.max(1));
        let mut most = most.clamp(1, self.target);
        let mut amount = self.random(most);
        let mut key = format!("{pass}-0");
        for tried in 1..TRIES_MAX {
            let asked = heard.ask(amount);
            let reply = self.stage.client.invest(&self.product, &user, &key, amount).await?;
            match asked.answered(&reply) {
                Next::Done => break,
                Next::AtMost(remaining) => {
                    most = u32::try_from(remaining).unwrap_or(most).max(1);
                    (amount, key) = (self.random(most), format!("{pass}-{tried}"));
                }
                Next::Repeat => {}
            }
        }
        Ok(())
    }

    /// From 1 to that.
    fn random(&self, most: u32) -> u64 {
        u64::from(self.stage.local.store.below(most)).saturating_add(1)
    }
}

/// What the tables say of the product.
#[derive(Debug, Default)]
struct Ledger {
    investments: u64,
    /// The sum of these.
    raised: u64,
    /// What remains in the shards of its capacity.
    remaining: u64,
    /// What was debited to wallets.
    debited: u64,
}

impl Ledger {
    fn read(books: &Books, product: &str) -> Self {
        let Ok(id) = product.parse::<ProductId>() else { return Self::default() };
        let made = books.investments.iter().filter(|investment| investment.product == id);
        let made: Vec<u64> = made.map(|investment| investment.amount.get()).collect();
        let shards = books.shards.iter().filter(|(product, _)| *product == id);
        let debits = books.transfers.iter().map(|transfer| &transfer.order).filter(|order| {
            order.kind == TransferKind::Investment && order.pool == Some(PoolId::Product(id))
        });
        Self {
            investments: u64::try_from(made.len()).unwrap_or(u64::MAX),
            raised: sum(made.into_iter()),
            remaining: sum(shards.map(|(_, shard)| shard.remaining)),
            debited: sum(debits.map(|order| order.amount.get())),
        }
    }
}

fn sum(amounts: impl Iterator<Item = u64>) -> u64 {
    amounts.fold(0, u64::saturating_add)
}

/// What was answered, what the tables say, and how long it took.
#[derive(Debug)]
struct Proof {
    target: u64,
    heard: SoFar,
    ledger: Ledger,
    totals: Totals,
    took: Duration,
}

impl Proof {
    /// What must hold.
    fn claims(&self) -> Vec<Claim> {
        let (heard, ledger) = (&self.heard, &self.ledger);
        vec![
            ("won raised", ledger.raised, self.target),
            ("won that remain", ledger.remaining, 0),
            ("won debited to the investors' wallets", ledger.debited, self.target),
            ("investments in the table", ledger.investments, heard.invested),
            ("refused amounts that would fit", heard.refused_falsely, 0),
            ("remainders that were not true", heard.untrue, 0),
            ("any other answer", heard.others, 0),
        ]
    }

    fn table(&self) -> String {
        let (heard, totals) = (&self.heard, &self.totals);
        let (ms, answers) = (self.took.as_millis(), heard.answers());
        let each_s = u128::from(answers).saturating_mul(1_000).checked_div(ms.max(1)).unwrap_or(0);
        let mut lines = vec![String::new()];
        lines.extend(claims::lines(&self.claims()));
        lines.extend([
            String::new(),
            line("investments", heard.invested.to_string()),
            line("refused: above what remains", heard.above.to_string()),
            line("refused: sold out", heard.sold_out.to_string()),
            line("repeated: too much contention", heard.busy.to_string()),
            line("requests a second", format!("{each_s} ({answers} in {ms} ms)")),
            String::new(),
            line("issued", format!("{} won", totals.issued)),
            line("= in wallets", format!("{} won", totals.wallets)),
            line("+ held", format!("{} won", totals.held)),
            line("+ in the product", format!("{} won", totals.escrows)),
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
    async fn the_product_of_the_demonstration_raises_its_target_to_the_last_won() {
        let proof = play(60, 100_000, 16, &Silent).await.unwrap();
        assert_eq!(claims::broken(&proof.claims()), Vec::<String>::new());
        assert!(proof.heard.sold_out > 0 && proof.heard.invested > 1, "{proof:?}");
        assert_eq!(proof.totals.issued, proof.totals.wallets + proof.totals.escrows);
        let mut proof = proof;
        proof.ledger.raised = 99_999;
        assert_eq!(claims::broken(&proof.claims()), ["won raised: 99999 and not 100000"]);
        assert!(proof.table().contains("WRONG: it must be 100000"));
    }
}
