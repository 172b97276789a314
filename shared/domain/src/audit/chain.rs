//! A wallet and its transfers, proved in one pass with memory of a fixed size.
//!
//! A transfer is a link from (seq - 1, balance before it) to (seq, balance after it). Of each link
//! the hash of its end is added to a sum and the hash of its start is taken off. The sum is
//! hash(wallet's seq, wallet's balance) - hash(0, 0) exactly when the starts and (seq, balance) are
//! the same pairs as the ends and (0, 0), but for a collision of 128 bits. A link raises seq by
//! one, so there is no cycle, and the links are one path from (0, 0) to (seq, balance): each seq
//! from 1 to the wallet's is there once, and each balance fits the next. The order in which the
//! transfers come plays no part.
//!
//! # While money moves
//! The wallet is read before its transfers. Wallet and transfer are written by one transaction, so
//! every transfer up to the seq that was read is there; those above it came later and are left
//! out. A transfer above the seq of the wallet that is read *after* it shows a wallet that was set
//! back: [`Chained::last`] is compared with a second read.
//!
//! # Archived transfers
//! A run stands for the transfers that are archived, with the same sums (`run.rs`). It is read after
//! the wallet and before its transfers.
//!
//! # Campaigns
//! A transfer that takes a payment of a campaign back has the time of that payment in its id, and
//! the transfers of a wallet come in the order of their ids. So only the payments of one
//! millisecond are remembered, and a run ends with a whole millisecond.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::Run;
use crate::id::{GrantId, PoolId, TransferId, UserId};
use crate::ledger::{Direction, Transfer, TransferKind, TransferOrder, Wallet};
use crate::money::{Amount, Balance};

/// Of how many transfers of a wallet that is broken [`first_break`] names the first wrong one.
pub const NAMED_MAX: usize = 10_000;

/// Sums over wallets and those of their transfers that were counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// How many wallets.
    pub wallets: u64,
    /// How many transfers.
    pub transfers: u64,
    /// What was issued: deposits and payments of campaigns.
    pub issued: u128,
    /// What campaigns took back.
    pub taken_back: u128,
    /// What went from wallets to pools.
    pub into_pools: u128,
    /// What came from pools to wallets.
    pub out_of_pools: u128,
    /// What wallets can spend.
    pub balances: u128,
    /// What wallets have set aside.
    pub held: u128,
}

impl Flow {
    /// The sum of both.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            wallets: self.wallets.saturating_add(other.wallets),
            transfers: self.transfers.saturating_add(other.transfers),
            issued: self.issued.saturating_add(other.issued),
            taken_back: self.taken_back.saturating_add(other.taken_back),
            into_pools: self.into_pools.saturating_add(other.into_pools),
            out_of_pools: self.out_of_pools.saturating_add(other.out_of_pools),
            balances: self.balances.saturating_add(other.balances),
            held: self.held.saturating_add(other.held),
        }
    }

    /// What lies in pools by the transfers; `None` when more came out than went in.
    #[must_use]
    pub const fn escrows(&self) -> Option<u128> {
        self.into_pools.checked_sub(self.out_of_pools)
    }

    /// Whether issued = wallets + held + escrows.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        // In sums alone: without the wallets that are broken, more may come out of pools than went in.
        let came = self.issued.saturating_add(self.out_of_pools);
        let went = self.taken_back.saturating_add(self.into_pools);
        came == went.saturating_add(self.balances).saturating_add(self.held)
    }

    pub(super) fn count(&mut self, order: &TransferOrder) {
        self.transfers = self.transfers.saturating_add(1);
        let is_campaigns = matches!(order.pool, Some(PoolId::Campaign(_)));
        let sum = match order.kind {
            TransferKind::Deposit | TransferKind::Campaign => &mut self.issued,
            TransferKind::Reversal if is_campaigns => &mut self.taken_back,
            TransferKind::Spray
            | TransferKind::Drop
            | TransferKind::Investment
            | TransferKind::Reversal => &mut self.into_pools,
            TransferKind::Claim | TransferKind::Refund | TransferKind::Payout => {
                &mut self.out_of_pools
            }
        };
        *sum = sum.saturating_add(order.amount.get().into());
    }
}

/// A wallet whose transfers lead to its balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chained {
    /// The greatest seq among all transfers that were read. A wallet read after them has at least
    /// it.
    pub last: u64,
    /// What was counted.
    pub flow: Flow,
}

/// A wallet whose transfers are being added.
#[derive(Clone, Debug)]
pub struct Chain {
    wallet: Wallet,
    is_there: bool,
    links: u128,
    last: u64,
    flow: Flow,
    broken: Option<String>,
    moment: Moment,
    /// The latest run.
    pub(super) archived: Option<Run>,
}

/// The transfers of a campaign whose ids have the same millisecond.
#[derive(Clone, Debug, Default)]
struct Moment {
    ms: u64,
    /// By the id of the transfer that takes it back.
    payments: BTreeMap<TransferId, (Option<PoolId>, Amount)>,
    reversals: BTreeMap<TransferId, (Option<PoolId>, Amount)>,
}

impl Chain {
    /// A wallet as it was read, before its transfers; `None` where no wallet was.
    #[must_use]
    pub fn new(user: &UserId, wallet: Option<Wallet>) -> Self {
        Self {
            is_there: wallet.is_some(),
            wallet: wallet.unwrap_or_else(|| Wallet::empty(user.clone())),
            links: 0,
            last: 0,
            flow: Flow::default(),
            broken: None,
            moment: Moment::default(),
            archived: None,
        }
    }

    /// Whose wallet it is.
    #[must_use]
    pub const fn user(&self) -> &UserId {
        &self.wallet.user
    }

    /// The wallet as it was read.
    #[must_use]
    pub const fn wallet(&self) -> &Wallet {
        &self.wallet
    }

    /// Adds a transfer: those of a campaign in the order of their ids, all others in any.
    pub fn add(&mut self, transfer: &Transfer) {
        if self.is_archived(transfer.order.id) {
            return;
        }
        self.add_of_campaign(&transfer.order);
        self.last = self.last.max(transfer.seq);
        if transfer.seq > self.wallet.seq {
            return;
        }
        let Some(link) = link(transfer) else {
            let id = transfer.order.id;
            return self.breaks(format!("transfer {id} leads to a balance that it cannot"));
        };
        self.links = self.links.wrapping_add(link);
        self.flow.count(&transfer.order);
    }

    /// Whether the transfers lead to the wallet.
    ///
    /// # Errors
    /// What does not, in a sentence.
    pub fn end(mut self) -> Result<Chained, String> {
        self.end_moment();
        if let Some(Run { sums, .. }) = self.archived.take() {
            self.links = self.links.wrapping_add(sums.links);
            self.last = self.last.max(sums.seq_max);
            self.flow = self.flow.plus(sums.flow);
        }
        if !self.is_there {
            self.breaks("there are transfers, but no wallet".to_owned());
        }
        let Wallet { balance, held, seq, .. } = self.wallet;
        let expected = digest(seq, balance).wrapping_sub(digest(0, Balance::ZERO));
        if self.links != expected {
            let count = self.flow.transfers;
            self.breaks(format!(
                "the balance is {balance} after {seq} transfers, but the {count} that are there do \
                 not lead to it"
            ));
        }
        self.flow.wallets = 1;
        self.flow.balances = balance.get().into();
        self.flow.held = held.get().into();
        match self.broken {
            None => Ok(Chained { last: self.last, flow: self.flow }),
            Some(what) => Err(what),
        }
    }

    /// Keeps the first break.
    pub(super) fn breaks(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    fn add_of_campaign(&mut self, order: &TransferOrder) {
        let is_campaigns = matches!(order.pool, Some(PoolId::Campaign(_)));
        let what = (order.pool, order.amount);
        match (is_campaigns, order.kind) {
            (true, TransferKind::Campaign) => {
                self.at_moment(order.id);
                self.moment.payments.insert(GrantId(order.id.0).reversal(), what);
            }
            (true, TransferKind::Reversal) => {
                self.at_moment(order.id);
                self.moment.reversals.insert(order.id, what);
            }
            (true, kind) => {
                self.breaks(format!("transfer {}: a campaign made a {}", order.id, kind.as_str()));
            }
            (false, TransferKind::Campaign) => {
                self.breaks(format!("transfer {}: the payment of no campaign", order.id));
            }
            (false, _) => {}
        }
    }

    fn at_moment(&mut self, id: TransferId) {
        let ms = id.0.timestamp_ms();
        if self.moment.ms != ms {
            self.end_moment();
            self.moment.ms = ms;
        }
    }

    /// Each reversal takes one payment back, whole.
    fn end_moment(&mut self) {
        let Moment { payments, reversals, .. } = std::mem::take(&mut self.moment);
        for (id, (pool, amount)) in reversals {
            match payments.get(&id) {
                Some((of, paid)) if (*of, *paid) == (pool, amount) => {}
                Some((_, paid)) => {
                    self.breaks(format!("transfer {id} takes {amount} back of {paid}"));
                }
                None => self.breaks(format!("transfer {id} takes back what was not paid")),
            }
        }
    }
}

/// The link of a transfer; `None` where it leads to a balance that it cannot.
pub(super) fn link(transfer: &Transfer) -> Option<u128> {
    let (before, seq) = before(transfer)?;
    Some(digest(transfer.seq, transfer.balance_after).wrapping_sub(digest(seq, before)))
}

/// Where a transfer begins: the balance before it, and the seq of the one before.
fn before(transfer: &Transfer) -> Option<(Balance, u64)> {
    let (amount, after) = (transfer.order.amount, transfer.balance_after);
    let before = match transfer.order.kind.direction() {
        Direction::Credit => after.minus(amount),
        Direction::Debit => after.plus(amount),
    };
    Some((before?, transfer.seq.checked_sub(1)?))
}

/// 128 bits of SHA-256.
fn digest(seq: u64, balance: Balance) -> u128 {
    let mut hash = Sha256::new();
    hash.update(seq.to_be_bytes());
    hash.update(balance.get().to_be_bytes());
    hash.finalize().iter().take(16).fold(0, |bits, byte| (bits << 8) | u128::from(*byte))
}

/// Names the first transfer of a wallet that does not fit, of at most [`NAMED_MAX`] up to the
/// wallet's seq; `None` where each fits the one before.
#[must_use]
pub fn first_break(wallet: &Wallet, transfers: &mut [Transfer]) -> Option<String> {
    transfers.sort_by_key(|transfer| transfer.seq);
    let mut at = Wallet::empty(wallet.user.clone());
    for transfer in transfers.iter().filter(|transfer| transfer.seq <= wallet.seq) {
        let (id, seq) = (transfer.order.id, transfer.seq);
        if seq == at.seq {
            return Some(format!("two transfers have seq {seq}; one is {id}"));
        }
        let next = at.seq.saturating_add(1);
        if seq != next {
            return Some(format!("the transfer with seq {next} is missing, before {id}"));
        }
        let expected = at.post(transfer.order.clone()).ok().map(|t| t.balance_after);
        if expected != Some(transfer.balance_after) {
            let (is, from) = (transfer.balance_after, at.balance);
            return Some(format!("transfer {id} with seq {seq} leads from {from} to {is}"));
        }
        at = at.after(transfer);
    }
    let (is, said) = ((wallet.balance, wallet.seq), (at.balance, at.seq));
    (is != said).then(|| {
        format!(
            "the wallet holds {} at seq {}, its transfers say {} at {}",
            is.0, is.1, said.0, said.1
        )
    })
}

#[cfg(test)]
mod tests;
