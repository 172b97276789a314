//! How far a pass has come, and what it may archive.

use largesse_domain::id::{PoolId, Ulid};
use largesse_domain::product::made_at;
use largesse_domain::time::Timestamp;

use super::transfers::LedgerProgress;
use crate::ports::{ScanKey, ThingKind, Tombstone};

/// How far behind its creation the horizon stays of what is not archived: an id is made by the clock
/// of one process, and a transfer by that of another, which may be slow.
const MARGIN_MS: u64 = 3_600_000;

/// What is being archived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Things of a kind.
    Things(ThingKind),
    /// Transfers below the horizon.
    Ledger,
    /// Nothing: the pass is over.
    Ended,
}

impl Stage {
    /// All of them, in their order.
    pub const ALL: [Self; 6] = [
        Self::Things(ThingKind::Spray),
        Self::Things(ThingKind::Drop),
        Self::Things(ThingKind::Product),
        Self::Things(ThingKind::Campaign),
        Self::Ledger,
        Self::Ended,
    ];

    /// The name in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Things(ThingKind::Spray) => "sprays",
            Self::Things(ThingKind::Drop) => "drops",
            Self::Things(ThingKind::Product) => "products",
            Self::Things(ThingKind::Campaign) => "campaigns",
            Self::Ledger => "ledger",
            Self::Ended => "ended",
        }
    }

    pub(super) const fn next(self) -> Self {
        match self {
            Self::Things(ThingKind::Spray) => Self::Things(ThingKind::Drop),
            Self::Things(ThingKind::Drop) => Self::Things(ThingKind::Product),
            Self::Things(ThingKind::Product) => Self::Things(ThingKind::Campaign),
            Self::Things(ThingKind::Campaign) => Self::Ledger,
            Self::Ledger | Self::Ended => Self::Ended,
        }
    }
}

/// The oldest thing that is not archived: transfers that it may still cause have ids from its
/// creation on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Which: a pool, or the key of an item that cannot be read.
    pub name: String,
    /// When it was made; the beginning of time when that cannot be read.
    pub since: Timestamp,
    /// Why it is not archived, in words.
    pub why: String,
}

impl Held {
    /// A thing that stays.
    #[must_use]
    pub fn of(pool: PoolId, why: impl Into<String>) -> Self {
        Self { name: pool.to_string(), since: made_at(pool.ulid()), why: why.into() }
    }

    /// An item that cannot be read, by its key: its thing stays. When the key names no thing, no
    /// transfer is archived.
    #[must_use]
    pub fn unreadable(key: &str) -> Self {
        let mut parts = key.split(['#', ' ']);
        let pool = parts.next().zip(parts.next()).map(|(kind, id)| format!("{kind}#{id}"));
        let pool = pool.and_then(|text| text.parse::<PoolId>().ok());
        let since = pool.map_or(Timestamp::from_ms(0), |pool| made_at(pool.ulid()));
        Self { name: key.to_owned(), since, why: "an item of it cannot be read".to_owned() }
    }

    /// The older of two.
    pub(super) fn older(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) => Some(if other.since < one.since { other } else { one }),
            (one, other) => one.or(other),
        }
    }
}

/// How much was archived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sprays, drops, products and campaigns.
    pub things: u64,
    /// Their items.
    pub items: u64,
    /// Things older than the age that stay.
    pub held: u64,
}

/// A pass over all things, and then over the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Its id; the names of its objects begin with it.
    pub id: Ulid,
    /// When it began.
    pub began: Timestamp,
    /// What ended or was posted before is old enough.
    pub cutoff: Timestamp,
    /// What is being archived.
    pub stage: Stage,
    /// Behind which place of the stage's table to read on; `None` at its start.
    pub place: Option<ScanKey>,
    /// The things whose items are in objects that were read back, and which are being removed.
    pub in_flight: Vec<Tombstone>,
    /// Things of the page that one run is too short for: they stay. A run adds at most one.
    pub too_long: Vec<PoolId>,
    /// The oldest thing so far that is not archived.
    pub held: Option<Held>,
    /// How much was archived so far.
    pub counts: Counts,
    /// How far the stage of the ledger has come.
    pub ledger: LedgerProgress,
    /// When it ended.
    pub ended: Option<Timestamp>,
}

impl Pass {
    /// A pass that begins.
    #[must_use]
    pub fn new(id: Ulid, began: Timestamp, age_ms: u64) -> Self {
        Self {
            id,
            began,
            cutoff: began.minus_ms(age_ms),
            stage: Stage::ALL[0],
            place: None,
            in_flight: Vec::new(),
            too_long: Vec::new(),
            held: None,
            counts: Counts::default(),
            ledger: LedgerProgress::default(),
            ended: None,
        }
    }

    /// No posting with an id below comes any more, once all things were looked at: those that are
    /// archived post nothing, and every other one was made at this time or later.
    #[must_use]
    pub fn horizon(&self) -> Timestamp {
        let held = self.held.as_ref().map(|held| held.since);
        held.map_or(self.cutoff, |held| held.min(self.cutoff)).minus_ms(MARGIN_MS)
    }

    /// Goes on to the next stage.
    pub(super) fn advance(&mut self, now: Timestamp) {
        self.stage = self.stage.next();
        self.place = None;
        if self.stage == Stage::Ended {
            self.ended = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 86_400_000;

    fn pool(ms: u64) -> PoolId {
        PoolId::Spray(largesse_domain::id::SprayId(Ulid::from_parts(ms, 1)))
    }

    fn pass() -> Pass {
        Pass::new(Ulid::from_parts(0, 1), Timestamp::from_ms(1_000 * 86_400_000), 400 * DAY_MS)
    }

    #[test]
    fn the_horizon_is_before_the_oldest_thing_that_stays() {
        let mut pass = pass();
        assert_eq!(pass.horizon(), pass.cutoff.minus_ms(MARGIN_MS));
        let old = Held::of(pool(500 * DAY_MS), "why");
        let older = Held::of(pool(400 * DAY_MS), "why");
        for (one, other) in [(&old, &older), (&older, &old)] {
            let held = Held::older(Some(one.clone()), Some(other.clone()));
            assert_eq!(held.as_ref(), Some(&older));
            pass.held = held;
            assert_eq!(pass.horizon().ms_unsigned(), 400 * DAY_MS - MARGIN_MS);
        }
        // What was made behind the cutoff holds nothing back.
        pass.held = Some(Held::of(pool(700 * DAY_MS), "why"));
        assert_eq!(pass.horizon(), pass.cutoff.minus_ms(MARGIN_MS));
    }

    #[test]
    fn an_item_that_cannot_be_read_holds_its_thing_or_everything() {
        let id = Ulid::from_parts(7_000, 1);
        for key in [format!("SPRAY#{id}"), format!("PRODUCT#{id} META"), format!("DROP#{id}")] {
            assert_eq!(Held::unreadable(&key).since.ms(), 7_000, "{key}");
        }
        assert_eq!(Held::unreadable("what").since.ms(), 0);
    }

    #[test]
    fn the_stages_come_one_after_another_and_end() {
        let mut pass = pass();
        for stage in Stage::ALL {
            assert_eq!(pass.stage, stage);
            assert_eq!(pass.ended.is_some(), stage == Stage::Ended);
            pass.advance(Timestamp::from_ms(9));
        }
    }
}
