//! What the happy events presume: alice, her money, her room and her spray.

use std::ops::Deref;

use largesse_app::ports::{Clock, Grants, Once, Pools, Room, Rooms, Sprays, Wallets};
use largesse_aws::production::SystemClock;
use largesse_domain::grant::{FailedGrant, Grant};
use largesse_domain::id::{PoolId, RoomId, SprayId, TransferId};
use largesse_domain::ledger::{TransferKind, TransferOrder};
use largesse_domain::pool::{BucketId, Draw, Nonce};
use largesse_domain::room::RoomName;
use largesse_domain::split::{Seed, Split};
use largesse_domain::spray::{Spray, Terms};
use largesse_domain::time::Timestamp;
use largesse_tests::{Sandbox, user};

use crate::aws::Aws;

/// The room, the spray and its token, as events/README.md names them.
pub(crate) const ROOM: &str = "01M5170180BMF9MZ1V5X082VJN";
pub(crate) const SPRAY: &str = "01M53SCS78FCGCJKPHMVSGGQ0K";
/// The drop of the event of drop-enter.
pub(crate) const DROP: &str = "01M53SCS78FCGCJKPHMVSGGQ0K";
pub(crate) const TOKEN: &str = "K7Q";
/// When that spray was made, and when its members drew: their grants are named by it.
pub(crate) const SPRAYED_MS: i64 = 1_792_202_401_000;
pub(crate) const DRAWN_MS: [(&str, i64); 3] =
    [("bob", 1_792_202_402_000), ("carol", 1_792_202_402_500), ("dave", 1_792_202_402_700)];
/// What alice sprays, over how many.
pub(crate) const SPRAYED: u64 = 10_000;
pub(crate) const SHARES: u64 = 3;

/// A sandbox behind a socket.
pub(crate) struct Scene {
    sandbox: Sandbox,
    pub(crate) aws: Aws,
}

impl Deref for Scene {
    type Target = Sandbox;

    fn deref(&self) -> &Sandbox {
        &self.sandbox
    }
}

impl Scene {
    /// An empty world at the time of this machine.
    pub(crate) async fn new() -> Self {
        let sandbox = Sandbox::at_machine_time(1);
        let aws = Aws::serve(sandbox.world.clone()).await;
        Self { sandbox, aws }
    }

    /// The same with the room, of alice, bob, carol and dave.
    pub(crate) async fn with_room() -> Self {
        let scene = Self::new().await;
        let room = Room { id: room(), name: RoomName::new("Friday lunch").expect("a name") };
        let members = ["alice", "bob", "carol", "dave"].map(user);
        scene.store.create_room(&room, &members, SystemClock.now()).await.expect("a room");
        scene
    }

    /// Alice's spray, made then, open for ten minutes, with money for it.
    pub(crate) async fn spray(&self, at: Timestamp) {
        self.deposit("alice", SPRAYED).await;
        let (id, token) = (spray(), TOKEN.parse().expect("a token"));
        let terms = Terms::new(SPRAYED, SHARES, Split::Random, 600).expect("terms");
        let spray = Spray::new(id, token, room(), user("alice"), &terms, Seed([7; 32]), at);
        let order = TransferOrder {
            id: TransferId(id.0),
            wallet: user("alice"),
            kind: TransferKind::Spray,
            amount: terms.amount(),
            at,
            pool: Some(pool()),
            counterpart: None,
            memo: None,
        };
        let made = self.store.create_spray(&spray, &order).await.expect("an answer");
        assert!(matches!(made, Ok(Once::Now(_))), "{made:?}");
    }

    /// A member draws.
    pub(crate) async fn draw(&self, name: &str, at: Timestamp) {
        let draw = Draw { member: user(name), at, nonce: Nonce::from_bits(1) };
        let bucket = BucketId { pool: pool(), number: 0 };
        self.store.draw(bucket, &draw).await.expect("an answer").expect("a share");
    }

    /// The spray of the events, drawn by all its members, and not yet paid.
    pub(crate) async fn with_grants() -> Self {
        let scene = Self::with_room().await;
        scene.spray(Timestamp::from_ms(SPRAYED_MS)).await;
        for (name, at) in DRAWN_MS {
            scene.draw(name, Timestamp::from_ms(at)).await;
        }
        scene
    }

    /// A client of the world's own, behind the functions' backs.
    pub(crate) fn dynamo(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.world.sdk_config())
    }

    /// What a member has.
    pub(crate) async fn balance(&self, name: &str) -> u64 {
        self.store.wallet(&user(name)).await.expect("a wallet").balance.get()
    }

    /// What a member drew from the spray.
    pub(crate) async fn grant(&self, name: &str) -> Option<Grant> {
        let bucket = self.store.buckets(pool(), &[0]).await.expect("an answer").remove(0);
        let entry = bucket.draws.get(&user(name))?;
        bucket.grant(&user(name), *entry)
    }

    /// What a member drew, and the money service refused to pay.
    pub(crate) async fn failed(&self, name: &str) -> Option<FailedGrant> {
        self.store.failed_grant(pool(), &user(name)).await.expect("an answer")
    }

    /// Which of these have been paid what they drew.
    pub(crate) async fn paid(&self) -> Vec<&'static str> {
        let mut paid = Vec::new();
        for (name, _) in DRAWN_MS {
            let balance = self.balance(name).await;
            if balance > 0 {
                let grant = self.grant(name).await.expect("a grant");
                assert_eq!(balance, grant.amount.get(), "{name}");
                paid.push(name);
            }
        }
        paid
    }

    /// Whether somebody is in a room.
    pub(crate) async fn is_member(&self, room: RoomId, name: &str) -> bool {
        self.store.is_member(room, &user(name)).await.expect("an answer")
    }
}

pub(crate) fn room() -> RoomId {
    ROOM.parse().expect("a room id")
}

pub(crate) fn spray() -> SprayId {
    SPRAY.parse().expect("a spray id")
}

pub(crate) fn pool() -> PoolId {
    PoolId::Spray(spray())
}
