use super::*;
use crate::item::item;
use aws_sdk_dynamodb::primitives::Blob;
use largesse_domain::campaign::CHUNK_ROWS_MAX;

/// The most bytes of an item (Amazon DynamoDB Developer Guide), less a generous key.
const ITEM_LEN_MAX: usize = 400 * 1_024 - 1_000;

fn place(part: u32, line: u64) -> Place {
    Place { part: PartNumber::new(part).unwrap(), line }
}

fn row(member: &str, amount: u64, reason: &str) -> Row {
    let (amount, reason) = (Amount::new(amount).unwrap(), Memo::new(reason).unwrap());
    Row { member: member.parse().unwrap(), amount, reason }
}

/// Noise that no codec makes shorter.
fn noise(seed: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1), |x| {
        let x = x ^ (x << 13);
        let x = x ^ (x >> 7);
        Some(x ^ (x << 17))
    })
    .skip(8)
}

/// A row as long as one can be: 64 bytes of member and 200 characters of 4 bytes.
fn longest(number: u64) -> Row {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let index = |bits: u64| usize::try_from(bits >> 58).unwrap();
    let member: String = noise(number).take(64).map(|x| char::from(ALPHABET[index(x)])).collect();
    // The planes 1 to 16 have characters of 4 bytes.
    let plane = |x: u64| char::from_u32(0x1_0000 + u32::try_from(x >> 44).unwrap() % 0xf_0000);
    let reason: String = noise(number + 1).filter_map(plane).take(200).collect();
    assert_eq!((member.len(), reason.len()), (64, 800));
    row(&member, 1_000_000_000_000, &reason)
}

fn longest_problem(number: u64) -> Problem {
    let text: String = longest(number).reason.as_str().chars().take(64).collect();
    let (column, value) = (Some(text.clone()), Some(text));
    let code = *Code::ALL.iter().max_by_key(|code| code.as_str().len()).unwrap();
    Problem { line: u64::MAX, byte: Some(u64::MAX - 1), column, value, code }
}

fn data(value: Av) -> Item {
    item([(DATA, value)])
}

fn blob(value: &Av) -> Vec<u8> {
    value.as_b().unwrap().clone().into_inner()
}

fn duplicate(number: u64, row: Row) -> Duplicate {
    Duplicate { place: place(10_000, u64::MAX - number), row, first: place(9_999, u64::MAX) }
}

fn pass(chunks: usize) -> PassRecord {
    let chunks = (0..chunks).map(|n| Hash::of(&n.to_be_bytes())).collect();
    let totals = Totals { rows: 3, amount: u64::MAX, duplicates: 2, refused: 0 };
    let shards = (0..16).map(|n| Sum { rows: n, amount: u64::MAX - n }).collect();
    let widths = (1..=64).map(|width| (width, u64::MAX));
    PassRecord { chunks, totals, shards, widths: IdWidths::from_counts(widths) }
}

#[test]
fn what_is_packed_is_read_back() {
    let rows = || {
        (0..50)
            .map(longest)
            .chain([row("00042", 1, ""), row("가".len().to_string().as_str(), 7, "출석")])
    };
    let lines: Vec<Line> = (0..).map(|n| n * 3 + 2).zip(rows()).collect();
    assert_eq!(read_lines(&data(pack_lines(&lines))).unwrap(), lines);
    let chunk: Vec<Row> = rows().collect();
    assert_eq!(read_chunk(&data(pack_chunk(&chunk))).unwrap(), chunk);
    let duplicates: Vec<_> = (0..).zip(rows()).map(|(n, row)| duplicate(n, row)).collect();
    assert_eq!(read_duplicates(&data(pack_duplicates(&duplicates))).unwrap(), duplicates);
    let mut problems: Vec<_> = (0..3).map(longest_problem).collect();
    let code = Code::RowsNone;
    problems.push(Problem { line: 1, byte: None, column: None, value: None, code });
    assert_eq!(read_problems(&data(pack_problems(&problems))).unwrap(), problems);
    let report = PartReport {
        rows: 5,
        accepted: 4,
        refused: 1,
        blank: 9,
        problem_count: 2,
        ..PartReport::default()
    };
    assert_eq!(read_report(&data(pack_report(&report))).unwrap(), report);
    assert_eq!(read_pass(&data(pack_pass(&pass(1_250)))).unwrap(), pass(1_250));
}

const GOLDEN_LINES: &str = "0178da6362627fc1ceca6a60606062c49c9d99cbfb66db9c372d73155e6fdef2a6b99101008f8c0b\
    f9";
const GOLDEN_CHUNK: &str =
    "0178da637ac1ceca6a60606062c49c9d99cbfb66db9c372d73155e6fdef2a6b99101008e7f0bf0";
const GOLDEN_DUPLICATES: &str = "0178da63645ac3c4c8c9ca9c9d99cb00000b2d0205";

/// Bytes that an earlier version wrote are read for ever. Made by another program: Python's zlib.
#[test]
fn items_of_version_1_are_read() {
    let bytes = |hex: &str| -> Item {
        let digits: Vec<u8> =
            hex.bytes().map(|b| char::from(b).to_digit(16).unwrap().try_into().unwrap()).collect();
        let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair[0] * 16 + pair[1]).collect();
        data(Av::B(Blob::new(bytes)))
    };
    let rows = [row("00042", 1_000, "출석 보상"), row("kim", 5, "")];
    let lines: Vec<Line> = vec![(2, rows[0].clone()), (9, rows[1].clone())];
    assert_eq!(read_lines(&bytes(GOLDEN_LINES)).unwrap(), lines);
    assert_eq!(read_chunk(&bytes(GOLDEN_CHUNK)).unwrap(), rows);
    let duplicates = [Duplicate { place: place(2, 300), row: rows[1].clone(), first: place(1, 9) }];
    assert_eq!(read_duplicates(&bytes(GOLDEN_DUPLICATES)).unwrap(), duplicates);
}

#[test]
fn the_largest_rows_stay_below_the_limit_of_an_item() {
    let lines: Vec<Line> = (0..3_000).map(|n| (u64::MAX - n, longest(n))).collect();
    let cut = cut_lines(&lines);
    assert_eq!(cut.concat(), lines);
    // Items of full size: the bytes are the limit here, and not the number of rows.
    assert!((8..=20).contains(&cut.len()), "{}", cut.len());
    for lines in cut {
        let value = pack_lines(lines);
        assert!(blob(&value).len() < ITEM_LEN_MAX);
        assert_eq!(read_lines(&data(value)).unwrap(), lines);
    }
    let chunk: Vec<Row> = lines.into_iter().take(CHUNK_ROWS_MAX).map(|(_, row)| row).collect();
    assert!(blob(&pack_chunk(&chunk)).len() < ITEM_LEN_MAX);
    let duplicates: Vec<_> = (0..2_000).map(|n| duplicate(n, longest(n))).collect();
    for duplicates in cut_duplicates(&duplicates) {
        assert!(blob(&pack_duplicates(duplicates)).len() < ITEM_LEN_MAX);
    }
    let problems: Vec<_> = (0..1_001).map(longest_problem).collect();
    for problems in cut_problems(&problems) {
        let value = pack_problems(problems);
        assert!(blob(&value).len() < ITEM_LEN_MAX);
        assert_eq!(read_problems(&data(value)).unwrap(), problems);
    }
    assert!(blob(&pack_pass(&pass(5_000))).len() < ITEM_LEN_MAX);
}

#[test]
fn an_item_has_at_most_a_thousand_entries() {
    let lines: Vec<Line> = (0..2_500).map(|n| (n, row("m", 1, "r"))).collect();
    let counts: Vec<usize> = cut_lines(&lines).into_iter().map(<[Line]>::len).collect();
    assert_eq!(counts, [1_000, 1_000, 500]);
    assert!(cut_lines(&[]).is_empty());
}

/// Whether an item of a kind can be read.
type CanRead = fn(&Item) -> bool;

#[test]
fn a_damaged_item_is_corrupt_and_no_panic() {
    let lines = [(2, row("a", 1, "x")), (3, row("b", 2, "y"))];
    let chunk = [row("a", 1, "x"), row("b", 2, "y")];
    let kinds: [(Av, CanRead); 6] = [
        (pack_lines(&lines), |item| read_lines(item).is_ok()),
        (pack_chunk(&chunk), |item| read_chunk(item).is_ok()),
        (pack_duplicates(&[duplicate(1, row("a", 1, "x"))]), |item| read_duplicates(item).is_ok()),
        (pack_problems(&[longest_problem(1)]), |item| read_problems(item).is_ok()),
        (pack_report(&PartReport::default()), |item| read_report(item).is_ok()),
        (pack_pass(&pass(2)), |item| read_pass(item).is_ok()),
    ];
    for (value, can_read) in kinds {
        is_corrupt_when_damaged(value, can_read);
    }
}

fn is_corrupt_when_damaged(value: Av, can_read: CanRead) {
    assert!(can_read(&data(value.clone())));
    assert!(!can_read(&Item::new()));
    assert!(!can_read(&data(Av::S("text".to_owned()))));
    let good = blob(&value);
    for place in 0..good.len() {
        let mut bad = good.clone();
        bad[place] ^= 0x55;
        assert!(!can_read(&data(Av::B(Blob::new(bad)))), "byte {place}");
    }
    // What is packed is damaged, and its checksum is right: a defect of a writer.
    let whole = item([(DATA, value)]);
    let bytes = unpack(&Reader { item: &whole, what: "test" }, DATA, 1).unwrap();
    for len in 0..bytes.len() {
        let mut packer = Packer::default();
        packer.bytes(&bytes[..len]);
        assert!(!can_read(&data(packer.pack(1))), "cut to {len}");
    }
    let mut packer = Packer::default();
    packer.bytes(&bytes);
    packer.int(0_u8);
    assert!(!can_read(&data(packer.pack(1))), "one byte too many");
}

#[test]
fn a_count_of_more_than_there_is_allocates_nothing() {
    let mut packer = Packer::default();
    packer.int(u64::MAX);
    let item = data(packer.pack(1));
    assert!(read_lines(&item).is_err() && read_chunk(&item).is_err());
    assert!(read_duplicates(&item).is_err() && read_problems(&item).is_err());
    assert!(read_pass(&item).is_err());
}
