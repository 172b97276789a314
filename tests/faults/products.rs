//! Products: races and crowds.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use aws_sdk_dynamodb::types::{AttributeValue as Av, PutRequest, WriteRequest};
use futures::StreamExt;
use futures::future::BoxFuture;
use largesse_app::ports::{Clock, Products};
use largesse_app::product::invest::{Invest, InvestError, invest};
use largesse_aws::Store;
use largesse_domain::id::{InvestmentId, ProductId, TransferId};
use largesse_domain::product::{Investment, Limits, Product, Refusal, Sums, Terms, Title};
use largesse_domain::time::Window;
use largesse_tests::{Sandbox, amount, money, user};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use crate::rig::Distance;

pub(crate) const SHARDS: [u32; 3] = [1, 4, 16];
pub(crate) const OPEN_MS: u64 = 600_000;

pub(crate) async fn product(sandbox: &Sandbox, shards: u32, limits: Limits) -> Product {
    let opens = sandbox.store.now();
    let window = Window { opens, closes: opens.plus_ms(OPEN_MS) };
    let terms = Terms::new(Title::new("a").unwrap(), window, user("i"), limits).unwrap();
    let id = ProductId(sandbox.id());
    let product = Product { shards, ..Product::new(id, user("c"), terms) };
    sandbox.store.create_product(&product).await.unwrap();
    product
}

pub(crate) fn target(target: u64) -> Limits {
    Limits { target, ..Limits::default() }
}

pub(crate) fn request(sandbox: &Sandbox, product: &Product, who: &str, minor: u64) -> Invest {
    let id = InvestmentId(sandbox.id());
    Invest { id, product: product.id, investor: user(who), amount: amount(minor) }
}

pub(crate) async fn remaining(sandbox: &Sandbox, product: &Product) -> u64 {
    Sums::of(&sandbox.store.shards(product).await.unwrap()).remaining
}

pub(crate) type Heard = Result<Investment, InvestError>;

/// What remained when the amount was refused.
pub(crate) fn refused_at(heard: &Heard) -> Option<u64> {
    match heard {
        Ok(_) => None,
        Err(InvestError::Refused { refusal: Refusal::AboveRemaining { remaining }, .. }) => {
            Some(*remaining)
        }
        Err(InvestError::Refused { refusal: Refusal::SoldOut, .. }) => Some(0),
        Err(error) => panic!("{error:?}"),
    }
}

/// Polls pieces of work in the order of a schedule, and then the rest one after the other.
pub(crate) async fn interleaved(
    schedule: &[usize],
    works: Vec<BoxFuture<'_, Heard>>,
) -> Vec<Heard> {
    let mut works: Vec<(Pin<_>, Option<Heard>)> =
        works.into_iter().map(|work| (work, None)).collect();
    for at in schedule {
        let (work, done) = &mut works[*at];
        if done.is_none() {
            *done = std::future::poll_fn(|context| match work.as_mut().poll(context) {
                Poll::Ready(heard) => Poll::Ready(Some(heard)),
                Poll::Pending => Poll::Ready(None),
            })
            .await;
            // Lets whatever it waits for come to pass.
            tokio::task::yield_now().await;
        }
    }
    let mut heard = Vec::new();
    for (work, done) in works {
        heard.push(match done {
            Some(done) => done,
            None => work.await,
        });
    }
    heard
}

/// Schedules of `count` pieces of work: each order, one after the other up to some poll; and random
/// ones.
pub(crate) fn schedules(count: usize, random: usize) -> Vec<Vec<usize>> {
    let mut rng = StdRng::seed_from_u64(1);
    let mut all = Vec::new();
    for polls in 1..=9 {
        let mut order: Vec<usize> = (0..count).collect();
        order.shuffle(&mut rng);
        let runs = order.iter().flat_map(|at| std::iter::repeat_n(*at, polls));
        all.push(runs.chain(order.iter().rev().copied()).collect());
    }
    all.extend((0..random).map(|_| (0..count * 12).map(|_| rng.random_range(0..count)).collect()));
    all
}

/// Every order of three amounts.
const ORDERS: [[u64; 3]; 6] = [
    [20_000, 40_000, 10_000],
    [20_000, 10_000, 40_000],
    [40_000, 20_000, 10_000],
    [40_000, 10_000, 20_000],
    [10_000, 20_000, 40_000],
    [10_000, 40_000, 20_000],
];

/// Lets members `m0`, `m1` … ask for these amounts by the schedule, each from a process of its own,
/// while 50,000 of 80,000 remain. Gives what remains.
async fn race(
    sandbox: &Sandbox,
    stores: &[Arc<Store>],
    shards: u32,
    amounts: &[u64],
    schedule: &[usize],
) -> (Vec<Heard>, u64) {
    let product = product(sandbox, shards, target(80_000)).await;
    invest(&*sandbox.store, request(sandbox, &product, "first", 30_000)).await.unwrap();
    let asked = amounts.iter().enumerate();
    let requests: Vec<Invest> =
        asked.map(|(n, minor)| request(sandbox, &product, &format!("m{n}"), *minor)).collect();
    let works = requests.into_iter().zip(stores);
    let works = works.map(|(request, store)| {
        let work: BoxFuture<'_, Heard> = Box::pin(invest(&**store, request));
        work
    });
    let heard = interleaved(schedule, works.collect()).await;
    (heard, remaining(sandbox, &product).await)
}

pub(crate) async fn racers(seed: u64) -> (Sandbox, Vec<Arc<Store>>) {
    let sandbox = Sandbox::new(seed);
    for who in ["first", "m0", "m1", "m2"] {
        sandbox.deposit(who, 100_000_000).await;
    }
    let stores = (0..3).map(|n| sandbox.another_process(50 + n)).collect();
    (sandbox, stores)
}

/// Of 20,000, 40,000 and 10,000 with 50,000 left, 10,000 always fits, and exactly one of the others.
#[tokio::test(start_paused = true)]
async fn what_fits_is_taken_and_nothing_above_in_every_order_and_interleaving() {
    for shards in SHARDS {
        let (sandbox, stores) = racers(u64::from(shards)).await;
        let mut larger = 0;
        let mut races = 0;
        for amounts in ORDERS {
            for schedule in schedules(3, 12) {
                let (heard, left) = race(&sandbox, &stores, shards, &amounts, &schedule).await;
                let mut taken = 0;
                for (minor, heard) in amounts.iter().zip(&heard) {
                    match refused_at(heard) {
                        None => taken += minor,
                        Some(told) => assert!(left <= told && told < *minor, "{told} of {minor}"),
                    }
                }
                assert_eq!(left, 50_000 - taken);
                assert!(taken == 30_000 || taken == 50_000, "{amounts:?}: {heard:?}");
                larger += usize::from(taken == 50_000);
                races += 1;
            }
        }
        assert!(larger > 0 && larger < races, "both must win sometimes: {larger} of {races}");
    }
}

/// Row P4.
#[tokio::test(start_paused = true)]
async fn the_whole_remainder_is_taken_whatever_asks_for_more_at_the_same_moment() {
    for shards in SHARDS {
        let (sandbox, stores) = racers(u64::from(shards)).await;
        for amounts in [[60_000, 50_000], [50_000, 60_000]] {
            for schedule in schedules(2, 12) {
                let (heard, left) = race(&sandbox, &stores, shards, &amounts, &schedule).await;
                for (minor, heard) in amounts.iter().zip(&heard) {
                    assert_eq!(refused_at(heard).is_none(), *minor == 50_000, "{heard:?}");
                }
                assert_eq!(left, 0);
            }
        }
    }
}

/// Gives members `m0`, `m1` … so much each: deposits, written into the table since making them one by
/// one takes too long.
async fn give(sandbox: &Sandbox, count: usize, minor: u64) {
    let client = aws_sdk_dynamodb::Client::new(&sandbox.world.sdk_config());
    let n = |n: u64| Av::N(n.to_string());
    let names: Vec<usize> = (0..count).collect();
    for some in names.chunks(12) {
        let mut puts = Vec::new();
        for name in some {
            let key = |sk: String| {
                let put = PutRequest::builder().item("pk", Av::S(format!("WALLET#m{name}")));
                put.item("sk", Av::S(sk))
            };
            let deposit = key(format!("TX#{}", TransferId(sandbox.id())))
                .item("kind", Av::S("deposit".to_owned()))
                .item("amount", n(minor))
                .item("at_ms", Av::N(sandbox.store.now().ms().to_string()))
                .item("balance_after", n(minor))
                .item("seq", n(1));
            let wallet = key("BALANCE".to_owned())
                .item("balance", n(minor))
                .item("held", n(0))
                .item("seq", n(1));
            puts.extend([deposit.build().unwrap(), wallet.build().unwrap()]);
        }
        let puts = puts.into_iter().map(|put| WriteRequest::builder().put_request(put).build());
        let request = client.batch_write_item();
        request.request_items("largesse-ledger", puts.collect()).send().await.unwrap();
    }
}

/// One investment as a caller makes it: again, as long as the answer is "busy".
async fn persistent(store: &Store, request: Invest) -> Heard {
    for _ in 0..20 {
        match invest(store, request.clone()).await {
            Err(InvestError::Port(error)) => assert!(error.is_retryable(), "{error:?}"),
            heard => return heard,
        }
    }
    panic!("always busy");
}

/// Five thousand members near the end of the target; each fifth has no money.
#[tokio::test(start_paused = true)]
async fn five_thousand_at_once_near_the_end_reach_the_target_or_less_than_any_refused_amount() {
    const MEMBERS: usize = 5_000;
    let sandbox = Sandbox::new(1);
    give(&sandbox, MEMBERS, 1_000).await;
    // Not a multiple of the shards; half of what they ask for.
    let product = product(&sandbox, 16, target(1_001_003)).await;
    let stores: Vec<_> = (0..16).map(|n| sandbox.another_process(100 + n)).collect();
    let mut rng = StdRng::seed_from_u64(2);
    sandbox.world.set_fault_hook(Some(Arc::new(Distance::ms(2))));
    let works = (0..MEMBERS).map(|n| {
        let is_poor = n % 5 == 0;
        let minor = if is_poor { 1_001 } else { rng.random_range(1..=1_000) };
        let (store, request) =
            (&stores[n % 16], request(&sandbox, &product, &format!("m{n}"), minor));
        async move { (minor, is_poor, persistent(store, request).await) }
    });
    let heard = futures::stream::iter(works.collect::<Vec<_>>()).buffer_unordered(MEMBERS);
    let heard: Vec<(u64, bool, Heard)> = heard.collect().await;
    sandbox.world.set_fault_hook(None);
    let left = remaining(&sandbox, &product).await;
    let (mut taken, mut refused) = (0, 0);
    for (minor, is_poor, heard) in heard {
        match heard {
            Err(InvestError::Insufficient { .. }) => assert!(is_poor),
            heard => match refused_at(&heard) {
                None => {
                    assert!(!is_poor, "capacity without money");
                    taken += minor;
                }
                Some(told) => {
                    assert!(left <= told && told < minor, "{left} left, {told} of {minor}");
                    refused += 1;
                }
            },
        }
    }
    assert_eq!(taken, 1_001_003 - left);
    assert!(refused > 100, "{refused} were refused");
    let totals = money::assert_conserved(&sandbox.world);
    assert_eq!((totals.escrows, totals.wallets), (taken, MEMBERS as u64 * 1_000 - taken));
}

/// One member, sixty times at once, from four processes.
#[tokio::test(start_paused = true)]
async fn the_limit_of_an_investor_holds_for_sixty_at_once() {
    let sandbox = Sandbox::new(3);
    sandbox.deposit("a", 10_000).await;
    let limits = Limits { max_per_investor: Some(100), ..target(100_000) };
    let product = product(&sandbox, 16, limits).await;
    let stores: Vec<_> = (0..4).map(|n| sandbox.another_process(100 + n)).collect();
    sandbox.world.set_fault_hook(Some(Arc::new(Distance::ms(2))));
    let works = (0..60).map(|n| persistent(&stores[n % 4], request(&sandbox, &product, "a", 10)));
    let heard = futures::future::join_all(works).await;
    sandbox.world.set_fault_hook(None);
    assert_eq!(heard.iter().filter(|heard| heard.is_ok()).count(), 10);
    for refused in heard.into_iter().filter_map(Result::err) {
        let InvestError::Refused { refusal, .. } = refused else { panic!("{refused:?}") };
        assert_eq!(refusal, Refusal::AboveLimit { most: amount(100), invested: 100 });
    }
    let sums = Sums::of(&sandbox.store.shards(&product).await.unwrap());
    assert_eq!((sums.raised, sums.investors), (100, 1));
}
