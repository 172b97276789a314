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

use super::terms::Priority;
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
    use crate::id::Ulid;
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
}
