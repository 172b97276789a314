//! What is remembered: by the store, and by each process until it is killed.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use largesse_domain::id::{PoolId, UserId};
use largesse_domain::money::Amount;
use largesse_domain::pool::{Attempt, Drawn, Numbers, Pool, PoolStatus, Supply};
use largesse_domain::split::{Seed, Split};
use largesse_domain::time::{Timestamp, Window};
use stateright::Representative;

/// Members of the room.
pub(crate) const PEOPLE: usize = 3;
/// Requests of one member, at the same time if they like.
pub(crate) const CALLS: usize = 2;
/// Shares: fewer than members, so that somebody comes too late.
pub(crate) const SHARES: u32 = 2;
/// Runs of the refund, at the same time.
pub(crate) const REFUNDS: usize = 2;
/// What is sprayed. The shares are 2 and 1, so that none is mistaken for the other.
pub(crate) const PUT_IN: u64 = 3;

/// Room for released numbers: more than a right protocol releases, so that a wrong one is seen.
const FREE_LEN_MAX: usize = 4;

static USERS: LazyLock<[UserId; PEOPLE]> =
    LazyLock::new(|| ["a", "b", "c"].map(|name| name.parse().expect("a user id")));
static POOL_ID: LazyLock<PoolId> =
    LazyLock::new(|| "SPRAY#01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().expect("a pool's name"));
static WORTHS: LazyLock<Vec<u64>> = LazyLock::new(|| {
    let supply = Head::NEW.pool().supply;
    (0..u64::from(SHARES)).filter_map(|part| supply.worth(part)).map(Amount::get).collect()
});

/// The member's name.
pub(crate) fn user(member: usize) -> &'static UserId {
    &USERS[member]
}

/// Who sprayed; and, where it matters, somebody who has not drawn.
pub(crate) fn sender() -> UserId {
    "sender".parse().expect("a user id")
}

/// What a share is worth.
pub(crate) fn worth(drawn: Drawn) -> u64 {
    usize::try_from(drawn.part).ok().and_then(|part| WORTHS.get(part)).copied().unwrap_or(0)
}

/// The first moment of the window.
pub(crate) fn opens() -> Timestamp {
    Timestamp::from_ms(100)
}

/// The first moment after it.
pub(crate) fn closes() -> Timestamp {
    Timestamp::from_ms(200)
}

/// The attempt that a member's request makes, however often it is repeated.
pub(crate) fn attempt(call: usize) -> Attempt {
    Attempt::from_bits(call as u64)
}

/// When an attempt is decided: each at its own moment, so that each would make a grant of its own
/// id; a repeat at the same moment, so that it is as hard to tell from the first as can be.
pub(crate) fn decided_at(attempt: Attempt) -> Timestamp {
    opens().plus_ms(attempt.get())
}

/// The request that makes an attempt.
pub(crate) fn call_of(attempt: Attempt) -> usize {
    usize::try_from(attempt.get()).expect("an attempt of the model")
}

/// Of the head what ever changes, packed. [`Head::pool`] is the domain's pool, which decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Head {
    /// Nothing went back yet.
    pub(crate) is_open: bool,
    /// Each member's note.
    pub(crate) notes: [Option<Drawn>; PEOPLE],
    taken: u32,
    free: [Option<u32>; FREE_LEN_MAX],
}

impl Head {
    /// The head of a new spray.
    const NEW: Self =
        Self { is_open: true, notes: [None; PEOPLE], taken: 0, free: [None; FREE_LEN_MAX] };

    /// The pool that this is the head of.
    pub(crate) fn pool(&self) -> Pool {
        let notes = self.notes.iter().zip(USERS.iter());
        let notes = notes.filter_map(|(note, user)| note.map(|note| (user.clone(), note)));
        Pool {
            id: *POOL_ID,
            status: if self.is_open { PoolStatus::Open } else { PoolStatus::Closed },
            window: Window { opens: opens(), closes: closes() },
            supply: Supply::Shares {
                split: Split::Equal,
                seed: Seed([0; 32]),
                amount: Amount::new(PUT_IN).expect("an amount"),
                numbers: self.numbers(),
            },
            pending: notes.collect::<BTreeMap<_, _>>(),
        }
    }

    /// Lets the domain change the pool.
    pub(crate) fn change<T>(&mut self, by: impl FnOnce(&mut Pool) -> T) -> T {
        let mut pool = self.pool();
        let outcome = by(&mut pool);
        let Supply::Shares { numbers, .. } = &pool.supply else {
            unreachable!("the model's pool has shares")
        };
        assert!(numbers.free.len() <= FREE_LEN_MAX, "too many numbers were released");
        *self = Self {
            is_open: pool.status == PoolStatus::Open,
            notes: std::array::from_fn(|member| pool.pending.get(user(member)).copied()),
            taken: numbers.taken,
            free: std::array::from_fn(|i| numbers.free.get(i).copied()),
        };
        outcome
    }

    /// Whether nothing stands in `free`.
    pub(crate) fn has_no_free(&self) -> bool {
        self.free == [None; FREE_LEN_MAX]
    }

    /// The numbers that are out, in order.
    pub(crate) fn out(&self) -> Vec<u64> {
        self.numbers().out().map(u64::from).collect()
    }

    fn numbers(&self) -> Numbers {
        let free = self.free.iter().flatten().copied().collect();
        Numbers { total: SHARES, taken: self.taken, free }
    }

    /// As much of it as names nobody.
    fn nameless(self) -> impl Ord {
        let mut parts = self.notes.map(|note| note.map(|note| note.part));
        parts.sort_unstable();
        (self.taken, self.free, parts)
    }

    /// What the refund's condition compares: notes, numbers out, numbers given back.
    pub(crate) fn is_as(&self, read: &Self) -> bool {
        Self { is_open: read.is_open, ..*self } == *read
    }
}

/// What a member is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Answer {
    /// This share is yours.
    Won(u64),
    /// You have claimed this share with another request.
    Already(u64),
    /// All shares are taken.
    Exhausted,
    /// The window is over.
    Over,
}

/// How far the process is that serves one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Call {
    /// The member never asks (again): for smaller instances.
    Never,
    /// Not begun; or killed, or answered with an answer that may be lost: it may be repeated from
    /// the start, under the same attempt.
    Idle,
    /// It has read that the member has no record.
    Unrecorded,
    /// It drew; or found this note of the member, which another request of theirs may have left.
    Drawn(Drawn),
    /// The member's record is of another draw, the second: the first is to be given back.
    Raced(Drawn, Drawn),
    /// It found nothing left, and is to look once more whether the member has a record.
    Empty,
    /// It was refused since the window is over, and is to look whether it drew all the same: its
    /// first answer may have been lost.
    Late,
    /// It has given an answer that is not, or not yet, borne out by the store.
    Told(Answer),
}

/// What there is of one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Member {
    /// Their record: the grant, by what was drawn.
    pub(crate) record: Option<Drawn>,
    /// What was moved into their wallet, by the attempt that names the grant's id.
    pub(crate) paid: [u64; CALLS],
    /// Their requests.
    pub(crate) calls: [Call; CALLS],
}

/// Everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// The head of the spray.
    pub(crate) head: Head,
    /// The members, with their rows of the other tables.
    pub(crate) members: [Member; PEOPLE],
    /// The refunds that run, each with the head as it read it.
    pub(crate) refunds: [Option<Head>; REFUNDS],
    /// What went back to the sender, in all.
    pub(crate) returned: u64,
    /// How often something, or nothing, went back.
    pub(crate) refunds_done: u8,
    /// Whether the token's entry says that it is refunded.
    pub(crate) is_token_refunded: bool,
    /// Whether the window is over, by clocks that go right.
    pub(crate) is_over: bool,
}

impl State {
    /// A new spray, in a room of so many members.
    pub(crate) fn new(people: usize) -> Self {
        let member = |member| {
            let call = if member < people { Call::Idle } else { Call::Never };
            Member { record: None, paid: [0; CALLS], calls: [call; CALLS] }
        };
        Self {
            head: Head::NEW,
            members: std::array::from_fn(member),
            refunds: [None; REFUNDS],
            returned: 0,
            refunds_done: 0,
            is_token_refunded: false,
            is_over: false,
        }
    }

    /// Now, by clocks that go right.
    pub(crate) fn now(&self) -> Timestamp {
        if self.is_over { closes() } else { opens() }
    }
}

/// A member with all that hangs on them: their note on the head, and on each head that was read.
type Row = (Member, [Option<Drawn>; 1 + REFUNDS]);

/// The same row with the names of the two attempts exchanged.
fn exchanged((member, notes): Row) -> Row {
    let rename = |drawn: Drawn| {
        let attempt = attempt(CALLS - 1 - call_of(drawn.attempt));
        Drawn { part: drawn.part, at: decided_at(attempt), attempt }
    };
    let rename_in = |call| match call {
        Call::Drawn(drawn) => Call::Drawn(rename(drawn)),
        Call::Raced(drawn, earlier) => Call::Raced(rename(drawn), rename(earlier)),
        Call::Never | Call::Idle | Call::Unrecorded | Call::Empty | Call::Late | Call::Told(_) => {
            call
        }
    };
    let [first, second] = member.calls;
    let renamed = Member {
        record: member.record.map(rename),
        paid: [member.paid[1], member.paid[0]],
        calls: [rename_in(second), rename_in(first)],
    };
    (renamed, notes.map(|note| note.map(rename)))
}

/// Nothing depends on which member is which, nor on which of a member's requests or of the refunds
/// is the first: of all states that differ in such names only, one is looked at.
impl Representative for State {
    fn representative(&self) -> Self {
        let mut state = *self;
        state.refunds.sort_unstable_by_key(|read| read.map(Head::nameless));
        let read = |i: usize, member| state.refunds[i].and_then(|head: Head| head.notes[member]);
        let mut rows: [Row; PEOPLE] = std::array::from_fn(|m| {
            let row = (self.members[m], [self.head.notes[m], read(0, m), read(1, m)]);
            row.min(exchanged(row))
        });
        rows.sort_unstable();
        let notes = |of: usize| rows.map(|row| row.1[of]);
        state.members = rows.map(|row| row.0);
        state.head.notes = notes(0);
        for (i, refund) in state.refunds.iter_mut().enumerate() {
            *refund = refund.map(|head| Head { notes: notes(i + 1), ..head });
        }
        state
    }
}
