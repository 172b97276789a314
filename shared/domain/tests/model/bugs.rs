//! Planted bugs: each leaves out one thing that the protocol rests on. The checker must find them.

use crate::properties::{
    CONSERVED, EMPTY_HANDED, HELD_ONCE, LATE, NEVER_GIVES_BACK, PAID_ONCE, REFUNDED_ONCE,
    REPEATS_HAVE_IT, WINNERS_HAVE_IT,
};

/// What is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A trim removes whatever note of the member stands, not only that very draw's.
    TrimsWhateverStands,
    /// A note is trimmed before its draw is recorded.
    TrimsBeforeRecording,
    /// A pool whose members draw without reading their record is trimmed all the same.
    TrimsASmallPool,
    /// A draw whose member has another record is forgotten, not given back.
    SettlesWithoutRelease,
    /// A draw is given back although its note is gone.
    ReleasesTwice,
    /// A record is put although there is one.
    RecordsOver,
    /// A winner is told so before the record says that the draw counts.
    AnswersBeforeRecording,
    /// A repeat is answered from a note that may yet be given back.
    BelievesANote,
    /// Who finds nothing left is told so, without a look whether the member has a record by now.
    LooksOnce,
    /// Who finds nothing left is told so, although a draw that is noted may yet be given back.
    BelievesAnEmptyHead,
    /// Who finds the window over is told so, without a look whether this very request has drawn.
    IsLateForItsOwnShare,
    /// A draw does not look whether one of the member's is pending.
    DrawsTwice,
    /// A draw goes by its own clock alone, not by the pool's status.
    DrawsFromAClosedPool,
    /// A payment that is tried again gets a new id.
    PaysUnderANewId,
    /// The refund goes by what it read, whatever came since.
    RefundsUnconditionally,
    /// The refund does not settle what is pending.
    RefundsWithoutSettling,
    /// The refund does not look whether something went back before.
    RefundsTwice,
    /// The refund does not wait for the end of the window.
    RefundsEarly,
}

/// Each with the promise that it breaks.
pub(crate) const BUGS: [(Bug, &str); 18] = [
    (Bug::TrimsWhateverStands, CONSERVED),
    (Bug::TrimsBeforeRecording, CONSERVED),
    (Bug::TrimsASmallPool, NEVER_GIVES_BACK),
    (Bug::SettlesWithoutRelease, CONSERVED),
    (Bug::ReleasesTwice, HELD_ONCE),
    (Bug::RecordsOver, CONSERVED),
    (Bug::AnswersBeforeRecording, WINNERS_HAVE_IT),
    (Bug::BelievesANote, REPEATS_HAVE_IT),
    (Bug::LooksOnce, EMPTY_HANDED),
    (Bug::BelievesAnEmptyHead, EMPTY_HANDED),
    (Bug::IsLateForItsOwnShare, LATE),
    (Bug::DrawsTwice, CONSERVED),
    (Bug::DrawsFromAClosedPool, CONSERVED),
    (Bug::PaysUnderANewId, PAID_ONCE),
    (Bug::RefundsUnconditionally, CONSERVED),
    (Bug::RefundsWithoutSettling, HELD_ONCE),
    (Bug::RefundsTwice, REFUNDED_ONCE),
    (Bug::RefundsEarly, REFUNDED_ONCE),
];
