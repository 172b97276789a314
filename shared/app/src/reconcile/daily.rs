//! The daily proof: begun once a day, worked on by runs that each stop before their deadline, and
//! saved after each page, so that the next run goes on where the last one stopped or was killed.

use largesse_domain::audit::{Finding, Subject};
use largesse_domain::time::Timestamp;

use super::freeze::freeze;
use super::{Pass, Reads, Walk, campaigns};
use crate::ports::{Campaigns, DailyStats, Freezes, Passes, PortResult, Versioned, Written};

/// Milliseconds of an hour and of a day.
const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ran {
    /// Today's pass is over, or its hour has not come.
    Idle,
    /// It worked on a pass.
    Worked {
        /// How far the pass has come.
        pass: Box<Pass>,
        /// What this run found.
        found: u64,
        /// How many pools this run froze.
        frozen: u64,
    },
    /// Another run works on the same pass, and goes on.
    Overtaken,
}

/// Whether a pass is to begin: at the hour of each day (UTC) or later, once.
fn is_due(latest: Option<&Pass>, now: Timestamp, hour: u32) -> bool {
    let Some(latest) = latest else { return true };
    let day = |at: Timestamp| at.ms_unsigned().div_euclid(DAY_MS);
    let begins = u64::from(hour).saturating_mul(HOUR_MS);
    day(now) > day(latest.began) && now.ms_unsigned().rem_euclid(DAY_MS) >= begins
}

/// Works until `stop_at` on the pass of the day, and freezes each pool that does not add up.
///
/// # Errors
/// [`crate::ports::PortError`]: something could not be read or written now. The next run goes on
/// from the last page that was saved.
pub async fn run<D>(deps: &D, stop_at: Timestamp, hour: u32) -> PortResult<Ran>
where
    D: Reads + Passes + Freezes + DailyStats + Campaigns,
{
    let Versioned { value: latest, mut version, .. } = deps.latest_pass().await?;
    let pass = match latest {
        Some(pass) if pass.ended.is_none() => pass,
        latest if is_due(latest.as_ref(), deps.now(), hour) => Pass::new(deps.now()),
        _ => return Ok(Ran::Idle),
    };
    let mut walk = Walk::new(pass);
    let (mut count, mut frozen) = (0_u64, 0_u64);
    while !walk.is_over() && deps.now() < stop_at {
        let found = walk.round(deps).await?;
        count = count.saturating_add(u64::try_from(found.len()).unwrap_or(u64::MAX));
        frozen = frozen.saturating_add(report(deps, &found).await?);
        let pass = walk.pass();
        if walk.is_over() {
            // Before the end is saved: a run that is killed in between writes them again.
            let mut stats = pass.stats.clone();
            stats.merge(&campaigns::figures(deps, walk.counted()).await?);
            deps.put_stats(&pass.stats_days(), &stats, pass.began).await?;
        }
        // A pool is frozen before its finding is saved: a run that is killed in between finds it
        // again.
        if deps.save_pass(walk.pass(), version).await? == Written::Changed {
            return Ok(Ran::Overtaken);
        }
        version = version.saturating_add(1);
    }
    Ok(Ran::Worked { pass: Box::new(walk.pass().clone()), found: count, frozen })
}

/// Logs what was found, without members, and freezes the pools. How many were not frozen before.
async fn report<D>(deps: &D, found: &[Finding]) -> PortResult<u64>
where
    D: Reads + Freezes,
{
    let mut frozen = 0_u64;
    for finding in found {
        match finding.subject {
            Subject::Pool(pool) => {
                // infra/alarms.yaml counts `reconcile.found`.
                tracing::error!(reconcile.found = 1, pool.id = %pool, "a pool does not add up");
                if freeze(deps, pool, &finding.what).await? {
                    tracing::error!(reconcile.frozen = 1, pool.id = %pool, "the pool is frozen");
                    frozen = frozen.saturating_add(1);
                }
            }
            Subject::Wallet(_) => {
                tracing::error!(reconcile.found = 1, "a wallet does not add up");
            }
            Subject::Item(_) => tracing::error!(reconcile.found = 1, "an item cannot be read"),
            Subject::Totals => tracing::error!(reconcile.found = 1, "the totals do not add up"),
        }
    }
    Ok(frozen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_begins_once_a_day_at_its_hour_or_later() {
        let at = |day: i64, hour: i64| Timestamp::from_ms((day * 24 + hour) * 3_600_000);
        let began = |day, hour| Some(Pass::new(at(day, hour)));
        assert!(is_due(None, at(5, 0), 19));
        for (latest, now, due) in [
            (began(5, 19), at(5, 23), false),
            (began(5, 19), at(6, 18), false),
            (began(5, 19), at(6, 19), true),
            (began(5, 19), at(6, 23), true),
            (began(5, 19), at(9, 0), false),
            (began(5, 23), at(6, 19), true),
        ] {
            assert_eq!(is_due(latest.as_ref(), now, 19), due, "{now:?}");
        }
        assert!(is_due(began(5, 1).as_ref(), at(6, 0), 0));
    }
}
