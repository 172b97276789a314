//! The proof of the ledger while money moves, and killed at every await.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::join_all;
use largesse_app::ports::{Clock, Ids, InvestOrder, Passes, Pause, Products};
use largesse_app::reconcile::daily::{self, Ran};
use largesse_app::reconcile::{Pass, Walk};
use largesse_app::wallet::deposit::{Deposit, deposit};
use largesse_aws::Store;
use largesse_domain::id::{InvestmentId, ProductId, RoomId, TransferId};
use largesse_domain::product::{Limits, Product, Terms, Title};
use largesse_domain::spray::Spray;
use largesse_domain::time::Window;
use largesse_tests::kill::kill_at;
use largesse_tests::{amount, money, user};

use crate::client::claim_by;
use crate::crowd::add_members;
use crate::rig::{Distance, Kill, Rig, refund_all};

/// Processes that work side by side.
const PROCESSES: usize = 16;
/// What each process does: so many rounds of a claim, a deposit and an investment.
const ROUNDS: usize = 25;
/// Proofs at the same time.
const PROOFS: u64 = 4;
/// No run waits this often.
const AWAITS_MAX: usize = 3_000;

async fn product(rig: &Rig) -> Product {
    let opens = rig.sandbox.store.now();
    let window = Window { opens, closes: opens.plus_ms(6_000_000) };
    let target = 1_000_000;
    let limits = Limits { target, min_investment: None, max_per_investor: None, min_raise: None };
    let terms = Terms::new(Title::new("p").unwrap(), window, user("i"), limits).unwrap();
    let product = Product::new(ProductId(rig.sandbox.id()), user("c"), terms);
    rig.sandbox.store.create_product(&product).await.unwrap();
    product
}

async fn busy(store: Arc<Store>, room: RoomId, spray: &Spray, product: &Product, process: usize) {
    for round in 0..ROUNDS {
        let name = format!("m{}", process * ROUNDS + round);
        claim_by(&store, room, spray, &name).await.unwrap();
        // All processes deposit to one wallet, and invest from their own.
        let id = TransferId(store.ulid());
        let to = Deposit { id, user: user("hot"), amount: amount(1), memo: None };
        deposit(&*store, to).await.unwrap();
        let id = InvestmentId(store.ulid());
        let order = InvestOrder { id, investor: user(&format!("p{process}")), amount: amount(7) };
        store.invest(product, &order).await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_ledger_gives_no_false_alarm() {
    let rig = Rig::new(31, Kill::default());
    let members = PROCESSES * ROUNDS;
    let names: Vec<String> = (0..members).map(|n| format!("m{n}")).collect();
    let room = rig.sandbox.room(&["s"]).await;
    add_members(&rig, room, &names).await;
    let spray = rig.sandbox.spray(room, "s", 1_000 * 10, 1_000).await;
    let product = product(&rig).await;
    for process in 0..PROCESSES {
        rig.sandbox.deposit(&format!("p{process}"), 1_000).await;
    }
    // Every call takes a moment to arrive, so that reads and writes meet.
    rig.sandbox.world.set_fault_hook(Some(Arc::new(Distance::ms(3))));
    let stores: Vec<_> =
        (0..PROCESSES as u64).map(|n| rig.sandbox.another_process(n + 50)).collect();
    let is_done = AtomicBool::new(false);
    let is_busy = || !is_done.load(Ordering::SeqCst);
    let work = async {
        let work = stores.iter().enumerate();
        let work = work.map(|(n, store)| busy(store.clone(), room, &spray, &product, n));
        join_all(work).await;
        is_done.store(true, Ordering::SeqCst);
    };
    let paying = async {
        while is_busy() {
            rig.sandbox.world.settle().await;
            stores[0].pause_ms(20).await;
        }
    };
    // Each begins at another moment, and while money moves.
    let proofs = (0..PROOFS).map(async |n| {
        let process = rig.sandbox.another_process(90 + n);
        process.pause_ms(n * 30).await;
        assert!(is_busy(), "proof {n} began too late");
        let mut walk = Walk::new(Pass::new(process.now()));
        while !walk.is_over() {
            assert_eq!(walk.round(&*process).await.unwrap(), []);
        }
        assert!(walk.pass().flow.adds_up());
        walk.pass().flow.transfers
    });
    let ((), (), seen) = futures::future::join3(work, paying, join_all(proofs)).await;
    rig.sandbox.world.set_fault_hook(None);
    rig.pay().await;
    let pass = largesse::verify::prove(&rig.sandbox.another_process(99)).await.unwrap();
    assert_eq!((pass.found, pass.counts.moving), (0, 0));
    assert!(seen.iter().any(|seen| *seen < pass.flow.transfers), "money moved: {seen:?}");
    assert_eq!(
        pass.flow.escrows(),
        Some(money::assert_conserved(&rig.sandbox.world).escrows.into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_is_killed_at_any_await_is_finished_by_the_next_run() {
    let mut k = 1;
    loop {
        let rig = Rig::new(32, Kill::default());
        let (room, spray) = rig.spray(3).await;
        claim_by(&rig.sandbox.store, room, &spray, "a").await.unwrap();
        rig.pay().await;
        let killed = rig.sandbox.another_process(7);
        let until = rig.sandbox.store.now().plus_ms(600_000);
        let first = kill_at(k, daily::run(&*killed, until, 0)).await;
        drop(killed);
        let next = rig.sandbox.another_process(8);
        let second = daily::run(&*next, until, 0).await.unwrap();
        if first.is_some() {
            assert_eq!(second, Ran::Idle, "the first run was not killed");
        }
        let pass = next.latest_pass().await.unwrap().value.unwrap();
        assert!(pass.ended.is_some(), "killed at {k}: {pass:#?}");
        let totals = money::assert_conserved(&rig.sandbox.world);
        let books = money::books(&rig.sandbox.world);
        let count = |n: usize| u64::try_from(n).unwrap();
        let flow = pass.flow;
        assert_eq!(pass.found, 0, "killed at {k}: {:#?}", pass.findings);
        assert_eq!(flow.wallets, count(books.wallets.len()), "killed at {k}");
        assert_eq!(flow.transfers, count(books.transfers.len()), "killed at {k}");
        assert_eq!(flow.issued, totals.issued.into(), "killed at {k}");
        assert_eq!(pass.counts.pools, 1, "killed at {k}");
        refund_all(&next).await.unwrap();
        if first.is_some() {
            assert!(k > 20, "killed only {k} times");
            return;
        }
        k += 1;
        assert!(k < AWAITS_MAX, "it never ended");
    }
}
