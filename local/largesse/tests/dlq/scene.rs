//! A world with one claim, and its dead letters.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_dynamodb::types::AttributeValue as Av;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use aws_types::SdkConfig;
use largesse::compose::{self, WorldTime};
use largesse::dlq::{Dlq, RetryReport};
use largesse_app::budget::miss::Misses;
use largesse_app::ports::{Clock, GrantMessage, Grants, Ids, Room, Rooms, Wallets};
use largesse_app::spray::claim::{Claim, claim};
use largesse_app::spray::create::{self, Create};
use largesse_app::wallet::deposit::{self, Deposit};
use largesse_aws::grant::message::write_body;
use largesse_aws::production::SecureRng;
use largesse_aws::{Environment, Store};
use largesse_domain::audit::audit;
use largesse_domain::grant::{Grant, GrantStatus, Reason};
use largesse_domain::id::{GrantId, PoolId, RoomId, SprayId, TransferId, Ulid, UserId};
use largesse_domain::money::{Amount, BALANCE_MAX};
use largesse_domain::room::RoomName;
use largesse_domain::split::Split;
use largesse_domain::spray::{Spray, Terms};
use largesse_emulator::{World, WorldClock};

pub(super) const GRANTS_DLQ: &str = "largesse-grants-dlq.fifo";
pub(super) const GRANTS: &str = "largesse-grants.fifo";
pub(super) const OUTBOX_DLQ: &str = "largesse-outbox-dlq";
/// A world in which "bob" has claimed a spray of ten won by "ann".
pub(super) struct Scene {
    pub(super) world: World,
    pub(super) store: Arc<Store>,
    pub(super) grant: Grant,
}

pub(super) fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

impl Scene {
    /// No function is attached, so nothing is paid.
    pub(super) async fn claimed() -> Self {
        let clock = WorldClock::at(1_767_225_600_000);
        let world = World::memory_at(&compose::stack().unwrap(), clock).unwrap();
        let store = Arc::new(compose::store(&world, SecureRng::from_seed(1)));
        let spray = spray_of(&store, "ann", 10).await;
        let (room, token, misses) = (spray.room, spray.token, Misses::NONE);
        let request = Claim { room, token, member: user("bob"), misses };
        claim(&*store, &request).await.unwrap();
        let grant = store.books().await.unwrap().unpaid().pop().unwrap();
        Self { world, store, grant }
    }

    /// The same after the payment was refused for good: bob's wallet is full.
    pub(super) async fn given_up() -> Self {
        let scene = Self::claimed().await;
        scene.set_wallet("bob", Some(BALANCE_MAX)).await;
        scene.attach();
        scene.world.settle_with_time().await.unwrap();
        assert_eq!(scene.status().await, Some(GrantStatus::PermanentlyFailed));
        assert_eq!(scene.messages(GRANTS_DLQ), 1);
        scene
    }

    /// Another spray, of one share and open for ten minutes.
    pub(super) async fn spray(&self, sender: &str, minor: u64) -> SprayId {
        spray_of(&self.store, sender, minor).await.id
    }

    pub(super) fn attach(&self) {
        let secret = "a secret that only this test knows";
        compose::compose(self.world.clone(), self.store.clone(), secret).unwrap();
    }

    pub(super) async fn dlq(&self) -> Dlq {
        let clock = Arc::new(WorldTime(self.world.clock().clone()));
        let environment = Environment::of(clock, Arc::new(SecureRng::from_seed(2)));
        Dlq::open_at(&self.world.sdk_config(), "largesse", environment).await.unwrap()
    }

    pub(super) fn dynamo(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.world.sdk_config())
    }

    /// Writes a wallet that has no transfers, or removes it.
    pub(super) async fn set_wallet(&self, name: &str, balance: Option<u64>) {
        let (pk, sk) = (Av::S(format!("WALLET#{name}")), Av::S("BALANCE".to_owned()));
        let (zero, table) = (Av::N("0".to_owned()), "largesse-ledger");
        match balance {
            Some(balance) => {
                let put = self.dynamo().put_item().table_name(table).item("pk", pk).item("sk", sk);
                let put = put.item("balance", Av::N(balance.to_string())).item("seq", zero.clone());
                put.item("held", zero).send().await.unwrap();
            }
            None => {
                let delete = self.dynamo().delete_item().table_name(table);
                delete.key("pk", pk).key("sk", sk).send().await.unwrap();
            }
        }
    }

    /// Overwrites the balance of a wallet that has transfers.
    pub(super) async fn overwrite_balance(&self, name: &str, balance: u64) {
        let update = self.dynamo().update_item().table_name("largesse-ledger");
        let update = update.key("pk", Av::S(format!("WALLET#{name}")));
        let update = update.key("sk", Av::S("BALANCE".to_owned()));
        let update = update.update_expression("SET balance = :balance");
        let update = update.expression_attribute_values(":balance", Av::N(balance.to_string()));
        update.send().await.unwrap();
    }

    /// Overwrites how often bob's grant was refused.
    pub(super) async fn overwrite_attempts(&self, attempts: Av) {
        let update = self.dynamo().update_item().table_name("largesse-grants");
        let update = update.key("pk", Av::S(self.grant.source.to_string()));
        let update = update.key("sk", Av::S("MEMBER#bob".to_owned()));
        let update = update.update_expression("SET attempts = :attempts");
        update.expression_attribute_values(":attempts", attempts).send().await.unwrap();
    }

    pub(super) async fn balance(&self, name: &str) -> u64 {
        self.store.wallet(&user(name)).await.unwrap().balance.get()
    }

    /// What the table of refused grants says about bob's grant.
    pub(super) async fn status(&self) -> Option<GrantStatus> {
        let failed = self.store.failed_grant(self.grant.source, &self.grant.member).await;
        failed.unwrap().map(|failed| failed.status)
    }

    pub(super) async fn paid_once(&self) {
        self.world.settle_with_time().await.unwrap();
        assert_eq!((self.status().await, self.balance("bob").await), (None, 10));
        audit(&self.store.books().await.unwrap()).unwrap();
    }

    pub(super) async fn send(&self, queue: &str, group: &str, body: &str) {
        send(&self.world.sdk_config(), queue, group, body).await;
    }

    pub(super) async fn delete_all(&self, queue: &str) {
        let sqs = aws_sdk_sqs::Client::new(&self.world.sdk_config());
        let url = sqs.get_queue_url().queue_name(queue).send().await.unwrap().queue_url.unwrap();
        loop {
            let got = sqs.receive_message().queue_url(&url).send().await.unwrap();
            let Some(message) = got.messages().first() else { return };
            let receipt = message.receipt_handle().unwrap();
            sqs.delete_message().queue_url(&url).receipt_handle(receipt).send().await.unwrap();
        }
    }

    pub(super) fn messages(&self, queue: &str) -> usize {
        self.world.queue(queue).unwrap().messages.len()
    }

    pub(super) fn body(&self) -> String {
        write_body(&GrantMessage::first(self.grant.clone())).unwrap()
    }
}

/// A member of a room with "bob" is given an amount, and sprays it as one share.
async fn spray_of(store: &Store, sender: &str, minor: u64) -> Spray {
    let (id, amount) = (TransferId(store.ulid()), Amount::new(minor).unwrap());
    let deposit = Deposit { id, user: user(sender), amount, memo: None };
    deposit::deposit(store, deposit).await.unwrap();
    let room = Room { id: RoomId(store.ulid()), name: RoomName::new("room").unwrap() };
    store.create_room(&room, &[user(sender), user("bob")], store.now()).await.unwrap();
    let terms = Terms::new(minor, 1, Split::Equal, 600).unwrap();
    let (id, sender) = (SprayId(store.ulid()), user(sender));
    create::create(store, Create { id, room: room.id, sender, terms }).await.unwrap()
}

/// Sends a message to a queue.
pub(super) async fn send(config: &SdkConfig, queue: &str, group: &str, body: &str) {
    let sqs = aws_sdk_sqs::Client::new(config);
    let url = sqs.get_queue_url().queue_name(queue).send().await.unwrap().queue_url.unwrap();
    let mut message = sqs.send_message().queue_url(url).message_body(body);
    if queue.ends_with(".fifo") {
        let unique = Ulid::from_parts(0, u128::from(NEXT.fetch_add(1, Ordering::Relaxed)));
        message = message.message_group_id(group).message_deduplication_id(unique.to_string());
    }
    message.send().await.unwrap();
}

/// Sends messages to a FIFO queue, each with its group, ten at a time.
pub(super) async fn send_all(config: &SdkConfig, queue: &str, messages: &[(String, String)]) {
    let sqs = aws_sdk_sqs::Client::new(config);
    let url = sqs.get_queue_url().queue_name(queue).send().await.unwrap().queue_url.unwrap();
    for batch in messages.chunks(10) {
        let entry = |(position, (group, body)): (usize, &(String, String))| {
            let unique = Ulid::from_parts(0, u128::from(NEXT.fetch_add(1, Ordering::Relaxed)));
            let entry = SendMessageBatchRequestEntry::builder().id(position.to_string());
            let entry = entry.message_group_id(group).message_deduplication_id(unique.to_string());
            entry.message_body(body).build().unwrap()
        };
        let entries: Vec<_> = batch.iter().enumerate().map(entry).collect();
        let sent = sqs.send_message_batch().queue_url(&url).set_entries(Some(entries));
        assert!(sent.send().await.unwrap().failed().is_empty());
    }
}

static NEXT: AtomicU64 = AtomicU64::new(0);

pub(super) async fn retry_all(dlq: &Dlq) -> RetryReport {
    let mut report = RetryReport::default();
    dlq.retry_all(&mut report).await.unwrap();
    report
}

pub(super) fn synthetic(n: u64) -> Grant {
    let source = PoolId::Spray(SprayId(Ulid::from_parts(1_767_225_600_000, u128::from(n / 16))));
    Grant {
        id: GrantId(Ulid::from_parts(1_767_225_600_000, u128::from(n))),
        source,
        member: user(&format!("member-{n}")),
        amount: Amount::new(1).unwrap(),
        reason: Reason::Share,
        funder: user("ann"),
        memo: None,
    }
}
