//! Wallets and their transfers, from books that hold all of them.

use std::collections::BTreeMap;

use super::{Books, Chain, Flow, Run, Totals};
use crate::id::UserId;
use crate::ledger::{Transfer, TransferKind, Wallet};

/// Every wallet is the sum of its transfers, in its own gapless sequence.
pub(super) fn audit_wallets(books: &Books, totals: &mut Totals, found: &mut Vec<String>) {
    let mut of_wallet: BTreeMap<&UserId, Vec<&Transfer>> = BTreeMap::new();
    for transfer in &books.transfers {
        of_wallet.entry(&transfer.order.wallet).or_default().push(transfer);
        if transfer.order.kind == TransferKind::Deposit {
            totals.issued = totals.issued.saturating_add(transfer.order.amount.get());
        }
    }
    let mut runs: BTreeMap<&UserId, Vec<&Run>> = BTreeMap::new();
    for (user, run) in &books.runs {
        runs.entry(user).or_default().push(run);
    }
    for wallet in &books.wallets {
        let mut transfers = of_wallet.remove(&wallet.user).unwrap_or_default();
        if let Some(mut runs) = runs.remove(&wallet.user) {
            runs.sort_by_key(|run| run.last);
            audit_archived(wallet, &runs, &mut transfers, totals, found);
            continue;
        }
        transfers.sort_by_key(|transfer| transfer.seq);
        let mut replayed = Wallet::empty(wallet.user.clone());
        for transfer in transfers {
            // When it was carried out follows from nothing.
            let expected = replayed.post(transfer.order.clone());
            match expected.map(|expected| Transfer { posted: transfer.posted, ..expected }) {
                Ok(expected) if expected == *transfer => replayed = replayed.after(transfer),
                other => {
                    found.push(format!("wallet {}: {transfer:?} but {other:?}", wallet.user));
                    break;
                }
            }
        }
        if (replayed.balance, replayed.seq) != (wallet.balance, wallet.seq) {
            found
                .push(format!("wallet {}: {wallet:?} but transfers say {replayed:?}", wallet.user));
        }
        totals.wallets = totals.wallets.saturating_add(wallet.balance.get());
        totals.held = totals.held.saturating_add(wallet.held.get());
    }
    for user in of_wallet.keys().chain(runs.keys()) {
        found.push(format!("wallet {user}: transfers, but no wallet"));
    }
}

/// A wallet of which transfers are archived. What these issued is added to the totals.
fn audit_archived(
    wallet: &Wallet,
    runs: &[&Run],
    transfers: &mut [&Transfer],
    totals: &mut Totals,
    found: &mut Vec<String>,
) {
    let mut chain = Chain::new(&wallet.user, Some(wallet.clone()));
    runs.iter().for_each(|run| chain.add_run(run));
    transfers.sort_by_key(|transfer| transfer.order.id);
    transfers.iter().for_each(|transfer| chain.add(transfer));
    if let Err(what) = chain.end() {
        found.push(format!("wallet {}: {what}", wallet.user));
    }
    if let Some(Flow { issued, taken_back, .. }) = runs.last().map(|run| run.sums.flow) {
        let net = issued.saturating_sub(taken_back);
        totals.issued = totals.issued.saturating_add(u64::try_from(net).unwrap_or(u64::MAX));
    }
    totals.wallets = totals.wallets.saturating_add(wallet.balance.get());
    totals.held = totals.held.saturating_add(wallet.held.get());
}
