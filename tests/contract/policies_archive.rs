//! What archive does, for the test of its policy.

use std::collections::BTreeSet;

use largesse_app::ports::Clock;
use largesse_emulator::Stack;
use largesse_tests::Sandbox;

use crate::archive::{POLICY, age, campaigns, over_drop, over_spray};
use crate::permissions::{assert_least, calls_of};
use crate::product::scene::{invested, limits, made_of};

#[tokio::test(start_paused = true)]
async fn archive_may_do_what_it_does() {
    let sandbox = Sandbox::new(91);
    over_spray(&sandbox).await;
    over_drop(&sandbox).await;
    sandbox.deposit("ann", 500).await;
    let product = made_of(&sandbox, limits(100), 2).await;
    invested(&sandbox, &product, "ann", 10).await;
    campaigns::sealed(&sandbox).await;
    age(&sandbox).await;
    let store = sandbox.another_process(92);
    let calls = calls_of(&sandbox.world, async {
        let report = archive::handle(&*store, store.now().plus_ms(600_000), POLICY).await.unwrap();
        assert_eq!((report.is_over, report.things, report.held), (true, 4, 0), "{report:?}");
    });
    assert_least("archive", &calls.await);
}

/// The objects of the emulator record no calls: what the functions do with objects is `put` and `get`.
#[test]
fn functions_write_and_read_objects_and_nothing_else_of_the_bucket() {
    let stack = Stack::parse(largesse::compose::TEMPLATE).unwrap();
    for function in &stack.functions {
        let own = function.permissions.iter().filter(|one| one.action.starts_with("s3:"));
        let own: BTreeSet<(&str, &str)> =
            own.map(|one| (one.action.as_str(), one.resource.as_str())).collect();
        let transfers = "arn:aws:s3:::largesse-archivebucket/transfers/*";
        let objects = "arn:aws:s3:::largesse-archivebucket/*";
        // Else S3 does not tell a missing object from one that may not be read.
        let list = ("s3:ListBucket", "arn:aws:s3:::largesse-archivebucket");
        let expected = match function.binary.as_str() {
            "archive" => {
                BTreeSet::from([("s3:GetObject", objects), ("s3:PutObject", objects), list])
            }
            "query" => BTreeSet::from([("s3:GetObject", transfers), list]),
            _ => BTreeSet::new(),
        };
        assert_eq!(own, expected, "{}", function.binary);
    }
}
