//! The pool of the model: its members, its window, and buckets as the domain has them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use largesse_domain::id::{PoolId, RoomId, SprayId, Token, UserId};
use largesse_domain::pool::{Bucket, BucketId, BucketStatus, Entry, Nonce, PoolKind, Worth};
use largesse_domain::split::{Seed, Split};
use largesse_domain::spray::{Spray, Terms};
use largesse_domain::time::Timestamp;

use crate::state::{BUCKETS, BucketItem, ENDED, MEMBERS, PackedEntry, Part, Store, View};

/// Parts of each bucket; 0 where there is no such bucket.
pub(crate) type Sizes = [u8; BUCKETS];

static USERS: LazyLock<[UserId; MEMBERS]> =
    LazyLock::new(|| ["a", "b", "c"].map(|name| name.parse().expect("a user id")));
static SPRAY: LazyLock<Spray> = LazyLock::new(|| {
    let id = SprayId("01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().expect("a ULID"));
    let sender = "sender".parse().expect("a user id");
    // Only its id, its sender and its window matter here: the buckets are made below.
    let terms = Terms::new(1, 1, Split::Equal, 10).expect("the terms of a spray");
    let opens = Timestamp::from_ms(100);
    Spray::new(id, Token::from_index(0), RoomId(id.0), sender, &terms, Seed([0; 32]), opens)
});

/// The member's name.
pub(crate) fn user(member: usize) -> &'static UserId {
    &USERS[member]
}

/// The spray whose shares are drawn.
pub(crate) fn spray() -> &'static Spray {
    &SPRAY
}

/// The account that pays.
pub(crate) fn pool_id() -> PoolId {
    SPRAY.pool()
}

/// When a request draws, by the clock of its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Moment {
    /// Just before the window.
    Ahead,
    /// Inside the window; all requests of a member in the same millisecond.
    Inside,
    /// The first moment after the window.
    Over,
}

impl Moment {
    /// The moment as the domain has it.
    pub(crate) fn timestamp(self) -> Timestamp {
        match self {
            Self::Ahead => SPRAY.window.opens.minus_ms(1),
            Self::Inside => SPRAY.window.opens,
            Self::Over => SPRAY.window.closes,
        }
    }

    fn of(at: Timestamp) -> Self {
        let all = [Self::Ahead, Self::Inside, Self::Over];
        all.into_iter().find(|moment| moment.timestamp() == at).expect("a moment of the model")
    }
}

/// What a part is worth: each part another power of two, so that no two sums are the same.
pub(crate) fn worth(sizes: &Sizes, part: Part) -> u64 {
    let before: u8 = sizes[..usize::from(part.bucket)].iter().sum();
    1 << (before + part.index)
}

/// What was put into the pool.
pub(crate) fn put_in(sizes: &Sizes) -> u64 {
    (1 << sizes.iter().sum::<u8>()) - 1
}

/// The numbers of the buckets that there are.
pub(crate) fn numbers(sizes: &Sizes) -> impl Iterator<Item = usize> {
    (0..sizes.len()).filter(|number| sizes[*number] > 0)
}

impl PackedEntry {
    /// The entry as the domain has it.
    pub(crate) fn entry(self) -> Entry {
        let nonce = Nonce::from_bits(self.nonce.into());
        Entry { index: self.index.into(), at: self.at.timestamp(), nonce }
    }

    fn of(entry: Entry) -> Self {
        let (index, nonce) = (narrow(entry.index), narrow(entry.nonce.get()));
        Self { index, at: Moment::of(entry.at), nonce }
    }
}

/// A bucket of the store as the domain has it.
pub(crate) fn bucket(sizes: &Sizes, store: &Store, number: usize) -> Bucket {
    bucket_of(sizes, number, &store.buckets[number])
}

/// A full bucket of the cache as the domain has it. No request that still runs has drawn in it.
pub(crate) fn full_bucket(sizes: &Sizes, number: usize, view: &View) -> Bucket {
    let entry = |index| PackedEntry { index, at: Moment::Inside, nonce: ENDED };
    let entries = view.map(|index| index.map(entry));
    let taken = sizes[number];
    bucket_of(sizes, number, &BucketItem { is_open: true, is_indexed: false, taken, entries })
}

fn bucket_of(sizes: &Sizes, number: usize, item: &BucketItem) -> Bucket {
    let (number, size) = (narrow(number), sizes[number]);
    let worths = (0..size).map(|index| worth(sizes, Part { bucket: number, index }));
    let entries = item.entries.iter().zip(USERS.iter());
    let entries = entries.filter_map(|(entry, user)| entry.map(|e| (user.clone(), e.entry())));
    Bucket {
        id: BucketId { pool: pool_id(), number: number.into() },
        kind: PoolKind::Share,
        funder: SPRAY.sender.clone(),
        status: if item.is_open { BucketStatus::Open } else { BucketStatus::Closed },
        window: SPRAY.window,
        size: size.into(),
        worth: Worth::Listed(worths.collect()),
        taken: item.taken.into(),
        draws: entries.collect::<BTreeMap<_, _>>(),
        unreadable: BTreeSet::new(),
        promoted: BTreeMap::new(),
        counts: None,
    }
}

/// Lets the domain change a bucket of the store.
pub(crate) fn change<T>(
    sizes: &Sizes,
    store: &mut Store,
    number: usize,
    by: impl FnOnce(&mut Bucket) -> T,
) -> T {
    let mut bucket = bucket(sizes, store, number);
    let outcome = by(&mut bucket);
    let entry = |member| bucket.draws.get(user(member)).map(|entry| PackedEntry::of(*entry));
    store.buckets[number] = BucketItem {
        is_open: bucket.status == BucketStatus::Open,
        taken: narrow(bucket.taken),
        entries: std::array::from_fn(entry),
        ..store.buckets[number]
    };
    outcome
}

/// A number of the model, which is small.
pub(crate) fn narrow(number: impl TryInto<u8>) -> u8 {
    number.try_into().ok().expect("a number of the model is small")
}
