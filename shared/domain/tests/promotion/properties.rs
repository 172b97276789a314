//! What must hold in every state, and what some state must reach, so that no property holds only
//! because nothing happens.

use stateright::Property;

use crate::books::are_sound;
use crate::protocol::Protocol;
use crate::rest::{Memo, comes_to_rest};
use crate::state::{PLACES, Posted, State, Store, WINNERS, Worker};

pub(crate) const ONE_OWNER: &str = "a slot has exactly one owner";
pub(crate) const ONE_SLOT: &str = "a member of the list has at most one slot";
pub(crate) const PAID_ONCE: &str = "a slot is paid at most once";
pub(crate) const EXCLUDED: &str = "a payment and its void exclude each other";
pub(crate) const OLDEST_FIRST: &str = "no slot goes past a member who has waited longer";
pub(crate) const NOBODY_WAITS: &str = "\"nobody waits\" is found when nobody waits";
pub(crate) const GIVEN_UP: &str = "only a slot whose grant was given up is passed on";
pub(crate) const SOUND: &str = "the audit of the books finds nothing";
pub(crate) const COMES_TO_REST: &str =
    "after any kill and loss, the sweep brings each slot to a member who is paid";

/// All of them.
pub(crate) fn all(protocol: &Protocol) -> Vec<Property<Protocol>> {
    let mut all = vec![
        Property::always(ONE_OWNER, has_one_owner_each),
        Property::always(ONE_SLOT, |_, state: &State| {
            state.store.places.iter().all(|place| place.given <= 1)
        }),
        Property::always(PAID_ONCE, |protocol: &Protocol, state: &State| {
            let paid = |slot| state.store.owners(slot).map(|row| row.credits).sum::<u8>();
            (0..protocol.slots).all(|slot| paid(slot) <= 1)
        }),
        Property::always(EXCLUDED, |_, state: &State| {
            let is_barred = |posted| matches!(posted, Posted::PassedOn | Posted::Voided);
            state.store.rows.iter().all(|row| !is_barred(row.posted) || row.credits == 0)
        }),
        Property::always(OLDEST_FIRST, |_, state: &State| !state.wrong.has_overtaken),
        Property::always(NOBODY_WAITS, |_, state: &State| !state.wrong.has_missed),
        Property::always(GIVEN_UP, |_, state: &State| !state.wrong.has_taken),
        Property::always(SOUND, |protocol: &Protocol, state: &State| {
            static MEMO: Memo<(usize, Store)> = Memo::new();
            let key = (protocol.slots, state.store);
            MEMO.get(key, |(slots, store)| are_sound(*slots, store))
        }),
        Property::always(COMES_TO_REST, comes_to_rest),
        Property::sometimes("a slot was passed on twice", |_, state: &State| {
            let is_passed = |at: usize| state.store.rows[WINNERS + at].posted == Posted::PassedOn;
            (0..PLACES).any(is_passed)
        }),
        Property::sometimes(
            "two processes are about to serve the same place",
            |_, state: &State| {
                let [first, second] = state.workers.map(next_place);
                first.is_some() && first == second
            },
        ),
        Property::sometimes("a member of the list is paid", |_, state: &State| {
            state.store.rows[WINNERS..].iter().any(|row| row.credits == 1)
        }),
    ];
    if protocol.slots > 1 {
        all.push(Property::sometimes("a place was taken before", |_, state: &State| {
            let is_on_its_way =
                |worker: &Worker| matches!(worker, Worker::Passes { tried: 1.., .. });
            state.workers.iter().any(is_on_its_way)
        }));
    }
    if protocol.has_operator {
        all.push(Property::sometimes("a slot that was passed on is voided", |_, state: &State| {
            state.store.rows[WINNERS..].iter().any(|row| row.posted == Posted::Voided)
        }));
    }
    all
}

/// The one owner is paid, to be paid, or given up; or an operator has returned the amount of the slot.
fn has_one_owner_each(protocol: &Protocol, state: &State) -> bool {
    let keeps =
        |slot: usize| state.store.owners(slot).filter(|row| row.posted != Posted::PassedOn).count();
    (0..protocol.slots).all(|slot| keeps(slot) == 1)
}

/// The place that a worker serves next, if it has read the list.
fn next_place(worker: Worker) -> Option<usize> {
    let Worker::Passes { view, tried, .. } = worker else { return None };
    let [Some(first), Some(second), Some(third)] = view else { return None };
    crate::list::candidates([first, second, third]).get(usize::from(tried)).copied()
}
