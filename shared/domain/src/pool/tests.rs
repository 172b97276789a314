use super::*;
use proptest::prelude::*;
use rstest::rstest;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

fn user(name: impl std::fmt::Display) -> UserId {
    name.to_string().parse().unwrap()
}

fn bucket(size: u32, worth: Worth) -> Bucket {
    Bucket {
        id: BucketId { pool: "SPRAY#01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap(), number: 3 },
        kind: PoolKind::Share,
        funder: user("funder"),
        status: BucketStatus::Open,
        window: Window { opens: at(10), closes: at(100) },
        size,
        worth,
        taken: 0,
        draws: BTreeMap::new(),
        unreadable: BTreeSet::new(),
        promoted: BTreeMap::new(),
        counts: None,
    }
}

fn draw(member: &str, ms: i64, nonce: u64) -> Draw {
    Draw { member: user(member), at: at(ms), nonce: Nonce::from_bits(nonce) }
}

fn entry(index: u32, ms: i64, nonce: u64) -> Entry {
    Entry { index, at: at(ms), nonce: Nonce::from_bits(nonce) }
}

proptest! {
    #[test]
    fn indexes_are_given_once_each(
        size in 1..=BUCKET_PARTS,
        draws in proptest::collection::vec((0..40_u32, 0..120_i64, 0..3_u64), 0..80),
    ) {
        let mut bucket = bucket(size, Worth::Each(7));
        for (member, ms, nonce) in draws {
            let before = bucket.clone();
            let draw = draw(&format!("m{member}"), ms, nonce);
            match bucket.draw(&draw) {
                Ok(entry) => prop_assert_eq!(entry.index, before.taken),
                Err(_) => prop_assert_eq!(&bucket, &before),
            }
            prop_assert_eq!(bucket.check(), Ok(()));
            prop_assert!(bucket.taken <= size);
        }
        let indexes: BTreeSet<u32> = bucket.draws.values().map(|entry| entry.index).collect();
        prop_assert_eq!(indexes, (0..bucket.taken).collect::<BTreeSet<u32>>());
    }

    #[test]
    fn what_was_put_in_is_drawn_or_left(
        shares in proptest::collection::vec(1..1_000_u64, 1..=16), members in 0..20_u32,
    ) {
        let total: u64 = shares.iter().sum();
        let mut bucket = bucket(u32::try_from(shares.len()).unwrap(), Worth::Listed(shares));
        for member in 0..members {
            let _ = bucket.draw(&draw(&format!("m{member}"), 10, 0));
            let grants = bucket.draws.iter().map(|(m, entry)| bucket.grant(m, *entry).unwrap());
            let drawn: u64 = grants.map(|grant| grant.amount.get()).sum();
            prop_assert_eq!(drawn + bucket.remainder(), total);
            prop_assert_eq!(bucket.put_in(), total);
        }
    }
}

/// Each case breaks one rule less, from the first in order to the last.
#[rstest]
#[case("has", 50, 1, DrawRefused::Repeated(entry(0, 50, 1)))]
#[case("has", 9, 2, DrawRefused::Ahead)]
#[case("has", 100, 2, DrawRefused::Over)]
#[case("has", 50, 2, DrawRefused::Already(entry(0, 50, 1)))]
#[case("has", 51, 1, DrawRefused::Already(entry(0, 50, 1)))]
#[case("new", 50, 1, DrawRefused::Full)]
fn refusals_come_in_their_order(
    #[case] member: &str,
    #[case] ms: i64,
    #[case] nonce: u64,
    #[case] expected: DrawRefused,
) {
    let mut bucket = bucket(1, Worth::Each(5));
    assert_eq!(bucket.draw(&draw("has", 50, 1)), Ok(entry(0, 50, 1)));
    assert_eq!(bucket.decide(&draw(member, ms, nonce)), Err(expected));
}

#[test]
fn a_member_has_one_entry() {
    let mut bucket = bucket(16, Worth::Each(5));
    let first = bucket.draw(&draw("m", 50, 1)).unwrap();
    for nonce in 2..1_000 {
        let again = bucket.draw(&draw("m", 60, nonce));
        assert_eq!(again, Err(DrawRefused::Already(first)));
    }
    assert_eq!((bucket.taken, bucket.draws.len()), (1, 1));
}

#[test]
fn a_bucket_that_waits_for_its_shuffle_gives_nothing_and_is_not_closed() {
    let mut bucket = Bucket { status: BucketStatus::Awaiting, ..bucket(4, Worth::Each(5)) };
    assert_eq!(bucket.check(), Ok(()));
    assert_eq!(bucket.draw(&draw("m", 50, 1)), Err(DrawRefused::Ahead));
    assert_eq!(bucket.close(at(100)), Err(CloseRefused::Awaiting));
    // The shuffle opens it with its entries: an entry before that is none of a draw.
    bucket.draws.insert(user("m"), entry(0, 50, 1));
    bucket.taken = 1;
    assert_eq!(bucket.impossible_entries(), BTreeSet::from([user("m")]));
    bucket.status = BucketStatus::Open;
    assert_eq!(bucket.check(), Ok(()));
    assert_eq!(bucket.close(at(100)), Ok(15));
}

#[test]
fn a_closed_bucket_gives_nothing() {
    let mut bucket = bucket(4, Worth::Listed(vec![1, 2, 3, 4]));
    bucket.draw(&draw("m", 50, 1)).unwrap();
    assert_eq!(bucket.close(at(99)), Err(CloseRefused::StillOpen));
    assert_eq!(bucket.close(at(100)), Ok(9));
    assert_eq!(bucket.close(at(100)), Err(CloseRefused::Closed));
    // A clock that is behind changes nothing.
    assert_eq!(bucket.draw(&draw("n", 50, 1)), Err(DrawRefused::Over));
    assert_eq!(bucket.decide(&draw("m", 50, 1)), Err(DrawRefused::Repeated(entry(0, 50, 1))));
}

#[test]
fn a_bucket_says_all_that_a_payment_needs() {
    let bucket = bucket(3, Worth::Listed(vec![1, 2, 3]));
    let grant = bucket.grant(&user("m"), entry(2, 50, 1)).unwrap();
    assert_eq!(grant.id, GrantId::of_draw(&bucket.id.pool, &user("m"), at(50)));
    assert_eq!((grant.amount.get(), grant.reason), (3, Reason::Share));
    assert_eq!((grant.source, grant.funder), (bucket.id.pool, user("funder")));
    assert_eq!(bucket.grant(&user("m"), entry(3, 50, 1)), None);
    assert_eq!(bucket.part(2), 50);
    let place = Bucket { kind: PoolKind::Place, worth: Worth::Each(0), ..bucket };
    assert_eq!(place.grant(&user("m"), entry(0, 50, 1)), None);
}

#[test]
fn an_entry_that_cannot_be_is_found() {
    type Plant = fn(&mut Bucket);
    let mut sound = bucket(3, Worth::Each(5));
    sound.draw(&draw("a", 50, 1)).unwrap();
    sound.draw(&draw("b", 51, 2)).unwrap();
    assert_eq!(sound.check(), Ok(()));
    let entries: [(Entry, &[&str]); 5] = [
        (entry(0, 51, 2), &["a", "b"]),
        (entry(2, 51, 2), &["b"]),
        (entry(15, 51, 2), &["b"]),
        (entry(1, 9, 2), &["b"]),
        (entry(1, 100, 2), &["b"]),
    ];
    for (planted, members) in entries {
        let mut bucket = sound.clone();
        bucket.draws.insert(user("b"), planted);
        let members: BTreeSet<UserId> = members.iter().map(user).collect();
        assert_eq!(bucket.check(), Err(BucketError::Entries { members }));
    }
    let mut unreadable = sound.clone();
    let entry = unreadable.draws.remove(&user("b"));
    assert!(entry.is_some() && unreadable.unreadable.insert(user("b")));
    let members = [user("b")].into();
    assert_eq!(unreadable.check(), Err(BucketError::Entries { members }));
    let counts: [Plant; 4] = [
        |b| b.taken = 1,
        |b| b.taken = 3,
        |b| b.size = 1,
        |b| b.draws.retain(|member, _| *member != user("a")),
    ];
    for plant in counts {
        let mut bucket = sound.clone();
        plant(&mut bucket);
        assert!(matches!(bucket.check(), Err(BucketError::Taken { .. })));
    }
}

#[test]
fn a_kind_is_read_back_by_its_name() {
    for kind in PoolKind::ALL {
        assert_eq!(PoolKind::from_name(kind.as_str()), Some(kind));
    }
    assert_eq!(PoolKind::from_name("Share"), None);
}

#[rstest]
#[case(1, 1)]
#[case(16, 1)]
#[case(17, 2)]
#[case(1_000, 63)]
fn parts_fill_buckets_of_sixteen(#[case] parts: u32, #[case] buckets: u32) {
    assert_eq!(bucket_count(parts), buckets);
}
