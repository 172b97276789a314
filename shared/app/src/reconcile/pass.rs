//! How far a pass has come, and what it has found.

use largesse_domain::audit::{Finding, Flow, Subject};
use largesse_domain::stats::{DAY_MS, Stats};
use largesse_domain::time::Timestamp;

use crate::ports::ScanKey;
use crate::stats::day_of;

/// Segments scanned side by side. A page of each is in memory: 1 MB on the wire.
pub const SEGMENTS: u32 = 8;
/// How many findings are kept in words; all are counted.
pub const FINDINGS_MAX: usize = 100;
/// How much is kept of the words of one: together 200 KB at most, half of what an item holds
/// (Amazon DynamoDB Developer Guide, "Item size").
const WORDS_MAX: usize = 500;

/// Days before the one on which a pass begins whose figures it counts anew: a draw that is paid
/// later stands on its day until then. With eight days of 96 cells for five features, the figures
/// fit into an item.
const STATS_DAYS: u64 = 7;

/// What is being scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Wallets, and the reason of each transfer.
    Ledger,
    /// Sprays and drops.
    Pools,
    /// Products.
    Products,
    /// Nothing: the pass is over.
    Ended,
}

impl Stage {
    /// All of them, in their order.
    pub const ALL: [Self; 4] = [Self::Ledger, Self::Pools, Self::Products, Self::Ended];

    /// The name in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Pools => "pools",
            Self::Products => "products",
            Self::Ended => "ended",
        }
    }

    const fn next(self) -> Self {
        match self {
            Self::Ledger => Self::Pools,
            Self::Pools => Self::Products,
            Self::Products | Self::Ended => Self::Ended,
        }
    }
}

/// How far the scan of one segment has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// At its start.
    Start,
    /// Behind this place.
    Behind(ScanKey),
    /// At its end.
    End,
}

/// How much was proved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sprays and drops.
    pub pools: u64,
    /// Products.
    pub products: u64,
    /// Products in which was invested during each read, so that their sums were compared within the
    /// bounds before and after. Part of `products`.
    pub moving: u64,
}

/// A pass over the whole ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// When it began.
    pub began: Timestamp,
    /// What is being scanned.
    pub stage: Stage,
    /// How far each segment of the stage has come: [`SEGMENTS`].
    pub places: Vec<Place>,
    /// The sums over the wallets so far.
    pub flow: Flow,
    /// How much was proved so far.
    pub counts: Counts,
    /// The figures so far, of what was decided since [`Pass::stats_from`].
    pub stats: Stats,
    /// What does not add up, each once: the first [`FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// How many findings there are.
    pub found: u64,
    /// When it ended.
    pub ended: Option<Timestamp>,
}

impl Pass {
    /// A pass that begins.
    #[must_use]
    pub fn new(began: Timestamp) -> Self {
        Self {
            began,
            stage: Stage::Ledger,
            places: starts(),
            flow: Flow::default(),
            counts: Counts::default(),
            stats: Stats::default(),
            findings: Vec::new(),
            found: 0,
            ended: None,
        }
    }

    /// The start of the first day whose figures are counted.
    #[must_use]
    pub fn stats_from(&self) -> Timestamp {
        day_of(self.began).minus_ms(STATS_DAYS.saturating_mul(DAY_MS))
    }

    /// The days whose figures are counted, by their first moments.
    #[must_use]
    pub fn stats_days(&self) -> Vec<Timestamp> {
        let first = self.stats_from();
        (0..=STATS_DAYS).map(|day| first.plus_ms(day.saturating_mul(DAY_MS))).collect()
    }

    /// Goes on to the next stage when all segments are at their end. At the end the totals must add
    /// up. Returns what does not.
    pub(super) fn advance(&mut self, now: Timestamp) -> Option<Finding> {
        if self.places.iter().any(|place| *place != Place::End) {
            return None;
        }
        self.stage = self.stage.next();
        if self.stage != Stage::Ended {
            self.places = starts();
            return None;
        }
        self.ended = Some(now);
        if self.flow.adds_up() {
            return None;
        }
        let what = format!("issued is not wallets + held + escrows: {:?}", self.flow);
        let finding = Finding { subject: Subject::Totals, what };
        self.add(vec![finding.clone()]);
        Some(finding)
    }

    /// Adds findings, each once; returns those that are new.
    pub(super) fn add(&mut self, found: Vec<Finding>) -> Vec<Finding> {
        let mut new = Vec::new();
        for mut finding in found {
            if let Some((end, _)) = finding.what.char_indices().nth(WORDS_MAX) {
                finding.what.truncate(end);
            }
            if self.findings.contains(&finding) || new.contains(&finding) {
                continue;
            }
            self.found = self.found.saturating_add(1);
            if self.findings.len() < FINDINGS_MAX {
                self.findings.push(finding.clone());
            }
            new.push(finding);
        }
        new
    }
}

fn starts() -> Vec<Place> {
    (0..SEGMENTS).map(|_| Place::Start).collect()
}
