//! What must hold in every state, and what some state must reach, so that no property holds only
//! because nothing happens.

use largesse_domain::grant::GrantStatus;
use largesse_domain::spray::TokenEntry;
use stateright::Property;

use crate::books::{Memo, are_sound};
use crate::pay::POLICY;
use crate::pool::{self, Moment, Sizes, worth};
use crate::protocol::Protocol;
use crate::rest::{comes_to_rest, is_drawable};
use crate::state::{Answer, Call, Failed, MEMBERS, Payer, Reads, State, Store, Told};

pub(crate) const ONE_ENTRY: &str = "a member has at most one entry in the pool";
pub(crate) const ONE_OWNER: &str = "each drawn part is a part of its bucket and has one owner";
pub(crate) const ENTRIES_STAY: &str = "an entry is neither changed nor removed";
pub(crate) const CONSERVED: &str = "put in = drawn + returned + remaining";
pub(crate) const SOUND: &str = "the audit of the books finds nothing";
pub(crate) const WON: &str = "a request that is told \"won\" drew that part";
pub(crate) const ALREADY: &str = "a request that is told \"already\" meets another request's part";
pub(crate) const SOLD_OUT: &str = "\"sold out\" is told when every part is drawn, and stays true";
pub(crate) const ENTITLED: &str = "a member with an entry is never told \"sold out\"";
pub(crate) const OVER: &str = "a request that is told \"the window is over\" drew nothing";
pub(crate) const CONSISTENT: &str = "the answers of a member do not contradict each other";
pub(crate) const DRAWABLE: &str = "a member without an entry can draw what is left";
pub(crate) const PAID_ONCE: &str = "a grant is paid or voided, once";
pub(crate) const PAID_WITH_ENTRY: &str = "only an entry is paid or voided";
pub(crate) const GIVEN_UP: &str = "only a grant that was given up is voided";
pub(crate) const NOT_REFUSED: &str = "only a refusal counts as a failed attempt";
pub(crate) const ON_ITS_WAY: &str = "a grant waits for the sweep only after a loss";
pub(crate) const REFUNDED_ONCE: &str = "a pool is refunded once, after its window";
pub(crate) const TOKEN_KEPT: &str = "a token is free only when nothing is left to return";
pub(crate) const COMES_TO_REST: &str =
    "after any kill and loss, the schedules bring all money to rest";

/// All of them.
pub(crate) fn all(protocol: &Protocol) -> Vec<Property<Protocol>> {
    let mut all = vec![
        Property::always(ONE_ENTRY, has_one_entry_each),
        Property::always(ONE_OWNER, has_one_owner_each),
        Property::always(ENTRIES_STAY, |_, state: &State| !state.has_lost_entry),
        Property::always(CONSERVED, is_conserved),
        Property::always(SOUND, is_sound),
        Property::always(WON, |_, state| !any_misled(state, |a| matches!(a, Answer::Won(_)))),
        Property::always(ALREADY, |_, s| !any_misled(s, |a| matches!(a, Answer::Already(_)))),
        Property::always(SOLD_OUT, stays_sold_out),
        Property::always(ENTITLED, is_entitled),
        Property::always(OVER, |_, state| !any_misled(state, |a| a == Answer::WindowOver)),
        Property::always(CONSISTENT, |_, state: &State| {
            state.members.iter().all(|member| member.told != Told::Contradiction)
        }),
        Property::always(DRAWABLE, is_drawable),
        Property::always(REFUNDED_ONCE, is_refunded_once),
        Property::always(TOKEN_KEPT, is_token_kept),
        Property::always(COMES_TO_REST, comes_to_rest),
        Property::sometimes("every part is drawn", Protocol::is_sold_out),
    ];
    if protocol.payers > 0 {
        all.extend([
            Property::always(PAID_ONCE, is_paid_once),
            Property::always(PAID_WITH_ENTRY, is_paid_with_entry),
            Property::always(GIVEN_UP, is_given_up_before),
            Property::always(ON_ITS_WAY, is_on_its_way),
            Property::sometimes("a grant is paid", |_, state: &State| {
                state.store.grants.iter().any(|row| row.credits > 0)
            }),
        ]);
        if !protocol.has_refusals {
            all.push(Property::always(NOT_REFUSED, |_, state: &State| {
                state.store.grants.iter().all(|row| row.failed == Failed::No)
            }));
        }
    }
    all.extend(reached(protocol));
    all
}

/// What some state of the instance must reach.
fn reached(protocol: &Protocol) -> Vec<Property<Protocol>> {
    let mut reached = Vec::new();
    let mut reach = |name, condition| reached.push(Property::sometimes(name, condition));
    if protocol.members.iter().filter(|(_, requests)| *requests > 1).count() > 1 {
        reach("a member has an entry in a bucket that the cache holds", |_, state: &State| {
            (0..MEMBERS).any(|m| state.cache.iter().flatten().any(|view| view[m].is_some()))
        });
    }
    if protocol.refunds > 0 {
        reach("a refund finds another bucket than it read", |_, state: &State| {
            let items = state.store.buckets;
            let is_other = |reads: &Reads| {
                reads.iter().zip(items).any(|(read, item)| read.is_some_and(|n| n != item.taken))
            };
            state.refunds.iter().flatten().any(is_other)
        });
        reach("a repeat comes after the refund", |_, state: &State| {
            state.store.refunds > 0 && any_call(state, |call| matches!(call, Call::Sent { .. }))
        });
    }
    if protocol.refunds > 1 {
        reach("two refunds have read the same pool", |protocol: &Protocol, state: &State| {
            state.refunds.iter().flatten().filter(|reads| protocol.has_read_all(reads)).count() == 2
        });
    }
    if protocol.has_refusals {
        reach("a grant is voided", |_, state: &State| {
            state.store.grants.iter().any(|row| row.void_returns > 0)
        });
        // A late copy of the first message pays a grant that was given up, and removes no item. The
        // money is right; the operator's retry removes the item.
        reach("a paid grant stays marked as given up", |_, state: &State| {
            state.members.iter().zip(&state.store.grants).any(|(member, row)| {
                let is_sent = member.messages.any() || member.is_streamed || member.is_lost;
                let is_idle = member.payers.iter().all(|payer| *payer == Payer::Idle);
                let is_given_up = matches!(row.failed, Failed::GivenUp(_));
                row.credits > 0 && is_given_up && !is_sent && is_idle
            })
        });
    }
    reached
}

fn any_call(state: &State, holds: impl Fn(Call) -> bool) -> bool {
    state.members.iter().flat_map(|member| member.calls).any(holds)
}

fn any_misled(state: &State, holds: impl Fn(Answer) -> bool) -> bool {
    any_call(state, |call| matches!(call, Call::Misled(answer) if holds(answer)))
}

fn has_one_entry_each(_: &Protocol, state: &State) -> bool {
    (0..MEMBERS).all(|member| state.store.entries(member).count() <= 1)
}

fn has_one_owner_each(protocol: &Protocol, state: &State) -> bool {
    state.store.buckets.iter().zip(protocol.sizes).all(|(item, size)| {
        let mut owners = [0_u8; 8];
        for entry in item.entries.iter().flatten() {
            owners[usize::from(entry.index)] += 1;
        }
        let expected = |index: usize| u8::from(index < usize::from(item.taken));
        item.taken <= size && owners.iter().enumerate().all(|(i, n)| *n == expected(i))
    })
}

/// What the members' entries are worth, in all.
pub(crate) fn drawn(sizes: &Sizes, store: &Store) -> u64 {
    let entries = (0..MEMBERS).flat_map(|member| store.entries(member));
    entries.map(|(part, _)| worth(sizes, part)).sum()
}

/// What is left of the buckets that are open.
fn left(sizes: &Sizes, store: &Store) -> u64 {
    let open = pool::numbers(sizes).filter(|bucket| store.buckets[*bucket].is_open);
    open.map(|bucket| pool::bucket(sizes, store, bucket).remainder()).sum()
}

fn is_conserved(protocol: &Protocol, state: &State) -> bool {
    static MEMO: Memo<(Sizes, Store)> = Memo::new();
    MEMO.get((protocol.sizes, state.store.without_nonces()), |(sizes, store)| {
        drawn(sizes, store) + store.returned + left(sizes, store) == pool::put_in(sizes)
    })
}

/// The domain's own audit. A failed item of a paid grant is in transit until it is removed.
fn is_sound(protocol: &Protocol, state: &State) -> bool {
    static MEMO: Memo<(Sizes, Store)> = Memo::new();
    let key = (protocol.sizes, state.store.without_nonces());
    MEMO.get(key, |(sizes, store)| are_sound(sizes, store, false))
}

fn stays_sold_out(protocol: &Protocol, state: &State) -> bool {
    let is_told = state.members.iter().any(|member| member.told == Told::SoldOut);
    !is_told || protocol.is_sold_out(state)
}

fn is_entitled(_: &Protocol, state: &State) -> bool {
    (0..MEMBERS).all(|member| {
        let has_entry = state.entry(member).is_some();
        let calls = state.members[member].calls;
        !(has_entry && calls.contains(&Call::Misled(Answer::SoldOut)))
    })
}

fn is_paid_once(_: &Protocol, state: &State) -> bool {
    state.store.grants.iter().all(|row| row.credits + row.void_returns <= 1)
}

fn is_paid_with_entry(_: &Protocol, state: &State) -> bool {
    (0..MEMBERS).all(|member| {
        let row = &state.store.grants[member];
        row.credits + row.void_returns == 0 || state.entry(member).is_some()
    })
}

fn is_given_up_before(_: &Protocol, state: &State) -> bool {
    state.store.grants.iter().all(|row| match row.failed {
        Failed::Voided(refusals) => {
            let status = POLICY.after_refusal(refusals.into());
            status == GrantStatus::PermanentlyFailed
        }
        Failed::No | Failed::Retried(_) | Failed::GivenUp(_) => true,
    })
}

fn is_on_its_way(_: &Protocol, state: &State) -> bool {
    (0..MEMBERS).all(|member| {
        let there = &state.members[member];
        let is_sent = there.is_streamed || there.messages.any();
        let is_due = state.entry(member).is_some() && !state.store.grants[member].is_at_rest();
        !is_due || is_sent || there.is_lost
    })
}

fn is_refunded_once(protocol: &Protocol, state: &State) -> bool {
    let is_open = |bucket: usize| state.store.buckets[bucket].is_open;
    match state.store.refunds {
        0 => pool::numbers(&protocol.sizes).all(is_open) && state.store.returned == 0,
        1 => !pool::numbers(&protocol.sizes).any(is_open) && state.is_over,
        _ => false,
    }
}

/// The token entry's own rule decides, by a clock that is right.
fn is_token_kept(protocol: &Protocol, state: &State) -> bool {
    static MEMO: Memo<(Sizes, Store, bool)> = Memo::new();
    let key = (protocol.sizes, state.store.without_nonces(), state.is_over);
    MEMO.get(key, |(sizes, store, is_over)| {
        let spray = pool::spray();
        let entry = TokenEntry {
            token: spray.token,
            spray: spray.id,
            room: spray.room,
            sender: spray.sender.clone(),
            window: spray.window,
            recipients: sizes.iter().map(|size| u32::from(*size)).sum(),
            refunded: store.is_token_free,
        };
        let now = if *is_over { Moment::Over } else { Moment::Inside };
        let is_settled = drawn(sizes, store) + store.returned == pool::put_in(sizes);
        !entry.is_reusable(now.timestamp()) || is_settled
    })
}
