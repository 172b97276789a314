//! The proof of the ledger over the adapters: it agrees with the audit of the whole books, finds
//! each planted error and names it, and freezes what does not add up.

use std::time::Duration;

use largesse::verify::prove;
use largesse_app::drop::enter;
use largesse_app::drop::promote::{PassedOn, pass_on};
use largesse_app::ports::{Clock, Money, Payment};
use largesse_app::reconcile::{Pass, Stage};
use largesse_domain::grant::Grant;
use largesse_domain::product::{Limits, Product};
use largesse_domain::spray::Spray;
use largesse_tests::{Sandbox, money, user};

use crate::drops_lots::{draw_lots, register};
use crate::product::scene::{OPEN_MS, invested, limits, made_of};
use crate::scene::{drawn, given_up, request, sprayed};

mod campaigns;
mod daily;
mod frozen;
mod planted;

/// Money of every kind has moved: sprays that are open and over, a drop whose slot was passed on,
/// products that are open, paid out and refunded.
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) spray: Spray,
    pub(crate) product: Product,
}

pub(crate) async fn world(seed: u64) -> World {
    let sandbox = Sandbox::new(seed);
    let store = sandbox.store.clone();
    let over = sprayed(&sandbox, 40).await;
    let paid = drawn_somewhere(&sandbox, &over, "m1").await;
    pay(&sandbox, &paid).await;
    sandbox.deposit("ann", 500).await;
    sandbox.deposit("ida", 500).await;
    let missed = Limits { min_raise: Some(100), ..limits(100) };
    for terms in [limits(100), missed] {
        let product = made_of(&sandbox, terms, 2).await;
        invested(&sandbox, &product, "ann", 10).await;
        invested(&sandbox, &product, "ida", 20).await;
        invested(&sandbox, &product, "ann", 5).await;
    }
    tokio::time::advance(Duration::from_millis(OPEN_MS + 1)).await;
    let stop_at = store.now().plus_ms(60_000);
    refund_batch::handle(&*store, stop_at).await.unwrap();
    // What is open from here on.
    let spray = sprayed(&sandbox, 3).await;
    for member in ["m1", "m2"] {
        let grant = drawn(&sandbox, &spray, member).await;
        if member == "m1" {
            pay(&sandbox, &grant).await;
        }
    }
    // The first member has the slot, the second waits and gets it.
    let drop = sandbox.open_drop(1, 1).await;
    for member in ["d1", "d2"] {
        enter::enter(&*store, drop.id, user(member)).await.unwrap();
    }
    let of_drop = |member: &str| {
        let books = money::books(&sandbox.world);
        let mut grants = books.grants();
        grants.find(|g| g.source == drop.pool() && g.member == user(member)).unwrap()
    };
    let failed = given_up(&sandbox, &of_drop("d1")).await;
    assert_eq!(pass_on(&*store, &failed).await.unwrap(), PassedOn::Now);
    pay(&sandbox, &of_drop("d2")).await;
    let product = made_of(&sandbox, limits(100), 2).await;
    invested(&sandbox, &product, "ann", 10).await;
    lots(&sandbox).await;
    World { sandbox, spray, product }
}

/// A drop whose lots were drawn, sixteen slots at once and a place, and one whose lots wait.
async fn lots(sandbox: &Sandbox) {
    let drop = sandbox.open_shuffled_drop(16, 16).await;
    for n in 0..17 {
        register(&sandbox.store, &drop, &format!("l{n}")).await;
    }
    draw_lots(sandbox, &drop).await;
    let books = money::books(&sandbox.world);
    let grants: Vec<Grant> = books.grants().filter(|g| g.source == drop.pool()).collect();
    assert_eq!(grants.len(), 16);
    pay(sandbox, &grants[0]).await;
    let waiting = sandbox.open_shuffled_drop(20, 2).await;
    register(&sandbox.store, &waiting, "l0").await;
}

pub(crate) async fn drawn_somewhere(sandbox: &Sandbox, spray: &Spray, member: &str) -> Grant {
    let draw = request(member, sandbox.store.now(), 1);
    let pool = spray.pool();
    largesse_app::pool::draw::draw(&*sandbox.store, pool, spray.recipients, &draw)
        .await
        .unwrap()
        .unwrap();
    let books = money::books(&sandbox.world);
    books.grants().find(|g| g.source == pool && g.member == user(member)).unwrap()
}

pub(crate) async fn pay(sandbox: &Sandbox, grant: &Grant) {
    let paid = sandbox.store.pay(std::slice::from_ref(grant)).await;
    assert!(matches!(paid[..], [Payment::Paid]), "{paid:?}");
}

pub(crate) async fn proved(sandbox: &Sandbox) -> Pass {
    prove(&sandbox.another_process(900)).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_sound_ledger_adds_up_as_the_audit_of_the_books_says() {
    let world = world(1).await;
    let pass = proved(&world.sandbox).await;
    assert_eq!((pass.stage, pass.found, &pass.findings), (Stage::Ended, 0, &Vec::new()));
    let totals = money::assert_conserved(&world.sandbox.world);
    let books = money::books(&world.sandbox.world);
    let flow = pass.flow;
    assert_eq!(flow.issued - flow.taken_back, u128::from(totals.issued));
    assert_eq!((flow.balances, flow.held), (totals.wallets.into(), totals.held.into()));
    assert_eq!(flow.escrows(), Some(totals.escrows.into()));
    let count = |n: usize| u64::try_from(n).unwrap();
    assert_eq!(flow.wallets, count(books.wallets.len()));
    assert_eq!(flow.transfers, count(books.transfers.len()));
    assert_eq!((pass.counts.pools, pass.counts.products, pass.counts.moving), (5, 3, 0));
}
