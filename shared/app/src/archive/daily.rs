//! The archive's runs: a pass begins every few days, and is worked on by runs that each stop before
//! their deadline. The pass is saved after each step, so that the next run goes on where the last one
//! stopped or was killed.

use largesse_domain::id::PoolId;
use largesse_domain::time::Timestamp;

use super::pass::{Pass, Stage};
use super::transfers::Time;
use super::{Deps, Stop, things, transfers};
use crate::ports::{PortResult, Versioned, Written};

/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

/// What is archived, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How many days after its end a thing is archived; 0: nothing is.
    pub after_days: u32,
    /// How many days after the begin of one pass the next one begins.
    pub every_days: u32,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ran {
    /// The archive is switched off, or no pass is due.
    Idle,
    /// It worked on a pass.
    Worked(Box<Pass>),
    /// Another run works on the same pass, and goes on.
    Overtaken,
}

/// A run that works on a pass.
pub(super) struct Run<'a, D> {
    pub(super) deps: &'a D,
    pub(super) pass: Pass,
    pub(super) stop_at: Timestamp,
    /// Whether it has archived something, or a page of things is done with.
    pub(super) has_progress: bool,
    version: u64,
}

impl<D: Deps> Run<'_, D> {
    /// Saves the pass, unless another run has saved it meanwhile.
    pub(super) async fn save(&mut self) -> PortResult<Result<(), Stop>> {
        if self.deps.save_archive_pass(&self.pass, self.version).await? == Written::Changed {
            return Ok(Err(Stop::Overtaken));
        }
        self.version = self.version.saturating_add(1);
        Ok(Ok(()))
    }

    /// Whether its time is over.
    pub(super) fn is_over(&self) -> bool {
        self.deps.now() >= self.stop_at
    }

    /// Stops before a thing that it had no time for. A run that has done nothing else says that one
    /// run is too short for it, so that it does not hold up what is behind it.
    pub(super) async fn leave(&mut self, pool: PoolId) -> PortResult<Result<(), Stop>> {
        if self.has_progress {
            return Ok(Err(Stop::Deadline));
        }
        self.pass.too_long.push(pool);
        Ok(self.save().await?.and(Err(Stop::Deadline)))
    }

    async fn step(&mut self) -> PortResult<Result<(), Stop>> {
        match self.pass.stage {
            Stage::Things(kind) => {
                if let Err(stop) = things::page(self, kind).await? {
                    return Ok(Err(stop));
                }
            }
            Stage::Ledger => {
                let horizon = self.pass.horizon();
                let pass = &mut self.pass;
                let time = Time { horizon, stop_at: self.stop_at };
                let done = transfers::round(self.deps, pass.id, time, &mut pass.ledger).await?;
                if let Err(stop) = done {
                    return Ok(self.save().await?.and(Err(stop)));
                }
                if pass.ledger.is_over() {
                    pass.advance(self.deps.now());
                }
            }
            Stage::Ended => {}
        }
        self.save().await
    }
}

/// Whether a pass is to begin.
fn is_due(latest: Option<&Pass>, now: Timestamp, every_days: u32) -> bool {
    let every_ms = u64::from(every_days).saturating_mul(DAY_MS);
    latest.is_none_or(|latest| now.ms_since(latest.began) >= every_ms)
}

/// Works until `stop_at` on the pass that is due.
///
/// # Errors
/// [`crate::ports::PortError`]: something could not be read or written now. The next run goes on
/// from what was saved last.
pub async fn run<D: Deps>(deps: &D, stop_at: Timestamp, policy: Policy) -> PortResult<Ran> {
    if policy.after_days == 0 {
        return Ok(Ran::Idle);
    }
    let Versioned { value: latest, version, .. } = deps.latest_archive_pass().await?;
    let pass = match latest {
        Some(pass) if pass.ended.is_none() => pass,
        latest if is_due(latest.as_ref(), deps.now(), policy.every_days) => {
            let age_ms = u64::from(policy.after_days).saturating_mul(DAY_MS);
            Pass::new(deps.ulid(), deps.now(), age_ms)
        }
        _ => return Ok(Ran::Idle),
    };
    let mut run = Run { deps, pass, stop_at, has_progress: false, version };
    while run.pass.stage != Stage::Ended && deps.now() < stop_at {
        match run.step().await? {
            Ok(()) => {}
            Err(Stop::Deadline) => break,
            Err(Stop::Overtaken) => return Ok(Ran::Overtaken),
        }
    }
    Ok(Ran::Worked(Box::new(run.pass)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use largesse_domain::id::Ulid;

    #[test]
    fn a_pass_begins_when_the_last_one_began_long_enough_ago() {
        let at = |day: u64, ms: u64| Timestamp::from_ms(0).plus_ms(day * DAY_MS + ms);
        let pass = Pass::new(Ulid::from_parts(0, 1), at(10, 5), DAY_MS);
        assert!(is_due(None, at(0, 0), 7));
        assert!(!is_due(Some(&pass), at(17, 4), 7));
        assert!(is_due(Some(&pass), at(17, 5), 7));
    }
}
