//! Making and listing products and investments, and the mark of those that are sold out.

use std::sync::Arc;
use std::time::Duration;

use largesse_app::ports::{Clock, Closing, Once, Pause, Products};
use largesse_app::product::invest::{Invest, invest};
use largesse_domain::id::InvestmentId;
use largesse_domain::product::{Limits, Product, Refusal, Sums, Title};
use largesse_domain::time::Timestamp;
use largesse_emulator::{Fault, Faults, Matching};
use largesse_tests::{Sandbox, amount, user};

use super::scene::{
    OPEN_MS, invest_by, invested, limits, made, made_of, products, read, refusal, settle_all, sums,
    wish,
};
use crate::scene::key_with;

#[tokio::test(start_paused = true)]
async fn a_product_is_made_with_its_shards_once_for_its_id() {
    let sandbox = Sandbox::new(1);
    let all = Limits {
        target: 1_003,
        min_investment: Some(100),
        max_per_investor: Some(500),
        min_raise: Some(900),
    };
    let product = made(&sandbox, all).await;
    assert_eq!(read(&sandbox, &product).await, product);
    let shards = sandbox.store.shards(&product).await.unwrap();
    assert_eq!((shards.clone(), shards.len()), (product.first_shards(), 10));
    sandbox.deposit("a", 100).await;
    invested(&sandbox, &product, "a", 100).await;
    // A repeat, with other terms: the first one stands, and its shards are not made anew.
    let mut other = product.clone();
    other.terms.title = Title::new("다른").unwrap();
    let store = sandbox.another_process(5);
    assert_eq!(store.create_product(&other).await.unwrap(), Once::Before(product.clone()));
    assert_eq!(sums(&sandbox, &product).await.raised, 100);
    let nowhere = wish(&sandbox, limits(1));
    assert_eq!(sandbox.store.product(nowhere.id).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_product_is_marked_as_sold_out_once_and_leaves_the_list() {
    let sandbox = Sandbox::new(2);
    let product = made(&sandbox, limits(10)).await;
    let (store, at) = (&sandbox.store, sandbox.store.now());
    let listed = async || {
        let page = store.closing_products(at, None, 10).await.unwrap();
        page.rows.into_iter().map(|row| row.product).collect::<Vec<_>>()
    };
    assert_eq!(listed().await, [product.id]);
    sandbox.deposit("a", 10).await;
    invested(&sandbox, &product, "a", 10).await;
    store.mark_sold_out(product.id, at).await.unwrap();
    sandbox.another_process(6).mark_sold_out(product.id, at.plus_ms(9)).await.unwrap();
    assert_eq!(read(&sandbox, &product).await.sold_out, Some(at));
    assert_eq!(listed().await, []);
    // What is not there does not come into being.
    let nowhere = wish(&sandbox, limits(1));
    store.mark_sold_out(nowhere.id, at).await.unwrap();
    let key = key_with(nowhere.pool(), "META");
    assert_eq!(products(&sandbox).get(&key).await, None);
}

fn request(sandbox: &Sandbox, product: &Product, who: &str, minor: u64) -> Invest {
    Invest {
        id: InvestmentId(sandbox.id()),
        product: product.id,
        investor: user(who),
        amount: amount(minor),
    }
}

/// The last investor marks; if that process ends before, the next one who is refused; else the run.
#[tokio::test(start_paused = true)]
async fn a_read_that_finds_nothing_left_marks_the_product() {
    let sandbox = Sandbox::new(3);
    sandbox.deposit("a", 1_000).await;
    let store = &sandbox.store;
    let by_last = made_of(&sandbox, limits(10), 4).await;
    invest(&**store, request(&sandbox, &by_last, "a", 9)).await.unwrap();
    assert_eq!(read(&sandbox, &by_last).await.sold_out, None);
    invest(&**store, request(&sandbox, &by_last, "a", 1)).await.unwrap();
    assert!(read(&sandbox, &by_last).await.sold_out.is_some());
    // The store's method is what a process comes to that ends before it marks.
    let by_next = made_of(&sandbox, limits(10), 4).await;
    invested(&sandbox, &by_next, "a", 10).await;
    assert_eq!(read(&sandbox, &by_next).await.sold_out, None);
    invest(&*sandbox.another_process(4), request(&sandbox, &by_next, "a", 1)).await.unwrap_err();
    assert!(read(&sandbox, &by_next).await.sold_out.is_some());
    let by_run = made_of(&sandbox, limits(10), 4).await;
    invested(&sandbox, &by_run, "a", 10).await;
    tokio::time::advance(Duration::from_secs(1)).await;
    let report = settle_all(&sandbox.another_process(5)).await;
    assert_eq!((report.settled, report.paid_out), (3, 30));
    assert!(read(&sandbox, &by_run).await.sold_out.is_some());
}

/// Row P2, of the closing.
#[tokio::test(start_paused = true)]
async fn windows_are_kept_to_the_millisecond_and_a_wait_may_open_one() {
    let sandbox = Sandbox::new(4);
    sandbox.deposit("a", 100).await;
    let mut product = wish(&sandbox, limits(100));
    let opens = sandbox.store.now().plus_ms(10);
    product.terms.window.opens = opens;
    sandbox.store.create_product(&product).await.unwrap();
    let at = |ms: i64| {
        let off = opens.ms() + ms - sandbox.store.now().ms();
        sandbox.skewed_process(9, off)
    };
    let last = i64::try_from(product.terms.window.closes.ms_since(opens)).unwrap();
    for (ms, expected) in
        [(-1, Some(Refusal::Ahead)), (0, None), (last - 1, None), (last, Some(Refusal::Over))]
    {
        let answer = invest_by(&at(ms), &sandbox, &product, "a", 10).await;
        match expected {
            Some(expected) => assert_eq!(refusal(answer), expected, "{ms}"),
            None => assert!(answer.unwrap().is_ok(), "{ms}"),
        }
    }
}

/// Requests that come before the opening are refused, and those at it are all taken.
#[tokio::test(start_paused = true)]
async fn the_opening_is_one_moment_for_all_who_wait_for_it() {
    let sandbox = Sandbox::new(5);
    let mut product = wish(&sandbox, limits(1_000));
    product.terms.window.opens = sandbox.store.now().plus_ms(1);
    sandbox.store.create_product(&product).await.unwrap();
    let names: Vec<String> = (0..20).map(|n| format!("m{n}")).collect();
    for name in &names {
        sandbox.deposit(name, 10).await;
    }
    let all = async || {
        let asked =
            names.iter().map(|name| invest_by(&sandbox.store, &sandbox, &product, name, 10));
        futures::future::join_all(asked).await
    };
    for answer in all().await {
        assert_eq!(refusal(answer), Refusal::Ahead);
    }
    tokio::time::advance(Duration::from_millis(1)).await;
    for answer in all().await {
        answer.unwrap().unwrap();
    }
    assert_eq!(sums(&sandbox, &product).await.investors, 20);
}

#[tokio::test(start_paused = true)]
async fn what_closes_is_listed_in_pages_whatever_closes_meanwhile() {
    let sandbox = Sandbox::new(6);
    let mut expected = Vec::new();
    for n in 0..5 {
        let mut product = wish(&sandbox, limits(10));
        // Two of them close at the same moment.
        product.terms.window.closes = product.terms.window.opens.plus_ms(100 * (1 + n / 2));
        sandbox.store.create_product(&product).await.unwrap();
        expected.push((product.terms.window.closes, product.id));
    }
    let store = &sandbox.store;
    let pages = async |now: Timestamp, mut after: Option<Closing>| {
        let mut found = Vec::new();
        loop {
            let page = store.closing_products(now, after, 2).await.unwrap();
            found.extend(page.rows.into_iter().map(|row| (row.at, row.product)));
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        found.sort_unstable();
        found
    };
    expected.sort_unstable();
    assert_eq!(pages(sandbox.store.now(), None).await, expected);
    // The product of the cursor has closed since.
    let (at, product) = expected[0];
    let later = pages(at.plus_ms(50), Some(Closing { at, product })).await;
    assert_eq!(later, expected[2..]);
    let all_over = sandbox.store.now().plus_ms(OPEN_MS);
    assert_eq!(pages(all_over, None).await, []);
    let closing = Closing { at, product };
    assert_eq!(closing.to_string().parse(), Ok(closing));
    assert!("x".parse::<Closing>().is_err() && "1.x".parse::<Closing>().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_members_investments_are_not_those_of_a_longer_name() {
    let sandbox = Sandbox::new(7);
    let product = made_of(&sandbox, limits(1_000), 1).await;
    for who in ["a", "a-", "a_", "aa", "A"] {
        sandbox.deposit(who, 100).await;
        for count in 1..=2 {
            let one = invested(&sandbox, &product, who, 10).await;
            assert_eq!((one.position.count, one.position.total), (count, count * 10), "{who}");
        }
    }
    assert_eq!(sums(&sandbox, &product).await.investors, 5);
}

/// With the figures that a process reads once a second at hand. An investment from two shards uses two
/// write units more.
#[tokio::test(start_paused = true)]
async fn an_investment_uses_nine_write_units_and_three_calls_in_a_row() {
    let sandbox = Sandbox::new(8);
    sandbox.deposit("a", 1_000).await;
    let product = made_of(&sandbox, limits(100), 2).await;
    invested(&sandbox, &product, "a", 1).await;
    let recorder = sandbox.world.recorder();
    recorder.measure_units(true);
    for (minor, shards) in [(1, 1_u8), (60, 2)] {
        recorder.reset();
        invested(&sandbox, &product, "a", minor).await;
        let total = recorder.total();
        let expected = 7.0 + 2.0 * f64::from(shards);
        assert!((total.write - expected).abs() < 0.01, "{} write units", total.write);
        assert!(total.read < 2.01, "{} read units", total.read);
        assert_eq!(total.calls, 3, "wallet, position, transaction");
    }
}

/// A read between a commit and its reply has what was invested: it is not taken from it again, and what
/// remains is not refused.
#[tokio::test(start_paused = true)]
async fn what_a_read_has_already_is_not_taken_from_it_again() {
    let sandbox = Sandbox::new(9);
    for who in ["a", "b"] {
        sandbox.deposit(who, 100).await;
    }
    let product = made_of(&sandbox, limits(20), 1).await;
    sandbox.store.shards(&product).await.unwrap();
    let late = Fault::DelayReply(Duration::from_millis(50));
    let late = Faults::seeded(0).nth(1, Matching::operation("TransactWriteItems"), late);
    sandbox.world.set_fault_hook(Some(Arc::new(late)));
    let reader = async {
        sandbox.store.pause_ms(20).await;
        sums(&sandbox, &product).await.remaining
    };
    let (_, read) = futures::future::join(invested(&sandbox, &product, "a", 10), reader).await;
    assert_eq!(read, 10, "the commit came before the read");
    let recent = sandbox.store.recent_shards(&product).await.unwrap();
    assert_eq!(Sums::of(&recent).remaining, 10);
    invested(&sandbox, &product, "b", 10).await;
}
