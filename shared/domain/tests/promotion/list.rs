//! The waiting list as the domain has it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use largesse_domain::drop::{Drop, DropName, Place, Terms, WaitingList};
use largesse_domain::id::{DropId, Ulid, UserId};
use largesse_domain::pool::{Bucket, Draw, Nonce};
use largesse_domain::time::{Timestamp, Window};

use crate::state::{MEMBERS, PLACES, Seen, WINNERS};

/// In which bucket of the list each place lies: the first who entered has the highest part.
pub(crate) const BUCKET_OF: [usize; PLACES] = [1, 0, 0];
/// Buckets of the list.
pub(crate) const BUCKETS: usize = 2;

static USERS: LazyLock<[UserId; MEMBERS]> =
    LazyLock::new(|| ["a", "b", "w", "x", "y"].map(|name| name.parse().expect("a user id")));

/// Twenty slots and twenty places: two buckets each. Two slots are taken here, since the others would
/// change nothing.
static DROP: LazyLock<Drop> = LazyLock::new(|| {
    let window = Window { opens: Timestamp::from_ms(100), closes: Timestamp::from_ms(9_000) };
    let name = DropName::new("d").expect("a name");
    let terms = Terms::new(name, 20, 8, window, Some(20)).expect("the terms of a drop");
    let id: Ulid = "01ARZ3NDEKTSV4RRFFQ69G5FAZ".parse().expect("a ULID");
    Drop::new(DropId(id), "funder".parse().expect("a user id"), terms, || panic!("it has no lots"))
});

/// The drop.
pub(crate) fn drop_of() -> &'static Drop {
    &DROP
}

/// The member's name.
pub(crate) fn user(member: usize) -> &'static UserId {
    &USERS[member]
}

/// A draw of a member: the places in the order of their numbers, a millisecond apart.
fn draw(member: usize) -> Draw {
    let at = Timestamp::from_ms(200).plus_ms(u64::try_from(member).expect("a small number"));
    Draw { member: user(member).clone(), at, nonce: Nonce::from_bits(1) }
}

/// The buckets of the slots, with the entries of the winners.
pub(crate) fn slot_buckets() -> Vec<Bucket> {
    let mut buckets = buckets_of(DROP.pool());
    for member in 0..WINNERS {
        buckets[0].draw(&draw(member)).expect("a slot is left");
    }
    buckets
}

fn buckets_of(pool: largesse_domain::id::PoolId) -> Vec<Bucket> {
    DROP.buckets().into_iter().filter(|bucket| bucket.id.pool == pool).collect()
}

/// The buckets of the list, with the places that are taken and the slots that were given to them.
pub(crate) fn list_buckets(places: [Option<Option<u64>>; PLACES]) -> Vec<Bucket> {
    let mut buckets = buckets_of(DROP.list());
    for (place, taken) in places.into_iter().enumerate() {
        let Some(slot) = taken else { continue };
        let bucket = &mut buckets[BUCKET_OF[place]];
        let member = WINNERS + place;
        bucket.draw(&draw(member)).expect("a place is left");
        if let Some(slot) = slot {
            bucket.promoted.insert(user(member).clone(), slot);
        }
    }
    buckets
}

/// The bucket that gives a slot to the member of a place.
pub(crate) fn promotion(buckets: &[Bucket], place: usize) -> Bucket {
    let list = WaitingList::of(buckets);
    let mine = |found: &&Place| found.member == *user(WINNERS + place);
    let place = list.promoted().chain(list.candidates()).find(mine).expect("the place is taken");
    DROP.promotion(place, Timestamp::from_ms(5_000))
}

/// The places that a list gives a slot to, one after the other, by what was read of it.
pub(crate) fn candidates(view: [Seen; PLACES]) -> &'static [usize] {
    type Orders = BTreeMap<[Seen; PLACES], Vec<usize>>;
    static ORDERS: LazyLock<Orders> = LazyLock::new(|| {
        let all = [Seen::Free, Seen::Waits, Seen::Promoted];
        let pairs = all.iter().flat_map(|a| all.iter().map(move |b| (*a, *b)));
        let views = pairs.flat_map(|(a, b)| all.iter().map(move |c| [a, b, *c]));
        views.map(|view| (view, order(view))).collect()
    });
    &ORDERS[&view]
}

fn order(view: [Seen; PLACES]) -> Vec<usize> {
    let taken = |seen| match seen {
        Seen::Free => None,
        Seen::Waits => Some(None),
        Seen::Promoted => Some(Some(0)),
    };
    let list = WaitingList::of(&list_buckets(view.map(taken)));
    let place = |found: &Place| {
        let member = USERS.iter().position(|user| *user == found.member);
        member.expect("a member of the model") - WINNERS
    };
    list.candidates().map(place).collect()
}
