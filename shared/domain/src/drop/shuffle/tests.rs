use super::*;
use crate::drop::{DropName, WaitingList};
use crate::id::{DropId, Ulid};
use crate::pool::{BUCKET_PARTS, bucket_count};
use proptest::prelude::*;
use rstest::rstest;
use std::collections::BTreeMap;

fn terms(slots: u64, waiting: u64) -> Terms {
    let at = Timestamp::from_ms;
    let window = Window { opens: at(10_000), closes: at(70_000) };
    Terms::new(DropName::new("d").unwrap(), slots, 5, window, Some(waiting)).unwrap()
}

/// A drop that begins with ten seconds of lots.
fn drop_of(slots: u64, waiting: u64, seed: [u8; 32]) -> Drop {
    let terms = terms(slots, waiting).with_shuffle(10).unwrap();
    Drop::new(DropId(Ulid::from_parts(7, 7)), "f".parse().unwrap(), terms, || Seed(seed))
}

fn members(count: u32) -> Vec<UserId> {
    (0..count).map(|n| format!("m{n}").parse().unwrap()).collect()
}

fn names(members: &[UserId]) -> Vec<&str> {
    members.iter().map(UserId::as_str).collect()
}

/// The drop of these tests is open for a minute.
#[rstest]
#[case(0, false)]
#[case(1, true)]
#[case(59, true)]
#[case(60, false)]
#[case(3_600, false)]
#[case(u64::MAX, false)]
fn a_shuffle_ends_before_its_drop(#[case] seconds: u64, #[case] fits: bool) {
    assert_eq!(terms(1, 0).with_shuffle(seconds).is_ok(), fits);
}

#[rstest]
#[case(3_600, true)]
#[case(3_601, false)]
fn a_shuffle_takes_an_hour_at_most(#[case] seconds: u64, #[case] fits: bool) {
    let window = Window { opens: Timestamp::from_ms(0), closes: Timestamp::from_ms(86_400_000) };
    let terms = Terms::new(DropName::new("d").unwrap(), 1, 1, window, None).unwrap();
    assert_eq!(terms.with_shuffle(seconds).is_ok(), fits);
}

#[rstest]
#[case(1, 1_000)]
#[case(10, 1_000)]
#[case(11, 1_100)]
#[case(2_000, 200_000)]
#[case(100_000, 200_000)]
fn a_drop_has_a_hundred_lots_a_slot_within_limits(#[case] slots: u64, #[case] lots: u32) {
    assert_eq!(drop_of(slots, 0, [0; 32]).lots_max(), lots);
}

#[test]
fn slots_and_places_wait_for_the_shuffle_and_lots_are_taken_before_it() {
    let drop = drop_of(20, 5, [0; 32]);
    let (opens, drawn) = (Timestamp::from_ms(10_000), Timestamp::from_ms(20_000));
    let windows = |drop: &Drop| (drop.shuffling(), drop.giving());
    let lots = Window { opens, closes: drawn };
    let giving = Window { opens: drawn, closes: drop.window.closes };
    assert_eq!(windows(&drop), (Some(lots), giving));
    for bucket in drop.buckets() {
        let (status, window) = match bucket.kind {
            PoolKind::Lot => (BucketStatus::Open, lots),
            _ => (BucketStatus::Awaiting, giving),
        };
        assert_eq!((bucket.status, bucket.window), (status, window), "{:?}", bucket.id);
        assert_eq!(bucket.check(), Ok(()));
    }
    let put_in: u64 = drop.buckets().iter().map(Bucket::put_in).sum();
    assert_eq!(put_in, drop.funding_order().unwrap().amount.get());
    let plain = Drop { shuffle: None, ..drop };
    assert_eq!((windows(&plain), plain.lots_max()), ((None, plain.window), 0));
    assert_eq!(plain.shuffled(members(3)), None);
    assert!(plain.buckets().iter().all(|bucket| bucket.status == BucketStatus::Open));
}

/// The order was computed by another program.
#[test]
fn the_ranks_of_lots_are_recomputed_from_the_seed() {
    let drop = drop_of(1, 0, [7; 32]);
    let given = ["ann", "bob", "eve", "fay", "gus", "hal"].map(|name| name.parse().unwrap());
    let expected = ["bob", "gus", "ann", "fay", "hal", "eve"];
    assert_eq!(names(&drop.ranked(&Seed([7; 32]), given.clone())), expected);
    // In whatever order they come, and however often.
    let again = given.iter().rev().chain(&given).cloned();
    assert_eq!(names(&drop.ranked(&Seed([7; 32]), again)), expected);
}

#[test]
fn each_lot_has_the_same_chance_of_each_rank() {
    const LOTS: usize = 8;
    let drop = drop_of(1, 0, [0; 32]);
    let members = members(8);
    let mut counts = [[0_u32; LOTS]; LOTS];
    for n in 0..8_000_u32 {
        let seed = Seed(Sha256::digest(n.to_be_bytes()).into());
        for (rank, member) in drop.ranked(&seed, members.clone()).iter().enumerate() {
            let lot = members.iter().position(|other| other == member).unwrap();
            counts[lot][rank] += 1;
        }
    }
    // 1,000 each on average, 30 the standard deviation.
    let range = 880..=1_120;
    assert!(counts.iter().flatten().all(|count| range.contains(count)), "{counts:?}");
}

/// The number of the bucket in which each member would draw, one after the other.
fn led(pool: PoolId, parts: u32, taken: &mut BTreeMap<u32, u32>, member: &UserId) -> Option<u32> {
    let has_room = |number: &u32| {
        let size = parts.saturating_sub(number * BUCKET_PARTS).min(BUCKET_PARTS);
        taken.get(number).copied().unwrap_or(0) < size
    };
    let number = Walk::new(&pool, member, bucket_count(parts)).find(has_room)?;
    *taken.entry(number).or_default() += 1;
    Some(number)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_lot_is_placed_where_the_walk_of_its_member_leads(
        slots in 1..200_u64, of in 0..=100_u64, count in 0..400_u32, seed in any::<[u8; 32]>(),
    ) {
        let drop = drop_of(slots, slots * of / 100, seed);
        let Shuffled { slots, places } = drop.shuffled(members(count)).unwrap();
        let (mut slots_taken, mut places_taken) = (BTreeMap::new(), BTreeMap::new());
        for (rank, member) in drop.ranked(&Seed(seed), members(count)).iter().enumerate() {
            let nonce = Nonce::from_bits(u64::try_from(rank).unwrap());
            let stands = |buckets: &[Bucket]| {
                let has = |bucket: &&Bucket| bucket.draws.contains_key(member);
                let bucket = buckets.iter().find(has)?;
                let entry = bucket.draws[member];
                assert_eq!((entry.at, entry.nonce), (drop.giving().opens, nonce));
                Some(bucket.id.number)
            };
            let slot = led(drop.pool(), drop.slots, &mut slots_taken, member);
            prop_assert_eq!(stands(&slots), slot);
            let place = match slot {
                Some(_) => None,
                None => led(drop.list(), drop.waiting, &mut places_taken, member),
            };
            prop_assert_eq!(stands(&places), place);
        }
        for bucket in slots.iter().chain(&places) {
            prop_assert_eq!(bucket.check(), Ok(()));
            prop_assert_eq!(bucket.status, BucketStatus::Open);
        }
        // The list is served by rank.
        let list = WaitingList::of(&places);
        let nonces: Vec<u64> = list.candidates().map(|place| place.entry.nonce.get()).collect();
        prop_assert!(nonces.is_sorted(), "{:?}", nonces);
    }
}

#[test]
fn the_shuffle_of_all_lots_leaves_no_slot_and_no_place() {
    for (slots, waiting) in [(1, 1), (100, 100), (150, 15)] {
        let drop = drop_of(slots, waiting, [1; 32]);
        let Shuffled { slots, places } = drop.shuffled(members(drop.lots_max())).unwrap();
        assert!(slots.iter().chain(&places).all(Bucket::is_full), "{slots:?}");
    }
}
