//! A wallet that does not add up is read again, alone, before it is a finding.

use largesse_domain::audit::{Chain, Chained, Finding, Flow, NAMED_MAX, first_break};
use largesse_domain::id::UserId;
use largesse_domain::ledger::{Transfer, Wallet};

use super::{Reads, pause_after};
use crate::ports::{LedgerRow, PortErrorKind, PortResult, Scans, Wallets};

/// The sums over a wallet whose transfers are all read, or what is wrong with it.
pub(super) async fn judge<D: Reads>(deps: &D, chain: Chain) -> PortResult<Result<Flow, Finding>> {
    let (user, seq) = (chain.user().clone(), chain.wallet().seq);
    match sound(deps, &user, seq, chain.end()).await {
        Ok(Ok(flow)) => return Ok(Ok(flow)),
        Ok(Err(_)) => {}
        Err(error) if error.kind == PortErrorKind::Corrupt => {}
        Err(error) => return Err(error),
    }
    let mut tried = 0_u32;
    loop {
        let what = match alone(deps, &user).await {
            Ok(Ok(flow)) => return Ok(Ok(flow)),
            Ok(Err(what)) => what,
            Err(error) if error.kind == PortErrorKind::Corrupt => error.causes(),
            Err(error) => return Err(error),
        };
        let Some(ms) = pause_after(tried) else {
            return Ok(Err(Finding::of_wallet(&user, what)));
        };
        deps.pause_ms(ms).await;
        tried = tried.saturating_add(1);
    }
}

/// A chain is sound when a wallet that is read after it has at least its highest sequence.
async fn sound<D: Wallets>(
    deps: &D,
    user: &UserId,
    seq: u64,
    chained: Result<Chained, String>,
) -> PortResult<Result<Flow, String>> {
    let Chained { last, flow } = match chained {
        Ok(chained) => chained,
        Err(what) => return Ok(Err(what)),
    };
    if last > seq {
        let now = deps.wallet(user).await?.seq;
        if now < last {
            let what =
                format!("the wallet is at seq {now}, but there is a transfer with seq {last}");
            return Ok(Err(what));
        }
    }
    Ok(Ok(flow))
}

async fn alone<D: Scans + Wallets>(deps: &D, user: &UserId) -> PortResult<Result<Flow, String>> {
    let (mut chain, mut after) = (None, None);
    let mut kept: Option<(Wallet, Vec<Transfer>)> = None;
    loop {
        let page = deps.wallet_rows(user, after.take()).await?;
        for row in page.rows {
            match row {
                LedgerRow::Wallet(wallet) => {
                    kept = Some((wallet.clone(), Vec::new()));
                    chain = Some(Chain::new(user, Some(wallet)));
                }
                LedgerRow::Run(_, run) => {
                    chain.get_or_insert_with(|| Chain::new(user, None)).add_run(&run);
                    // The first wrong transfer is named only where all of them are read.
                    kept = None;
                }
                LedgerRow::Posted(transfer) => {
                    chain.get_or_insert_with(|| Chain::new(user, None)).add(&transfer);
                    // One more than can be named says that there are too many.
                    if let Some((_, kept)) = &mut kept
                        && kept.len() <= NAMED_MAX
                    {
                        kept.push(transfer);
                    }
                }
                LedgerRow::Voided(..) => {}
                LedgerRow::Unreadable(key) => return Ok(Err(format!("{key} cannot be read"))),
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let Some(chain) = chain else {
        return Ok(Err("the wallet is gone while it was read".to_owned()));
    };
    let seq = chain.wallet().seq;
    let judged = sound(deps, user, seq, chain.end()).await?;
    Ok(judged.map_err(|what| {
        let named = kept.filter(|(_, transfers)| transfers.len() <= NAMED_MAX);
        named.and_then(|(wallet, mut all)| first_break(&wallet, &mut all)).unwrap_or(what)
    }))
}
