//! Sprays, drops and products that are due, where an index of one of them cannot be read.

use std::sync::Arc;
use std::time::Duration;

use largesse_app::ports::{Clock, DropReads, Products, Sprays};
use largesse_app::product::invest::invest;
use largesse_aws::Store;
use largesse_domain::drop::Drop;
use largesse_domain::product::Product;
use largesse_domain::spray::Spray;
use largesse_emulator::{Fault, Faults, Matching};
use largesse_runtime::RunError;
use largesse_tests::Sandbox;

use crate::products::{product, request, target};

/// One of each, all over.
struct Due {
    spray: Spray,
    drop: Drop,
    product: Product,
}

impl Due {
    async fn new(sandbox: &Sandbox) -> Self {
        let room = sandbox.room(&["s"]).await;
        let spray = sandbox.spray(room, "s", 30, 3).await;
        let drop = sandbox.open_drop(3, 0).await;
        let product = product(sandbox, 1, target(100)).await;
        sandbox.deposit("a", 60).await;
        invest(&*sandbox.store, request(sandbox, &product, "a", 60)).await.unwrap();
        tokio::time::advance(Duration::from_secs(601)).await;
        Self { spray, drop, product }
    }

    /// Which of them have ended.
    async fn ended(&self, store: &Store) -> [bool; 3] {
        let spray = store.spray(self.spray.id).await.unwrap().unwrap();
        let drop = store.drop_record(self.drop.id).await.unwrap().unwrap();
        let product = store.product(self.product.id).await.unwrap().unwrap();
        [spray.refund.is_some(), drop.refund.is_some(), product.settled.is_some()]
    }
}

#[tokio::test(start_paused = true)]
async fn an_index_that_cannot_be_read_holds_up_nothing_of_the_other_two() {
    for (at, table) in ["sprays", "drops", "products"].into_iter().enumerate() {
        let sandbox = Sandbox::new(1);
        let due = Due::new(&sandbox).await;
        let store = &*sandbox.store;
        let query = Matching::operation("Query").on(&format!("largesse-{table}"));
        let denied = Faults::seeded(1).always(query, Fault::AccessDenied);
        sandbox.world.set_fault_hook(Some(Arc::new(denied)));
        let run = refund_batch::handle(store, store.now().plus_ms(60_000)).await;
        assert!(matches!(run, Err(RunError::Port(_))), "{table}: {run:?}");
        sandbox.world.set_fault_hook(None);
        let others = [0, 1, 2].map(|other| other != at);
        assert_eq!(due.ended(store).await, others, "{table}");
        // Once it can be read, the next run does the rest.
        refund_batch::handle(store, store.now().plus_ms(60_000)).await.unwrap();
        assert_eq!(due.ended(store).await, [true; 3], "{table}");
    }
}
