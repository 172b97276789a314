//! Which campaign runs next.
//!
//! One campaign runs at a time. A queued campaign is due when it was made, or at its `starts_at` if
//! that is later. The campaign that was due first runs first, so campaigns without a `starts_at`
//! run in the order in which they were made; of those due in the same millisecond the one of higher
//! priority runs first, then the one made first. A campaign that is not queued holds up no other.
//!
//! A forced campaign runs beside the others: it neither waits for a running one nor holds one up.
//! It does wait for its `starts_at`, which is part of the content that was approved.

use std::cmp::Reverse;

use super::life::{Life, Queued, State};
use super::terms::{Priority, Terms};
use crate::id::CampaignId;
use crate::time::Timestamp;

/// A campaign that waits and is queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub id: CampaignId,
    /// Not before.
    pub starts_at: Option<Timestamp>,
    /// Which of those due at the same time.
    pub priority: Priority,
    /// Whether it was forced.
    pub forced: bool,
}

/// A campaign that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// Which.
    pub id: CampaignId,
    /// Whether it was forced.
    pub forced: bool,
}

impl Candidate {
    /// From when on it may run.
    #[must_use]
    pub fn due_at(&self) -> Timestamp {
        let ms = i64::try_from(self.id.0.timestamp_ms()).unwrap_or(i64::MAX);
        let made = Timestamp::from_ms(ms);
        self.starts_at.map_or(made, |at| at.max(made))
    }
}

/// What waits and what runs: one item, changed together with each campaign that enters or leaves
/// it, so that two starts at once find one order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agenda {
    /// The number of the last start or rollback of all campaigns. It only rises.
    pub fence: u64,
    /// The campaigns that are queued.
    pub queued: Vec<Candidate>,
    /// The campaigns that run.
    pub running: Vec<Running>,
    /// The campaigns that take payments back.
    pub rolling_back: Vec<CampaignId>,
    /// The campaigns that are being sealed, while there is room for them.
    pub sealing: Vec<CampaignId>,
}

/// The most campaigns on the agenda, beside those that are being sealed: each is about 100 bytes of its
/// one item. And the most of those that are being sealed.
pub const AGENDA_MAX: usize = 200;

/// The agenda holds [`AGENDA_MAX`] campaigns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{AGENDA_MAX} campaigns are queued, running or rolled back")]
pub struct AgendaFull;

impl Agenda {
    /// Takes a campaign off, wherever it stands.
    pub fn remove(&mut self, id: CampaignId) {
        self.queued.retain(|candidate| candidate.id != id);
        self.running.retain(|running| running.id != id);
        self.rolling_back.retain(|other| *other != id);
        self.sealing.retain(|other| *other != id);
    }

    /// Makes the agenda hold a campaign where its life says: after an action, the campaign is
    /// taken off and put where it belongs. A seal is never refused for a full agenda: it needs no
    /// place to go on, only to be found when its job is lost.
    ///
    /// # Errors
    /// [`AgendaFull`]; then the campaign is off.
    pub fn place(&mut self, id: CampaignId, terms: &Terms, life: &Life) -> Result<(), AgendaFull> {
        // A forced start is known from its place in the queue; a running one keeps it.
        let forced = self.queued.iter().any(|queued| queued.id == id && queued.forced)
            || self.running.iter().any(|running| running.id == id && running.forced);
        self.remove(id);
        let taken = [self.queued.len(), self.running.len(), self.rolling_back.len()];
        let is_full = taken.into_iter().sum::<usize>() >= AGENDA_MAX;
        let goes_on =
            life.queued.is_some() || matches!(life.state, State::Running | State::RollingBack);
        if goes_on && is_full {
            return Err(AgendaFull);
        }
        let Terms { starts_at, priority, .. } = *terms;
        match (life.queued, life.state) {
            (Some(Queued { forced }), _) => {
                self.queued.push(Candidate { id, starts_at, priority, forced });
            }
            (None, State::Running) => self.running.push(Running { id, forced }),
            (None, State::RollingBack) => self.rolling_back.push(id),
            (None, State::Sealing) if self.sealing.len() < AGENDA_MAX => self.sealing.push(id),
            (None, _) => {}
        }
        self.fence = self.fence.max(life.fence);
        Ok(())
    }

    /// The campaign to run now, if any.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> Option<CampaignId> {
        next_to_run(&self.queued, &self.running, now)
    }
}

/// The campaign to run now, if any: a forced one first. Call it again after each start.
#[must_use]
pub fn next_to_run(
    candidates: &[Candidate],
    running: &[Running],
    now: Timestamp,
) -> Option<CampaignId> {
    let is_taken = running.iter().any(|campaign| !campaign.forced);
    let may_run = |candidate: &&Candidate| {
        // A list that was read before a start may still name the campaign: it runs already.
        let runs = running.iter().any(|campaign| campaign.id == candidate.id);
        !runs && candidate.starts_at.is_none_or(|at| at <= now) && (candidate.forced || !is_taken)
    };
    let order = |candidate: &&Candidate| {
        (!candidate.forced, candidate.due_at(), Reverse(candidate.priority), candidate.id)
    };
    candidates.iter().filter(may_run).min_by_key(order).map(|candidate| candidate.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::{
        Action, Approvals, CampaignName, Counts, Duplicates, Hash, Sealed, Totals,
    };
    use crate::id::Ulid;
    use crate::ledger::Memo;
    use rstest::rstest;

    const NOW: i64 = 1_000;

    /// A campaign made at a millisecond; its number makes it another one of that millisecond.
    fn id(made: u64, number: u128) -> CampaignId {
        CampaignId(Ulid::from_parts(made, number))
    }

    fn queued(id: CampaignId, starts_at: Option<i64>, priority: u8, forced: bool) -> Candidate {
        let starts_at = starts_at.map(Timestamp::from_ms);
        Candidate { id, starts_at, priority: Priority::new(priority).unwrap(), forced }
    }

    #[rstest]
    #[case::made_first(&[queued(id(20, 0), None, 9, false), queued(id(10, 0), None, 0, false)], Some(id(10, 0)))]
    #[case::priority_of_one_millisecond(&[queued(id(10, 0), None, 1, false), queued(id(10, 1), None, 2, false)], Some(id(10, 1)))]
    #[case::priority_of_one_start(&[queued(id(10, 0), Some(900), 1, false), queued(id(20, 0), Some(900), 2, false)], Some(id(20, 0)))]
    #[case::made_first_of_one_start(&[queued(id(20, 0), Some(900), 1, false), queued(id(10, 0), Some(900), 1, false)], Some(id(10, 0)))]
    #[case::due_first(&[queued(id(10, 0), Some(900), 9, false), queued(id(20, 0), None, 0, false)], Some(id(20, 0)))]
    #[case::not_before_its_start(&[queued(id(10, 0), Some(NOW + 1), 9, false)], None)]
    #[case::at_its_start(&[queued(id(10, 0), Some(NOW), 0, false)], Some(id(10, 0)))]
    #[case::a_later_start_holds_up_none(&[queued(id(10, 0), Some(NOW + 1), 9, false), queued(id(20, 0), None, 0, false)], Some(id(20, 0)))]
    #[case::forced_first(&[queued(id(10, 0), None, 9, false), queued(id(20, 0), None, 0, true)], Some(id(20, 0)))]
    #[case::forced_keeps_its_start(&[queued(id(10, 0), Some(NOW + 1), 9, true)], None)]
    #[case::none(&[], None)]
    fn the_campaign_that_was_due_first_runs_next(
        #[case] candidates: &[Candidate],
        #[case] next: Option<CampaignId>,
    ) {
        assert_eq!(next_to_run(candidates, &[], Timestamp::from_ms(NOW)), next);
        let backwards: Vec<_> = candidates.iter().rev().copied().collect();
        assert_eq!(next_to_run(&backwards, &[], Timestamp::from_ms(NOW)), next);
    }

    #[test]
    fn one_campaign_runs_at_a_time_unless_forced() {
        let now = Timestamp::from_ms(NOW);
        let (plain, forced) = (queued(id(10, 0), None, 0, false), queued(id(20, 0), None, 0, true));
        let runs = Running { id: id(5, 0), forced: false };
        assert_eq!(next_to_run(&[plain], &[runs], now), None);
        assert_eq!(next_to_run(&[plain, forced], &[runs], now), Some(forced.id));
        let beside = Running { id: id(5, 0), forced: true };
        assert_eq!(next_to_run(&[plain], &[beside], now), Some(plain.id));
        let itself = Running { id: forced.id, forced: true };
        assert_eq!(next_to_run(&[forced], &[itself], now), None);
    }

    fn terms() -> Terms {
        Terms {
            name: CampaignName::new("a").unwrap(),
            default_reason: Memo::new("").unwrap(),
            default_amount: None,
            starts_at: None,
            priority: Priority::default(),
            duplicates: Duplicates::First,
            approvals: Approvals::Zero,
        }
    }

    #[test]
    fn the_agenda_holds_a_campaign_where_its_life_says() {
        let (terms, id) = (terms(), id(10, 0));
        let totals = Totals { rows: 1, amount: 1, ..Totals::default() };
        let sealed = Sealed { hash: Hash::of(b""), totals };
        let mut life = Life::new("kim".parse().unwrap(), Approvals::Zero);
        let mut agenda = Agenda::default();
        let mut act = |action: Action| {
            life.apply(&action).unwrap();
            agenda.place(id, &terms, &life).unwrap();
            let forced = agenda.running.iter().map(|running| running.forced).collect::<Vec<_>>();
            assert_eq!(agenda.sealing.contains(&id), life.state == State::Sealing);
            (agenda.queued.len(), forced, agenda.rolling_back.len(), agenda.fence)
        };
        assert_eq!(act(Action::Seal), (0, vec![], 0, 0));
        assert_eq!(act(Action::Sealed { attempt: 1, sealed }), (0, vec![], 0, 0));
        let start = |forced| Action::Start { hash: sealed.hash, forced };
        assert_eq!(act(start(false)), (1, vec![], 0, 0));
        assert_eq!(act(Action::Stop), (0, vec![], 0, 0));
        assert_eq!(act(start(true)), (1, vec![], 0, 0));
        assert_eq!(act(Action::Run { fence: 5 }), (0, vec![true], 0, 5));
        assert_eq!(act(Action::Stop), (0, vec![], 0, 5));
        assert_eq!(act(start(false)), (1, vec![], 0, 5));
        assert_eq!(act(Action::Run { fence: 6 }), (0, vec![false], 0, 6));
        let counts = Counts::sealed(totals);
        assert!(life.apply(&Action::End { fence: 6, counts }).is_err());
        let mut act = |action: Action| {
            life.apply(&action).unwrap();
            agenda.place(id, &terms, &life).unwrap();
            (agenda.queued.len(), agenda.running.len(), agenda.rolling_back.len(), agenda.fence)
        };
        assert_eq!(act(Action::Fail { fence: 6 }), (0, 0, 0, 6));
        assert_eq!(act(Action::Rollback { fence: 7 }), (0, 0, 1, 7));
    }

    #[test]
    fn a_full_agenda_takes_no_other_campaign() {
        let mut life = Life::new("kim".parse().unwrap(), Approvals::Zero);
        (life.state, life.queued) = (State::Waiting, Some(Queued { forced: false }));
        let mut agenda = Agenda::default();
        for n in 0..u128::try_from(AGENDA_MAX).unwrap() {
            agenda.place(id(1, n), &terms(), &life).unwrap();
        }
        assert_eq!(agenda.place(id(2, 0), &terms(), &life), Err(AgendaFull));
        // One that is on it already stays.
        assert_eq!(agenda.place(id(1, 0), &terms(), &life), Ok(()));
    }

    #[test]
    fn a_seal_is_never_refused_for_a_full_agenda() {
        let mut life = Life::new("kim".parse().unwrap(), Approvals::Zero);
        let mut agenda = Agenda::default();
        life.state = State::Running;
        for n in 0..u128::try_from(AGENDA_MAX).unwrap() {
            agenda.place(id(1, n), &terms(), &life).unwrap();
        }
        life.state = State::Sealing;
        for n in 0..=u128::try_from(AGENDA_MAX).unwrap() {
            agenda.place(id(2, n), &terms(), &life).unwrap();
        }
        assert_eq!(agenda.sealing.len(), AGENDA_MAX);
    }
}
