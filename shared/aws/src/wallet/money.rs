//! The ledger as the money service: a payment is a transfer from the grant's source to the member's
//! wallet, under the grant's own id.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::future::join_all;
use largesse_app::invocation;
use largesse_app::ports::{
    Balances, Clock, Money, Payment, PortError, PortErrorKind, PortResult, Refusal, Reversal,
    Standing,
};
use largesse_domain::grant::Grant;
use largesse_domain::id::{TransferId, UserId};
use largesse_domain::ledger::{PostRefused, Posted, Transfer, Wallet};

use super::{Posting, read_posted, request_token};
use crate::errors::TransactError;
use crate::item::Reader;
use crate::keys::{self, PK, SK, TX, WALLET};
use crate::store::Store;

/// How many payments one transaction carries: it has two actions for each, and at most 100 (Amazon
/// DynamoDB Developer Guide, `TransactWriteItems`). A batch of the queue holds ten, and one payment
/// that fails makes no more than ten be paid one by one.
const TOGETHER_MAX: usize = 10;
/// How long after the last moment at which a payment or reversal may be sent its call ends, with what
/// the SDK tries again: as long as a call to a money service behind HTTP. A campaign that is stopped
/// relies on it.
const CALL_MS: u64 = 2_500;

fn refusal(refused: PostRefused) -> Refusal {
    match refused {
        // A payment is a credit, which a wallet refuses for want of room only.
        PostRefused::TooFull | PostRefused::Insufficient { .. } => Refusal::WalletFull,
    }
}

/// Whether a transfer under the grant's id is its payment. Ids of rows are hashes of 80 bits, and a
/// table may be edited: money that moved for something else is not taken for the grant's.
fn pays(transfer: &Transfer, grant: &Grant) -> bool {
    transfer.order.amount == grant.amount && transfer.order.pool == Some(grant.source)
}

/// A failed call is no refusal: the money did not move, or it is not known whether it did.
fn not_paid(error: PortError) -> Payment {
    match error.kind {
        PortErrorKind::Unknown => Payment::Unknown(error),
        PortErrorKind::Throttled
        | PortErrorKind::Contended
        | PortErrorKind::Corrupt
        | PortErrorKind::Rejected => Payment::NotNow { retry_after_ms: None, cause: error },
    }
}

impl Store {
    async fn pay_one(&self, grant: &Grant) -> Payment {
        match self.post_order(grant.payment()).await {
            Ok(Posting::Now(_)) => Payment::Paid,
            Ok(Posting::Before(transfer)) if pays(&transfer, grant) => Payment::AlreadyPaid,
            Ok(Posting::Before(_)) => {
                let cause = PortError::corrupt("pay: another payment lies under the grant's id");
                Payment::NotNow { retry_after_ms: None, cause }
            }
            Ok(Posting::Voided) => Payment::Voided,
            Ok(Posting::Refused(refused)) => Payment::Refused(refusal(refused)),
            Err(error) => not_paid(error),
        }
    }

    /// Pays at most [`TOGETHER_MAX`] grants.
    async fn pay_group(&self, grants: &[Grant]) -> Vec<Payment> {
        if grants.len() > 1 {
            match self.pay_together(grants).await {
                Ok(true) => return grants.iter().map(|_| Payment::Paid).collect(),
                Ok(false) => {}
                // What one wallet has wrong is no fault of the others.
                Err(error) if error.kind == PortErrorKind::Corrupt => {}
                Err(error) => return grants.iter().map(|_| not_paid(error.clone())).collect(),
            }
        }
        join_all(grants.iter().map(|grant| self.pay_one(grant))).await
    }

    /// Pays grants of distinct members in one transaction: half the calls of paying one by one.
    /// `Ok(false)` when one of them cannot be paid, or is: then each is paid by itself.
    async fn pay_together(&self, grants: &[Grant]) -> PortResult<bool> {
        let members: BTreeSet<&UserId> = grants.iter().map(|grant| &grant.member).collect();
        if members.len() < grants.len() {
            return Ok(false);
        }
        // In the order of the members' ids, so that two batches never wait for each other.
        let mut locks = Vec::with_capacity(members.len());
        for member in &members {
            locks.push(self.wallet_locks.lock(member).await);
        }
        let members: Vec<UserId> = members.into_iter().cloned().collect();
        let wallets = self.wallets(&members).await?.into_iter();
        let mut wallets: BTreeMap<UserId, Wallet> =
            wallets.map(|wallet| (wallet.user.clone(), wallet)).collect();
        let mut actions = Vec::new();
        let (mut names, now) = (vec!["pay".to_owned()], self.now());
        for grant in grants {
            let wallet = wallets.remove(&grant.member);
            let wallet = wallet.unwrap_or_else(|| Wallet::empty(grant.member.clone()));
            let Ok(transfer) = wallet.post(grant.payment()) else { return Ok(false) };
            let transfer = transfer.posted_at(now);
            actions.extend(self.posting(&wallet, &transfer)?);
            names.push(format!("{} {} {:?}", grant.id.transfer(), wallet.seq, transfer.posted));
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.may_send("pay grants")?;
        match self.transact("pay grants", request_token(&names), actions).await {
            Ok(()) => Ok(true),
            Err(TransactError::Refused(_)) => Ok(false),
            Err(TransactError::Port(error)) if error.kind == PortErrorKind::Contended => Ok(false),
            Err(TransactError::Port(error)) => Err(error),
        }
    }
}

impl Store {
    async fn reverse_one(&self, grant: &Grant) -> PortResult<Reversal> {
        match self.posted(&grant.member, grant.id.transfer()).await? {
            Some(Posted::Transfer(transfer)) if pays(&transfer, grant) => {}
            Some(Posted::Transfer(_)) => {
                return Err(PortError::corrupt(
                    "reverse: another payment lies under the grant's id",
                ));
            }
            Some(Posted::Voided) | None => return Ok(Reversal::NotPaid),
        }
        Ok(match self.post_order(grant.reversal()).await? {
            Posting::Now(_) => Reversal::Reversed,
            Posting::Before(_) => Reversal::AlreadyReversed,
            Posting::Voided => return Err(PortError::corrupt("reverse: its id is voided")),
            Posting::Refused(PostRefused::Insufficient { balance }) => {
                Reversal::Shortfall { amount: grant.amount.get().saturating_sub(balance.get()) }
            }
            Posting::Refused(PostRefused::TooFull) => {
                return Err(PortError::corrupt("reverse: the wallet has too many transfers"));
            }
        })
    }
}

impl Money for Store {
    /// In groups of ten, side by side. A group in which one is not paid is paid one by
    /// one, and the others are not.
    async fn pay(&self, grants: &[Grant]) -> Vec<Payment> {
        let groups = grants.chunks(TOGETHER_MAX).map(|group| self.pay_group(group));
        invocation::ended_after_permits(CALL_MS, join_all(groups)).await.concat()
    }

    async fn lookup(&self, grants: &[Grant]) -> PortResult<Vec<Standing>> {
        let wanted: BTreeSet<(&UserId, TransferId)> =
            grants.iter().map(|grant| (&grant.member, grant.id.transfer())).collect();
        let keys = wanted.iter().map(|(member, id)| keys::transfer(member, *id)).collect();
        let items = self.batch_get("look up payments", &self.names.ledger, keys).await?;
        let mut found: HashMap<(UserId, TransferId), Posted> = HashMap::new();
        for item in &items {
            let reader = Reader { item, what: "transfer item" };
            let user: UserId = reader.parse_after(PK, WALLET)?;
            let posted = read_posted(&user, item)?;
            found.insert((user, reader.parse_after(SK, TX)?), posted);
        }
        let standing = |grant: &Grant| {
            let key = (grant.member.clone(), grant.id.transfer());
            match found.get(&key) {
                Some(Posted::Transfer(transfer)) if pays(transfer, grant) => Standing::Paid,
                Some(Posted::Transfer(_)) => Standing::Unknown,
                Some(Posted::Voided) => Standing::Voided,
                None => Standing::NotPaid,
            }
        };
        Ok(grants.iter().map(standing).collect())
    }

    async fn reverse(&self, grant: &Grant) -> PortResult<Reversal> {
        invocation::ended_after_permits(CALL_MS, self.reverse_one(grant)).await
    }
}
