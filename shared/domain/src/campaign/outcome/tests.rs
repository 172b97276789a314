use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::campaign::{Sum, Tally};

fn amount(minor: u64) -> Amount {
    Amount::new(minor).unwrap()
}

fn refused(text: &str) -> Said {
    Said::Refused(Failure::new(text))
}

fn verdict(send: u32, said: Said) -> Verdict {
    Verdict { generation: Generation::FIRST, send, said }
}

fn row() -> Outcome {
    Outcome::new(Generation::FIRST, amount(100))
}

fn after(verdicts: impl IntoIterator<Item = Verdict>) -> Outcome {
    let mut row = row();
    for verdict in verdicts {
        row.take(verdict).unwrap();
    }
    row
}

fn name(row: &Outcome) -> &'static str {
    row.state(RetryPolicy::default()).as_str()
}

/// A row in each state, and the number of its last send.
fn in_state(state: &str) -> (Outcome, u32) {
    let failed = (1..=4).map(|send| verdict(send, refused("no")));
    let paid = verdict(1, Said::Paid);
    let missing = Said::Shortfall(amount(40));
    match state {
        "PENDING" => (row(), 0),
        "UNKNOWN" => (after([verdict(1, Said::Unknown)]), 1),
        "SUCCESS" => (after([paid]), 1),
        "FAILED" => (after(failed), 4),
        "REVERSED" => (after([paid, verdict(1, Said::Reversed)]), 1),
        "SHORTFALL" => (after([paid, verdict(1, missing)]), 1),
        other => panic!("{other}"),
    }
}

#[rstest]
#[case("PENDING", ["SUCCESS", "PENDING", "PENDING", "UNKNOWN", "-", "-"])]
#[case("UNKNOWN", ["SUCCESS", "PENDING", "PENDING", "UNKNOWN", "-", "-"])]
#[case("SUCCESS", ["SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS", "REVERSED", "SHORTFALL"])]
#[case("FAILED", ["SUCCESS", "FAILED", "FAILED", "UNKNOWN", "-", "-"])]
#[case("REVERSED", ["REVERSED", "REVERSED", "REVERSED", "REVERSED", "REVERSED", "REVERSED"])]
#[case("SHORTFALL", ["SHORTFALL", "SHORTFALL", "SHORTFALL", "SHORTFALL", "REVERSED", "SHORTFALL"])]
fn a_row_moves_as_the_table_says(#[case] from: &str, #[case] to: [&str; 6]) {
    let (before, send) = in_state(from);
    assert_eq!(name(&before), from);
    let missing = Said::Shortfall(amount(40));
    let said = [Said::Paid, refused("no"), Said::NotPaid, Said::Unknown, Said::Reversed, missing];
    for (said, to) in said.into_iter().zip(to) {
        let mut row = before.clone();
        match row.take(verdict(send + 1, said.clone())) {
            Ok(()) => assert_eq!(name(&row), to, "{from} {said:?}"),
            Err(why) => {
                assert_eq!((to, why), ("-", VerdictRefused::NotPaid), "{from} {said:?}");
                assert_eq!(row, before);
            }
        }
    }
}

fn any_payment_verdict() -> impl Strategy<Value = Verdict> {
    let said = prop_oneof![
        1 => Just(Said::Paid),
        4 => "[ab]".prop_map(|text| refused(&text)),
        3 => Just(Said::NotPaid),
        3 => Just(Said::Unknown),
    ];
    (1..7_u32, said).prop_map(|(send, said)| verdict(send, said))
}

proptest! {
    #[test]
    fn verdicts_count_once_in_whichever_order_they_come(
        verdicts in proptest::collection::vec(any_payment_verdict(), 1..12),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 0..24),
    ) {
        let policy = RetryPolicy::default();
        let in_order = after(verdicts.clone());
        // Every verdict at least once, some more often, backwards and mixed.
        let mixed = order.iter().map(|index| index.get(&verdicts).clone());
        let mixed = mixed.chain(verdicts.iter().rev().cloned());
        let mut row = row();
        let mut tally = Tally::default().plus(&row.state(policy), row.amount()).unwrap();
        for verdict in mixed {
            let before = row.state(policy);
            row.take(verdict).unwrap();
            tally = tally.moved(&before, &row.state(policy), row.amount()).unwrap();
        }
        prop_assert_eq!(&row, &in_order);
        let once = Tally::default().plus(&in_order.state(policy), amount(100)).unwrap();
        prop_assert_eq!(tally, once);
        prop_assert_eq!(tally.total().unwrap(), Sum { rows: 1, amount: 100 });
        // The rules, said once more without the code's facts.
        let has = |said: &Said| verdicts.iter().any(|v| v.said == *said);
        let last = |is: fn(&Said) -> bool| {
            verdicts.iter().filter(|v| is(&v.said)).map(|v| v.send).max().unwrap_or(0)
        };
        let known = last(|said| *said != Said::Unknown);
        let mut refusals: Vec<u32> = verdicts.iter()
            .filter(|v| matches!(v.said, Said::Refused(_)))
            .map(|v| v.send)
            .collect();
        refusals.sort_unstable();
        refusals.dedup();
        let expected = if has(&Said::Paid) {
            "SUCCESS"
        } else if last(|said| *said == Said::Unknown) > known {
            "UNKNOWN"
        } else if refusals.len() > 3 {
            "FAILED"
        } else {
            "PENDING"
        };
        prop_assert_eq!(name(&row), expected);
    }
}

#[test]
fn an_unknown_outcome_is_never_a_failure() {
    let (mut row, _) = in_state("FAILED");
    row.take(verdict(5, Said::Unknown)).unwrap();
    assert_eq!(name(&row), "UNKNOWN");
    assert_eq!(row.retried(RetryPolicy::default()), None);
    row.take(verdict(5, Said::NotPaid)).unwrap();
    assert_eq!(name(&row), "FAILED");
}

#[rstest]
#[case("PENDING", false)]
#[case("UNKNOWN", false)]
#[case("SUCCESS", false)]
#[case("FAILED", true)]
#[case("REVERSED", false)]
#[case("SHORTFALL", false)]
fn only_a_known_failure_is_retried(#[case] state: &str, #[case] is_retried: bool) {
    let retried = in_state(state).0.retried(RetryPolicy::default());
    assert_eq!(retried.is_some(), is_retried);
    let second = Generation::FIRST.next().unwrap();
    assert!(retried.is_none_or(|row| row == Outcome::new(second, amount(100))));
}

#[test]
fn a_verdict_of_another_generation_changes_nothing_and_a_late_payment_is_told() {
    let mut row = in_state("FAILED").0.retried(RetryPolicy::default()).unwrap();
    let before = row.clone();
    for said in [refused("no"), Said::Unknown, Said::NotPaid] {
        assert_eq!(row.take(verdict(9, said)), Ok(()));
    }
    let told = Err(VerdictRefused::PaidEarlier(Generation::FIRST));
    assert_eq!(row.take(verdict(9, Said::Paid)), told);
    let third = Generation::new(3).unwrap();
    let ahead = Verdict { generation: third, send: 1, said: Said::Paid };
    assert_eq!(row.take(ahead), Err(VerdictRefused::Ahead(third)));
    assert_eq!(row, before);
}

#[test]
fn a_failure_has_its_last_reason_and_the_number_of_its_attempts() {
    let row = after((1..=4).rev().map(|send| verdict(send, refused(&format!("no {send}")))));
    let failed = RowState::Failed { reason: Failure::new("no 4"), attempts: 4 };
    assert_eq!(row.state(RetryPolicy::default()), failed);
    assert_eq!(Failure::new(&"a\n".repeat(200)).as_str(), "a ".repeat(100));
}

#[test]
fn no_more_is_missing_than_was_paid() {
    let (mut row, _) = in_state("SUCCESS");
    let too_much = verdict(1, Said::Shortfall(amount(101)));
    assert_eq!(row.take(too_much), Err(VerdictRefused::MissingTooMuch));
    for (missing, left) in [(50, 50), (70, 50), (20, 20)] {
        row.take(verdict(1, Said::Shortfall(amount(missing)))).unwrap();
        let state = row.state(RetryPolicy::default());
        assert_eq!(state, RowState::Shortfall { missing: amount(left) });
    }
}
