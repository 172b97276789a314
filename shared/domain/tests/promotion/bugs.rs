//! Planted bugs: each leaves out one safeguard of a promotion. The checker must find them.

use crate::checker::Planted;
use crate::properties::{
    COMES_TO_REST, EXCLUDED, GIVEN_UP, NOBODY_WAITS, OLDEST_FIRST, ONE_OWNER, ONE_SLOT, PAID_ONCE,
    SOUND,
};
use crate::protocol::{OPERATED, Protocol, THREE_COME, TWO_WAIT};

/// What is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Bug {
    /// The void does not check that nothing lies under the id of the payment.
    VoidsWhatIsPaid,
    /// A promotion does not check that the grant is given up.
    PassesOnWhatIsRetried,
    /// A promotion leaves the failed item as it was.
    LeavesTheGrantGivenUp,
    /// A promotion leaves no tombstone under the id of the payment.
    LeavesNoTombstone,
    /// A promotion checks neither the mark of the place nor its bucket.
    GivesAPlaceTwoSlots,
    /// It does not check the mark. By itself this breaks nothing.
    LeavesOutTheMark,
    /// It does not check the bucket. By itself this breaks nothing.
    LeavesOutTheBucket,
    /// The list is served in the order of the numbers of the places.
    ServesByPart,
    /// The list is served from its end.
    ServesTheYoungestFirst,
    /// A process that meets a place with a slot ends instead of trying the next one.
    EndsAtATakenPlace,
    /// A process works with a list that it read long ago.
    RemembersTheList,
    /// The slot that is passed on gets the number of the place.
    NumbersTheSlotByItsPlace,
    /// The void is a write of its own, before the promotion.
    VoidsInAWriteBefore,
    /// The promotion is a write of its own, before the void.
    PromotesInAWriteBefore,
    /// The payment does not check that nothing lies under its id.
    PaysWithoutIfAbsent,
    /// The sweep leaves what was given up to grant-pay.
    SweepLeavesGivenUp,
    /// The bucket of a promotion is not in the index of the sweep.
    SweepMissesPromotions,
}

/// Each with the property that it breaks, and the instance that shows it.
pub(crate) const BUGS: &[Planted<Bug, Protocol>] = &[
    (Bug::VoidsWhatIsPaid, PAID_ONCE, TWO_WAIT),
    (Bug::VoidsWhatIsPaid, EXCLUDED, TWO_WAIT),
    (Bug::PassesOnWhatIsRetried, GIVEN_UP, OPERATED),
    (Bug::LeavesTheGrantGivenUp, SOUND, TWO_WAIT),
    (Bug::LeavesNoTombstone, ONE_OWNER, TWO_WAIT),
    (Bug::LeavesNoTombstone, PAID_ONCE, TWO_WAIT),
    (Bug::GivesAPlaceTwoSlots, ONE_SLOT, TWO_WAIT),
    (Bug::ServesByPart, OLDEST_FIRST, TWO_WAIT),
    (Bug::ServesTheYoungestFirst, OLDEST_FIRST, THREE_COME),
    (Bug::EndsAtATakenPlace, NOBODY_WAITS, TWO_WAIT),
    (Bug::RemembersTheList, NOBODY_WAITS, THREE_COME),
    (Bug::NumbersTheSlotByItsPlace, ONE_OWNER, TWO_WAIT),
    (Bug::VoidsInAWriteBefore, COMES_TO_REST, TWO_WAIT),
    (Bug::PromotesInAWriteBefore, ONE_OWNER, TWO_WAIT),
    (Bug::PaysWithoutIfAbsent, PAID_ONCE, TWO_WAIT),
    (Bug::SweepLeavesGivenUp, COMES_TO_REST, TWO_WAIT),
    (Bug::SweepMissesPromotions, COMES_TO_REST, TWO_WAIT),
];
