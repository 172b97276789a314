//! The state of the model: what the store holds, and what each process knows until it is killed.

/// Members who have won a slot: each has the slot of their own number.
pub(crate) const WINNERS: usize = 2;
/// Places on the waiting list, in the order of the times of entry: the first one waits longest.
pub(crate) const PLACES: usize = 3;
/// Winners, and behind them the members of the places.
pub(crate) const MEMBERS: usize = WINNERS + PLACES;
/// Processes that pass slots on.
pub(crate) const WORKERS: usize = 2;
/// The worker that is grant-pay; the other one is pool-sweep.
pub(crate) const GRANT_PAY: usize = 0;

/// What the ledger holds under the id of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Posted {
    Nothing,
    Transfer,
    /// The tombstone of a payment whose slot was passed on.
    PassedOn,
    /// The tombstone of a payment that an operator has voided.
    Voided,
}

/// The item of a grant that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Failed {
    No,
    /// An operator has sent it again.
    Retried,
    GivenUp,
    Voided,
}

/// What the store holds about the grant of one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) posted: Posted,
    /// How often the member's wallet was credited.
    pub(crate) credits: u8,
    pub(crate) failed: Failed,
}

/// What the store holds about one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// Whether a member has it.
    pub(crate) is_taken: bool,
    /// The slot in its bucket's map of promotions.
    pub(crate) mark: Option<u8>,
    /// How often the bucket of its promotion was put.
    pub(crate) given: u8,
}

/// The tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Store {
    pub(crate) rows: [Row; MEMBERS],
    pub(crate) places: [Place; PLACES],
}

impl Store {
    /// The slot that a member drew or was given, whatever became of it.
    pub(crate) fn slot(&self, member: usize) -> Option<usize> {
        match member.checked_sub(WINNERS) {
            None => Some(member),
            Some(place) => self.places[place].mark.map(usize::from),
        }
    }

    /// Whether the member has an entry, and so a grant.
    pub(crate) fn has_entry(&self, member: usize) -> bool {
        member.checked_sub(WINNERS).is_none_or(|place| self.places[place].given > 0)
    }

    /// The members who have or had that slot.
    pub(crate) fn owners(&self, slot: usize) -> impl Iterator<Item = &Row> {
        let owns =
            move |member: &usize| self.has_entry(*member) && self.slot(*member) == Some(slot);
        (0..MEMBERS).filter(owns).map(|member| &self.rows[member])
    }

    /// Whether a member of a place has no slot yet.
    pub(crate) fn waits(&self, place: usize) -> bool {
        let place = &self.places[place];
        place.is_taken && place.mark.is_none()
    }
}

/// A place as a read of its bucket showed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Seen {
    Free,
    Waits,
    Promoted,
}

/// What a process has read of the list; `None` for a place whose bucket it has not read.
pub(crate) type View = [Option<Seen>; PLACES];

/// How far a process has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Worker {
    Idle,
    /// The grant of this member is paid: its failed item is to be removed.
    Paid(usize),
    /// It was refused for the last time: it is to be marked as given up.
    Refused(usize),
    /// It passes on the slot of the member.
    Passes {
        member: usize,
        /// Who waited when it began.
        waited: [bool; PLACES],
        view: View,
        /// How many places were refused because they have a slot.
        tried: u8,
    },
    /// Only of planted bugs: the second write of a promotion is left to do.
    Second {
        member: usize,
        place: usize,
    },
}

/// What a process did that it must not do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Wrong {
    /// A slot went past a member who had waited longer since before the process began.
    pub(crate) has_overtaken: bool,
    /// It found that nobody waits while a member did, since before it began.
    pub(crate) has_missed: bool,
    /// It passed on the slot of a grant that was not given up.
    pub(crate) has_taken: bool,
}

/// Everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) workers: [Worker; WORKERS],
    pub(crate) wrong: Wrong,
}
