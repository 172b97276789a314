//! What a piece of work is told that it used is what the store counted.

use std::sync::Arc;

use largesse_app::budget::miss::Misses;
use largesse_app::ports::{Clock, Pools};
use largesse_app::spray::claim::{Claim, claim};
use largesse_app::usage::{self, Usage};
use largesse_emulator::{Fault, Faults, Matching, Service, Totals};
use largesse_tests::{Sandbox, user};

use crate::scene::{first, request, sprayed};

/// What the world counted for DynamoDB.
fn counted(sandbox: &Sandbox) -> Totals {
    let operations = sandbox.world.recorder().operations();
    let of_dynamo = operations.into_iter().filter(|(service, ..)| *service == Service::DynamoDb);
    of_dynamo.fold(Totals::default(), |sum, (_, _, one)| Totals {
        calls: sum.calls + one.calls,
        failed: sum.failed + one.failed,
        read: sum.read + one.read,
        write: sum.write + one.write,
    })
}

fn assert_same(used: Usage, counted: Totals) {
    assert_eq!(used.calls, counted.calls);
    assert_eq!(used.read.to_string(), format!("{:.2}", counted.read));
    assert_eq!(used.write.to_string(), format!("{:.2}", counted.write));
}

#[tokio::test(start_paused = true)]
async fn work_is_told_each_call_and_each_unit_that_it_used() {
    let sandbox = Sandbox::new(1);
    sandbox.world.recorder().measure_units(true);
    let room = sandbox.room(&["s", "a"]).await;
    sandbox.world.recorder().reset();
    let (spray, used) = usage::counted(sandbox.spray(room, "s", 100, 20)).await;
    // Transactions, batches and single reads.
    assert_same(used, counted(&sandbox));
    assert!(used.write.hundredths() > 0 && used.read.hundredths() > 0, "{used:?}");
    sandbox.world.recorder().reset();
    let claiming = Claim { room, token: spray.token, member: user("a"), misses: Misses::NONE };
    let (claimed, used) = usage::counted(claim(&*sandbox.store, &claiming)).await;
    claimed.unwrap();
    assert_same(used, counted(&sandbox));
    assert!(used.calls >= 2, "{used:?}");
    sandbox.world.settle().await;
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_fails_is_a_call_without_units() {
    let sandbox = Sandbox::new(2);
    let spray = sprayed(&sandbox, 3).await;
    let lost =
        Faults::seeded(0).nth(1, Matching::operation("UpdateItem"), Fault::ResetBeforeCommit);
    sandbox.world.set_fault_hook(Some(Arc::new(lost)));
    let draw = request("m", sandbox.store.now(), 1);
    let (won, used) = usage::counted(sandbox.store.draw(first(&spray), &draw)).await;
    won.unwrap().unwrap();
    // The bucket, and its index of what is to be swept.
    assert_eq!((used.calls, used.write.to_string().as_str()), (2, "2.00"));
    // A condition that does not hold consumes units too, but DynamoDB does not report them.
    let again = request("m", sandbox.store.now(), 2);
    let (again, used) = usage::counted(sandbox.store.draw(first(&spray), &again)).await;
    assert!(again.unwrap().is_err());
    assert_eq!((used.calls, used.write.hundredths()), (1, 0));
}
