//! The ledger: double entry, in immutable transfers.
//!
//! Every movement is one transfer between two accounts, under a permanent id. One side is always a
//! wallet; the other is a system account, whose balance is the sum of its transfers, so no system
//! account has an item that everybody writes. At all times: issued = wallets + held + escrows.
//!
//! The account of a campaign holds nothing: what it pays is issued, and what is taken back leaves
//! issuance again.
//!
//! # Guarantees
//! * A wallet never goes below zero or wraps: `a_debit_needs_the_money`,
//!   `a_credit_that_overflows_is_refused`.
//! * A balance is the sum of its transfers: `a_balance_is_the_sum_of_its_transfers`.

use crate::id::{PoolId, TransferId, UserId};
use crate::money::{Amount, Balance};
use crate::time::Timestamp;

/// The longest memo, in characters (docs/limits.md).
pub const MEMO_LEN_MAX: usize = 200;

/// A caller's remark on a transfer: at most 200 characters, none a control character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memo(String);

/// Why a text is no memo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a memo is at most {MEMO_LEN_MAX} characters, none of them a control character")]
pub struct MemoError;

impl Memo {
    /// Takes a text as a memo.
    ///
    /// # Errors
    /// [`MemoError`] when it is too long or has control characters.
    pub fn new(text: &str) -> Result<Self, MemoError> {
        let fits = text.chars().count() <= MEMO_LEN_MAX && !text.chars().any(char::is_control);
        if fits { Ok(Self(text.to_owned())) } else { Err(MemoError) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a transfer is for. It says which way the money goes and between which accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferKind {
    /// Issuance → wallet.
    Deposit,
    /// Wallet → escrow of the spray.
    Spray,
    /// Escrow of a pool → wallet of a member who drew.
    Claim,
    /// Escrow of a pool → wallet of its funder: what is not drawn, a grant that was voided, or an
    /// investment in a product that missed its minimum.
    Refund,
    /// Wallet → the account that paid: a payment that was taken back.
    Reversal,
    /// Issuance, through the account of a campaign → wallet of a member.
    Campaign,
    /// Wallet → escrow of a product.
    Investment,
    /// Escrow of a product → wallet of its issuer.
    Payout,
    /// Wallet → escrow of the drop.
    Drop,
}

/// Which side of a transfer the wallet is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The wallet receives.
    Credit,
    /// The wallet pays.
    Debit,
}

impl TransferKind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::Deposit,
        Self::Spray,
        Self::Claim,
        Self::Refund,
        Self::Reversal,
        Self::Campaign,
        Self::Investment,
        Self::Payout,
        Self::Drop,
    ];

    /// The name on the wire and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deposit => "deposit",
            Self::Spray => "spray",
            Self::Claim => "claim",
            Self::Refund => "refund",
            Self::Reversal => "reversal",
            Self::Campaign => "campaign",
            Self::Investment => "investment",
            Self::Payout => "payout",
            Self::Drop => "drop",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Which side the wallet is on.
    #[must_use]
    pub const fn direction(self) -> Direction {
        match self {
            Self::Deposit | Self::Claim | Self::Refund | Self::Campaign | Self::Payout => {
                Direction::Credit
            }
            Self::Spray | Self::Reversal | Self::Drop | Self::Investment => Direction::Debit,
        }
    }
}

/// An order to move money. Its id makes it happen at most once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferOrder {
    /// The permanent id.
    pub id: TransferId,
    /// Whose wallet.
    pub wallet: UserId,
    /// What for.
    pub kind: TransferKind,
    /// How much.
    pub amount: Amount,
    /// When it was decided (not when it was carried out).
    pub at: Timestamp,
    /// The other account: the escrow of a pool, or a campaign; `None` for issuance.
    pub pool: Option<PoolId>,
    /// The member on the far side: who sprayed what was claimed, made the campaign, or issued the
    /// product.
    pub counterpart: Option<UserId>,
    /// The caller's remark.
    pub memo: Option<Memo>,
}

/// A transfer that happened. It never changes. It is in the table; an old one is in the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// What was ordered.
    pub order: TransferOrder,
    /// The wallet's balance after it.
    pub balance_after: Balance,
    /// Its place in the wallet's own sequence: 1, 2, 3 … without gaps.
    pub seq: u64,
    /// When it was carried out; `None` where that is not kept: of all but payments of entries, and of
    /// those of earlier versions.
    pub posted: Option<Timestamp>,
}

impl Transfer {
    /// The same, carried out at `now`, where that is kept.
    #[must_use]
    pub fn posted_at(self, now: Timestamp) -> Self {
        let is_kept = self.order.kind == TransferKind::Claim;
        Self { posted: is_kept.then_some(now), ..self }
    }
}

/// What the ledger holds under a grant's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Posted {
    /// The transfer that paid it.
    Transfer(Transfer),
    /// An operator voided the grant before it was paid: no transfer ever takes its place.
    Voided,
}

/// A wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wallet {
    /// Whose.
    pub user: UserId,
    /// What can be spent.
    pub balance: Balance,
    /// What is set aside.
    pub held: Balance,
    /// How many transfers it has had.
    pub seq: u64,
}

/// Why a wallet refuses a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostRefused {
    /// There is not enough.
    #[error("the balance is {balance}")]
    Insufficient {
        /// What there is.
        balance: Balance,
    },
    /// The balance would exceed what a wallet may hold.
    #[error("the balance would exceed {}", crate::money::BALANCE_MAX)]
    TooFull,
}

impl Wallet {
    /// The wallet of someone who never had a transfer.
    #[must_use]
    pub const fn empty(user: UserId) -> Self {
        Self { user, balance: Balance::ZERO, held: Balance::ZERO, seq: 0 }
    }

    /// The transfer that carries out `order` on this wallet now.
    ///
    /// # Errors
    /// [`PostRefused`]; then nothing may change.
    pub fn post(&self, order: TransferOrder) -> Result<Transfer, PostRefused> {
        let balance_after = match order.kind.direction() {
            Direction::Credit => self.balance.plus(order.amount).ok_or(PostRefused::TooFull)?,
            Direction::Debit => {
                let insufficient = PostRefused::Insufficient { balance: self.balance };
                self.balance.minus(order.amount).ok_or(insufficient)?
            }
        };
        let seq = self.seq.checked_add(1).ok_or(PostRefused::TooFull)?;
        Ok(Transfer { order, balance_after, seq, posted: None })
    }

    /// The wallet after `transfer`.
    #[must_use]
    pub fn after(&self, transfer: &Transfer) -> Self {
        Self { balance: transfer.balance_after, seq: transfer.seq, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::BALANCE_MAX;
    use proptest::prelude::*;

    fn order(kind: TransferKind, amount: u64) -> TransferOrder {
        TransferOrder {
            id: "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap(),
            wallet: "u".parse().unwrap(),
            kind,
            amount: Amount::new(amount).unwrap(),
            at: Timestamp::from_ms(0),
            pool: None,
            counterpart: None,
            memo: None,
        }
    }

    fn wallet(balance: u64) -> Wallet {
        let balance = Balance::new(balance).unwrap();
        Wallet { balance, ..Wallet::empty("u".parse().unwrap()) }
    }

    #[test]
    fn a_debit_needs_the_money() {
        let refused = wallet(99).post(order(TransferKind::Spray, 100));
        let balance = Balance::new(99).unwrap();
        assert_eq!(refused, Err(PostRefused::Insufficient { balance }));
        assert_eq!(
            wallet(100).post(order(TransferKind::Spray, 100)).unwrap().balance_after.get(),
            0
        );
    }

    #[test]
    fn a_credit_that_overflows_is_refused() {
        let full = wallet(BALANCE_MAX).post(order(TransferKind::Deposit, 1));
        assert_eq!(full, Err(PostRefused::TooFull));
    }

    #[test]
    fn a_memo_is_short_and_printable() {
        assert!(Memo::new("점심").is_ok() && Memo::new("").is_ok());
        assert_eq!(Memo::new("a\0"), Err(MemoError));
        assert_eq!(Memo::new(&"가".repeat(201)), Err(MemoError));
    }

    proptest! {
        #[test]
        fn a_balance_is_the_sum_of_its_transfers(
            moves in proptest::collection::vec((0..TransferKind::ALL.len(), 1..1_000_u64), 0..50),
        ) {
            let mut wallet = wallet(0);
            let mut sum = 0_i128;
            for (kind, amount) in moves {
                let kind = TransferKind::ALL[kind];
                if let Ok(transfer) = wallet.post(order(kind, amount)) {
                    sum += match kind.direction() {
                        Direction::Credit => i128::from(amount),
                        Direction::Debit => -i128::from(amount),
                    };
                    wallet = wallet.after(&transfer);
                }
                prop_assert_eq!(i128::from(wallet.balance.get()), sum);
            }
        }
    }
}
