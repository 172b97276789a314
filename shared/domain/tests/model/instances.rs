//! The instances of the protocol that are checked.

use crate::protocol::{Protocol, Walk};

/// A member without requests: for smaller instances.
const ABSENT: Walk = (&[], 0);

/// Two buckets of one part; three members with two requests each, of whom one begins with the other
/// bucket; a refund.
pub(crate) const CLAIMS: Protocol = Protocol {
    name: "claims",
    sizes: [1, 1, 0],
    members: [(&[0, 1], 2), (&[0, 1], 2), (&[1, 0], 2)],
    has_skew: false,
    refunds: 1,
    payers: 0,
    has_refusals: false,
    bug: None,
};

/// The same with one request each and two refunds at once; clocks may be wrong.
pub(crate) const REFUNDS: Protocol = Protocol {
    name: "two refunds",
    members: [(&[0, 1], 1), (&[0, 1], 1), (&[1, 0], 1)],
    has_skew: true,
    refunds: 2,
    ..CLAIMS
};

/// One bucket of two parts, with all of that.
pub(crate) const BOTH_IN_ONE: Protocol = Protocol {
    name: "both parts in one bucket",
    sizes: [2, 0, 0],
    members: [(&[0], 2), (&[0], 2), (&[0], 2)],
    has_skew: true,
    refunds: 2,
    ..CLAIMS
};

/// Three buckets, of which the first has no part, so that it is full from the start: each request
/// reads the other two, each at its own moment.
pub(crate) const READS: Protocol = Protocol {
    name: "reads of two buckets",
    sizes: [0, 1, 1],
    members: [(&[0, 1, 2], 1), (&[0, 1, 2], 1), (&[0, 2, 1], 1)],
    refunds: 0,
    ..CLAIMS
};

/// The same with two requests of one member.
pub(crate) const THREE_BUCKETS: Protocol = Protocol {
    name: "reads by two requests of a member",
    members: [(&[0, 1, 2], 2), (&[0, 2, 1], 1), ABSENT],
    ..READS
};

/// One entry: two deliveries of its grant at once, a wallet that refuses, an operator.
pub(crate) const TWO_PAYERS: Protocol = Protocol {
    name: "two deliveries of a grant",
    sizes: [1, 0, 0],
    members: [(&[0], 1), ABSENT, ABSENT],
    refunds: 0,
    payers: 2,
    has_refusals: true,
    ..CLAIMS
};

/// A bucket of two parts for two members: the sweep while draws come.
pub(crate) const PAID: Protocol = Protocol {
    name: "payment of two members",
    sizes: [2, 0, 0],
    members: [(&[0], 1), (&[0], 1), ABSENT],
    refunds: 0,
    payers: 1,
    ..CLAIMS
};

/// One part, two members, and everything at once.
pub(crate) const EVERYTHING: Protocol = Protocol {
    name: "everything at once",
    sizes: [1, 0, 0],
    members: [(&[0], 1), (&[0], 1), ABSENT],
    payers: 1,
    has_refusals: true,
    ..CLAIMS
};

/// For planted bugs: two members with the same walk and two requests each.
pub(crate) const TWO_BUCKETS: Protocol = Protocol {
    name: "two buckets",
    members: [(&[0, 1], 2), (&[0, 1], 2), ABSENT],
    refunds: 0,
    ..CLAIMS
};

/// For planted bugs: the same with one request each and two refunds.
pub(crate) const REFUNDED: Protocol = Protocol {
    name: "two buckets and two refunds",
    has_skew: true,
    members: [(&[0, 1], 1), (&[0, 1], 1), ABSENT],
    refunds: 2,
    ..CLAIMS
};
