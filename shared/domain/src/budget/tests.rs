use proptest::prelude::*;
use rstest::rstest;

use super::*;

#[rstest]
#[case(0, 0)]
#[case(59_999, 0)]
#[case(60_000, 60_000)]
#[case(60_001, 60_000)]
#[case(119_999, 60_000)]
#[case(1_767_225_659_999, 1_767_225_600_000)]
#[case(1_767_225_660_000, 1_767_225_660_000)]
fn a_window_begins_at_a_multiple_of_its_length(#[case] now_ms: i64, #[case] opens_ms: i64) {
    let window = window_at(Timestamp::from_ms(now_ms));
    assert_eq!(window.opens.ms(), opens_ms);
    assert_eq!(window.closes.ms_since(window.opens), BUDGET_WINDOW_MS);
}

#[rstest]
#[case(0, 3, 1, Some(1))]
#[case(2, 3, 1, Some(3))]
#[case(3, 3, 1, None)]
#[case(1, 3, 2, Some(3))]
#[case(1, 3, 3, None)]
#[case(0, 0, 1, None)]
// The limit was lowered while the window was open.
#[case(5, 3, 1, None)]
#[case(u32::MAX, u32::MAX, 1, None)]
fn what_does_not_fit_is_not_used(
    #[case] used: u32,
    #[case] max: u32,
    #[case] count: u32,
    #[case] after: Option<u32>,
) {
    let budget = Budget { used, max };
    assert_eq!(budget.spend(count).map(|budget| budget.used), after);
    // A store decides the same by one comparison.
    let fits = Budget::used_max(max, count).is_some_and(|most| used <= most);
    assert_eq!(fits, after.is_some());
}

#[test]
fn a_process_leases_as_many_as_it_has_used() {
    let mut lease = Lease::default();
    let mut blocks = Vec::new();
    for _ in 0..200 {
        if lease.left == 0 {
            blocks.push(lease.next());
            lease = lease.plus(lease.next());
        }
        lease = lease.take().unwrap();
    }
    assert_eq!(blocks, [1, 1, 2, 4, 8, 16, 32, 64, 64, 64]);
    assert_eq!(Lease::default().take(), None);
}

proptest! {
    #[test]
    fn no_order_of_spending_uses_more_than_the_budget(
        max in 0_u32..500,
        counts in prop::collection::vec(1_u32..80, 0..100),
    ) {
        let mut budget = Budget { used: 0, max };
        let mut given = 0_u32;
        for count in counts {
            let before = budget;
            match budget.spend(count) {
                Some(after) => {
                    given += count;
                    budget = after;
                }
                None => prop_assert!(before.left() < count),
            }
        }
        prop_assert_eq!(budget.used, given);
        prop_assert!(budget.used <= max);
    }

    #[test]
    fn a_process_never_holds_more_than_it_has_used_and_one(uses in 1_usize..2_000) {
        let mut lease = Lease::default();
        for _ in 0..uses {
            if lease.left == 0 {
                lease = lease.plus(lease.next());
            }
            prop_assert!(lease.left <= lease.taken.clamp(1, LEASE_MAX));
            lease = lease.take().unwrap();
        }
        prop_assert_eq!(usize::try_from(lease.taken).unwrap(), uses);
    }

    #[test]
    fn every_moment_lies_in_its_window(ms in 0_i64..=9_999_999_000_000) {
        let now = Timestamp::from_ms(ms);
        let window = window_at(now);
        prop_assert!(!window.is_ahead(now) && !window.is_over(now));
    }
}
