use super::*;
use crate::HELD_BYTES_MAX;
use crate::code::Scope;
use largesse_domain::ledger::Memo;
use largesse_domain::money::Amount;
use proptest::prelude::*;

/// Pieces that mean something to one of the parsers, and bytes that mean nothing to any.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "member_id,amount,reason\n",
        "amount,member_id\r\n",
        "{\"member_id\":\"42\",\"amount\":1000,\"reason\":\"출석\"}\n",
        "{\"member_id\":[[[[[[",
        "42,1000,x\n",
        "00042,\"1,000\",'=1\r",
        "a,1,000\n",
        "\u{feff}",
        "\u{200b}",
        "\"",
        "\"\"",
        ",",
        "\r\n",
        "\r",
        "\n",
        "{",
        "\\ud800",
        "출석",
        "\0",
    ]);
    prop_oneof![
        4 => known.prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..8),
        1 => prop::sample::select(vec![b",".to_vec(), b"\"\n".to_vec(), b"x".to_vec(), vec![0xc3]])
            .prop_flat_map(|unit| (1..6_000_usize).prop_map(move |n| unit.repeat(n))),
    ]
}

fn inputs() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(pieces(), 0..20).prop_map(|pieces| pieces.concat())
}

fn options() -> impl Strategy<Value = Options> {
    (1..8_u64, any::<bool>(), any::<bool>()).prop_map(|(rows_max, amount, reason)| Options {
        rows_max,
        default_amount: amount.then(|| Amount::new(7).unwrap()),
        default_reason: reason.then(|| Memo::new("default").unwrap()),
    })
}

fn formats() -> impl Strategy<Value = Format> {
    prop::sample::select(vec![Format::Csv, Format::JsonLines])
}

/// The rows and the summary of an input in slices; after each slice the memory is checked.
fn read(format: Format, options: &Options, slices: &[&[u8]]) -> (Vec<Row>, Summary) {
    let (mut reader, mut rows) = (Reader::new(format, options.clone()), Vec::new());
    for slice in slices {
        reader.feed(slice, &mut |row| rows.push(row));
        assert!(reader.held_bytes() <= HELD_BYTES_MAX, "{} bytes", reader.held_bytes());
    }
    let summary = reader.finish(&mut |row| rows.push(row));
    (rows, summary)
}

proptest! {
    #[test]
    fn the_way_the_bytes_are_cut_changes_nothing(
        format in formats(),
        options in options(),
        input in inputs(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let whole = read(format, &options, &[&input]);
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        places.extend([0, input.len()]);
        places.sort_unstable();
        let slices: Vec<&[u8]> = places.windows(2).map(|pair| &input[pair[0]..pair[1]]).collect();
        prop_assert_eq!(&read(format, &options, &slices), &whole);
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        prop_assert_eq!(&read(format, &options, &bytes), &whole);
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_stay_within_the_bounds(
        format in formats(),
        options in options(),
        input in prop_oneof![inputs(), prop::collection::vec(any::<u8>(), 0..2_000)],
    ) {
        let slices: Vec<&[u8]> = input.chunks(100).collect();
        read(format, &options, &slices);
    }

    #[test]
    fn every_row_is_accepted_refused_or_blank(
        format in formats(),
        options in options(),
        input in inputs(),
    ) {
        let (rows, summary) = read(format, &options, &[&input]);
        prop_assert_eq!(summary.accepted + summary.refused, summary.rows);
        prop_assert_eq!(u64::try_from(rows.len()).unwrap(), summary.accepted);
        prop_assert!(summary.rows <= options.rows_max);
        prop_assert!(summary.problem_count >= summary.refused);
        let stops = summary.problems.last().is_some_and(|p| p.code.scope() == Scope::File);
        prop_assert_eq!(summary.stopped, stops);
    }
}

#[test]
fn all_problems_are_counted_and_the_first_thousand_kept() {
    let options = Options { rows_max: u64::MAX, default_amount: None, default_reason: None };
    let (mut reader, mut rows) = (Reader::new(Format::Csv, options), 0_u64);
    // The longest names and values: 64 characters of 4 bytes each.
    let bad = format!("{0},{0},{0}\n", "\u{10348}".repeat(250));
    reader.feed(b"member_id,amount,reason\n", &mut |_| rows += 1);
    for _ in 0..2_000 {
        reader.feed(bad.as_bytes(), &mut |_| rows += 1);
        assert!(reader.held_bytes() <= HELD_BYTES_MAX, "{} bytes", reader.held_bytes());
    }
    assert!(!reader.is_stopped());
    // What stops the reader is kept after them.
    reader.feed(b"\"", &mut |_| rows += 1);
    let summary = reader.finish(&mut |_| rows += 1);
    assert_eq!((rows, summary.refused, summary.problem_count), (0, 2_000, 6_001));
    let (last, first) = summary.problems.split_last().unwrap();
    assert_eq!((first.len(), first.last().map(|p| p.line)), (crate::PROBLEMS_KEPT_MAX, Some(335)));
    assert_eq!((last.line, last.code), (2_002, Code::QuoteUnclosed));
}
