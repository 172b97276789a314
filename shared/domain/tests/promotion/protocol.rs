//! One instance of the protocol, and which step may come next.

use stateright::{Model, Property};

use crate::bugs::Bug;
use crate::list::BUCKETS;
use crate::properties;
use crate::state::{
    Failed, GRANT_PAY, MEMBERS, PLACES, Place, Posted, Row, State, Store, WORKERS, Worker, Wrong,
};

/// One instance of the protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Protocol {
    /// Its name in the output.
    pub(crate) name: &'static str,
    /// How many slots there are, each with its winner.
    pub(crate) slots: usize,
    /// How many places there are.
    pub(crate) places: usize,
    /// How many of them are taken from the start; the others may be taken at any time.
    pub(crate) taken: usize,
    /// Whether an operator retries and voids.
    pub(crate) has_operator: bool,
    /// What is planted.
    pub(crate) bug: Option<Bug>,
}

/// Two slots come back, and two members wait for them.
pub(crate) const TWO_WAIT: Protocol =
    Protocol { name: "two wait", slots: 2, places: 2, taken: 2, has_operator: false, bug: None };

/// Three members take places at any time.
pub(crate) const THREE_COME: Protocol =
    Protocol { name: "three come", places: 3, taken: 0, ..TWO_WAIT };

/// One slot, two places, and an operator.
pub(crate) const OPERATED: Protocol =
    Protocol { name: "an operator", slots: 1, taken: 1, has_operator: true, ..TWO_WAIT };

/// Two slots, a member who waits, another who comes at any time, and an operator.
pub(crate) const EVERYTHING: Protocol =
    Protocol { name: "everything at once", taken: 1, has_operator: true, ..TWO_WAIT };

/// What the wallet says, and whether grant-pay hears of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Accepted,
    /// The transaction took effect, but its reply was lost.
    Lost,
    /// Refused for the last time.
    Refused,
}

/// One step. Workers come first, then members or places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// A member takes a place.
    Take(usize),
    /// grant-pay receives a message of the member's grant and pays it.
    Pay(usize, Reply),
    /// The sweep finds the member's grant given up.
    Sweep(usize),
    /// A worker takes its next step.
    Settle(usize),
    /// A worker reads a bucket of the list.
    Read(usize, usize),
    /// A worker sends the transaction of a promotion.
    Promote(usize),
    /// The same, but the reply is lost.
    PromoteReplyLost(usize),
    /// A worker is killed.
    Kill(usize),
    /// The operator sends the member's grant again.
    Retry(usize),
    /// The operator voids it.
    Void(usize),
}

impl Protocol {
    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// The state before the first step.
    pub(crate) fn start(&self) -> State {
        let row = Row { posted: Posted::Nothing, credits: 0, failed: Failed::No };
        let place = |at: usize| Place { is_taken: at < self.taken, mark: None, given: 0 };
        State {
            store: Store { rows: [row; MEMBERS], places: std::array::from_fn(place) },
            workers: [Worker::Idle; WORKERS],
            wrong: Wrong::default(),
        }
    }

    /// The members with a grant.
    pub(crate) fn members(&self, store: &Store) -> impl Iterator<Item = usize> {
        let has = |member: &usize| {
            store.has_entry(*member) && (*member < self.slots || *member >= crate::state::WINNERS)
        };
        (0..MEMBERS).filter(has)
    }

    fn worker_actions(&self, state: &State, at: usize, actions: &mut Vec<Action>) {
        match state.workers[at] {
            Worker::Idle if at == GRANT_PAY => {
                for member in self.members(&state.store) {
                    actions.push(Action::Pay(member, Reply::Accepted));
                    if state.store.rows[member].posted == Posted::Nothing {
                        actions.push(Action::Pay(member, Reply::Lost));
                        actions.push(Action::Pay(member, Reply::Refused));
                    }
                }
            }
            Worker::Idle => actions.extend(self.members(&state.store).map(Action::Sweep)),
            Worker::Paid(_) | Worker::Refused(_) | Worker::Second { .. } => {
                actions.extend([Action::Settle(at), Action::Kill(at)]);
            }
            Worker::Passes { view, .. } => {
                actions.push(Action::Kill(at));
                let unread = |bucket: &usize| crate::steps::is_unread(&view, *bucket);
                let mut unread = (0..BUCKETS).filter(unread).peekable();
                if unread.peek().is_none() {
                    actions.extend([Action::Promote(at), Action::PromoteReplyLost(at)]);
                }
                actions.extend(unread.map(|bucket| Action::Read(at, bucket)));
            }
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
        let free = |place: &usize| !state.store.places[*place].is_taken;
        actions.extend((0..self.places.min(PLACES)).filter(free).map(Action::Take));
        for worker in 0..WORKERS {
            self.worker_actions(state, worker, actions);
        }
        if self.has_operator {
            for member in self.members(&state.store) {
                actions.extend([Action::Retry(member), Action::Void(member)]);
            }
        }
    }

    /// Steps that change nothing are left out.
    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = *last;
        match action {
            Action::Take(place) => state.store.places[place].is_taken = true,
            Action::Pay(member, reply) => self.pay(&mut state, member, reply),
            Action::Sweep(member) => self.sweep(&mut state, member),
            Action::Settle(worker) => self.settle(&mut state, worker),
            Action::Read(worker, bucket) => self.read(&mut state, worker, bucket),
            Action::Promote(worker) => self.promote(&mut state, worker, false),
            Action::PromoteReplyLost(worker) => self.promote(&mut state, worker, true),
            Action::Kill(worker) => state.workers[worker] = Worker::Idle,
            Action::Retry(member) => self.retry(&mut state, member),
            Action::Void(member) => self.void(&mut state, member),
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(self)
    }

    /// A defect may pay or give for ever: the checker stops soon after the second time.
    fn within_boundary(&self, state: &State) -> bool {
        let Store { rows, places } = &state.store;
        rows.iter().all(|row| row.credits <= 2) && places.iter().all(|place| place.given <= 2)
    }
}
