//! One pass, a page of each segment at a time.

use futures::future::join_all;
use largesse_domain::audit::{Finding, Flow};
use largesse_domain::stats::Stats;
use largesse_domain::time::Timestamp;

use super::ledger::{Opened, ledger_page};
use super::pass::{Counts, Pass, Place, SEGMENTS, Stage};
use super::{Reads, pools, products};
use crate::ports::{PortResult, ScanKey, Segment};

/// What a page of one segment came to.
pub(super) struct PageDone {
    /// How far the segment has come; `None`: no further than before, since the wallet is not at its
    /// end.
    pub(super) place: Option<Place>,
    /// The sums over the wallets that ended.
    pub(super) flow: Flow,
    /// How much was proved.
    pub(super) counts: Counts,
    /// What features did.
    pub(super) stats: Stats,
    /// What does not add up.
    pub(super) findings: Vec<Finding>,
}

impl PageDone {
    pub(super) fn behind(next: Option<ScanKey>) -> Self {
        Self {
            place: Some(next.map_or(Place::End, Place::Behind)),
            flow: Flow::default(),
            counts: Counts::default(),
            stats: Stats::default(),
            findings: Vec::new(),
        }
    }
}

/// A pass that a process works on. What it holds beside the pass is read again by the next process:
/// the wallets whose transfers go on on the next page.
pub struct Walk {
    pass: Pass,
    opened: Vec<Opened>,
}

impl Walk {
    /// Goes on with a pass.
    #[must_use]
    pub fn new(pass: Pass) -> Self {
        Self { opened: opened(&pass), pass }
    }

    /// How far it has come.
    #[must_use]
    pub const fn pass(&self) -> &Pass {
        &self.pass
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.pass.stage == Stage::Ended
    }

    pub(super) fn counted(&self) -> Counted {
        Counted { from: self.pass.stats_from(), to: self.pass.began }
    }

    /// Reads the next page of each segment, and returns what it has found that it had not before.
    ///
    /// # Errors
    /// [`crate::ports::PortError`]: something could not be read now. The walk must not go on; a new
    /// one goes on from the pass as it was before the call.
    pub async fn round<D: Reads>(&mut self, deps: &D) -> PortResult<Vec<Finding>> {
        let (stage, counted) = (self.pass.stage, self.counted());
        let places = self.pass.places.iter().zip(&mut self.opened);
        let numbered = (0..).zip(places).filter(|(_, (place, _))| **place != Place::End);
        let pages: Vec<_> = numbered
            .map(async |(number, (place, opened))| {
                let segment = Segment { number, total: SEGMENTS };
                let page = match stage {
                    Stage::Ledger => ledger_page(deps, segment, opened, counted).await,
                    Stage::Pools => pools::page(deps, segment, key_of(place), counted).await,
                    Stage::Products => products::page(deps, segment, key_of(place)).await,
                    Stage::Ended => Ok(PageDone::behind(None)),
                };
                (number, page)
            })
            .collect();
        let mut found = Vec::new();
        for (number, page) in join_all(pages).await {
            let page = page?;
            let index = usize::try_from(number).unwrap_or(usize::MAX);
            if let (Some(place), Some(at)) = (page.place, self.pass.places.get_mut(index)) {
                *at = place;
            }
            self.pass.flow = self.pass.flow.plus(page.flow);
            let (counts, more) = (&mut self.pass.counts, page.counts);
            counts.pools = counts.pools.saturating_add(more.pools);
            counts.products = counts.products.saturating_add(more.products);
            counts.moving = counts.moving.saturating_add(more.moving);
            self.pass.stats.merge(&page.stats);
            found.extend(self.pass.add(page.findings));
        }
        found.extend(self.pass.advance(deps.now()));
        if self.pass.stage != stage {
            self.opened = opened(&self.pass);
        }
        Ok(found)
    }
}

/// Which moments' figures a pass counts: what is decided after its start is the next one's.
#[derive(Clone, Copy)]
pub(super) struct Counted {
    pub(super) from: Timestamp,
    to: Timestamp,
}

impl Counted {
    pub(super) fn has(self, at: Timestamp) -> bool {
        (self.from..self.to).contains(&at)
    }
}

fn key_of(place: &Place) -> Option<ScanKey> {
    match place {
        Place::Behind(key) => Some(key.clone()),
        Place::Start | Place::End => None,
    }
}

fn opened(pass: &Pass) -> Vec<Opened> {
    pass.places.iter().map(|place| Opened::at(key_of(place))).collect()
}
