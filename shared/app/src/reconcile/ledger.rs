//! A page of the ledger: wallets with their transfers, and the reasons of these.

use futures::StreamExt;
use largesse_domain::audit::{Chain, Finding, Flow, Subject};
use largesse_domain::id::UserId;
use largesse_domain::ledger::Transfer;

use super::pass::{Counts, Place};
use super::walk::PageDone;
use super::{CONCURRENCY, Reads, confirm, reasons};
use crate::ports::{LedgerRow, PortResult, ScanKey, Segment};

/// A segment of the ledger between two pages.
pub(super) struct Opened {
    /// Where the next page begins.
    next: Option<ScanKey>,
    /// The wallet whose transfers may go on there.
    chain: Option<Chain>,
}

impl Opened {
    pub(super) const fn at(next: Option<ScanKey>) -> Self {
        Self { next, chain: None }
    }
}

/// Reads a page. Wallets that end on it are proved, and all of its transfers are explained.
pub(super) async fn ledger_page<D: Reads>(
    deps: &D,
    segment: Segment,
    opened: &mut Opened,
) -> PortResult<PageDone> {
    let page = deps.scan_ledger(segment, opened.next.take()).await?;
    let is_last = page.next.is_none();
    let mut read = PageRead::default();
    let mut chain = opened.chain.take();
    for row in page.rows {
        match row {
            LedgerRow::Wallet(wallet) => {
                read.ended.extend(chain.take());
                let user = wallet.user.clone();
                chain = Some(Chain::new(&user, Some(wallet)));
            }
            LedgerRow::Posted(transfer) => {
                let user = &transfer.order.wallet;
                if !is_of(chain.as_ref(), user) {
                    read.ended.extend(chain.take());
                }
                chain.get_or_insert_with(|| Chain::new(user, None)).add(&transfer);
                read.transfers.push(transfer);
            }
            // A member whose only payment was voided has no wallet.
            LedgerRow::Voided(user, _) => {
                if !is_of(chain.as_ref(), &user) {
                    read.ended.extend(chain.take());
                }
            }
            LedgerRow::Unreadable(key) => {
                let (subject, what) = (Subject::Item(key), "the item cannot be read".to_owned());
                read.findings.push(Finding { subject, what });
            }
        }
    }
    if is_last {
        read.ended.extend(chain.take());
    }
    // What lies behind the last wallet that ended is read again by the next process.
    let behind = read.ended.last().map(|chain| Place::Behind(deps.behind_wallet(chain.user())));
    let place = if is_last { Some(Place::End) } else { behind };
    let (flow, findings) = read.judge(deps).await?;
    (opened.next, opened.chain) = (page.next, chain);
    Ok(PageDone { place, flow, counts: Counts::default(), findings })
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
