//! Random sequences of claims over pools of several buckets: the members' walks, full buckets, the
//! end of the window and the payments together keep the promises of a pool.
//!
//! The model checker (`tests/model`) visits every order of a small pool. Here the pools have the
//! real bucket size, the real walk and up to 80 parts, in random orders.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::collections::{BTreeMap, BTreeSet};

use largesse_domain::audit::{Books, audit};
use largesse_domain::id::{Token, UserId};
use largesse_domain::ledger::{TransferKind, TransferOrder, Wallet};
use largesse_domain::pool::{Bucket, BucketStatus, Draw, DrawRefused, Entry, Nonce, Walk};
use largesse_domain::split::{Seed, Split};
use largesse_domain::spray::{Spray, Terms};
use largesse_domain::time::Timestamp;
use proptest::prelude::*;

fn user(member: usize) -> UserId {
    format!("member-{member}").parse().unwrap()
}

fn opens() -> Timestamp {
    Timestamp::from_ms(1_000)
}

fn closes() -> Timestamp {
    opens().plus_ms(10_000)
}

fn spray(parts: u64, spare: u64) -> Spray {
    let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    let room = "01ARZ3NDEKTSV4RRFFQ69G5FAW".parse().unwrap();
    let terms = Terms::new(parts + spare, parts, Split::Random, 10).unwrap();
    let sender = "sender".parse().unwrap();
    Spray::new(id, Token::from_index(0), room, sender, &terms, Seed([7; 32]), opens())
}

/// What a claim is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Won(u64),
    Already(u64),
    SoldOut,
    WindowOver,
}

/// One request, as far as it has come.
#[derive(Clone, Debug)]
struct Claim {
    draw: Draw,
    walk: Walk,
    bucket: Option<u32>,
}

/// The store, and the cache of full buckets of one process.
struct World {
    spray: Spray,
    buckets: Vec<Bucket>,
    cache: BTreeMap<u32, Bucket>,
    /// How many requests there were: each has a nonce of its own.
    requests: u64,
}

impl World {
    fn new(parts: u64, spare: u64) -> Self {
        let spray = spray(parts, spare);
        Self { buckets: spray.buckets(), spray, cache: BTreeMap::new(), requests: 0 }
    }

    fn claim(&mut self, member: usize, at: Timestamp) -> Claim {
        let member = user(member);
        let count = u32::try_from(self.buckets.len()).unwrap();
        let mut walk = Walk::new(&self.spray.pool(), &member, count);
        let bucket = walk.next();
        self.requests += 1;
        let nonce = Nonce::from_bits(self.requests);
        Claim { draw: Draw { member, at, nonce }, walk, bucket }
    }

    /// One step of a claim: a bucket of the cache, or one write.
    fn step(&mut self, claim: &mut Claim, uses_cache: bool) -> Option<Answer> {
        let Some(number) = claim.bucket else { return Some(Answer::SoldOut) };
        if let Some(full) = self.cache.get(&number).filter(|_| uses_cache) {
            let entry = full.draws.get(&claim.draw.member);
            claim.bucket = claim.walk.next();
            return entry.map(|entry| Answer::Already(full.part(entry.index)));
        }
        let bucket = &mut self.buckets[number as usize];
        match bucket.draw(&claim.draw) {
            Ok(entry) | Err(DrawRefused::Repeated(entry)) => {
                Some(Answer::Won(bucket.part(entry.index)))
            }
            Err(DrawRefused::Already(entry)) => Some(Answer::Already(bucket.part(entry.index))),
            Err(DrawRefused::Ahead | DrawRefused::Over) => Some(Answer::WindowOver),
            Err(DrawRefused::Full) => {
                self.cache.insert(number, bucket.clone());
                claim.bucket = claim.walk.next();
                None
            }
        }
    }

    fn run(&mut self, mut claim: Claim, uses_cache: bool) -> Answer {
        loop {
            if let Some(answer) = self.step(&mut claim, uses_cache) {
                return answer;
            }
        }
    }

    fn entries(&self) -> impl Iterator<Item = (&Bucket, &UserId, Entry)> {
        self.buckets.iter().flat_map(|b| b.draws.iter().map(move |(m, entry)| (b, m, *entry)))
    }

    /// The member's part; fails if there are two.
    fn part_of(&self, member: &UserId) -> Option<u64> {
        let mut parts = self.entries().filter(|(_, of, _)| *of == member);
        let part = parts.next().map(|(bucket, _, entry)| bucket.part(entry.index));
        assert_eq!(parts.count(), 0, "{member} has two entries");
        part
    }

    fn left(&self) -> u32 {
        self.buckets.iter().map(|bucket| bucket.size - bucket.taken).sum()
    }

    /// Fails unless the answer is true.
    fn check(&self, claim: &Claim, answer: Answer) {
        let part = self.part_of(&claim.draw.member);
        match answer {
            Answer::Won(won) | Answer::Already(won) => assert_eq!(part, Some(won)),
            Answer::SoldOut => assert_eq!((part, self.left()), (None, 0)),
            Answer::WindowOver => {
                let is_own = |entry: Entry| entry.nonce == claim.draw.nonce;
                assert!(!self.entries().any(|(_, _, entry)| is_own(entry)));
            }
        }
    }
}

/// What happens next to one of two requests of a member.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// It begins, or takes its next step.
    Step,
    /// It takes its next step, the reply is lost, and the SDK repeats the write.
    Repeat,
    /// Its process is killed.
    Kill,
}

fn events() -> impl Strategy<Value = Vec<(usize, usize, Event, bool)>> {
    let event =
        prop_oneof![6 => Just(Event::Step), 2 => Just(Event::Repeat), 1 => Just(Event::Kill)];
    proptest::collection::vec((0..100_usize, 0..2_usize, event, any::<bool>()), 0..400)
}

/// Runs the events; every answer is checked.
fn play(world: &mut World, events: &[(usize, usize, Event, bool)]) {
    let mut claims: BTreeMap<(usize, usize), Claim> = BTreeMap::new();
    for (member, place, event, uses_cache) in events {
        let key = (*member, *place);
        if matches!(event, Event::Kill) {
            claims.remove(&key);
            continue;
        }
        let begun = claims.remove(&key);
        // All requests of a member carry the same time: the nonce alone tells them apart.
        let mut claim = begun.unwrap_or_else(|| world.claim(*member, opens()));
        let before = claim.clone();
        let mut answer = world.step(&mut claim, *uses_cache);
        if matches!(event, Event::Repeat) && matches!(answer, Some(Answer::Won(_))) {
            claim = before;
            let repeated = world.step(&mut claim, false);
            assert_eq!(repeated, answer);
            answer = repeated;
        }
        match answer {
            Some(answer) => world.check(&claim, answer),
            None => drop(claims.insert(key, claim)),
        }
    }
    for (_, claim) in claims {
        let answer = world.run(claim.clone(), true);
        world.check(&claim, answer);
    }
}

proptest! {
    #[test]
    fn a_member_draws_once_from_many_buckets(parts in 1..80_u64, events in events()) {
        let mut world = World::new(parts, 500);
        play(&mut world, &events);
        let members: BTreeSet<&UserId> = world.entries().map(|(_, member, _)| member).collect();
        prop_assert_eq!(members.len(), world.entries().count());
        let numbers: BTreeSet<u64> = world.entries().map(|(b, _, e)| b.part(e.index)).collect();
        prop_assert_eq!(numbers.len(), members.len());
        prop_assert!(numbers.iter().all(|number| *number < parts));
    }

    #[test]
    fn a_part_that_is_left_is_drawn_by_the_next_member(
        parts in 1..80_u64, events in events(), newcomers in 0..100_usize,
    ) {
        let mut world = World::new(parts, 0);
        play(&mut world, &events);
        for member in 100..100 + newcomers {
            let left = world.left();
            let claim = world.claim(member, opens());
            let answer = world.run(claim, member % 2 == 0);
            prop_assert_eq!(matches!(answer, Answer::Won(_)), left > 0);
            prop_assert_eq!(answer == Answer::SoldOut, left == 0);
        }
    }

    #[test]
    fn a_full_bucket_keeps_its_entries(
        parts in 1..80_u64, first in events(), second in events(),
    ) {
        let mut world = World::new(parts, 0);
        play(&mut world, &first);
        let full: Vec<Bucket> = world.buckets.iter().filter(|b| b.is_full()).cloned().collect();
        play(&mut world, &second);
        for bucket in full {
            prop_assert_eq!(&world.buckets[bucket.id.number as usize], &bucket);
        }
    }

    #[test]
    fn the_books_are_sound_whatever_is_drawn_paid_voided_and_refunded(
        parts in 1..80_u64,
        spare in 0..1_000_u64,
        events in events(),
        fates in proptest::collection::vec(0..3_u8, 100),
        is_refunded in any::<bool>(),
    ) {
        let mut world = World::new(parts, spare);
        play(&mut world, &events);
        let mut books = Books::default();
        let sender = world.spray.sender.clone();
        let mut wallets = BTreeMap::from([(sender.clone(), Wallet::empty(sender))]);
        let mut post = |books: &mut Books, order: TransferOrder| {
            let user = order.wallet.clone();
            let wallet = wallets.entry(user.clone()).or_insert_with(|| Wallet::empty(user));
            let transfer = wallet.post(order).unwrap();
            *wallet = wallet.after(&transfer);
            books.transfers.push(transfer);
        };
        for (id, kind) in [("1", TransferKind::Deposit), ("2", TransferKind::Spray)] {
            post(&mut books, TransferOrder {
                id: format!("01ARZ3NDEKTSV4RRFFQ69G5FA{id}").parse().unwrap(),
                wallet: world.spray.sender.clone(),
                kind,
                amount: world.spray.amount,
                at: opens(),
                pool: (kind == TransferKind::Spray).then(|| world.spray.pool()),
                counterpart: None,
                memo: None,
            });
        }
        if is_refunded {
            let remainders = world.buckets.iter_mut().map(|b| b.close(closes()).unwrap());
            if let Some(order) = world.spray.refund_order(remainders.sum()) {
                post(&mut books, order);
            }
            prop_assert!(world.buckets.iter().all(|b| b.status == BucketStatus::Closed));
        }
        let mut unpaid = 0;
        for ((bucket, member, entry), fate) in world.entries().zip(fates) {
            let grant = bucket.grant(member, entry).unwrap();
            match fate {
                0 => post(&mut books, grant.payment()),
                1 => {
                    books.voided.insert(grant.id.transfer());
                    post(&mut books, grant.void_return());
                }
                _ => unpaid += 1,
            }
        }
        books.buckets = world.buckets.clone();
        books.wallets = wallets.into_values().collect();
        prop_assert!(audit(&books).is_ok(), "{:?}", audit(&books));
        prop_assert_eq!(books.unpaid().len(), unpaid);
        // A claim that comes after the refund draws nothing, whatever its clock says.
        for at in [opens(), closes()].into_iter().filter(|_| is_refunded) {
            let claim = world.claim(200, at);
            let answer = world.run(claim, false);
            prop_assert_eq!(answer, Answer::WindowOver);
        }
    }
}
