//! The books that the tables amount to, for the domain's audit.

use largesse_domain::audit::{Books, audit};
use largesse_domain::grant::{FailedGrant, Grant, GrantStatus};
use largesse_domain::id::UserId;
use largesse_domain::ledger::{Transfer, TransferKind, TransferOrder, Wallet};
use largesse_domain::pool::Bucket;
use largesse_domain::time::Timestamp;

use crate::list::{drop_of, list_buckets, promotion, slot_buckets, user};
use crate::state::{Failed, MEMBERS, PLACES, Posted, Store, WINNERS};

/// Whether the domain's audit finds nothing.
pub(crate) fn are_sound(slots: usize, store: &Store) -> bool {
    audit(&books(slots, store)).is_ok()
}

fn buckets(store: &Store) -> Vec<Bucket> {
    let taken = |at: usize| {
        let place = store.places[at];
        place.is_taken.then(|| place.mark.map(u64::from))
    };
    let list = list_buckets(std::array::from_fn(taken));
    let given = (0..PLACES).filter(|place| store.places[*place].given > 0);
    let promotions: Vec<Bucket> = given.map(|place| promotion(&list, place)).collect();
    slot_buckets().into_iter().chain(list).chain(promotions).collect()
}

/// Between a payment and the removal of its failed item, the item is that of a paid grant: it is left
/// out.
fn books(slots: usize, store: &Store) -> Books {
    let mut books = Books { buckets: buckets(store), ..Books::default() };
    let drop = drop_of();
    let mut funder = Account::new(drop.funder.clone());
    let funding = drop.funding_order().expect("an amount");
    let id = "01ARZ3NDEKTSV4RRFFQ69G5FA1".parse().expect("a ULID");
    let (kind, pool) = (TransferKind::Deposit, None);
    funder.post(TransferOrder { id, kind, pool, ..funding.clone() });
    funder.post(funding);
    let grants: Vec<Grant> = books.grants().collect();
    for member in (0..MEMBERS).filter(|member| *member < slots || *member >= WINNERS) {
        let row = &store.rows[member];
        let Some(grant) = grants.iter().find(|grant| grant.member == *user(member)) else {
            continue;
        };
        let mut account = Account::new(grant.member.clone());
        for credit in 0..row.credits {
            let mut payment = grant.payment();
            if credit > 0 || row.posted != Posted::Transfer {
                payment.id = grant.id.derived("another id");
            }
            account.post(payment);
        }
        account.close(&mut books);
        match row.posted {
            Posted::Nothing | Posted::Transfer => {}
            Posted::PassedOn => drop_void(&mut books, grant),
            Posted::Voided => {
                drop_void(&mut books, grant);
                funder.post(grant.void_return());
            }
        }
        let status = match row.failed {
            Failed::No => continue,
            Failed::Retried => GrantStatus::Failed,
            Failed::GivenUp => GrantStatus::PermanentlyFailed,
            Failed::Voided => GrantStatus::Voided,
        };
        if row.posted != Posted::Transfer {
            let (failure, failed_at) = (String::new(), Timestamp::from_ms(0));
            let grant = grant.clone();
            books.failed.push(FailedGrant { grant, status, attempts: 1, failure, failed_at });
        }
    }
    funder.close(&mut books);
    books
}

fn drop_void(books: &mut Books, grant: &Grant) {
    books.voided.insert(grant.id.transfer());
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
