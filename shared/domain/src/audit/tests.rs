use super::*;
use crate::campaign::{Generation, Row, RowKey};
use crate::drop::{Drop, DropName, WaitingList};
use crate::money::{Amount, Balance};
use crate::pool::{Draw, Nonce};
use crate::spray::{Spray, Terms};
use crate::time::Timestamp;
use crate::{ledger::Memo, ledger::TransferOrder, split::Seed, split::Split};

fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

fn order(n: u8, wallet: &str, kind: TransferKind, amount: u64) -> TransferOrder {
    TransferOrder {
        id: format!("01ARZ3NDEKTSV4RRFFQ69G5FA{n}").parse().unwrap(),
        wallet: user(wallet),
        kind,
        amount: Amount::new(amount).unwrap(),
        at: Timestamp::from_ms(0),
        pool: None,
        counterpart: None,
        memo: None,
    }
}

const CAMPAIGN: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAX";

/// The grant of a campaign's row.
fn row(member: &str, amount: u64, generation: u32) -> Grant {
    let (campaign, generation) = (CAMPAIGN.parse().unwrap(), Generation::new(generation).unwrap());
    let key = RowKey { campaign, member: user(member), generation };
    let (amount, reason) = (Amount::new(amount).unwrap(), Memo::new("why").unwrap());
    key.grant_of(&Row { member: user(member), amount, reason }, &user("op"))
}

/// A campaign paid 7 to `c`, and 5 and 4 to `d`, and took the 5 back.
fn pay_campaign(books: &mut Books) {
    let orders = [
        vec![row("c", 7, 1).payment()],
        vec![row("d", 5, 1).payment(), row("d", 4, 2).payment(), row("d", 5, 1).reversal()],
    ];
    for orders in orders {
        let mut wallet = Wallet::empty(orders[0].wallet.clone());
        for order in orders {
            let transfer = wallet.post(order).unwrap();
            wallet = wallet.after(&transfer);
            books.transfers.push(transfer);
        }
        books.wallets.push(wallet);
    }
}

/// 100 deposited, 90 sprayed to three in equal shares; one is paid, one is voided. A campaign.
fn sound() -> Books {
    let terms = Terms::new(90, 3, Split::Equal, 60).unwrap();
    let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    let (token, room) = ("ABC".parse().unwrap(), "01ARZ3NDEKTSV4RRFFQ69G5FAW".parse().unwrap());
    let now = Timestamp::from_ms(0);
    let spray = Spray::new(id, token, room, user("s"), &terms, Seed([0; 32]), now);
    let mut bucket = spray.buckets().remove(0);
    let [paid, voided] = ["m", "n"].map(|member| {
        let draw = Draw { member: user(member), at: now, nonce: Nonce::from_bits(1) };
        let entry = bucket.draw(&draw).unwrap();
        bucket.grant(&user(member), entry).unwrap()
    });
    let mut books = Books::default();
    let mut sender = Wallet::empty(user("s"));
    for order in [
        order(1, "s", TransferKind::Deposit, 100),
        TransferOrder { pool: Some(spray.pool()), ..order(2, "s", TransferKind::Spray, 90) },
        voided.void_return(),
    ] {
        let transfer = sender.post(order).unwrap();
        sender = sender.after(&transfer);
        books.transfers.push(transfer);
    }
    let member = Wallet::empty(user("m"));
    let payment = member.post(paid.payment()).unwrap();
    books.wallets = vec![sender, member.after(&payment)];
    books.transfers.push(payment);
    books.buckets = vec![bucket];
    books.voided = [voided.id.transfer()].into();
    books.failed = vec![FailedGrant {
        grant: voided,
        status: GrantStatus::Voided,
        attempts: 4,
        failure: "the wallet is full".to_owned(),
        failed_at: now,
    }];
    pay_campaign(&mut books);
    books
}

#[test]
fn sound_books_say_where_the_money_is() {
    let totals = Totals { issued: 111, wallets: 81, held: 0, escrows: 30 };
    assert_eq!(audit(&sound()), Ok(totals));
    assert_eq!(sound().unpaid(), []);
}

#[test]
fn a_planted_error_is_found() {
    let plant: [fn(&mut Books); 14] = [
        |b| b.wallets[0].balance = Balance::new(11).unwrap(),
        |b| b.wallets[1].seq = 2,
        |b| drop(b.transfers.remove(3)),
        |b| b.transfers[1].seq = 3,
        |b| drop(b.transfers.remove(2)),
        |b| b.voided.clear(),
        |b| b.voided = [b.transfers[3].order.id].into(),
        |b| b.failed[0].status = GrantStatus::PermanentlyFailed,
        |b| b.failed[0].grant.member = user("x"),
        |b| b.buckets[0].status = BucketStatus::Closed,
        |b| b.buckets[0].taken = 1,
        |b| b.buckets[0].draws.retain(|member, _| *member != user("m")),
        |b| drop(b.buckets.pop()),
        |b| drop(b.wallets.remove(1)),
    ];
    for (n, plant) in plant.into_iter().enumerate() {
        let mut books = sound();
        plant(&mut books);
        assert!(audit(&books).is_err(), "planted error {n} was not found");
    }
    let mut books = sound();
    let twice = books.buckets[0].clone();
    books.buckets.push(twice);
    let found = audit(&books).unwrap_err();
    assert!(found.iter().any(|text| text.contains("two entries")), "{found:?}");
}

/// Changes books; the second is another campaign.
type Plant = fn(&mut Books, Option<PoolId>);

/// Each is planted so that the wallets still fit their transfers.
#[test]
fn a_planted_error_of_a_campaign_is_found() {
    let other = || "CAMPAIGN#01ARZ3NDEKTSV4RRFFQ69G5FAY".parse().ok();
    // The payments of 7, 5 and 4 are transfers 4, 5 and 6; the reversal is 7.
    let plant: [(&str, Plant); 9] = [
        ("without a payment", |b, _| b.transfers[7].order.id = row("c", 7, 1).reversal().id),
        ("without a payment", |b, _| b.transfers[7].order.id = row("d", 5, 3).reversal().id),
        ("without a payment", |b, other| b.transfers[5].order.pool = other),
        ("without a payment", |b, other| b.transfers[7].order.pool = other),
        ("without a payment", |b, _| {
            let mut again = b.transfers[7].clone();
            (again.seq, again.order.amount) = (4, Amount::new(4).unwrap());
            again.balance_after = Balance::ZERO;
            b.wallets[3] = b.wallets[3].after(&again);
            b.transfers.push(again);
        }),
        ("9 was taken back of 5", |b, _| {
            let more = &mut b.transfers[7];
            (more.order.amount, more.balance_after) = (Amount::new(9).unwrap(), Balance::ZERO);
            b.wallets[3].balance = Balance::ZERO;
        }),
        ("paid twice", |b, _| b.transfers[6].order.id = b.transfers[5].order.id),
        ("of no campaign", |b, _| b.transfers[4].order.pool = None),
        ("a campaign made a refund", |b, _| b.transfers[4].order.kind = TransferKind::Refund),
    ];
    for (said, plant) in plant {
        let mut books = sound();
        plant(&mut books, other());
        let found = audit(&books).unwrap_err();
        assert!(found.iter().any(|text| text.contains(said)), "{said}: {found:?}");
        assert!(!found.iter().any(|text| text.starts_with("wallet")), "{found:?}");
    }
}

/// A drop of two slots of 10, paid for by `s`: `m` is paid; `n` failed, and the slot went to `w`, who is
/// paid.
fn with_drop() -> Books {
    let mut books = sound();
    let window =
        crate::time::Window { opens: Timestamp::from_ms(1), closes: Timestamp::from_ms(9_999) };
    let name = DropName::new("d").unwrap();
    let terms = crate::drop::Terms::new(name, 2, 10, window, Some(2)).unwrap();
    let id = "01ARZ3NDEKTSV4RRFFQ69G5FAZ".parse().unwrap();
    let drop = Drop::new(id, user("z"), terms, || Seed([0; 32]));
    let [mut slots, mut list] = drop.buckets().try_into().unwrap();
    let at = |ms| Timestamp::from_ms(ms);
    let nonce = Nonce::from_bits(1);
    let draw = |bucket: &mut Bucket, name: &str, ms: i64| {
        let entry = bucket.draw(&Draw { member: user(name), at: at(ms), nonce }).unwrap();
        bucket.grant(&user(name), entry)
    };
    let paid = draw(&mut slots, "m2", 2).unwrap();
    let given_up = draw(&mut slots, "n2", 3).unwrap();
    draw(&mut list, "w", 4);
    let promotion = {
        let list = WaitingList::of(std::slice::from_ref(&list));
        drop.promotion(list.candidates().next().unwrap(), at(5_000))
    };
    list.promoted.insert(user("w"), 1);
    let passed = promotion.grant(&user("w"), promotion.draws[&user("w")]).unwrap();
    let orders = [order(8, "z", TransferKind::Deposit, 20), drop.funding_order().unwrap()];
    let mut wallet = Wallet::empty(user("z"));
    for order in orders {
        let transfer = wallet.post(order).unwrap();
        wallet = wallet.after(&transfer);
        books.transfers.push(transfer);
    }
    books.wallets.push(wallet);
    for grant in [paid, passed] {
        let wallet = Wallet::empty(grant.member.clone());
        let transfer = wallet.post(grant.payment()).unwrap();
        books.wallets.push(wallet.after(&transfer));
        books.transfers.push(transfer);
    }
    books.voided.insert(given_up.id.transfer());
    books.failed.push(FailedGrant {
        grant: given_up,
        status: GrantStatus::Voided,
        attempts: 4,
        failure: "the wallet is full".to_owned(),
        failed_at: at(4),
    });
    books.buckets.extend([slots, list, promotion]);
    books
}

#[test]
fn a_slot_that_was_passed_on_is_paid_once() {
    let totals = Totals { issued: 131, wallets: 101, held: 0, escrows: 30 };
    assert_eq!(audit(&with_drop()), Ok(totals));
}

#[test]
fn the_buckets_of_a_drop_that_was_never_made_hold_nothing() {
    let mut books = sound();
    let mut orphans = with_drop().buckets;
    orphans.retain(|bucket| bucket.kind != PoolKind::Share && bucket.kind != PoolKind::Promotion);
    for bucket in &mut orphans {
        (bucket.taken, bucket.draws) = (0, BTreeMap::new());
        bucket.promoted = BTreeMap::new();
    }
    books.buckets.extend(orphans);
    assert_eq!(audit(&books), audit(&sound()));
    // Nothing was paid for it, so nobody can have drawn from it.
    let last = books.buckets.len() - 2;
    let draw = Draw { member: user("x"), at: Timestamp::from_ms(2), nonce: Nonce::from_bits(1) };
    books.buckets[last].draw(&draw).unwrap();
    assert!(audit(&books).is_err());
}

/// Changes books.
type PlantOne = fn(&mut Books);

#[test]
fn a_planted_error_of_a_drop_is_found() {
    // The buckets: of the spray, of the slots, of the list, of the promotion.
    let plant: [(&str, PlantOne); 6] = [
        ("slot 1 has 2 owners", |b| b.voided = b.voided.iter().take(1).copied().collect()),
        ("was passed on", |b| b.voided = b.voided.iter().take(1).copied().collect()),
        ("without a place", |b| b.buckets[2].promoted.clear()),
        ("has no entry", |b| drop(b.buckets.pop())),
        ("slot 0 has 2 owners", |b| b.buckets[2].promoted = [(user("w"), 0)].into()),
        ("two entries", |b| {
            let twice = b.buckets[3].clone();
            b.buckets.push(twice);
        }),
    ];
    for (said, plant) in plant {
        let mut books = with_drop();
        plant(&mut books);
        let found = audit(&books).unwrap_err();
        assert!(found.iter().any(|text| text.contains(said)), "{said}: {found:?}");
    }
}

/// The pools of [`with_drop`] as reconcile reads them: the books of one pool and nothing else.
#[test]
fn a_pool_alone_is_checked_by_what_it_leads_to() {
    let books = with_drop();
    for pool in [books.buckets[0].id.pool, books.buckets[1].id.pool] {
        let is_of = |of: PoolId| of == pool || of.ulid() == pool.ulid();
        let mut one = books.clone();
        one.wallets.clear();
        one.buckets.retain(|bucket| is_of(bucket.id.pool));
        one.transfers.retain(|transfer| transfer.order.pool.is_some_and(is_of));
        one.failed.retain(|failed| failed.grant.source == pool);
        let escrow = if matches!(pool, PoolId::Spray(_)) { 30 } else { 0 };
        assert_eq!(audit_pools(&one), Ok(escrow), "{pool}");
        // Whatever is gone of it is missed.
        for n in 0..one.transfers.len() {
            let mut less = one.clone();
            let gone = less.transfers.remove(n);
            let is_claim = gone.order.kind == TransferKind::Claim;
            assert_eq!(audit_pools(&less).is_ok(), is_claim, "{gone:?}: a claim may be unpaid yet");
        }
    }
}

#[test]
fn a_transfer_without_a_reason_is_found() {
    let books = with_drop();
    let terms = Terms::new(90, 3, Split::Equal, 60).unwrap();
    let PoolId::Spray(id) = books.buckets[0].id.pool else { unreachable!() };
    let (token, room) = ("ABC".parse().unwrap(), "01ARZ3NDEKTSV4RRFFQ69G5FAW".parse().unwrap());
    let seed = Seed([0; 32]);
    let mut spray = Spray::new(id, token, room, user("s"), &terms, seed, Timestamp::from_ms(0));
    // The tests' funding has another id than that of a spray that was really made.
    let funding = books.transfers[1].order.clone();
    spray.id = crate::id::SprayId(id.0);
    let record = Record::Spray(Box::new(spray));
    let buckets = &books.buckets[..1];
    let funding = TransferOrder { id: TransferId(id.0), ..funding };
    assert!(explains(&record, buckets, &funding));
    let paid = books.transfers[3].order.clone();
    let returned = books.transfers[2].order.clone();
    assert!(explains(&record, buckets, &paid) && explains(&record, buckets, &returned));
    let keys = orders(&record, buckets);
    assert_eq!(keys.len(), 4, "funding, refund, and two entries: {keys:?}");
    assert!(keys.contains(&(paid.wallet.clone(), paid.id)));
    // The rest of the third share, once it is over.
    let Record::Spray(spray) = &record else { unreachable!() };
    assert!(explains(&record, buckets, &spray.refund_order(30).unwrap()));
    let more = |order: &TransferOrder| TransferOrder {
        amount: Amount::new(order.amount.get() + 1).unwrap(),
        ..order.clone()
    };
    let other =
        |order: &TransferOrder| TransferOrder { id: orders(&record, &[])[1].1, ..order.clone() };
    let wrong = [
        more(&funding),
        TransferOrder { wallet: user("x"), ..funding.clone() },
        more(&paid),
        other(&paid),
        TransferOrder { wallet: user("x"), ..paid.clone() },
        TransferOrder { pool: None, ..paid.clone() },
        more(&returned),
        TransferOrder { counterpart: None, ..returned.clone() },
        spray.refund_order(31).unwrap(),
        TransferOrder { kind: TransferKind::Payout, ..paid },
    ];
    for order in wrong {
        assert!(!explains(&record, buckets, &order), "{order:?}");
    }
}
