use super::*;

#[test]
fn an_unpaid_entry_is_looked_at_again_after_as_long_as_it_is_old() {
    let minutes = |n: i64| Timestamp::from_ms(n * 60_000);
    assert_eq!(look_again_at(minutes(0), minutes(1), SWEEP_AFTER_MS), minutes(6));
    assert_eq!(look_again_at(minutes(0), minutes(40), SWEEP_AFTER_MS), minutes(80));
    assert_eq!(look_again_at(minutes(0), minutes(6_000), SWEEP_AFTER_MS), minutes(6_360));
    // A day of outage: not more than ten messages for one grant.
    let mut looks = vec![minutes(5)];
    while let Some(last) = looks.last().copied().filter(|last| *last < minutes(1_440)) {
        looks.push(look_again_at(minutes(0), last, SWEEP_AFTER_MS));
    }
    assert!(looks.len() <= 12, "{looks:?}");
}
