//! Many members claim one spray at once.

use std::time::Duration;

use futures::StreamExt;
use largesse_domain::audit::{Totals, audit};

use super::{DemoError, Stage, bar, started};
use crate::client::ClientError;
use crate::plain::{self, counted};

/// The share that a member got.
struct Share {
    user: String,
    amount: u64,
}

/// The answers to all claims.
#[derive(Default)]
struct Answers {
    shares: Vec<Share>,
    too_late: u64,
    others: Vec<String>,
}

/// Runs the demonstration and prints its result.
///
/// # Errors
/// [`DemoError`], also when the outcome is not the expected one.
pub async fn run(people: u32, shares: u32, amount: u64, clients: u16) -> Result<(), DemoError> {
    let stage = Stage::start().await?;
    say(&format!(
        "{}, one spray of {amount} won in {}, {} at once.\n",
        counted(people.into(), "member", "members"),
        counted(shares.into(), "share", "shares"),
        counted(clients.into(), "request", "requests"),
    ))?;
    let room = gather(&stage, people, clients).await?;
    stage.client.deposit("sender", amount).await?;
    let token = stage.client.spray(&room, "sender", "the-spray", amount, shares).await?;
    let (answers, took) = claim_all(&stage, &room, &token, people, clients).await?;
    let paying = started();
    stage.world().settle().await;
    let paid_after = paying.elapsed();
    let totals = audit(&stage.local.store.books().await?).map_err(DemoError::NotConserved)?;
    let expected = u64::from(shares.min(people));
    let table = closing_table(&answers, &totals, people, took, paid_after);
    stage.stop().await;
    say(&table)?;
    let won = u64::try_from(answers.shares.len()).unwrap_or(0);
    if won != expected || !answers.others.is_empty() {
        let first = answers.others.first().cloned().unwrap_or_default();
        return Err(DemoError::Broken(format!("{won} won instead of {expected}; {first}")));
    }
    Ok(())
}

fn say(text: &str) -> Result<(), DemoError> {
    plain::print(text).map_err(DemoError::Print)
}

async fn gather(stage: &Stage, people: u32, clients: u16) -> Result<String, DemoError> {
    let room = stage.client.room("sender").await?;
    let bar = bar(people, "joining");
    let joins = futures::stream::iter(0..people).map(|n| {
        let (client, room, bar) = (stage.client.clone(), room.clone(), bar.clone());
        async move {
            client.join(&room, "sender", &format!("user-{n}")).await?;
            bar.inc(1);
            Ok::<_, ClientError>(())
        }
    });
    let mut joins = joins.buffer_unordered(usize::from(clients));
    while let Some(joined) = joins.next().await {
        joined?;
    }
    drop(joins);
    bar.finish();
    Ok(room)
}

async fn claim_all(
    stage: &Stage,
    room: &str,
    token: &str,
    people: u32,
    clients: u16,
) -> Result<(Answers, Duration), DemoError> {
    let bar = bar(people, "claiming");
    let started = started();
    let claims = futures::stream::iter(0..people).map(|n| {
        let (client, bar) = (stage.client.clone(), bar.clone());
        async move {
            let user = format!("user-{n}");
            let reply = client.claim(room, &user, token).await?;
            bar.inc(1);
            Ok::<_, ClientError>((user, reply))
        }
    });
    let mut claims = claims.buffer_unordered(usize::from(clients));
    let mut answers = Answers::default();
    while let Some(claim) = claims.next().await {
        let (user, reply) = claim?;
        match (reply.status, reply.code()) {
            (201, _) => answers.shares.push(Share { user, amount: reply.number("amount") }),
            (409, "ERR103") => answers.too_late = answers.too_late.saturating_add(1),
            (status, _) => {
                answers.others.push(format!("{user} was answered {status}: {}", reply.body))
            }
        }
    }
    let took = started.elapsed();
    bar.finish();
    answers.shares.sort_by(|a, b| b.amount.cmp(&a.amount).then_with(|| a.user.cmp(&b.user)));
    Ok((answers, took))
}

fn closing_table(
    answers: &Answers,
    totals: &Totals,
    people: u32,
    took: Duration,
    paid_after: Duration,
) -> String {
    let mut rows = vec![String::new(), "  shares".to_owned()];
    let row = |share: &Share| format!("    {:<12} {:>12} won", share.user, share.amount);
    let (most, others) = answers.shares.split_at(answers.shares.len().min(3));
    let (between, least) = others.split_at(others.len().saturating_sub(2));
    rows.extend(most.iter().map(row));
    if !between.is_empty() {
        rows.push(format!("    … and {} more …", between.len()));
    }
    rows.extend(least.iter().map(row));
    let sum: u64 = answers.shares.iter().fold(0, |sum, share| sum.saturating_add(share.amount));
    let per_second =
        u128::from(people).saturating_mul(1_000).checked_div(took.as_millis().max(1)).unwrap_or(0);
    let line = |name: &str, value: String| format!("  {name:<26}{value}");
    rows.extend([
        String::new(),
        line("claims that won", format!("{} for {sum} won", answers.shares.len())),
        line("told that it is empty", answers.too_late.to_string()),
        line("any other answer", answers.others.len().to_string()),
        line("claims a second", format!("{per_second} ({people} in {} ms)", took.as_millis())),
        line("all paid after another", format!("{} ms", paid_after.as_millis())),
        String::new(),
        line("issued", format!("{} won", totals.issued)),
        line("= in wallets", format!("{} won", totals.wallets)),
        line("+ held", format!("{} won", totals.held)),
        line("+ in the spray", format!("{} won", totals.escrows)),
        "  money is conserved: every transfer was read back and added up".to_owned(),
    ]);
    rows.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_winner_stands_once_in_the_table() {
        let totals = Totals::default();
        for won in 0..8 {
            let share = |n| Share { user: format!("user-{n}"), amount: 1 };
            let shares = (0..won).map(share).collect();
            let answers = Answers { shares, ..Answers::default() };
            let took = Duration::from_millis(1);
            let table = closing_table(&answers, &totals, 8, took, took);
            let shown: Vec<&str> = table
                .lines()
                .filter_map(|line| line.trim().split_once(' '))
                .filter_map(|(user, _)| user.starts_with("user-").then_some(user))
                .collect();
            let expected: Vec<String> =
                (0..won).filter(|n| *n < 3 || *n + 2 >= won).map(|n| format!("user-{n}")).collect();
            assert_eq!(shown, expected);
        }
    }
}
