//! What drops and products owe to wallets that are too full: it is shown, and settled.

use std::time::Duration;

use largesse::dlq::{Dlq, RetryReport, Tried};
use largesse_app::ports::{Clock, Ids};
use largesse_app::wallet::deposit::{self, Deposit};
use largesse_app::{drop, product};
use largesse_domain::audit::audit;
use largesse_domain::drop::{DropName, Terms as DropTerms};
use largesse_domain::id::{DropId, InvestmentId, PoolId, ProductId, TransferId};
use largesse_domain::money::{Amount, BALANCE_MAX};
use largesse_domain::product::{Limits, Terms, Title};
use largesse_domain::time::Window;

use super::full::run_schedules;
use super::scene::{Scene, retry_all, user};

/// What each wallet holds before it is full.
const HELD: [(&str, u64); 3] = [("fay", 0), ("ida", 1), ("ian", 0)];

async fn deposit(scene: &Scene, name: &str, minor: u64) {
    let (id, amount) = (TransferId(scene.store.ulid()), Amount::new(minor).unwrap());
    let deposit = Deposit { id, user: user(name), amount, memo: None };
    deposit::deposit(&*scene.store, deposit).await.unwrap();
}

/// Open for ten minutes.
fn window(scene: &Scene) -> Window {
    let opens = scene.store.now();
    Window { opens, closes: opens.plus_ms(600_000) }
}

/// A product by ida in which a member has invested.
async fn product(scene: &Scene, limits: Limits, investor: &str, minor: u64) -> PoolId {
    deposit(scene, investor, minor).await;
    let title = Title::new("a").unwrap();
    let terms = Terms::new(title, window(scene), user("ida"), limits).unwrap();
    let id = ProductId(scene.store.ulid());
    let request = product::create::Create { id, creator: user("ida"), terms };
    product::create::create(&*scene.store, request).await.unwrap();
    let (investor, amount) = (user(investor), Amount::new(minor).unwrap());
    let invest = product::invest::Invest {
        id: InvestmentId(scene.store.ulid()),
        product: id,
        investor,
        amount,
    };
    product::invest::invest(&*scene.store, invest).await.unwrap();
    PoolId::Product(id)
}

/// A drop that nobody entered, a product that is sold out, and one that misses its minimum; the wallets
/// of funder, issuer and investor are full. All are over.
async fn owing() -> (Scene, [PoolId; 3]) {
    let scene = Scene::claimed().await;
    scene.attach();
    deposit(&scene, "fay", 20).await;
    let name = DropName::new("a").unwrap();
    let terms = DropTerms::new(name, 2, 10, window(&scene), Some(0)).unwrap();
    let id = DropId(scene.store.ulid());
    let request = drop::create::Create { id, funder: user("fay"), terms };
    drop::create::create(&*scene.store, request).await.unwrap();
    deposit(&scene, "ida", 1).await;
    let sold = Limits { target: 30, ..Limits::default() };
    let sold = product(&scene, sold, "ivy", 30).await;
    let missed = Limits { target: 30, min_raise: Some(30), ..Limits::default() };
    let missed = product(&scene, missed, "ian", 5).await;
    for (name, _) in HELD {
        scene.overwrite_balance(name, BALANCE_MAX).await;
    }
    tokio::time::advance(Duration::from_secs(700)).await;
    run_schedules(&scene).await;
    (scene, [PoolId::Drop(id), sold, missed])
}

async fn listed(dlq: &Dlq) -> Vec<(PoolId, Option<String>, Option<u64>)> {
    let found = dlq.list_refunds().await.unwrap();
    assert_eq!(found.unreadable, Vec::<String>::new());
    let row =
        |one: largesse::dlq::Refund| (one.source, one.to.map(|to| to.to_string()), one.refused);
    // Products that were refused at the same moment stand in the order of their random ids.
    let mut rows: Vec<_> = found.refunds.into_iter().map(row).collect();
    rows.sort();
    rows
}

#[tokio::test(start_paused = true)]
async fn a_drop_and_a_product_that_owe_to_full_wallets_are_shown_and_settled_by_one_command() {
    let (scene, [drop, sold, missed]) = owing().await;
    let dlq = scene.dlq().await;
    let to = |name: &str| Some(name.to_owned());
    let mut rows =
        [(drop, to("fay"), Some(20)), (sold, to("ida"), Some(30)), (missed, None, Some(5))];
    rows.sort();
    assert_eq!(listed(&dlq).await, rows);
    // Hours of runs change nothing.
    for _ in 0..4 {
        tokio::time::advance(Duration::from_secs(3_601)).await;
        run_schedules(&scene).await;
    }
    assert_eq!(listed(&dlq).await, rows);
    let found = dlq.list_refunds().await.unwrap().refunds;
    let early = scene.store.now().minus_ms(14_000_000);
    assert_eq!((found[0].source, found[0].since), (drop, None));
    assert!(found[1..].iter().all(|one| one.since.is_some_and(|since| since < early)), "{found:?}");

    // The wallets are still full.
    let report = retry_all(&dlq).await;
    assert_eq!((report.refunded, report.kept_count()), (0, 3));
    let mut kept = report.kept["the wallet cannot hold that much"].examples.clone();
    kept.sort();
    assert_eq!(kept, [drop, missed.min(sold), missed.max(sold)].map(|source| source.to_string()));

    for (name, held) in HELD {
        scene.overwrite_balance(name, held).await;
    }
    let report = retry_all(&dlq).await;
    assert_eq!((report.refunded, report.kept_count()), (3, 0));
    for (name, balance) in [("fay", 20), ("ida", 31), ("ian", 5)] {
        assert_eq!(scene.balance(name).await, balance, "{name}");
    }
    assert_eq!(listed(&dlq).await, []);
    assert_eq!(retry_all(&dlq).await, RetryReport::default());
    audit(&scene.store.books().await.unwrap()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_drop_and_a_product_are_tried_by_their_source_alone() {
    let (scene, sources) = owing().await;
    let dlq = scene.dlq().await;
    for ((source, (name, held)), amount) in sources.into_iter().zip(HELD).zip([20, 30, 5]) {
        let retry = async || dlq.retry_refund(source).await.unwrap().1;
        assert_eq!(retry().await, Tried::WalletFull { amount }, "{source}");
        scene.overwrite_balance(name, held).await;
        assert_eq!(retry().await, Tried::Now { amount }, "{source}");
        assert_eq!(retry().await, Tried::Before, "{source}");
        assert_eq!(scene.balance(name).await, held + amount, "{source}");
        let found = dlq.find_refund(source).await.unwrap();
        assert_eq!(found.returned.map(|(returned, _)| returned), Some(amount), "{source}");
    }
    let open = product(&scene, Limits { target: 30, ..Limits::default() }, "ivy", 5).await;
    assert_eq!(dlq.retry_refund(open).await.unwrap().1, Tried::NotDue);
    audit(&scene.store.books().await.unwrap()).unwrap();
}
