#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use super::*;
use crate::item::item;
use largesse_domain::campaign::{CHUNK_ROWS_MAX, Said};
use largesse_domain::ledger::Memo;
use largesse_domain::money::Amount;

fn rows(count: usize) -> Vec<Row> {
    let row = |n| Row {
        member: format!("m{n}").parse().unwrap(),
        amount: Amount::new(100).unwrap(),
        reason: Memo::new("why").unwrap(),
    };
    (0..count).map(row).collect()
}

fn stored(record: &ChunkRecord) -> Item {
    record_item(Item::new(), record, Ulid(7))
}

fn size(item: &Item) -> usize {
    let value = |value: &Av| match value {
        Av::B(blob) => blob.as_ref().len(),
        Av::S(text) | Av::N(text) => text.len(),
        _ => 1,
    };
    item.iter().map(|(name, at)| name.len() + value(at)).sum()
}

fn committed(rows: &[Row]) -> ChunkRecord {
    ChunkRecord { revision: 1, sends: 1, ..ChunkRecord::new(rows, 3) }
}

#[test]
fn a_record_is_read_back_as_it_was_written() {
    let rows = rows(7);
    let mut record = committed(&rows);
    record.take(1, 1, Said::Paid).unwrap();
    record.take(2, 1, Said::Unknown).unwrap();
    record.take(3, 1, Said::Refused(Failure::new("no"))).unwrap();
    record.rows[3].refused_at = Some(Timestamp::from_ms(5));
    record.take(4, 1, Said::NotPaid).unwrap();
    for (at, said) in [(5, Said::Reversed), (6, Said::Shortfall(Amount::new(40).unwrap()))] {
        record.take(at, 1, Said::Paid).unwrap();
        record.take(at, 1, said).unwrap();
    }
    assert_eq!(read_record(&stored(&record), &rows).unwrap(), record);
    let record = ChunkRecord { is_closed: true, ..record };
    let record = record.in_generation(Generation::new(2).unwrap(), 9);
    assert_eq!(read_record(&stored(&record), &rows).unwrap(), record);
}

#[test]
fn of_refusals_the_last_text_and_all_numbers_are_kept() {
    let rows = rows(1);
    let mut record = committed(&rows);
    for (send, text) in [(1, "first"), (4, "second"), (9, "last")] {
        record.take(0, send, Said::Refused(Failure::new(text))).unwrap();
    }
    let read = read_record(&stored(&record), &rows).unwrap();
    let outcome = &read.rows[0].outcome;
    assert_eq!((outcome.attempts(), outcome.last_refusal().unwrap().as_str()), (3, "last"));
    assert_eq!(outcome.facts().refused.into_keys().collect::<Vec<_>>(), [1, 4, 9]);
}

#[test]
fn a_chunk_of_which_all_is_paid_takes_one_write_unit_and_the_worst_one_fits_an_item() {
    let all = rows(CHUNK_ROWS_MAX);
    let mut record = committed(&all);
    for at in 0..all.len() {
        record.take(at, 1, Said::Paid).unwrap();
    }
    // The key of a chunk is below 100 bytes.
    assert!(size(&stored(&record)) < 300, "{}", size(&stored(&record)));
    let mut worst = committed(&all);
    for at in 0..all.len() {
        for send in 0..101 {
            let first = 0xac00 + u32::try_from(at).unwrap() * 37;
            let text: String = (first..first + 200).map(|n| char::from_u32(n).unwrap()).collect();
            worst.take(at, u32::MAX - send, Said::Refused(Failure::new(&text))).unwrap();
        }
        worst.rows[at].refused_at = Some(Timestamp::from_ms(i64::MAX >> 20));
    }
    let item = stored(&worst);
    assert!(size(&item) < 300_000, "{}", size(&item));
    assert!(read_record(&item, &all).is_ok());
}

#[test]
fn a_record_of_other_rows_or_damaged_is_corrupt() {
    let (two, three) = (rows(2), rows(3));
    let good = stored(&committed(&two));
    assert!(read_record(&good, &two).is_ok());
    assert!(read_record(&good, &three).is_err());
    for name in [REVISION, SENDS, GENERATION, RETRIES_MAX, CLOSED, DATA] {
        let mut bad = good.clone();
        bad.remove(name);
        assert!(read_record(&bad, &two).is_err(), "{name}");
    }
    let mut zero = good.clone();
    zero.insert(GENERATION.to_owned(), n(0));
    assert!(read_record(&zero, &two).is_err());
    let half: Item = item([(OWNER, s(Ulid(1))), (REVISION, n(0)), (SENDS, n(1))]);
    assert!(read_record(&half, &two).is_err(), "a lease without an end");
}
