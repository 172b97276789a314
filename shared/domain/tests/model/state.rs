//! The state of the model: what the store holds, and what each process knows until it is killed.

use stateright::Representative;

use crate::pool::Moment;

/// Members of the room, at most.
pub(crate) const MEMBERS: usize = 3;
/// Buckets of the pool, at most.
pub(crate) const BUCKETS: usize = 3;
/// Requests of one member at the same time, at most.
pub(crate) const CALLS: usize = 2;
/// Runs of the refund at the same time, at most.
pub(crate) const REFUNDS: usize = 2;
/// Deliveries of one grant that are worked on at the same time, at most.
pub(crate) const PAYERS: usize = 2;

/// The nonce of a request that has ended. A request that runs has the number of its place as its
/// nonce; when it ends, its entry gets this one, since no later request has the same nonce.
pub(crate) const ENDED: u8 = 2;

/// An entry of a bucket, packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PackedEntry {
    pub(crate) index: u8,
    pub(crate) at: Moment,
    pub(crate) nonce: u8,
}

/// Of a bucket what changes, packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BucketItem {
    pub(crate) is_open: bool,
    /// Whether the sweep's index holds it.
    pub(crate) is_indexed: bool,
    pub(crate) taken: u8,
    /// Each member's entry.
    pub(crate) entries: [Option<PackedEntry>; MEMBERS],
}

/// What the ledger holds under the id of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Posted {
    Nothing,
    Transfer,
    /// The tombstone of a grant that was voided.
    Voided,
}

/// The item of a grant that was refused, with the number of refusals that it counts; 0 after an
/// operator's retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Failed {
    No,
    Retried(u8),
    GivenUp(u8),
    Voided(u8),
}

/// What the store holds about one member's grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct GrantRow {
    /// Under the grant's own id; and under another id, which only a planted bug uses.
    pub(crate) posted: [Posted; 2],
    /// How often the member's wallet was credited.
    pub(crate) credits: u8,
    /// How often the funder's wallet was credited in its place.
    pub(crate) void_returns: u8,
    pub(crate) failed: Failed,
    /// Whether an operator has retried it after it was given up: the sweep may have done with it.
    pub(crate) is_operated: bool,
}

/// The tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Store {
    pub(crate) buckets: [BucketItem; BUCKETS],
    pub(crate) grants: [GrantRow; MEMBERS],
    /// What the refund returned to the sender, in all.
    pub(crate) returned: u64,
    /// How often the spray was taken from the count of live sprays.
    pub(crate) refunds: u8,
    /// Whether the entry of the token says that it is refunded.
    pub(crate) is_token_free: bool,
}

/// A part of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Part {
    pub(crate) bucket: u8,
    pub(crate) index: u8,
}

/// What a request is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Answer {
    Won(Part),
    Already(Part),
    SoldOut,
    WindowOver,
}

/// How far one request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Call {
    /// There is no such request: for smaller instances.
    Never,
    /// Not begun; or ended, so that the next request of the member begins in this place.
    Idle,
    /// It drew at this step of its walk, but the reply was lost: the SDK repeats the write.
    Sent { step: u8 },
    /// It reads these buckets, one bit each; then it goes on at this step of its walk.
    Reads { step: u8, buckets: u8 },
    /// It has read the buckets and is at this step of its walk.
    Ready { step: u8 },
    /// It was told what is not true.
    Misled(Answer),
}

/// What the requests of a member have been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Told {
    Nothing,
    Part(Part),
    SoldOut,
    /// Two answers that cannot both be true.
    Contradiction,
}

/// The messages of a grant in the queue. Messages of one sort are one: whatever another copy of
/// them leads to, a delivery whose reply is lost leads to as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Messages {
    /// One that was never received, and is no retry: its payment finds no failed item.
    pub(crate) is_first: bool,
    /// One that was received before, or is a retry by the sweep or the operator.
    pub(crate) is_again: bool,
    /// One under another id: only a planted bug sends it.
    pub(crate) is_other: bool,
}

impl Messages {
    /// Whether the queue holds any.
    pub(crate) fn any(self) -> bool {
        self != Self::default()
    }
}

/// How far one delivery of a grant has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Payer {
    Idle,
    /// The grant is paid: its failed item is to be removed.
    Paid,
    /// The wallet refused: the failed item is to be read.
    Refused,
    /// It has read that so many refusals are counted, and counts one more.
    Counts(u8),
    /// So many refusals are counted, the last one too: the grant is to be marked as given up.
    Marks(u8),
}

/// One member, with the processes that work for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Member {
    /// The same for members that differ in name only.
    pub(crate) kind: u8,
    pub(crate) calls: [Call; CALLS],
    pub(crate) told: Told,
    /// Whether the stream holds the record of the write that added the member's entry.
    pub(crate) is_streamed: bool,
    pub(crate) messages: Messages,
    /// Whether the record or a message was lost, so that only the sweep can send it again.
    pub(crate) is_lost: bool,
    pub(crate) payers: [Payer; PAYERS],
}

/// The indexes of the members' entries in a bucket that was seen full.
pub(crate) type View = [Option<u8>; MEMBERS];

/// How many parts of each bucket were taken when a refund read it.
pub(crate) type Reads = [Option<u8>; BUCKETS];

/// Everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) members: [Member; MEMBERS],
    /// The full buckets that the process of the next step remembers.
    pub(crate) cache: [Option<View>; BUCKETS],
    /// The refunds that run.
    pub(crate) refunds: [Option<Reads>; REFUNDS],
    /// The run of the sweep: which bucket it has read, and how many parts were taken.
    pub(crate) sweep: Option<(u8, u8)>,
    /// Whether the window is over, by right clocks.
    pub(crate) is_over: bool,
    /// Whether an entry was changed or removed.
    pub(crate) has_lost_entry: bool,
}

impl State {
    /// The member's entry, with its bucket; the first one, if a planted bug made two.
    pub(crate) fn entry(&self, member: usize) -> Option<(Part, PackedEntry)> {
        self.store.entries(member).next()
    }
}

impl Store {
    /// The member's entries.
    pub(crate) fn entries(&self, member: usize) -> impl Iterator<Item = (Part, PackedEntry)> {
        self.buckets.iter().zip(0_u8..).filter_map(move |(item, bucket)| {
            item.entries[member].map(|entry| (Part { bucket, index: entry.index }, entry))
        })
    }
}

/// A member with all that hangs on them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    member: Member,
    grant: GrantRow,
    entries: [Option<PackedEntry>; BUCKETS],
    seen: [Option<u8>; BUCKETS],
}

impl Row {
    fn of(state: &State, member: usize) -> Self {
        let seen = |bucket: usize| state.cache[bucket].and_then(|view| view[member]);
        let entry = |bucket: usize| state.store.buckets[bucket].entries[member];
        let mut row = Self {
            member: state.members[member],
            grant: state.store.grants[member],
            entries: std::array::from_fn(entry),
            seen: std::array::from_fn(seen),
        };
        row.member.payers.sort_unstable();
        let [first, second] = row.member.calls;
        if second < first && second != Call::Never {
            row.member.calls = [second, first];
            for entry in row.entries.iter_mut().flatten().filter(|entry| entry.nonce != ENDED) {
                entry.nonce = 1 - entry.nonce;
            }
        }
        row
    }
}

/// Nothing depends on which of the members with the same walk is which, nor on which of a member's
/// requests, of a grant's deliveries or of the refunds is the first: of all states that differ in
/// such names only, the checker visits one.
impl Representative for State {
    fn representative(&self) -> Self {
        let mut state = *self;
        state.refunds.sort_unstable();
        let mut rows: [Row; MEMBERS] = std::array::from_fn(|member| Row::of(self, member));
        rows.sort_unstable();
        for (member, row) in rows.iter().enumerate() {
            state.members[member] = row.member;
            state.store.grants[member] = row.grant;
            for bucket in 0..BUCKETS {
                state.store.buckets[bucket].entries[member] = row.entries[bucket];
                if let Some(view) = &mut state.cache[bucket] {
                    view[member] = row.seen[bucket];
                }
            }
        }
        state
    }
}
