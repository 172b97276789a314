//! What the checker computes of the tables alone: the books, and how everything comes to rest. Many
//! states share their tables, so each result is computed once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;

use largesse_domain::audit::{Books, audit};
use largesse_domain::grant::{FailedGrant, Grant, GrantStatus};
use largesse_domain::id::UserId;
use largesse_domain::ledger::{Transfer, TransferKind, TransferOrder, Wallet};
use largesse_domain::money::Amount;
use largesse_domain::pool::{Bucket, Entry, Nonce};
use largesse_domain::time::Timestamp;

use crate::pool::{self, Moment, Sizes};
use crate::state::{Failed, MEMBERS, Posted, Store};

/// Results that were computed before.
pub(crate) struct Memo<K>(Mutex<Option<HashMap<K, bool>>>);

impl<K: Eq + Hash> Memo<K> {
    /// An empty one.
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// The result for this key.
    pub(crate) fn get(&self, key: K, compute: impl FnOnce(&K) -> bool) -> bool {
        let known = |memo: &Option<HashMap<K, bool>>| memo.as_ref()?.get(&key).copied();
        if let Some(result) = known(&self.0.lock().expect("no thread panics here")) {
            return result;
        }
        let result = compute(&key);
        let mut memo = self.0.lock().expect("no thread panics here");
        memo.get_or_insert_default().insert(key, result);
        result
    }
}

/// Whether the domain's audit finds nothing.
pub(crate) fn are_sound(sizes: &Sizes, store: &Store, with_paid: bool) -> bool {
    audit(&books(sizes, store, with_paid)).is_ok()
}

/// The grant of the member, as their entry says; of a member without an entry, that of the first
/// part, so that a payment without an entry is found.
fn grant(buckets: &[Bucket], member: usize) -> Grant {
    let user = pool::user(member);
    let mut entries = buckets.iter().filter_map(|b| b.draws.get(user).map(|entry| (b, *entry)));
    let first = Entry { index: 0, at: Moment::Inside.timestamp(), nonce: Nonce::from_bits(0) };
    let (bucket, entry) = entries.next().unwrap_or((&buckets[0], first));
    let grant = bucket.grant(user, entry);
    grant.or_else(|| bucket.grant(user, first)).expect("the first part is worth something")
}

/// The books that the tables amount to. Between a payment and the removal of its failed item, the
/// item is that of a paid grant; `with_paid` says whether such items are in the books.
fn books(sizes: &Sizes, store: &Store, with_paid: bool) -> Books {
    let buckets = pool::numbers(sizes).map(|number| pool::bucket(sizes, store, number));
    let mut books = Books { buckets: buckets.collect(), ..Books::default() };
    let spray = pool::spray();
    let mut sender = Account::new(spray.sender.clone());
    let put_in = Amount::new(pool::put_in(sizes)).expect("an amount");
    for (id, kind) in [(1, TransferKind::Deposit), (2, TransferKind::Spray)] {
        sender.post(TransferOrder {
            id: format!("01ARZ3NDEKTSV4RRFFQ69G5FA{id}").parse().expect("a ULID"),
            wallet: spray.sender.clone(),
            kind,
            amount: put_in,
            at: Timestamp::from_ms(0),
            pool: (kind == TransferKind::Spray).then(pool::pool_id),
            counterpart: None,
            memo: None,
        });
    }
    if let Some(order) = spray.refund_order(store.returned) {
        sender.post(order);
    }
    for (member, row) in store.grants.iter().enumerate() {
        let grant = grant(&books.buckets, member);
        let mut account = Account::new(grant.member.clone());
        for credit in 0..row.credits {
            let mut payment = grant.payment();
            if credit > 0 || row.posted[0] != Posted::Transfer {
                payment.id = grant.id.derived("another id");
            }
            account.post(payment);
        }
        for _ in 0..row.void_returns {
            sender.post(grant.void_return());
        }
        if row.posted[0] == Posted::Voided {
            books.voided.insert(grant.id.transfer());
        }
        account.close(&mut books);
        let (status, attempts) = match row.failed {
            Failed::No => continue,
            Failed::Retried(attempts) => (GrantStatus::Failed, attempts),
            Failed::GivenUp(attempts) => (GrantStatus::PermanentlyFailed, attempts),
            Failed::Voided(attempts) => (GrantStatus::Voided, attempts),
        };
        if with_paid || row.posted[0] != Posted::Transfer {
            let (failure, failed_at) = (String::new(), Timestamp::from_ms(0));
            let attempts = attempts.into();
            books.failed.push(FailedGrant { grant, status, attempts, failure, failed_at });
        }
    }
    sender.close(&mut books);
    books
}

/// A wallet with its transfers.
struct Account {
    wallet: Wallet,
    transfers: Vec<Transfer>,
}

impl Account {
    fn new(user: UserId) -> Self {
        Self { wallet: Wallet::empty(user), transfers: Vec::new() }
    }

    fn post(&mut self, order: TransferOrder) {
        let transfer = self.wallet.post(order).expect("the wallet takes it");
        self.wallet = self.wallet.after(&transfer);
        self.transfers.push(transfer);
    }

    fn close(self, books: &mut Books) {
        books.wallets.push(self.wallet);
        books.transfers.extend(self.transfers);
    }
}

impl Store {
    /// The tables without the nonces of the entries, which no payment depends on.
    pub(crate) fn without_nonces(mut self) -> Self {
        for member in 0..MEMBERS {
            for item in &mut self.buckets {
                if let Some(entry) = &mut item.entries[member] {
                    entry.nonce = 0;
                }
            }
        }
        self
    }
}
