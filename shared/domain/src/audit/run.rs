//! A run of archived transfers: what stands for them in the proof of their wallet.
//!
//! The sums of a run go over all transfers of the wallet from the first ever archived to its own
//! last one, so the latest run alone stands for everything that is archived. The links of a chain
//! are a sum too ([`super::Chain`]): it does not matter in which order the transfers were posted,
//! and a run needs no prefix of their sequence.

use super::chain::link;
use super::{Chain, Flow};
use crate::id::TransferId;
use crate::ledger::Transfer;

/// Sums over archived transfers of one wallet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunSums {
    /// Their greatest seq.
    pub seq_max: u64,
    /// The sum of their links.
    pub links: u128,
    /// How many they are, and what they moved. Balances are the wallet's and stay 0.
    pub flow: Flow,
}

/// A run: transfers of one wallet whose ids follow one another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The least id in it, of a transfer or of a voided payment.
    pub first: TransferId,
    /// The greatest id in it.
    pub last: TransferId,
    /// How many transfers it has. A voided payment is none.
    pub transfers: u64,
    /// Sums over this run and all before it.
    pub sums: RunSums,
}

impl Run {
    /// The run of `transfers`, behind the latest one of the wallet. Voided payments lie between
    /// `first` and `last` too.
    ///
    /// # Errors
    /// The transfer that leads to a balance that it cannot: such a wallet is not archived.
    pub fn behind(
        latest: Option<&Self>,
        first: TransferId,
        last: TransferId,
        transfers: &[Transfer],
    ) -> Result<Self, TransferId> {
        let mut sums = latest.map(|run| run.sums).unwrap_or_default();
        for transfer in transfers {
            let link = link(transfer).ok_or(transfer.order.id)?;
            sums.links = sums.links.wrapping_add(link);
            sums.seq_max = sums.seq_max.max(transfer.seq);
            sums.flow.count(&transfer.order);
        }
        let transfers = u64::try_from(transfers.len()).unwrap_or(u64::MAX);
        Ok(Self { first, last, transfers, sums })
    }
}

impl Chain {
    /// Takes a run in place of its transfers. Runs come after the wallet, in their order, and
    /// before the transfers: one that is left of a run is not added again.
    pub fn add_run(&mut self, run: &Run) {
        let so_far = self.archived.as_ref().map(|run| (run.last, run.sums.flow.transfers));
        let (last, count) = so_far.unzip();
        let goes_on = last.is_none_or(|last| last < run.first)
            && count.unwrap_or(0).checked_add(run.transfers) == Some(run.sums.flow.transfers);
        if !goes_on {
            self.breaks(format!("the run up to {} does not go on from the one before", run.last));
        }
        self.archived = Some(run.clone());
    }

    /// Whether the transfer of that id is in a run.
    #[must_use]
    pub fn is_archived(&self, id: TransferId) -> bool {
        self.archived.as_ref().is_some_and(|run| id <= run.last)
    }

    /// Whether the wallet has a run.
    #[must_use]
    pub const fn has_runs(&self) -> bool {
        self.archived.is_some()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ledger::{TransferKind, TransferOrder, Wallet};
    use crate::money::Amount;
    use crate::time::Timestamp;

    /// A wallet after deposits and sprays, posted in another order than that of their ids.
    fn posted(amounts: &[u64]) -> (Wallet, Vec<Transfer>) {
        let mut wallet = Wallet::empty("u".parse().unwrap());
        let mut transfers = Vec::new();
        for (seq, amount) in amounts.iter().enumerate() {
            let seq = u64::try_from(seq).unwrap();
            let order = TransferOrder {
                // The ids go up in pairs, each pair turned round.
                id: TransferId(ulid::Ulid::from_parts(1_000 + (seq ^ 1), 0)),
                wallet: wallet.user.clone(),
                kind: if seq % 3 == 2 { TransferKind::Spray } else { TransferKind::Deposit },
                amount: Amount::new(*amount).unwrap(),
                at: Timestamp::from_ms(0),
                pool: None,
                counterpart: None,
                memo: None,
            };
            if let Ok(transfer) = wallet.post(order) {
                wallet = wallet.after(&transfer);
                transfers.push(transfer);
            }
        }
        transfers.sort_by_key(|transfer| transfer.order.id);
        (wallet, transfers)
    }

    fn ids(transfers: &[Transfer]) -> (TransferId, TransferId) {
        (transfers[0].order.id, transfers[transfers.len() - 1].order.id)
    }

    /// The chain over runs of the transfers up to each of `cuts`, and the rest by itself.
    fn chain(wallet: &Wallet, transfers: &[Transfer], cuts: &[usize]) -> Chain {
        let mut chain = Chain::new(&wallet.user, Some(wallet.clone()));
        let (mut latest, mut from) = (None, 0);
        for cut in cuts.iter().copied().filter(|cut| *cut < transfers.len()) {
            if cut > from {
                let (first, last) = ids(&transfers[from..cut]);
                let run = Run::behind(latest.as_ref(), first, last, &transfers[from..cut]);
                chain.add_run(run.as_ref().unwrap());
                (latest, from) = (run.ok(), cut);
            }
        }
        transfers.iter().for_each(|transfer| chain.add(transfer));
        chain
    }

    proptest! {
        #[test]
        fn a_wallet_with_runs_is_proved_as_one_without(
            amounts in proptest::collection::vec(1..1_000_u64, 1..40),
            cuts in proptest::collection::btree_set(1..40_usize, 0..4),
        ) {
            let (wallet, transfers) = posted(&amounts);
            let cuts: Vec<usize> = cuts.into_iter().collect();
            let plain = chain(&wallet, &transfers, &[]).end();
            prop_assert!(plain.is_ok());
            // The rows of the runs are given again: those that a killed process left.
            prop_assert_eq!(chain(&wallet, &transfers, &cuts).end(), plain);
        }

        #[test]
        fn a_transfer_that_is_missing_behind_the_runs_is_found(
            amounts in proptest::collection::vec(1..1_000_u64, 3..40),
            cut in 1..3_usize,
        ) {
            let (wallet, mut transfers) = posted(&amounts);
            prop_assume!(cut < transfers.len());
            let (first, last) = ids(&transfers[..cut]);
            let run = Run::behind(None, first, last, &transfers[..cut]).unwrap();
            transfers.pop();
            let mut chain = Chain::new(&wallet.user, Some(wallet.clone()));
            chain.add_run(&run);
            transfers.iter().for_each(|transfer| chain.add(transfer));
            prop_assert!(chain.end().is_err());
        }
    }

    #[test]
    fn a_run_that_is_gone_or_changed_is_found() {
        let (wallet, all) = posted(&[5, 6, 7, 8, 9, 10]);
        let run = |latest: Option<&Run>, part: &[Transfer]| {
            let (first, last) = ids(part);
            Run::behind(latest, first, last, part).unwrap()
        };
        let first = run(None, &all[..2]);
        let second = run(Some(&first), &all[2..4]);
        let ends = |runs: &[&Run]| {
            let mut chain = Chain::new(&wallet.user, Some(wallet.clone()));
            runs.iter().for_each(|run| chain.add_run(run));
            all[4..].iter().for_each(|transfer| chain.add(transfer));
            chain.end()
        };
        assert!(ends(&[&first, &second]).is_ok());
        let sums = RunSums { links: second.sums.links.wrapping_add(1), ..second.sums };
        let changed = Run { sums, ..second.clone() };
        let more = Run { transfers: 3, ..second.clone() };
        let others: [&[&Run]; 6] =
            [&[], &[&first], &[&second], &[&second, &first], &[&first, &changed], &[&first, &more]];
        for runs in others {
            assert!(ends(runs).is_err(), "{runs:?}");
        }
    }
}
