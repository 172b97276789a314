use super::*;

fn storm() -> Faults {
    Faults::default().with(Fault::Refuse, 200).with(Fault::ResetAfter, 100)
}

fn met(seed: u64, verb: Verb) -> Vec<Option<Fault>> {
    (0..2_000).map(|n| storm().meet(seed, verb, &n.to_string(), 0)).collect()
}

#[test]
fn the_same_seed_meets_the_same_faults() {
    assert_eq!(met(7, Verb::Pay), met(7, Verb::Pay));
    assert_ne!(met(7, Verb::Pay), met(8, Verb::Pay));
}

#[test]
fn each_fault_happens_as_often_as_its_share_says() {
    let met = met(1, Verb::Pay);
    let count = |fault| met.iter().filter(|met| **met == fault).count();
    // Four standard deviations of a binomial distribution: 4 * sqrt(2000 * 0.2 * 0.8) = 72.
    assert!(count(Some(Fault::Refuse)).abs_diff(400) < 72);
    assert!(count(Some(Fault::ResetAfter)).abs_diff(200) < 54);
    assert!(count(None).abs_diff(1_400) < 82);
}

#[test]
fn a_fault_of_payments_meets_no_other_call() {
    let met = met(1, Verb::LookUp);
    assert!(met.contains(&Some(Fault::ResetAfter)) && !met.contains(&Some(Fault::Refuse)));
}

#[test]
fn only_the_calls_that_are_named_meet_a_fault() {
    let faults = Faults { only: Some(Verb::Reverse), ..storm().with(Fault::Fail, 700) };
    assert_eq!(faults.meet(1, Verb::Pay, "a", 0), None);
    assert!(faults.meet(1, Verb::Reverse, "a", 0).is_some());
}

#[test]
fn a_burst_fails_a_block_of_calls_one_after_the_other() {
    let faults = Faults { burst: 300, burst_calls: 5, ..Faults::default() };
    let blocks: Vec<Vec<bool>> = (0..40_u64)
        .map(|block| (0..5).map(|n| faults.is_in_burst(1, block * 5 + n)).collect())
        .collect();
    assert!(blocks.iter().all(|block| block.iter().all(|one| one == &block[0])));
    let bursts = blocks.iter().filter(|block| block[0]).count();
    assert!((1..40).contains(&bursts), "{bursts}");
}

#[test]
fn more_than_everything_does_not_go_wrong() {
    assert_eq!(storm().with(Fault::Throttle, 700).check(), Ok(()));
    assert_eq!(storm().with(Fault::Throttle, 701).check(), Err(FaultsError::AboveWhole));
    let faults = Faults { burst: 1_001, ..Faults::default() };
    assert_eq!(faults.check(), Err(FaultsError::AboveWhole));
}

#[test]
fn calls_and_forms_are_read_by_their_names() {
    assert_eq!("look_up".parse(), Ok(Verb::LookUp));
    assert_eq!("date".parse(), Ok(RetryAfter::Date));
    assert_eq!("lookup".parse::<Verb>(), Err(FaultsError::Verb("lookup".to_owned())));
    let form = Err(FaultsError::RetryAfter("Date".to_owned()));
    assert_eq!("Date".parse::<RetryAfter>(), form);
}

#[test]
fn a_share_is_written_as_its_name_and_thousandths() {
    assert_eq!("reset_after=50".parse(), Ok(FaultShare(Fault::ResetAfter, 50)));
    assert_eq!(Fault::ResetAfter.to_string(), "reset_after");
    for text in ["reset_after", "reset=5", "refuse=x", "refuse=-1", ""] {
        assert_eq!(text.parse::<FaultShare>(), Err(FaultsError::Share(text.to_owned())));
    }
}
