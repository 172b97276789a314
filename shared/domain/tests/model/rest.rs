//! What must be possible in every state: to draw what is left, and to bring all money to rest.

use crate::books::{Memo, are_sound};
use crate::bugs::Bug;
use crate::pay::Reply;
use crate::pool::{self, Moment, Sizes};
use crate::properties::drawn;
use crate::protocol::{Protocol, Walk};
use crate::state::{BUCKETS, Call, Failed, MEMBERS, Payer, State, Store, Told, View};

/// No under-draw: while a part is left in an open pool, a request of a member without an entry,
/// with the cache as it is, gets one.
pub(crate) fn is_drawable(protocol: &Protocol, state: &State) -> bool {
    type Key = (Option<Bug>, Sizes, [Walk; MEMBERS], Store, [Option<View>; BUCKETS]);
    static MEMO: Memo<Key> = Memo::new();
    let is_closed = state.store.buckets.iter().any(|item| !item.is_open);
    if is_closed || protocol.is_sold_out(state) {
        return true;
    }
    let Protocol { bug, sizes, members, .. } = *protocol;
    let key = (bug, sizes, members, state.store.without_nonces(), state.cache);
    MEMO.get(key, |_| {
        let present = (0..MEMBERS).filter(|member| protocol.members[*member].1 > 0);
        let mut eager = present.filter(|member| state.entry(*member).is_none());
        eager.all(|member| {
            let fresh = protocol.start();
            let mut state = State { store: state.store, cache: state.cache, ..fresh };
            for _ in 0..8 {
                match state.members[member].calls[0] {
                    Call::Reads { buckets, .. } => {
                        let bucket = buckets.trailing_zeros() as usize;
                        protocol.read_bucket(&mut state, (member, 0), bucket);
                    }
                    _ if state.members[member].told == Told::Nothing => {
                        protocol.draw(&mut state, (member, 0), Moment::Inside, false);
                    }
                    _ => break,
                }
            }
            matches!(state.members[member].told, Told::Part(_))
        })
    })
}

/// Every process is killed and every message and record lost, here and now. Then the schedules run,
/// with wallets that accept and with wallets that refuse.
pub(crate) fn comes_to_rest(protocol: &Protocol, state: &State) -> bool {
    static MEMO: Memo<(Option<Bug>, Sizes, Store)> = Memo::new();
    let key = (protocol.bug, protocol.sizes, state.store.without_nonces());
    MEMO.get(key, |(_, _, store)| {
        let fresh = State { store: *store, is_over: true, ..protocol.start() };
        [Reply::Accepted, Reply::Refused].into_iter().all(|reply| rests(protocol, fresh, reply))
    })
}

fn rests(protocol: &Protocol, mut state: State, reply: Reply) -> bool {
    let sizes = &protocol.sizes;
    for bucket in pool::numbers(sizes) {
        protocol.sweep_read(&mut state, bucket);
        protocol.sweep(&mut state);
    }
    deliver(protocol, &mut state, reply);
    for bucket in pool::numbers(sizes) {
        protocol.refund_read(&mut state, 0, bucket);
    }
    protocol.refund(&mut state, 0, false);
    // A grant that an operator has retried is with the operator until it is paid or voided.
    let has_rest = |member: usize| {
        let row = &state.store.grants[member];
        state.entry(member).is_none() || row.is_at_rest() || row.is_operated
    };
    let is_returned = drawn(sizes, &state.store) + state.store.returned == pool::put_in(sizes);
    if !((0..MEMBERS).all(has_rest) && is_returned && state.store.is_token_free) {
        return false;
    }
    // The operator sends again what is still marked as failed, and the wallets accept.
    (0..MEMBERS).for_each(|member| protocol.retry(&mut state, member));
    deliver(protocol, &mut state, Reply::Accepted);
    let is_final = |member: usize| {
        let row = &state.store.grants[member];
        let has_entry = state.entry(member).is_some();
        has_entry == (row.credits + row.void_returns == 1)
            && matches!(row.failed, Failed::No | Failed::Voided(_))
    };
    (0..MEMBERS).all(is_final) && are_sound(sizes, &state.store, true)
}

/// grant-pay works until the queue is empty. Each grant is refused at most twice, so eight rounds
/// are more than enough for a protocol without a planted bug.
fn deliver(protocol: &Protocol, state: &mut State, reply: Reply) {
    for member in 0..MEMBERS {
        for _ in 0..8 {
            let Some(sort) = state.members[member].messages.sorts().next() else { break };
            protocol.pay(state, member, 0, sort, reply);
            while state.members[member].payers[0] != Payer::Idle {
                protocol.settle(state, member, 0);
            }
        }
    }
}
