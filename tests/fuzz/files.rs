//! The file of a campaign.

use largesse_input::{Format, Options, Reader, Row, Summary};
use proptest::prelude::*;
use proptest::sample::select;

use crate::edits::{edited, edits, rounds};

const SAMPLES: [(Format, &str); 4] = [
    (Format::Csv, "member_id,amount,reason\n00042,1000,출석\nkim,2500,\"a \"\"b\"\",\nc\"\n\n,,\n"),
    (Format::Csv, "\u{feff}reason,member_id\r\n x ,lee\r\nlee\r"),
    (
        Format::JsonLines,
        "{\"member_id\":\"00042\",\"amount\":1000}\n{\"member_id\":\"k\",\"reason\":\"\\ud83c\\udf89\"}\n",
    ),
    (Format::JsonLines, "\n{\"reason\":null,\"amount\":\"5\",\"member_id\":7}\r\n[]\n"),
];

fn read(format: Format, parts: &[&[u8]]) -> (Vec<Row>, Summary) {
    let options = Options { rows_max: 5, default_amount: None, default_reason: None };
    let (mut reader, mut rows) = (Reader::new(format, options), Vec::new());
    for part in parts {
        reader.feed(part, &mut |row| rows.push(row));
    }
    let summary = reader.finish(&mut |row| rows.push(row));
    (rows, summary)
}

proptest! {
    #![proptest_config(rounds())]

    /// A request is read as its bytes arrive: where they are split must not count.
    #[test]
    fn a_file_of_any_bytes_is_counted_and_read_the_same_however_it_is_split(
        (format, text) in select(&SAMPLES[..]), edits in edits(), split: u16,
    ) {
        let bytes = edited(text.as_bytes(), &edits);
        let (rows, summary) = read(format, &[&bytes]);
        prop_assert_eq!(summary.accepted, rows.len() as u64);
        prop_assert_eq!(summary.rows, summary.accepted + summary.refused);
        let (head, tail) = bytes.split_at(usize::from(split) % (bytes.len() + 1));
        prop_assert_eq!(read(format, &[head, tail]), (rows, summary));
    }
}
