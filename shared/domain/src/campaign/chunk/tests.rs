use super::*;
use crate::campaign::{Facts, Failure, Sum};
use crate::ledger::Memo;
use crate::money::Amount;

fn record(amounts: &[u64]) -> ChunkRecord {
    let row = |(n, amount): (usize, &u64)| Row {
        member: format!("m{n}").parse().unwrap(),
        amount: Amount::new(*amount).unwrap(),
        reason: Memo::new("why").unwrap(),
    };
    ChunkRecord::new(&amounts.iter().enumerate().map(row).collect::<Vec<_>>(), 3)
}

fn lease(owner: u128) -> Lease {
    Lease { owner: Ulid(owner), until: Timestamp::from_ms(5) }
}

fn names(record: &ChunkRecord) -> Vec<&'static str> {
    (0..record.rows.len()).map(|at| record.state(at).unwrap().as_str()).collect()
}

fn refuse(record: &mut ChunkRecord, at: usize, times: u32) {
    for send in 1..=times {
        record.take(at, send, Said::Refused(Failure::new("no"))).unwrap();
    }
}

#[test]
fn after_a_lease_without_a_commit_every_open_row_is_unknown() {
    let mut chunk = record(&[1, 2, 3, 4]);
    chunk.begin(lease(1)).unwrap();
    assert_eq!((chunk.sends, names(&chunk)), (1, vec!["PENDING"; 4]));
    chunk.take(0, 1, Said::Paid).unwrap();
    refuse(&mut chunk, 1, 4);
    refuse(&mut chunk, 2, 1);
    // A commit removes the lease: what is open then is as it was answered.
    let committed = ChunkRecord { lease: None, ..chunk.clone() };
    let mut next = committed;
    next.begin(lease(2)).unwrap();
    assert_eq!((next.sends, names(&next)), (2, vec!["SUCCESS", "FAILED", "PENDING", "PENDING"]));
    // Without one, it may have been sent.
    next.begin(lease(3)).unwrap();
    assert_eq!((next.sends, names(&next)), (3, vec!["SUCCESS", "FAILED", "UNKNOWN", "UNKNOWN"]));
    // A look-up of all sends before this lease's ends that.
    next.take(3, 2, Said::NotPaid).unwrap();
    assert_eq!(names(&next)[3], "PENDING");
    assert_eq!(next.lease, Some(lease(3)));
}

#[test]
fn a_retry_opens_the_failed_rows_alone() {
    let mut chunk = record(&[1, 2, 3]);
    chunk.take(0, 1, Said::Paid).unwrap();
    refuse(&mut chunk, 1, 4);
    chunk.take(2, 1, Said::Unknown).unwrap();
    let next = Generation::new(2).unwrap();
    assert_eq!(chunk.clone().in_generation(Generation::FIRST, 7), chunk);
    let retried = chunk.clone().in_generation(next, 7);
    assert_eq!(names(&retried), ["SUCCESS", "PENDING", "UNKNOWN"]);
    let generations = retried.rows.iter().map(|row| row.outcome.generation().get());
    assert_eq!(generations.collect::<Vec<_>>(), [1, 2, 1]);
    assert_eq!((retried.generation, retried.retries_max), (next, 7));
    assert_eq!(retried.clone().in_generation(next, 9), retried);
    let sum = |rows, amount| Sum { rows, amount };
    let tally = retried.tally().unwrap();
    assert_eq!((tally.success, tally.pending, tally.unknown), (sum(1, 1), sum(1, 2), sum(1, 3)));
}

#[test]
fn an_outcome_is_made_of_its_facts_and_never_of_impossible_ones() {
    let amount = Amount::new(5).unwrap();
    let mut outcome = Outcome::new(Generation::FIRST, amount);
    let said = [Said::Unknown, Said::NotPaid, Said::Refused(Failure::new("no")), Said::Paid];
    for (send, said) in (1..).zip(said) {
        outcome.take(Verdict { generation: Generation::FIRST, send, said }).unwrap();
        assert_eq!(Outcome::from_facts(outcome.facts(), amount), Some(outcome.clone()));
    }
    assert_eq!((outcome.attempts(), outcome.last_refusal().unwrap().as_str()), (1, "no"));
    let facts = |paid, missing| Facts { paid, missing, ..outcome.facts() };
    for (paid, missing, is_possible) in [
        (true, Some(5), true),
        (true, Some(0), true),
        (true, Some(6), false),
        (false, Some(0), false),
    ] {
        let made = Outcome::from_facts(facts(paid, missing), amount);
        assert_eq!(made.is_some(), is_possible, "{paid} {missing:?}");
    }
}
