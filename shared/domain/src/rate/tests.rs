//! Single rules of the rate. Many workers at once are in `tests/rate.rs`.

use rstest::rstest;

use super::*;

fn rate(limit: u32) -> Rate {
    Rate::new(limit, Tolerance::default()).unwrap()
}

fn at(ns: u64) -> Moment {
    Moment(ns)
}

fn wish(wanted: u32, from: u64, until: u64) -> Wish {
    Wish { wanted, from: at(from), until: at(until) }
}

#[rstest]
#[case(1, 1_020_000_000, 1)]
#[case(7, 145_714_286, 1)]
#[case(1_000, 1_020_000, 245)]
#[case(5_000, 204_000, 1_225)]
fn permits_lie_an_interval_apart(#[case] limit: u32, #[case] ns: u64, #[case] block_max: u32) {
    assert_eq!((rate(limit).interval_ns(), rate(limit).block_max()), (ns, block_max));
}

#[test]
fn a_rate_outside_its_bounds_is_none() {
    let fits = |limit, skew_us, lateness_us| {
        Rate::new(limit, Tolerance { skew_us, lateness_us }).is_some()
    };
    assert!(fits(1, 0, 0) && fits(5_000, 1_000_000, 1_000_000));
    assert!(!fits(0, 0, 0) && !fits(5_001, 0, 0));
    assert!(!fits(1, 1_000_001, 0) && !fits(1, 0, 1_000_001));
}

#[test]
fn a_lease_begins_where_the_last_one_ended_and_never_in_the_past() {
    let state = RateState { rate: rate(1_000), tat: at(5_000_000) };
    let behind = state.lease(&wish(3, 1_000_000, 99_000_000)).unwrap();
    assert_eq!((behind.first, behind.count, behind.end()), (at(5_000_000), 3, at(8_060_000)));
    // Nobody asked meanwhile: what was free before is lost.
    let later = state.lease(&wish(3, 7_000_000, 99_000_000)).unwrap();
    assert_eq!(later.first, at(7_000_000));
}

#[test]
fn a_lease_is_cut_to_a_block_and_to_what_is_of_use() {
    let state = RateState { rate: rate(1_000), tat: at(0) };
    let count = |wanted, until| state.lease(&wish(wanted, 0, until)).map(|block| block.count);
    assert_eq!(count(10_000, 9_000_000_000), Ok(245));
    assert_eq!((count(5, 1_020_000), count(5, 1_019_999), count(5, 0)), (Ok(2), Ok(1), Ok(1)));
    assert_eq!(count(0, 9_000_000_000), Ok(1));
    let full = RateState { rate: rate(1_000), tat: at(100) };
    assert_eq!(
        (full.lease(&wish(5, 0, 99)), full.lease(&wish(5, 0, 100)).is_ok()),
        (Err(at(100)), true)
    );
}

#[test]
fn a_permit_is_used_from_its_moment_until_its_lateness_is_over() {
    let mut block = Block { rate: rate(1_000), first: at(1_000), count: 2 };
    let permit = block.peek(at(0)).unwrap();
    assert_eq!(block.take(at(0)), Some(permit));
    assert_eq!(permit.at(), at(1_000));
    let due = [999, 1_000, 10_001_000, 10_001_001].map(|now| permit.due(at(now)));
    assert_eq!(due, [Due::Early, Due::InTime, Due::InTime, Due::Late]);
}

#[test]
fn a_permit_that_was_not_used_in_time_is_lost() {
    let block = Block { rate: rate(1_000), first: at(0), count: 3 };
    let next = |now| {
        let mut block = block;
        (block.take(at(now)).map(Permit::at), block.count)
    };
    assert_eq!(next(10_000_000), (Some(at(0)), 2));
    assert_eq!(next(10_000_001), (Some(at(1_020_000)), 1));
    assert_eq!(next(11_020_001), (Some(at(2_040_000)), 0));
    assert_eq!(next(12_040_001), (None, 0));
    assert_eq!(next(u64::MAX), (None, 0));
}

/// The first permit of the new rate lies a whole period after the last one of the old rate.
#[rstest]
#[case(1_000, 10)]
#[case(10, 1_000)]
#[case(1, 1)]
fn a_new_rate_begins_a_period_after_the_last_permit(#[case] old: u32, #[case] new: u32) {
    let old = RateState { rate: rate(old), tat: at(9_000_000_000) };
    let last = old.tat.0 - old.rate.interval_ns();
    assert_eq!(old.change(rate(new)).tat, at(last + 1_020_000_000));
    // A larger tolerance counts, whether it comes or goes.
    let loose = Rate::new(new, Tolerance { skew_us: 50_000, lateness_us: 0 }).unwrap();
    assert_eq!(old.change(loose).tat, at(last + 1_100_000_000));
    let loose = RateState { rate: loose, ..old };
    assert_eq!(
        loose.change(old.rate).tat.0 - (loose.tat.0 - loose.rate.interval_ns()),
        1_100_000_000
    );
}

/// The worst workers that the tolerances allow: one as late and slow as it may be, one as fast.
#[test]
fn a_shorter_interval_would_break_the_limit() {
    let rate = rate(1_000);
    let (late_ns, skew_ns) = (10_000_000, 5_000_000);
    let apart = |interval_ns: u64| 1_000 * interval_ns - late_ns - 2 * skew_ns;
    assert!(apart(rate.interval_ns()) >= SECOND_NS);
    assert!(apart(rate.interval_ns() - 1) < SECOND_NS);
}

#[test]
fn moments_count_milliseconds_up() {
    let moment = Moment::of(Timestamp::from_ms(2));
    assert_eq!(
        (moment, moment.plus_ms(1), moment.minus_ms(3)),
        (at(2_000_000), at(3_000_000), at(0))
    );
    assert_eq!(at(2_000_001).ms_since(at(1_000_000)), 2);
    assert_eq!(at(1).ms_since(at(2)), 0);
}
