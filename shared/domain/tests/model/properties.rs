//! What must be true in every state; and what must happen in some, lest it be true of nothing.

use largesse_domain::id::{PoolId, RoomId, Token};
use largesse_domain::pool::{Ask, Attempt, Draw, Drawn};
use largesse_domain::spray::TokenEntry;
use stateright::Property;

use crate::protocol::Protocol;
use crate::state::{Answer, Call, Member, PEOPLE, PUT_IN, SHARES, State, opens, sender, worth};

pub(crate) const CONSERVED: &str = "put in = drawn + returned + remaining";
pub(crate) const HELD_ONCE: &str = "what is out is held, by one member each";
pub(crate) const PAID_ONCE: &str = "nobody is paid but what is recorded, once";
pub(crate) const WINNERS_HAVE_IT: &str = "who is told of a win has it recorded";
pub(crate) const REPEATS_HAVE_IT: &str = "who is told of an earlier win has that share";
pub(crate) const EMPTY_HANDED: &str =
    "who is told that all is taken has nothing, and nothing comes back";
pub(crate) const LATE: &str = "who is told that it is over has nothing by that request";
pub(crate) const REFUNDED_ONCE: &str = "what is left goes back once, after the window";
pub(crate) const TOKEN_KEPT: &str = "a token is given away only when nothing is owed";
pub(crate) const DRAWABLE: &str = "what nobody holds can be drawn";
pub(crate) const COMES_TO_REST: &str = "whatever is killed, all money comes to rest";
pub(crate) const NEVER_GIVES_BACK: &str = "a pool that keeps its notes gives nothing back";

/// All of them.
pub(crate) fn all(protocol: &Protocol) -> Vec<Property<Protocol>> {
    let mut all = vec![
        Property::always(CONSERVED, is_conserved),
        Property::always(HELD_ONCE, is_held_once),
        Property::always(PAID_ONCE, is_paid_once),
        Property::always(WINNERS_HAVE_IT, |_, state| all_told(state, is_true_of_a_win)),
        Property::always(REPEATS_HAVE_IT, |_, state| all_told(state, is_true_of_a_repeat)),
        Property::always(EMPTY_HANDED, |_, state| {
            all_told(state, |_, _, answer| answer != Answer::Exhausted)
        }),
        Property::always(LATE, |_, state| all_told(state, |_, _, answer| answer != Answer::Over)),
        Property::always(REFUNDED_ONCE, is_refunded_once),
        Property::always(TOKEN_KEPT, is_token_kept),
        Property::always(DRAWABLE, is_drawable),
        Property::always(COMES_TO_REST, comes_to_rest),
        Property::sometimes("everything is drawn", |_, state: &State| {
            state.members.iter().filter(|member| member.record.is_some()).count() == 2
        }),
    ];
    if protocol.keeps_notes {
        all.push(Property::always(NEVER_GIVES_BACK, |_, state: &State| state.head.has_no_free()));
    } else {
        all.push(Property::sometimes("a draw races a trim", |_, state| {
            any_call(state, |call| matches!(call, Call::Raced(..)))
        }));
    }
    if protocol.refunds > 0 {
        all.push(Property::sometimes(
            "a refund finds another head than it read",
            |_, s: &State| s.refunds.iter().flatten().any(|read| !s.head.is_as(read)),
        ));
        all.push(Property::sometimes("a draw is late for the refund", |_, state: &State| {
            !state.head.is_open && any_call(state, |call| call != Call::Never)
        }));
    }
    all
}

fn any_call(state: &State, holds: impl Fn(Call) -> bool) -> bool {
    state.members.iter().flat_map(|member| member.calls).any(holds)
}

fn all_told(state: &State, holds: impl Fn(&State, usize, Answer) -> bool) -> bool {
    state.members.iter().enumerate().all(|(member, there)| {
        there.calls.iter().all(|call| match call {
            Call::Told(answer) => holds(state, member, *answer),
            _ => true,
        })
    })
}

fn is_true_of_a_win(state: &State, member: usize, answer: Answer) -> bool {
    let record = state.members[member].record.map(|record| record.part);
    !matches!(answer, Answer::Won(part) if record != Some(part))
}

/// The share is recorded; or it will be, since its note stands and nothing else is recorded.
fn is_true_of_a_repeat(state: &State, member: usize, answer: Answer) -> bool {
    let held = state.members[member].record.or(state.head.notes[member]);
    !matches!(answer, Answer::Already(part) if held.map(|held| held.part) != Some(part))
}

/// The shares that somebody holds: what is recorded, and what is noted and not of that record.
fn held(state: &State) -> impl Iterator<Item = Drawn> {
    let of = |member: usize| {
        let record = state.members[member].record;
        [record, state.head.notes[member].filter(|note| Some(*note) != record)]
    };
    (0..PEOPLE).flat_map(of).flatten()
}

/// G1: Σ recorded + Σ noted and not recorded + what went back + what is left to go back = put in.
fn is_conserved(_: &Protocol, state: &State) -> bool {
    let drawn: u64 = held(state).map(worth).sum();
    let left = if state.head.is_open { state.head.pool().supply.remainder() } else { 0 };
    drawn + state.returned + left == PUT_IN
}

/// G2: no share has two holders, and none is out without one.
fn is_held_once(_: &Protocol, state: &State) -> bool {
    let mut parts: Vec<u64> = held(state).map(|drawn| drawn.part).collect();
    parts.sort_unstable();
    parts == state.head.out()
}

fn is_paid_once(_: &Protocol, state: &State) -> bool {
    state.members.iter().all(|Member { record, paid, .. }| {
        let paid: u64 = paid.iter().sum();
        paid == 0 || Some(paid) == record.map(worth)
    })
}

fn is_refunded_once(_: &Protocol, state: &State) -> bool {
    match state.refunds_done {
        0 => state.head.is_open && state.returned == 0,
        1 => !state.head.is_open && state.is_over,
        _ => false,
    }
}

/// By the entry's own rule, whatever the clock of whoever wants the token.
fn is_token_kept(_: &Protocol, state: &State) -> bool {
    let pool = state.head.pool();
    let PoolId::Spray(spray) = pool.id;
    let entry = TokenEntry {
        token: Token::from_index(0),
        spray,
        room: RoomId(spray.0),
        sender: sender(),
        window: pool.window,
        recipients: SHARES,
        refunded: state.is_token_refunded,
    };
    let recorded: u64 = state.members.iter().filter_map(|m| m.record).map(worth).sum();
    !entry.is_reusable(state.now()) || recorded + state.returned == PUT_IN
}

/// G2: once what is pending is settled, whatever has no record is drawn by whoever comes next. So
/// nobody is told for good that all is taken while it is not.
fn is_drawable(protocol: &Protocol, state: &State) -> bool {
    if !state.head.is_open {
        return true;
    }
    let mut state = *state;
    protocol.sweep(&mut state);
    let pool = state.head.pool();
    let recorded = state.members.iter().filter(|member| member.record.is_some()).count();
    let attempt = Attempt::from_bits(0);
    let newcomer = Draw { member: sender(), at: opens(), attempt, ask: Ask::Next };
    let left = pool.supply.left();
    left + recorded as u64 == u64::from(SHARES) && pool.decide(&newcomer).is_ok() == (left > 0)
}

/// Every process is killed here and now. Then the schedules run: sweep, refund, payment.
fn comes_to_rest(protocol: &Protocol, state: &State) -> bool {
    let mut state = State { is_over: true, ..*state };
    protocol.sweep(&mut state);
    protocol.refund_read(&mut state, 0);
    protocol.refund_spray(&mut state, 0);
    (0..PEOPLE).for_each(|member| {
        if state.members[member].paid.iter().sum::<u64>() == 0 {
            protocol.pay(&mut state, member);
        }
    });
    let paid: u64 = state.members.iter().flat_map(|member| member.paid).sum();
    let has_notes = state.head.notes != [None; PEOPLE];
    paid + state.returned == PUT_IN && state.is_token_refunded && !has_notes
}
