//! One instance of the protocol, and its steps.

use stateright::{Model, Property};

use crate::bugs::Bug;
use crate::pay::{Reply, Sort};
use crate::pool::{self, Moment, Sizes, narrow};
use crate::properties;
use crate::state::{
    BUCKETS, BucketItem, CALLS, Call, GrantRow, MEMBERS, Member, Messages, PAYERS, Payer, REFUNDS,
    State, Store, Told,
};

/// One request: the member, and its place among the member's requests.
pub(crate) type Request = (usize, usize);

/// The order in which a member tries the buckets, and how many requests they have at once.
pub(crate) type Walk = (&'static [usize], usize);

/// One instance of the protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Protocol {
    /// Its name in the output.
    pub(crate) name: &'static str,
    /// Parts of each bucket.
    pub(crate) sizes: Sizes,
    /// The members.
    pub(crate) members: [Walk; MEMBERS],
    /// Whether requests also carry a time ahead of the window or after it.
    pub(crate) has_skew: bool,
    /// How many refunds run at once.
    pub(crate) refunds: usize,
    /// How many deliveries of one grant are worked on at once; with 0, nothing is paid meanwhile.
    pub(crate) payers: usize,
    /// Whether wallets refuse, and an operator retries and voids.
    pub(crate) has_refusals: bool,
    /// What is planted.
    pub(crate) bug: Option<Bug>,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// A claim writes to the next bucket of its walk, with this time.
    Draw(Request, Moment),
    /// It draws, but the reply is lost.
    DrawReplyLost(Request),
    /// A claim reads one of the buckets that it reads at once.
    ReadBucket(Request, usize),
    /// The process of a claim is killed.
    KillClaim(Request),
    /// The next step is served by a process that has just started: its cache is empty.
    ColdStart,
    /// The window is over.
    WindowOver,
    /// A refund reads one bucket.
    RefundRead(usize, usize),
    /// A refund sends its transaction.
    Refund(usize),
    /// The same, but the reply is lost.
    RefundReplyLost(usize),
    /// A refund is killed.
    KillRefund(usize),
    /// The outbox handles the record of the member's draw.
    Outbox(usize),
    /// It is killed before the stream knows that it has.
    KillOutbox(usize),
    /// The stream forgets the record.
    ForgetRecord(usize),
    /// The queue loses the messages, or never got them.
    LoseMessages(usize),
    /// A delivery of a message of this sort pays the member's grant.
    Pay(usize, usize, Sort, Reply),
    /// The delivery takes its next step after the payment.
    Settle(usize, usize),
    /// grant-pay is killed.
    KillPayer(usize, usize),
    /// The operator sends the failed grant again.
    Retry(usize),
    /// The operator voids the grant.
    Void(usize),
    /// The sweep reads a bucket of its index.
    SweepRead(usize),
    /// The sweep sends what is unpaid.
    Sweep,
    /// The sweep is killed.
    KillSweep,
    /// A bucket of another pool is seen full. Only a planted bug mixes the pools up.
    OtherPoolIsFull(usize),
}

impl Protocol {
    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// The bucket that the request tries at this step: all requests of a member have one order.
    pub(crate) fn bucket_at(&self, request: Request, step: u8) -> Option<usize> {
        let (walk, _) = self.members[request.0];
        let mut step = usize::from(step);
        if self.has(Bug::WalksInAnyOrder) && request.1 == 1 {
            step = (walk.len() - 1).checked_sub(step)?;
        }
        walk.get(step).copied()
    }

    /// The state before the first step.
    pub(crate) fn start(&self) -> State {
        let item =
            BucketItem { is_open: true, is_indexed: false, taken: 0, entries: [None; MEMBERS] };
        let store = Store {
            buckets: [item; BUCKETS],
            grants: [GrantRow::NEW; MEMBERS],
            returned: 0,
            refunds: 0,
            is_token_free: false,
        };
        State {
            store,
            members: std::array::from_fn(|member| self.member(member)),
            cache: [None; BUCKETS],
            refunds: [None; REFUNDS],
            sweep: None,
            is_over: false,
            has_lost_entry: false,
        }
    }

    /// A member before the first step.
    fn member(&self, member: usize) -> Member {
        let kind = self.members.iter().position(|other| *other == self.members[member]);
        let requests = self.members[member].1;
        let call = |place: usize| if place < requests { Call::Idle } else { Call::Never };
        Member {
            kind: kind.map_or(0, narrow),
            calls: std::array::from_fn(call),
            told: Told::Nothing,
            is_streamed: false,
            messages: Messages::default(),
            is_lost: false,
            payers: [Payer::Idle; PAYERS],
        }
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.start()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for member in 0..MEMBERS {
            for place in 0..CALLS {
                self.claim_actions(state, (member, place), actions);
            }
            if self.payers > 0 {
                self.payment_actions(state, member, actions);
            }
        }
        if self.payers > 0 {
            self.sweep_actions(state, actions);
        }
        self.refund_actions(state, actions);
        if state.cache.iter().any(Option::is_some) {
            actions.push(Action::ColdStart);
        }
        if self.has(Bug::CachesByNumberAlone) {
            actions.extend(pool::numbers(&self.sizes).map(Action::OtherPoolIsFull));
        }
    }

    /// Steps that change nothing are left out.
    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = *last;
        match action {
            Action::Draw(request, at) => self.draw(&mut state, request, at, false),
            Action::DrawReplyLost(request) => self.draw(&mut state, request, Moment::Inside, true),
            Action::ReadBucket(request, bucket) => self.read_bucket(&mut state, request, bucket),
            Action::KillClaim(request) => self.end(&mut state, request),
            Action::ColdStart => state.cache = [None; BUCKETS],
            Action::WindowOver => state.is_over = true,
            Action::RefundRead(refund, bucket) => self.refund_read(&mut state, refund, bucket),
            Action::Refund(refund) => self.refund(&mut state, refund, false),
            Action::RefundReplyLost(refund) => self.refund(&mut state, refund, true),
            Action::KillRefund(refund) => state.refunds[refund] = None,
            Action::Outbox(member) => self.outbox(&mut state, member, false),
            Action::KillOutbox(member) => self.outbox(&mut state, member, true),
            Action::ForgetRecord(member) => self.lose(&mut state, member, true),
            Action::LoseMessages(member) => self.lose(&mut state, member, false),
            Action::Pay(member, payer, sort, reply) => {
                self.pay(&mut state, member, payer, sort, reply);
            }
            Action::Settle(member, payer) => self.settle(&mut state, member, payer),
            Action::KillPayer(member, payer) => {
                state.members[member].payers[payer] = Payer::Idle;
            }
            Action::Retry(member) => self.retry(&mut state, member),
            Action::Void(member) => self.void(&mut state, member),
            Action::SweepRead(bucket) => self.sweep_read(&mut state, bucket),
            Action::Sweep => self.sweep(&mut state),
            Action::KillSweep => state.sweep = None,
            Action::OtherPoolIsFull(bucket) => state.cache[bucket] = Some([None; MEMBERS]),
        }
        if state == *last {
            return None;
        }
        state.has_lost_entry |= loses_an_entry(&last.store, &state.store);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(self)
    }

    /// A defect may draw for ever: the checker stops soon after a bucket is over-drawn.
    fn within_boundary(&self, state: &State) -> bool {
        state.store.buckets.iter().zip(self.sizes).all(|(item, size)| item.taken <= size + 1)
    }
}

/// Whether an entry is removed, or its part or time changed.
fn loses_an_entry(before: &Store, after: &Store) -> bool {
    let pairs = before.buckets.iter().zip(&after.buckets);
    let mut entries = pairs.flat_map(|(before, after)| before.entries.iter().zip(&after.entries));
    entries.any(|(before, after)| {
        before.is_some_and(|before| {
            after.is_none_or(|after| (after.index, after.at) != (before.index, before.at))
        })
    })
}
