use super::*;
use crate::pool::{Entry, Nonce};
use proptest::prelude::*;
use rstest::rstest;
use std::collections::BTreeSet;

fn window(opens: i64, closes: i64) -> Window {
    Window { opens: Timestamp::from_ms(opens), closes: Timestamp::from_ms(closes) }
}

fn terms(slots: u64, amount: u64, waiting: Option<u64>) -> Result<Terms, TermsError> {
    Terms::new(DropName::new("d").unwrap(), slots, amount, window(0, 60_000), waiting)
}

fn drop_of(slots: u64, waiting: u64) -> Drop {
    let id = DropId(Ulid::from_parts(7, 7));
    let terms = terms(slots, 5, Some(waiting)).unwrap();
    Drop::new(id, "f".parse().unwrap(), terms, || panic!("a drop without lots has no seed"))
}

#[rstest]
#[case(0, 1, None, Err(TermsError::Slots))]
#[case(100_001, 1, None, Err(TermsError::Slots))]
#[case(1, 0, None, Err(TermsError::Amount(MoneyError::Zero)))]
#[case(2, 500_000_000_001, None, Err(TermsError::Total))]
#[case(2, 500_000_000_000, None, Ok(0))]
#[case(100_000, 1, None, Ok(10_000))]
#[case(5, 1, Some(5), Ok(5))]
#[case(5, 1, Some(6), Err(TermsError::Waiting))]
#[case(5, 1, Some(u64::MAX), Err(TermsError::Waiting))]
fn a_drop_keeps_its_limits(
    #[case] slots: u64,
    #[case] amount: u64,
    #[case] waiting: Option<u64>,
    #[case] expected: Result<u32, TermsError>,
) {
    assert_eq!(terms(slots, amount, waiting).map(|terms| terms.waiting), expected);
}

#[rstest]
#[case(0, 999, false)]
#[case(0, 1_000, true)]
#[case(5, 4, false)]
#[case(0, 31_622_400_000, true)]
#[case(0, 31_622_400_001, false)]
fn a_drop_is_open_for_a_second_to_a_year(
    #[case] opens: i64,
    #[case] closes: i64,
    #[case] fits: bool,
) {
    let name = DropName::new("d").unwrap();
    assert_eq!(Terms::new(name, 1, 1, window(opens, closes), None).is_ok(), fits);
}

proptest! {
    #[test]
    fn the_buckets_hold_every_slot_and_place_once(slots in 1..400_u64, of in 0..=100_u64) {
        let places = slots * of / 100;
        let drop = drop_of(slots, places);
        let buckets = drop.buckets();
        let ids: BTreeSet<BucketId> = buckets.iter().map(|bucket| bucket.id).collect();
        prop_assert_eq!(ids.len(), buckets.len());
        for (pool, parts) in [(drop.pool(), slots), (drop.list(), places)] {
            let of_pool = || buckets.iter().filter(|bucket| bucket.id.pool == pool);
            let numbers = of_pool().flat_map(|b| (0..b.size).map(|index| b.part(index)));
            prop_assert_eq!(numbers.collect::<Vec<_>>(), (0..parts).collect::<Vec<_>>());
        }
        let put_in: u64 = buckets.iter().map(Bucket::put_in).sum();
        prop_assert_eq!(put_in, drop.funding_order().unwrap().amount.get());
        // The buckets of promotions lie behind those of the slots, one for each place.
        let place = |part| Place {
            member: "m".parse().unwrap(),
            entry: Entry { index: 0, at: Timestamp::from_ms(1), nonce: Nonce::from_bits(1) },
            part,
            slot: None,
        };
        let promotions: BTreeSet<BucketId> =
            (0..places).map(|part| drop.promotion(&place(part), Timestamp::from_ms(9)).id).collect();
        prop_assert_eq!(promotions.len() as u64, places);
        prop_assert!(promotions.is_disjoint(&ids));
    }
}

#[test]
fn a_promotion_is_a_bucket_that_its_own_entry_has_filled() {
    let entry = Entry { index: 3, at: Timestamp::from_ms(1), nonce: Nonce::from_bits(2) };
    let place = Place { member: "m".parse().unwrap(), entry, part: 3, slot: None };
    let bucket = drop_of(20, 5).promotion(&place, Timestamp::from_ms(70_000));
    assert_eq!(bucket.check(), Ok(()));
    assert!(bucket.is_full());
    let grant = bucket.grant(&place.member, bucket.draws[&place.member]).unwrap();
    assert_eq!((grant.amount.get(), grant.source), (5, drop_of(20, 5).pool()));
}

#[test]
fn the_remainder_is_returned_under_one_id() {
    let drop = drop_of(20, 0);
    let order = drop.refund_order(5).unwrap();
    assert_eq!(order, drop.refund_order(5).unwrap());
    // A run that read another remainder returns under the same id, so only one of the two can.
    let other = drop.refund_order(6).unwrap();
    assert_eq!((other.id, other.amount.get()), (order.id, 6));
    assert_ne!(order.id, drop.funding_order().unwrap().id);
    assert_eq!((order.wallet.as_str(), order.kind), ("f", TransferKind::Refund));
    assert_eq!(drop.refund_order(0), None);
}

#[test]
fn a_list_is_ordered_by_the_time_of_entry() {
    let drop = drop_of(40, 40);
    let mut buckets = drop.buckets();
    buckets.retain(|bucket| bucket.id.pool == drop.list());
    // Two buckets, whose entries come in turn; the last two in the same millisecond. There the
    // nonce decides, and not the place: that of `e` has the lower number.
    for (number, member, ms, nonce) in
        [(1, "a", 10, 9), (0, "b", 20, 9), (1, "c", 30, 9), (1, "d", 40, 1), (0, "e", 40, 2)]
    {
        let (member, at) = (member.parse().unwrap(), Timestamp::from_ms(ms));
        let nonce = Nonce::from_bits(nonce);
        buckets[number].draw(&crate::pool::Draw { member, at, nonce }).unwrap();
    }
    let names = |list: &WaitingList| {
        let names = list.candidates().map(|place| place.member.to_string());
        names.collect::<Vec<_>>()
    };
    let list = WaitingList::of(&buckets);
    assert_eq!((names(&list).join(""), list.waiting()), ("abcde".to_owned(), 5));
    buckets[0].promoted.insert("b".parse().unwrap(), 7);
    let list = WaitingList::of(&buckets);
    assert_eq!((names(&list).join(""), list.waiting()), ("acde".to_owned(), 4));
    let standing = |name: &str| list.standing(&name.parse().unwrap());
    assert_eq!(standing("a"), Some(Listed::Waiting { position: 1 }));
    assert_eq!(standing("b"), Some(Listed::Promoted { slot: 7 }));
    assert_eq!(standing("c"), Some(Listed::Waiting { position: 2 }));
    assert_eq!(standing("x"), None);
    let entry =
        |ms, nonce| Entry { index: 0, at: Timestamp::from_ms(ms), nonce: Nonce::from_bits(nonce) };
    assert_eq!([list.position(entry(5, 9), 0), list.position(entry(40, 3), 0)], [1, 5]);
    // Before both, behind the first, and of the nonce of `e` before its place and behind it.
    let positions = [(0, 99), (1, 99), (2, 0), (2, 99)]
        .map(|(nonce, part)| list.position(entry(40, nonce), part));
    assert_eq!(positions, [3, 4, 4, 5]);
}
