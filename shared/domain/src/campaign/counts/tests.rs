use proptest::prelude::*;

use super::*;
use crate::campaign::Failure;

fn amount(minor: u64) -> Amount {
    Amount::new(minor).unwrap()
}

fn states() -> [RowState; 6] {
    let failed = RowState::Failed { reason: Failure::new("no"), attempts: 4 };
    let missing = RowState::Shortfall { missing: amount(1) };
    let (pending, unknown) = (RowState::Pending, RowState::Unknown);
    [pending, unknown, RowState::Success, failed, RowState::Reversed, missing]
}

fn totals(rows: u64, amount: u64) -> Totals {
    Totals { rows, amount, ..Totals::default() }
}

proptest! {
    /// Three chunks of up to five rows. Each step commits the chunk's rows in new states; each
    /// commit is applied up to three times, at once or after later ones.
    #[test]
    fn a_commit_counts_once_however_often_it_is_applied(
        chunks in proptest::collection::vec(proptest::collection::vec(1..1_000_u64, 1..6), 3),
        steps in proptest::collection::vec(
            (0..3_usize, proptest::collection::vec(0..6_usize, 5), 0..3_u8, any::<prop::sample::Index>()),
            0..40,
        ),
    ) {
        let rows: u64 = chunks.iter().map(|rows| u64::try_from(rows.len()).unwrap()).sum();
        let money: u64 = chunks.iter().flatten().sum();
        let mut counts = Counts::sealed(totals(rows, money));
        let mut results: Vec<ChunkResult> = (0..).zip(&chunks).map(|(n, rows)| {
            let sum = Sum { rows: rows.len().try_into().unwrap(), amount: rows.iter().sum() };
            ChunkResult::new(ChunkNumber(n), Generation::FIRST, sum)
        }).collect();
        let mut sent: Vec<(usize, Delta)> = Vec::new();
        for (chunk, states_of, again, old) in steps {
            let after = chunks[chunk].iter().zip(states_of).fold(Tally::default(), |tally, (row, state)| {
                tally.plus(&states()[state], amount(*row)).unwrap()
            });
            let delta = results[chunk].delta(after).unwrap();
            prop_assert_eq!(results[chunk].commit(&mut counts, &delta), Ok(Committed::Now));
            for _ in 0..again {
                prop_assert_eq!(results[chunk].commit(&mut counts, &delta), Ok(Committed::Before));
            }
            sent.push((chunk, delta));
            let (chunk, delta) = *old.get(&sent);
            let before = counts;
            let told = results[chunk].commit(&mut counts, &delta);
            prop_assert!(told != Ok(Committed::Now), "{told:?}");
            prop_assert_eq!(counts, before);
        }
        // The counters are the sum of the results.
        let mut sum = Tally::default();
        for result in &results {
            sum = sum.pairs(&result.tally, Sum::plus).unwrap();
        }
        prop_assert_eq!(counts.tally, sum);
        prop_assert_eq!(counts.tally.total(), Some(Sum { rows, amount: money }));
    }
}

fn chunk() -> (ChunkResult, Counts) {
    let sum = Sum { rows: 2, amount: 30 };
    let result = ChunkResult::new(ChunkNumber(0), Generation::FIRST, sum);
    (result, Counts::sealed(totals(2, 30)))
}

fn two(first: &RowState, second: &RowState) -> Tally {
    Tally::default().plus(first, amount(10)).unwrap().plus(second, amount(20)).unwrap()
}

#[test]
fn of_two_workers_on_one_chunk_the_second_computes_anew() {
    let (mut result, mut counts) = chunk();
    let first = result.delta(two(&RowState::Success, &RowState::Pending)).unwrap();
    let second = result.delta(two(&RowState::Success, &RowState::Unknown)).unwrap();
    assert_eq!(result.commit(&mut counts, &first), Ok(Committed::Now));
    let superseded = Err(CommitError::Superseded { revision: 1 });
    assert_eq!(result.commit(&mut counts, &second), superseded);
    let second = result.delta(two(&RowState::Success, &RowState::Unknown)).unwrap();
    assert_eq!(result.commit(&mut counts, &second), Ok(Committed::Now));
    assert_eq!(counts.tally, result.tally);
    assert_eq!(result.commit(&mut counts, &first), Err(CommitError::Superseded { revision: 2 }));
}

#[test]
fn a_commit_that_adds_or_loses_a_row_or_money_is_refused() {
    let (result, _) = chunk();
    let one = Tally::default().plus(&RowState::Success, amount(30)).unwrap();
    assert_eq!(result.delta(one), Err(CommitError::RowsDiffer));
    let other_money = one.plus(&RowState::Success, amount(1)).unwrap();
    assert_eq!(result.delta(other_money), Err(CommitError::RowsDiffer));
}

#[test]
fn a_commit_of_another_chunk_or_against_damaged_counters_changes_nothing() {
    let (mut result, mut counts) = chunk();
    let mut other = ChunkResult { chunk: ChunkNumber(1), ..result };
    let mut later = ChunkResult { generation: Generation::new(2).unwrap(), ..result };
    let delta = result.delta(two(&RowState::Success, &RowState::Success)).unwrap();
    assert_eq!(other.commit(&mut counts, &delta), Err(CommitError::OtherChunk));
    assert_eq!(later.commit(&mut counts, &delta), Err(CommitError::OtherChunk));
    let before = result;
    let mut damaged = Counts::sealed(totals(1, 30));
    assert_eq!(result.commit(&mut damaged, &delta), Err(CommitError::CountsDiffer));
    assert_eq!((result, damaged), (before, Counts::sealed(totals(1, 30))));
}

#[test]
fn a_retry_opens_the_failed_rows_alone() {
    let [pending, unknown, success, failed, reversed, shortfall] = states();
    let mut tally = Tally::default();
    let of = [&pending, &unknown, &success, &failed, &reversed, &shortfall];
    for (minor, state) in (1..).zip(of) {
        tally = tally.plus(state, amount(minor)).unwrap();
    }
    let after = Counts { tally }.retried().unwrap().tally;
    assert_eq!(after.pending, Sum { rows: 2, amount: 5 });
    assert_eq!(after.failed, Sum::default());
    assert_eq!(Tally { pending: tally.pending, failed: tally.failed, ..after }, tally);
}

#[test]
fn a_tally_neither_wraps_nor_goes_below_zero() {
    let full = Sum { rows: 1, amount: u64::MAX };
    let tally = Tally { pending: full, unknown: full, ..Tally::default() };
    assert_eq!(tally.plus(&RowState::Pending, amount(1)), None);
    assert_eq!(tally.total(), None);
    assert_eq!(Tally::default().moved(&RowState::Pending, &RowState::Success, amount(1)), None);
}

#[test]
fn the_counters_of_all_shards_sum_up_or_are_none() {
    let [pending, .., shortfall] = states();
    let one = Tally::default().plus(&pending, amount(3)).unwrap();
    let two = one.plus(&shortfall, amount(4)).unwrap();
    let sum = Counts::of_shards(&[one, two]).unwrap().tally;
    assert_eq!(sum.pending, Sum { rows: 2, amount: 6 });
    assert_eq!(sum.shortfall, Sum { rows: 1, amount: 4 });
    assert_eq!(Counts::of_shards(&[]), Some(Counts::default()));
    let full = Tally { failed: Sum { rows: 1, amount: u64::MAX }, ..Tally::default() };
    assert_eq!(Counts::of_shards(&[full, full]), None);
}
