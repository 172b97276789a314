//! What must be possible in every state: the sweep alone brings each slot to its end.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;

use crate::bugs::Bug;
use crate::list::BUCKETS;
use crate::protocol::{Protocol, Reply};
use crate::state::{Failed, GRANT_PAY, PLACES, Posted, Row, State, Store, WINNERS, Worker};

/// Results that were computed before: many states share their tables.
pub(crate) struct Memo<K>(Mutex<Option<HashMap<K, bool>>>);

impl<K: Eq + Hash> Memo<K> {
    /// An empty one.
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// The result for this key.
    pub(crate) fn get(&self, key: K, compute: impl FnOnce(&K) -> bool) -> bool {
        let known = |memo: &Option<HashMap<K, bool>>| memo.as_ref()?.get(&key).copied();
        if let Some(result) = known(&self.0.lock().expect("no thread panics here")) {
            return result;
        }
        let result = compute(&key);
        let mut memo = self.0.lock().expect("no thread panics here");
        memo.get_or_insert_default().insert(key, result);
        result
    }
}

/// Every process is killed and every message lost, here and now. Then the sweep runs, with wallets that
/// accept, with wallets that refuse, and with those of the winners alone refusing.
pub(crate) fn comes_to_rest(protocol: &Protocol, state: &State) -> bool {
    static MEMO: Memo<(Option<Bug>, usize, Store)> = Memo::new();
    MEMO.get((protocol.bug, protocol.slots, state.store), |(_, _, store)| {
        let refuses: [fn(usize) -> bool; 3] = [|_| false, |_| true, |member| member < WINNERS];
        refuses.into_iter().all(|refuses| {
            let fresh = State { store: *store, ..protocol.start() };
            rests(protocol, fresh, refuses)
        })
    })
}

fn rests(protocol: &Protocol, mut state: State, refuses: fn(usize) -> bool) -> bool {
    // Each owner of a slot is refused by one look and loses the slot by the next one.
    for _ in 0..2 * (PLACES + 1) {
        for member in protocol.members(&state.store).collect::<Vec<_>>() {
            look(protocol, &mut state, member, refuses(member));
        }
    }
    let somebody_waits = (0..PLACES).any(|place| state.store.waits(place));
    let is_final = |slot: usize| {
        let is_paid = state.store.owners(slot).map(|row| row.credits).sum::<u8>() == 1;
        let ends = |row: &Row| match (row.posted, row.failed) {
            (Posted::Voided, _) => true,
            (Posted::Nothing, Failed::GivenUp) => !somebody_waits,
            _ => false,
        };
        is_paid || state.store.owners(slot).any(ends)
    };
    (0..protocol.slots).all(is_final)
}

/// The sweep looks at one entry: it sends what is unpaid to be paid, and passes on what is given up.
fn look(protocol: &Protocol, state: &mut State, member: usize, is_refused: bool) {
    let row = state.store.rows[member];
    let is_indexed = member < WINNERS || !protocol.has(Bug::SweepMissesPromotions);
    if row.posted != Posted::Nothing || !is_indexed {
        return;
    }
    if row.failed == Failed::GivenUp {
        if !protocol.has(Bug::SweepLeavesGivenUp) {
            protocol.sweep(state, member);
            pass_on(protocol, state, 1);
        }
        return;
    }
    let reply = if is_refused { Reply::Refused } else { Reply::Accepted };
    protocol.pay(state, member, reply);
    // grant-pay is killed when it has marked the grant, so that the sweep passes the slot on.
    protocol.settle(state, GRANT_PAY);
    state.workers[GRANT_PAY] = Worker::Idle;
}

fn pass_on(protocol: &Protocol, state: &mut State, worker: usize) {
    for bucket in 0..BUCKETS {
        protocol.read(state, worker, bucket);
    }
    while let Worker::Passes { .. } = state.workers[worker] {
        protocol.promote(state, worker, false);
    }
    while state.workers[worker] != Worker::Idle {
        protocol.settle(state, worker);
    }
}
