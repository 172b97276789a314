//! How fast repeated runs of the refund work off a backlog of expired sprays.
//!
//! A spray holds its token until it is refunded, so at most 46,656 sprays are unrefunded at once.
//! The backlog is therefore made and worked off in rounds.

use std::time::{Duration, Instant};

use futures::StreamExt;
use largesse_app::ports::Clock;
use largesse_app::spray::refund;
use largesse_domain::audit::audit;

use super::BenchError;
use super::lab::{Lab, MemberIds, OPEN_S};
use super::report::{Cell, Table, figure};

/// Sprays refunded in all.
const SPRAYS: u32 = 100_000;
/// Sprays of one round: below the number of tokens.
const ROUND: u32 = 25_000;
/// Senders of a round: each has fewer than 1,000 live sprays.
const SENDERS: u32 = 50;
/// What one run may take. Short, so that a round takes several.
const RUN_MS: u64 = 5_000;
/// Sprays made at the same time.
const CONCURRENCY: usize = 16;
/// More runs than this mean that the refund does not work.
const RUNS_MAX: u32 = 1_000;

/// Makes the backlog and works it off, four times.
///
/// # Errors
/// [`BenchError`], also when money is missing at the end.
pub async fn measure() -> Result<Table, BenchError> {
    let lab = Lab::new(MemberIds::Uuid)?;
    let room = lab.room(0).await?;
    let senders = lab.senders(room, SENDERS, u64::from(ROUND)).await?;
    let (mut runs, mut refunded, mut took) = (0_u32, 0_u64, Duration::ZERO);
    let mut skew_ms = 0_i64;
    for _ in 0..SPRAYS.div_euclid(ROUND) {
        let sprays = (0..ROUND).zip(senders.iter().cycle());
        let sprays: Vec<_> = sprays.map(|(_, sender)| lab.spray_by(room, sender, 1)).collect();
        let mut sprays = futures::stream::iter(sprays).buffer_unordered(CONCURRENCY);
        while let Some(spray) = sprays.next().await {
            spray?;
        }
        skew_ms = skew_ms.saturating_add_unsigned(OPEN_S.saturating_mul(1_000));
        lab.world.clock().set_skew_ms(skew_ms);
        let began = now();
        loop {
            let report = refund::run(&*lab.store, lab.store.now().plus_ms(RUN_MS)).await?;
            runs = runs.saturating_add(1);
            refunded = refunded.saturating_add(report.refunded);
            if report.failed > 0 || runs > RUNS_MAX {
                return Err(BenchError::Broken(format!("{report:?} in run {runs}")));
            }
            if !report.has_more {
                break;
            }
        }
        took = took.saturating_add(began.elapsed());
    }
    let totals =
        audit(&lab.store.books().await?).map_err(|found| BenchError::Broken(found.join("; ")))?;
    if refunded != u64::from(SPRAYS) || totals.escrows != 0 {
        return Err(BenchError::Broken(format!("{refunded} refunded, {totals:?}")));
    }
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    let per_second = refunded.saturating_mul(1_000).checked_div(millis).unwrap_or(0);
    Ok(Table {
        name: "refunds",
        title: format!("Refunds: a backlog of {SPRAYS} expired sprays in rounds of {ROUND}"),
        columns: vec!["refunded", "runs", "refunds_per_second", "left_in_sprays_won"],
        rows: vec![(
            format!("runs of {RUN_MS} ms"),
            vec![
                Cell::of(figure(refunded)),
                Cell::of(f64::from(runs)),
                Cell::of(figure(per_second)),
                Cell::of(figure(totals.escrows)),
            ],
        )],
        notes: vec![
            "One process, in memory; every transfer was read back and added up.".to_owned(),
        ],
    })
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures")]
fn now() -> Instant {
    Instant::now()
}
