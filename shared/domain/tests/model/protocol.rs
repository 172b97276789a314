//! Who may do what next.

use largesse_domain::pool::{Pool, Settlement};
use stateright::{Model, Property};

use crate::bugs::Bug;
use crate::properties;
use crate::state::{CALLS, Call, PEOPLE, State};

/// One request: of which member, and which of theirs.
pub(crate) type Request = (usize, usize);

/// The protocol as one instance runs it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Protocol {
    /// Whether the pool keeps its notes while it is open (ADR 0001). The domain says so of any pool
    /// as small as this; the model lets it be trimmed nevertheless, as a large one is.
    pub(crate) keeps_notes: bool,
    /// How many members there are.
    pub(crate) people: usize,
    /// How many refunds run at the same time.
    pub(crate) refunds: usize,
    /// Whether grants are paid meanwhile. Nothing reads what a payment writes, so most instances
    /// leave it for the end.
    pub(crate) pays: bool,
    /// What is planted.
    pub(crate) bugs: &'static [Bug],
}

/// One step, by the name that it has in the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// A claim reads the member's record.
    ReadRecord(Request),
    /// A claim draws.
    Draw(Request),
    /// A claim draws, and does not hear of it.
    DrawReplyLost(Request),
    /// A claim puts the record.
    Record(Request),
    /// A claim gives back a draw that raced a trim.
    Release(Request),
    /// The process of a claim is killed, or its answer lost; the member may ask again.
    Crash(Request),
    /// Somebody settles the member's note: pool-sweep, a helper, a refund; or the claim, and does
    /// not hear of it.
    SettlePending(usize),
    /// Somebody trims the note of the member's recorded draw.
    Trim(usize),
    /// The grant's message is delivered to grant-pay.
    Pay(usize),
    /// The window is over.
    WindowOver,
    /// A refund reads the spray.
    RefundRead(usize),
    /// A refund has settled what it read and sends its transaction.
    RefundSpray(usize),
    /// A refund is killed.
    RefundCrash(usize),
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self.people)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for member in 0..PEOPLE {
            for call in 0..CALLS {
                self.claim_actions(state, (member, call), actions);
            }
            self.member_actions(state, member, actions);
        }
        if !state.is_over {
            actions.push(Action::WindowOver);
        }
        for refund in 0..self.refunds {
            match &state.refunds[refund] {
                None => actions.push(Action::RefundRead(refund)),
                Some(read) => {
                    actions.push(Action::RefundCrash(refund));
                    if !self.is_unsettled(state, read) {
                        actions.push(Action::RefundSpray(refund));
                    }
                }
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = *last;
        let call = |(member, call): Request| last.members[member].calls[call];
        match action {
            Action::ReadRecord(request) => self.read_record(&mut state, request),
            Action::Draw(request) => self.draw(&mut state, request, false),
            Action::DrawReplyLost(request) => self.draw(&mut state, request, true),
            Action::Record(request) => {
                let Call::Drawn(note) = call(request) else { return None };
                self.record(&mut state, request, note);
            }
            Action::Release(request) => {
                let Call::Raced(note, earlier) = call(request) else { return None };
                self.release(&mut state, request, (note, earlier));
            }
            Action::Crash((member, call)) => state.members[member].calls[call] = Call::Idle,
            Action::SettlePending(member) => self.settle_pending(&mut state, member),
            Action::Trim(member) => self.trim(&mut state, member),
            Action::Pay(member) => self.pay(&mut state, member),
            Action::WindowOver => state.is_over = true,
            Action::RefundRead(refund) => self.refund_read(&mut state, refund),
            Action::RefundSpray(refund) => self.refund_spray(&mut state, refund),
            Action::RefundCrash(refund) => state.refunds[refund] = None,
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(self)
    }
}

/// Steps that would change nothing are left out.
impl Protocol {
    fn claim_actions(&self, state: &State, request: Request, actions: &mut Vec<Action>) {
        let (member, call) = request;
        let steps: &[Action] = match state.members[member].calls[call] {
            Call::Never => &[],
            // It holds nothing that could be lost: a lost reply is a crash just after the draw.
            Call::Idle if self.keeps_notes => &[Action::Draw(request)],
            Call::Idle => &[Action::ReadRecord(request)],
            Call::Unrecorded => {
                &[Action::Draw(request), Action::DrawReplyLost(request), Action::Crash(request)]
            }
            Call::Drawn(_) => &[Action::Record(request), Action::Crash(request)],
            Call::Raced(..) => &[Action::Release(request), Action::Crash(request)],
            Call::Empty | Call::Late => &[Action::ReadRecord(request), Action::Crash(request)],
            Call::Told(_) => &[Action::Crash(request)],
        };
        actions.extend_from_slice(steps);
    }

    fn member_actions(&self, state: &State, member: usize, actions: &mut Vec<Action>) {
        let there = &state.members[member];
        if let Some(note) = state.head.notes[member] {
            if Pool::settlement(note, there.record) != Settlement::Trim {
                actions.push(Action::SettlePending(member));
            }
            let may_trim = !self.keeps_notes || self.has(Bug::TrimsASmallPool);
            let is_ripe = there.record == Some(note)
                || (there.record.is_some() && self.has(Bug::TrimsWhateverStands))
                || self.has(Bug::TrimsBeforeRecording);
            if may_trim && is_ripe {
                actions.push(Action::Trim(member));
            }
        }
        let is_unpaid = there.paid == [0; CALLS] || self.has(Bug::PaysUnderANewId);
        if self.pays && there.record.is_some() && is_unpaid {
            actions.push(Action::Pay(member));
        }
    }
}
