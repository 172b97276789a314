//! How fast one process decides draws: the pool alone, without HTTP and without payments.

use std::time::Duration;

use futures::StreamExt;
use largesse_app::grant::settle;
use largesse_app::ports::{Clock, Pools, Rng};
use largesse_domain::grant::Grant;
use largesse_domain::pool::{Ask, Attempt, Draw};
use largesse_domain::spray::Spray;
use largesse_emulator::Service;

use super::lab::{GIVER, Lab, member, user_id};
use super::report::{Cell, Table, figure};
use super::{BenchError, started};

/// How many draws are under way at once: with more than one, those that wait share a write.
const AT_ONCE: [usize; 3] = [1, 16, 64];
/// Shares of a pool; then comes the next one.
const SHARES: u32 = 1_000;

/// Measures for about `each` per row.
///
/// # Errors
/// [`BenchError`].
pub async fn measure(each: Duration) -> Result<Table, BenchError> {
    let lab = Lab::new()?;
    lab.deposit(GIVER, 1_000_000_000_000).await?;
    let room = lab.room(0).await?;
    let mut rows = Vec::new();
    for at_once in AT_ONCE {
        let (mut took, mut draws, mut writes) = (Duration::ZERO, 0_u64, 0_u64);
        while took < each {
            let spray = lab.spray(room, SHARES).await?;
            lab.world.recorder().reset();
            let began = started();
            let all = (0..SHARES).map(|n| draw(&lab, &spray, n));
            let mut all = futures::stream::iter(all).buffer_unordered(at_once);
            while let Some(drawn) = all.next().await {
                drawn?;
            }
            took = took.saturating_add(began.elapsed());
            draws = draws.saturating_add(u64::from(SHARES));
            let updates = lab.world.recorder().operation(Service::DynamoDb, "UpdateItem");
            writes = writes.saturating_add(updates.calls);
        }
        let rate = (figure(draws) / took.as_secs_f64()).round();
        let shared = (figure(draws) / figure(writes) * 100.0).round() / 100.0;
        rows.push((format!("{at_once} at once"), vec![Cell::of(rate), Cell::of(shared)]));
    }
    Ok(Table {
        name: "draws",
        title: "Draws: what one process decides and records on one pool".to_owned(),
        columns: vec!["draws_per_s", "draws_per_write_of_the_head"],
        rows,
        notes: vec![format!("one thread; pools of {SHARES} shares, which are trimmed on the way")],
    })
}

/// Draws a share and records it, as a claim does.
async fn draw(lab: &Lab, spray: &Spray, n: u32) -> Result<(), BenchError> {
    let store = &*lab.store;
    let mut bits = [0; 8];
    store.fill(&mut bits);
    let attempt = Attempt::from_bits(u64::from_be_bytes(bits));
    let (member, at) = (user_id(&member(n))?, store.now());
    let wish = Draw { member: member.clone(), at, attempt, ask: Ask::Next };
    let won = store.draw(spray.pool.id, wish).await?;
    let won = won.map_err(|refused| BenchError::Broken(format!("not drawn: {refused:?}")))?;
    let sender = spray.sender.clone();
    let grant = Grant::of_draw(spray.pool.id, member, won.drawn, won.amount, sender);
    settle::settle(store, &grant).await?;
    Ok(())
}
