//! A world, and a store over it.

use std::sync::{Arc, LazyLock};

use aws_sdk_dynamodb::types::{AttributeValue as Av, PutRequest, WriteRequest};
use largesse::{compose, limits};
use largesse_app::drop::create as create_drop;
use largesse_app::ports::{COUNT_SHARDS, Clock, Once, Rooms, Wallets};
use largesse_app::spray::create::{self, Create};
use largesse_app::wallet::deposit::{self, Deposit};
use largesse_aws::Store;
use largesse_aws::production::SecureRng;
use largesse_domain::drop::{Drop as SlotDrop, DropName, Terms as DropTerms};
use largesse_domain::id::{DropId, RoomId, SprayId, TransferId, Ulid, UserId};
use largesse_domain::ledger::{Transfer, TransferOrder};
use largesse_domain::money::{AMOUNT_MAX, Amount, BALANCE_MAX};
use largesse_domain::split::Split;
use largesse_domain::spray::{Spray, Terms};
use largesse_domain::time::{Timestamp, Window};
use largesse_emulator::{Stack, World, WorldClock};

use crate::money;

/// When the tests' worlds begin: 2026-01-01T00:00:00Z.
pub(crate) const BEGINS_MS: i64 = 1_767_225_600_000;

/// What template.yaml declares, parsed once for all worlds of a test binary. A test sends more requests
/// of one member than a member does, and its clock may stand still: limits are out of reach, but for
/// the tests of limits.
static STACK: LazyLock<Stack> = LazyLock::new(|| stack_with(&[]));

fn stack_with(settings: &[(&'static str, String)]) -> Stack {
    let settings: Vec<_> = limits::out_of_reach().iter().chain(settings).cloned().collect();
    compose::stack_with(&settings).expect("the template parses")
}

/// A world in memory with a store over it. When it is dropped, money must be conserved; when a test
/// fails, it names its seed.
pub struct Sandbox {
    /// The embedded AWS.
    pub world: World,
    /// All ports.
    pub store: Arc<Store>,
    _seed: Seed,
}

/// Dropped last, so that it also tells when the money is not conserved. Many tests go through many
/// seeds: it names the one under which they failed.
struct Seed(u64);

/// The clock of a process that differs from the world's.
struct SkewedClock {
    clock: WorldClock,
    skew_ms: i64,
}

impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.clock.now_ms().saturating_add(self.skew_ms))
    }
}

impl Sandbox {
    /// A new world; the seed decides all its randomness, and that of the SDK: how long it pauses
    /// before it tries again comes from a generator that belongs to the thread.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::at(&STACK, WorldClock::at(BEGINS_MS), seed)
    }

    /// The same at the time of this machine, for functions that run in processes of their own.
    #[must_use]
    pub fn at_machine_time(seed: u64) -> Self {
        Self::at(&STACK, WorldClock::real(), seed)
    }

    /// A new world in which functions have other environment variables.
    #[must_use]
    pub fn with_settings(seed: u64, settings: &[(&'static str, String)]) -> Self {
        Self::at(&stack_with(settings), WorldClock::at(BEGINS_MS), seed)
    }

    fn at(stack: &Stack, clock: WorldClock, seed: u64) -> Self {
        fastrand::seed(seed);
        let world = World::memory_at(stack, clock).expect("a world in memory");
        let store = Arc::new(store_at(&world, seed, 0));
        Self { world, store, _seed: Seed(seed) }
    }

    /// Another process over the same world: its own caches, its own randomness.
    #[must_use]
    pub fn another_process(&self, seed: u64) -> Arc<Store> {
        Arc::new(store_at(&self.world, seed, 0))
    }

    /// Another process, whose clock is off by that much.
    #[must_use]
    pub fn skewed_process(&self, seed: u64, skew_ms: i64) -> Arc<Store> {
        Arc::new(store_at(&self.world, seed, skew_ms))
    }

    /// Counts all pending rows of a campaign as failed, without a money service that refuses them.
    pub async fn fail_rows(&self, campaign: &str) {
        let client = aws_sdk_dynamodb::Client::new(&self.world.sdk_config());
        for shard in 0..COUNT_SHARDS {
            let update = client
                .update_item()
                .table_name("largesse-campaigns")
                .key("pk", Av::S(format!("CAMPAIGN#{campaign}")))
                .key("sk", Av::S(format!("COUNT#{shard:02}")))
                .update_expression(
                    "SET failed_rows = pending_rows, failed_amount = pending_amount, \
                     pending_rows = :zero, pending_amount = :zero",
                )
                .expression_attribute_values(":zero", Av::N("0".to_owned()));
            update.send().await.expect("a shard of the counters");
        }
    }

    /// Gives a user money.
    pub async fn deposit(&self, name: &str, minor: u64) -> Transfer {
        let deposit = Deposit {
            id: TransferId(self.id()),
            user: user(name),
            amount: amount(minor),
            memo: None,
        };
        deposit::deposit(&*self.store, deposit).await.expect("a deposit")
    }

    /// Fills a wallet to the last won that a wallet may hold: its deposits are written into the table,
    /// since making them one by one takes too long.
    pub async fn fill_wallet(&self, name: &str) {
        let client = aws_sdk_dynamodb::Client::new(&self.world.sdk_config());
        let key = |sk: String| {
            PutRequest::builder().item("pk", Av::S(format!("WALLET#{name}"))).item("sk", Av::S(sk))
        };
        let number = |n: u64| Av::N(n.to_string());
        let (mut balance, mut seq, mut puts) = (0, 0, Vec::new());
        while balance < BALANCE_MAX {
            let amount = AMOUNT_MAX.min(BALANCE_MAX - balance);
            (balance, seq) = (balance + amount, seq + 1);
            let transfer = key(format!("TX#{}", self.id()))
                .item("kind", Av::S("deposit".to_owned()))
                .item("amount", number(amount))
                .item("at_ms", Av::N(self.store.now().ms().to_string()))
                .item("balance_after", number(balance))
                .item("seq", number(seq));
            puts.push(transfer.build().expect("a transfer"));
        }
        let wallet = key("BALANCE".to_owned())
            .item("balance", number(balance))
            .item("held", number(0))
            .item("seq", number(seq));
        puts.push(wallet.build().expect("a wallet"));
        for puts in puts.chunks(25) {
            let write = |put: &PutRequest| WriteRequest::builder().put_request(put.clone()).build();
            let request = client.batch_write_item();
            let writes = puts.iter().map(write).collect();
            request.request_items("largesse-ledger", writes).send().await.expect("written");
        }
    }

    /// Overwrites the balance of a wallet that has had a transfer, in the table itself. The audit at
    /// the end of the test fails unless the balance is put back.
    pub async fn overwrite_balance(&self, name: &str, balance: u64) {
        let client = aws_sdk_dynamodb::Client::new(&self.world.sdk_config());
        let update = client.update_item().table_name("largesse-ledger");
        let update = update.key("pk", Av::S(format!("WALLET#{name}")));
        let update = update.key("sk", Av::S("BALANCE".to_owned()));
        let update = update.update_expression("SET balance = :balance");
        let update = update.expression_attribute_values(":balance", Av::N(balance.to_string()));
        update.send().await.expect("an overwritten balance");
    }

    /// Makes a room of these members; returns its id.
    pub async fn room(&self, members: &[&str]) -> RoomId {
        let id = RoomId(self.id());
        let name = largesse_domain::room::RoomName::new("room").expect("a name");
        let room = largesse_app::ports::Room { id, name };
        let members: Vec<UserId> = members.iter().map(|name| user(name)).collect();
        // As many as one transaction makes; the others are added one by one.
        let (first, later) = members.split_at(members.len().min(90));
        self.store.create_room(&room, first, self.store.now()).await.expect("a room");
        for member in later {
            self.store.add_member(id, member, self.store.now()).await.expect("a member");
        }
        id
    }

    /// Sprays, with money for it.
    pub async fn spray(&self, room: RoomId, sender: &str, minor: u64, recipients: u64) -> Spray {
        self.deposit(sender, minor).await;
        let terms = Terms::new(minor, recipients, Split::Random, 600).expect("terms");
        let (id, sender) = (SprayId(self.id()), user(sender));
        let request = Create { id, room, sender, terms };
        create::create(&*self.store, request).await.expect("a spray")
    }

    /// A drop by `f` of 10 a slot, with money for it, open for ten minutes from now.
    pub async fn open_drop(&self, slots: u64, waiting: u64) -> SlotDrop {
        self.paid_drop(slots, self.drop_terms(slots, waiting)).await
    }

    /// The same, with lots in its first ten seconds.
    pub async fn open_shuffled_drop(&self, slots: u64, waiting: u64) -> SlotDrop {
        let terms = self.drop_terms(slots, waiting).with_shuffle(10).expect("terms");
        self.paid_drop(slots, terms).await
    }

    async fn paid_drop(&self, slots: u64, terms: DropTerms) -> SlotDrop {
        self.deposit("f", slots * 10).await;
        let request = create_drop::Create { id: DropId(self.id()), funder: user("f"), terms };
        create_drop::create(&*self.store, request).await.expect("a drop").drop
    }

    /// The terms of [`Sandbox::open_drop`].
    #[must_use]
    pub fn drop_terms(&self, slots: u64, waiting: u64) -> DropTerms {
        let now = self.store.now();
        let window = Window { opens: now, closes: now.plus_ms(600_000) };
        let name = DropName::new("drop").expect("a name");
        DropTerms::new(name, slots, 10, window, Some(waiting)).expect("terms")
    }

    /// A new id.
    #[must_use]
    pub fn id(&self) -> Ulid {
        largesse_app::ports::Ids::ulid(&*self.store)
    }

    /// Posts an order that must go through.
    pub async fn post(&self, order: TransferOrder) -> Once<Transfer> {
        self.store.post(order).await.expect("an answer").expect("posted")
    }
}

fn store_at(world: &World, seed: u64, skew_ms: i64) -> Store {
    let clock = SkewedClock { clock: world.clock().clone(), skew_ms };
    compose::store_at(world, Arc::new(clock), SecureRng::from_seed(seed))
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            money::assert_conserved(&self.world);
        }
    }
}

impl Drop for Seed {
    #[expect(clippy::print_stderr, reason = "it is shown with the failed test")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the world of seed {} ended here", self.0);
        }
    }
}

/// A user's id.
#[must_use]
pub fn user(name: &str) -> UserId {
    name.parse().expect("a user id")
}

/// An amount.
#[must_use]
pub fn amount(minor: u64) -> Amount {
    Amount::new(minor).expect("an amount")
}
