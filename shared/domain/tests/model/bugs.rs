//! Planted bugs: each leaves out one safeguard of the protocol. The checker must find them.

use crate::checker::Planted;
use crate::instances::{
    BOTH_IN_ONE, EVERYTHING, PAID, REFUNDED, THREE_BUCKETS, TWO_BUCKETS, TWO_PAYERS,
};
use crate::properties::{
    ALREADY, COMES_TO_REST, CONSERVED, CONSISTENT, DRAWABLE, ENTITLED, ENTRIES_STAY, GIVEN_UP,
    NOT_REFUSED, ON_ITS_WAY, ONE_ENTRY, ONE_OWNER, OVER, PAID_ONCE, PAID_WITH_ENTRY, REFUNDED_ONCE,
    SOLD_OUT, SOUND, TOKEN_KEPT, WON,
};
use crate::protocol::Protocol;

/// What is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Bug {
    /// A draw does not check that the bucket is open.
    DrawsFromAClosedBucket,
    /// A draw does not check that the window has opened.
    DrawsAheadOfTheWindow,
    /// A draw does not check that the window is not over.
    DrawsAfterTheWindow,
    /// A draw does not check that a part is left.
    DrawsFromAFullBucket,
    /// A draw does not check that the member has no entry.
    DrawsTwice,
    /// A draw takes any entry of the member for its own.
    IgnoresTheNonce,
    /// A draw takes its own entry for another request's.
    KnowsNoRepeat,
    /// A repeat is told that the window is over before its own entry is found.
    ChecksTheWindowBeforeTheRepeat,
    /// The store keeps too few digits, so the index of an entry is lost.
    LosesTheIndex,
    /// Two requests of a member try the buckets in different orders.
    WalksInAnyOrder,
    /// A request whose reply is lost goes on to the next bucket.
    MovesOnWithoutAReply,
    /// A bucket that had room when it was read is passed over.
    SkipsABucketThatHadRoom,
    /// After its read, a request goes on with the bucket that it read last, not with the next one.
    TriesTheBucketReadLast,
    /// A request that finds one bucket full answers "sold out".
    IsSoldOutAfterOneBucket,
    /// A full bucket is passed over although it holds the member's entry.
    IgnoresItsEntryInAFullBucket,
    /// The cache of full buckets leaves the members out.
    CachesWithoutMembers,
    /// The cache of full buckets takes buckets with room.
    CachesBucketsWithRoom,
    /// The cache of full buckets does not tell pools apart.
    CachesByNumberAlone,
    /// The refund does not compare what is taken with what it read.
    RefundsWithoutComparing,
    /// The refund does not check that the buckets are open.
    RefundsAClosedPool,
    /// The refund does not wait for the end of the window.
    RefundsEarly,
    /// The refund closes the first bucket and returns what is left of all.
    ClosesTheFirstBucketOnly,
    /// The refund removes the entries of the buckets that it closes.
    RemovesEntriesAtClose,
    /// The refund closes the buckets first and credits the sender in a second write.
    CreditsAfterClosing,
    /// The refund frees the token when it begins.
    FreesTheTokenBeforeTheRefund,
    /// A claim sends its message before it draws.
    SendsBeforeItDraws,
    /// The outbox sends entries of inserted items only.
    SendsInsertsOnly,
    /// The payment does not check that nothing is there under its id.
    PaysWithoutIfAbsent,
    /// A payment that is tried again has a new id.
    PaysUnderANewId,
    /// A payment without a reply counts as refused.
    CountsALostReply,
    /// A refusal is counted whatever the failed item holds by now.
    CountsUnconditionally,
    /// A payment leaves the failed item of an earlier refusal.
    KeepsTheFailedItem,
    /// The message of a refused payment is deleted.
    DropsARefusedMessage,
    /// The void does not check that nothing is there under the grant's id.
    VoidsWhatIsPaid,
    /// The void does not check that the grant was given up.
    VoidsWhatMayBePaid,
    /// The void leaves no tombstone.
    VoidsWithoutATombstone,
    /// The void credits the funder in a second write.
    ReturnsAfterTheVoid,
    /// The sweep leaves failed grants to their messages.
    SweepSkipsFailed,
    /// The sweep leaves out closed buckets.
    SweepsOpenBucketsOnly,
    /// The sweep takes a bucket out of its index although a draw came in between.
    SweepForgetsADraw,
    /// The sweep sends what was given up under a new id.
    SweepsUnderANewId,
}

/// Each with the property that it breaks, and the instance that shows it.
pub(crate) const BUGS: &[Planted<Bug, Protocol>] = &[
    (Bug::DrawsFromAClosedBucket, CONSERVED, REFUNDED),
    (Bug::DrawsAheadOfTheWindow, SOUND, BOTH_IN_ONE),
    (Bug::DrawsAfterTheWindow, SOUND, BOTH_IN_ONE),
    (Bug::DrawsFromAFullBucket, ONE_OWNER, TWO_BUCKETS),
    (Bug::DrawsTwice, CONSISTENT, BOTH_IN_ONE),
    (Bug::IgnoresTheNonce, WON, TWO_BUCKETS),
    (Bug::KnowsNoRepeat, ALREADY, TWO_BUCKETS),
    (Bug::ChecksTheWindowBeforeTheRepeat, OVER, REFUNDED),
    (Bug::LosesTheIndex, ONE_OWNER, BOTH_IN_ONE),
    (Bug::WalksInAnyOrder, ONE_ENTRY, TWO_BUCKETS),
    (Bug::MovesOnWithoutAReply, ONE_ENTRY, TWO_BUCKETS),
    (Bug::SkipsABucketThatHadRoom, SOLD_OUT, TWO_BUCKETS),
    (Bug::TriesTheBucketReadLast, ONE_ENTRY, THREE_BUCKETS),
    (Bug::IsSoldOutAfterOneBucket, SOLD_OUT, TWO_BUCKETS),
    (Bug::IgnoresItsEntryInAFullBucket, ENTITLED, TWO_BUCKETS),
    (Bug::CachesWithoutMembers, ONE_ENTRY, TWO_BUCKETS),
    (Bug::CachesBucketsWithRoom, DRAWABLE, TWO_BUCKETS),
    (Bug::CachesByNumberAlone, DRAWABLE, TWO_BUCKETS),
    (Bug::RefundsWithoutComparing, CONSERVED, REFUNDED),
    (Bug::RefundsAClosedPool, REFUNDED_ONCE, REFUNDED),
    (Bug::RefundsEarly, REFUNDED_ONCE, REFUNDED),
    (Bug::ClosesTheFirstBucketOnly, REFUNDED_ONCE, REFUNDED),
    (Bug::RemovesEntriesAtClose, ENTRIES_STAY, REFUNDED),
    (Bug::CreditsAfterClosing, CONSERVED, REFUNDED),
    (Bug::FreesTheTokenBeforeTheRefund, TOKEN_KEPT, REFUNDED),
    (Bug::SendsBeforeItDraws, PAID_WITH_ENTRY, EVERYTHING),
    (Bug::SendsInsertsOnly, ON_ITS_WAY, PAID),
    (Bug::PaysWithoutIfAbsent, PAID_ONCE, PAID),
    (Bug::PaysUnderANewId, PAID_ONCE, PAID),
    (Bug::CountsALostReply, NOT_REFUSED, PAID),
    (Bug::CountsUnconditionally, SOUND, TWO_PAYERS),
    (Bug::KeepsTheFailedItem, COMES_TO_REST, TWO_PAYERS),
    (Bug::DropsARefusedMessage, ON_ITS_WAY, TWO_PAYERS),
    (Bug::VoidsWhatIsPaid, PAID_ONCE, TWO_PAYERS),
    (Bug::VoidsWhatMayBePaid, GIVEN_UP, TWO_PAYERS),
    (Bug::VoidsWithoutATombstone, PAID_ONCE, TWO_PAYERS),
    (Bug::ReturnsAfterTheVoid, SOUND, TWO_PAYERS),
    (Bug::SweepSkipsFailed, COMES_TO_REST, TWO_PAYERS),
    (Bug::SweepsOpenBucketsOnly, COMES_TO_REST, REFUNDED),
    (Bug::SweepForgetsADraw, COMES_TO_REST, PAID),
    (Bug::SweepsUnderANewId, PAID_ONCE, TWO_PAYERS),
];
