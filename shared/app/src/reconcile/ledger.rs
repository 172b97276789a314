//! A page of the ledger: wallets with their transfers, and the reasons of these.

use futures::StreamExt;
use largesse_domain::audit::{Chain, Finding, Flow, Subject};
use largesse_domain::id::UserId;
use largesse_domain::ledger::Transfer;
use largesse_domain::stats::Stats;

use super::pass::{Counts, Place};
use super::walk::{Counted, PageDone};
use super::{CONCURRENCY, Reads, confirm, reasons};
use crate::ports::{LedgerRow, PortResult, ScanKey, Segment};

/// A segment of the ledger between two pages.
pub(super) struct Opened {
    /// Where the next page begins.
    next: Option<ScanKey>,
    /// The wallet whose transfers may go on there.
    chain: Option<Chain>,
    /// What its transfers add to the figures.
    stats: Stats,
}

impl Opened {
    pub(super) fn at(next: Option<ScanKey>) -> Self {
        Self { next, chain: None, stats: Stats::default() }
    }
}

/// Reads a page. Wallets that end on it are proved, and all of its transfers are explained.
pub(super) async fn ledger_page<D: Reads>(
    deps: &D,
    segment: Segment,
    opened: &mut Opened,
    counted: Counted,
) -> PortResult<PageDone> {
    let page = deps.scan_ledger(segment, opened.next.take()).await?;
    let is_last = page.next.is_none();
    let mut read = PageRead::default();
    let (mut chain, mut of_chain) = (opened.chain.take(), std::mem::take(&mut opened.stats));
    let mut stats = Stats::default();
    for row in page.rows {
        match row {
            LedgerRow::Wallet(wallet) => {
                read.end(chain.take(), &mut of_chain, &mut stats);
                let user = wallet.user.clone();
                chain = Some(Chain::new(&user, Some(wallet)));
            }
            LedgerRow::Run(user, run) => {
                if !is_of(chain.as_ref(), &user) {
                    read.end(chain.take(), &mut of_chain, &mut stats);
                }
                chain.get_or_insert_with(|| Chain::new(&user, None)).add_run(&run);
            }
            LedgerRow::Posted(transfer) => {
                let user = &transfer.order.wallet;
                if !is_of(chain.as_ref(), user) {
                    read.end(chain.take(), &mut of_chain, &mut stats);
                }
                let of_user = chain.get_or_insert_with(|| Chain::new(user, None));
                // The archive was still removing it: the run has it, and its pool may be gone.
                if of_user.is_archived(transfer.order.id) {
                    continue;
                }
                of_user.add(&transfer);
                if counted.has(transfer.order.at) {
                    of_chain.add_transfer(&transfer);
                }
                read.transfers.push(transfer);
            }
            // A member whose only payment was voided has no wallet.
            LedgerRow::Voided(user, _) => {
                if !is_of(chain.as_ref(), &user) {
                    read.end(chain.take(), &mut of_chain, &mut stats);
                }
            }
            LedgerRow::Unreadable(key) => {
                let (subject, what) = (Subject::Item(key), "the item cannot be read".to_owned());
                read.findings.push(Finding { subject, what });
            }
        }
    }
    if is_last {
        read.end(chain.take(), &mut of_chain, &mut stats);
    }
    // What lies behind the last wallet that ended is read again by the next process.
    let behind = read.ended.last().map(|chain| Place::Behind(deps.behind_wallet(chain.user())));
    let place = if is_last { Some(Place::End) } else { behind };
    let (flow, findings) = read.judge(deps).await?;
    *opened = Opened { next: page.next, chain, stats: of_chain };
    Ok(PageDone { place, flow, counts: Counts::default(), stats, findings })
}

fn is_of(chain: Option<&Chain>, user: &UserId) -> bool {
    chain.is_some_and(|chain| chain.user() == user)
}

/// What a page holds.
#[derive(Default)]
struct PageRead {
    /// The wallets whose last transfer was read.
    ended: Vec<Chain>,
    transfers: Vec<Transfer>,
    findings: Vec<Finding>,
}

impl PageRead {
    /// A wallet ends: it and what its transfers add are kept together, so that a wallet that is
    /// read again is counted once.
    fn end(&mut self, chain: Option<Chain>, of_chain: &mut Stats, stats: &mut Stats) {
        self.ended.extend(chain);
        stats.merge(&std::mem::take(of_chain));
    }

    async fn judge<D: Reads>(self, deps: &D) -> PortResult<(Flow, Vec<Finding>)> {
        let mut findings = self.findings;
        let mut flow = Flow::default();
        let judged: Vec<_> = self.ended.into_iter().map(|c| confirm::judge(deps, c)).collect();
        let mut judged = futures::stream::iter(judged).buffer_unordered(CONCURRENCY);
        while let Some(judged) = judged.next().await {
            match judged? {
                Ok(of_wallet) => flow = flow.plus(of_wallet),
                Err(finding) => findings.push(finding),
            }
        }
        findings.extend(reasons::unexplained(deps, self.transfers).await?);
        Ok((flow, findings))
    }
}
