//! The operator's command for dead letters: what it shows, and what it changes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_dynamodb::types::AttributeValue as Av;
use aws_types::SdkConfig;
use futures::FutureExt;
use futures::future::BoxFuture;
use largesse::compose::{self, WorldTime};
use largesse::dlq::{Dlq, DlqError, DropReport, Dropped, Retry, RetryReport, Wanted};
use largesse_app::ports::{
    Clock, GrantMessage, Grants, Ids, Money, Room, Rooms, Standing, Void, Wallets,
};
use largesse_app::spray::claim::{Claim, claim};
use largesse_app::spray::create::{self, Create};
use largesse_app::wallet::deposit::{self, Deposit};
use largesse_aws::grant::message::write_body;
use largesse_aws::production::{SecureRng, emulator_config};
use largesse_aws::{Outside, Store};
use largesse_domain::audit::audit;
use largesse_domain::grant::{FailedGrant, Grant, GrantStatus, Reason};
use largesse_domain::id::{GrantId, PoolId, RoomId, SprayId, TransferId, Ulid, UserId};
use largesse_domain::money::{Amount, BALANCE_MAX};
use largesse_domain::room::RoomName;
use largesse_domain::split::Split;
use largesse_domain::spray::Terms;
use largesse_emulator::{Call, Fault, FaultHook, Faults, Matching, REGION, World, WorldClock};
use serde_json::{Value, json};

const GRANTS_DLQ: &str = "largesse-grants-dlq.fifo";
const GRANTS: &str = "largesse-grants.fifo";
const OUTBOX_DLQ: &str = "largesse-outbox-dlq";

/// A world in which "bob" has claimed a spray of ten won by "ann".
struct Scene {
    world: World,
    store: Arc<Store>,
    grant: Grant,
}

fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

fn grant_of(message: &GrantMessage) -> Wanted {
    Wanted::Grant(message.grant.id)
}

impl Scene {
    /// No function is attached, so nothing is paid.
    async fn claimed() -> Self {
        let clock = WorldClock::at(1_767_225_600_000);
        let world = World::memory_at(&compose::stack().unwrap(), clock).unwrap();
        let store = Arc::new(compose::store(&world, SecureRng::from_seed(1)));
        let (id, amount) = (TransferId(store.ulid()), Amount::new(10).unwrap());
        let deposit = Deposit { id, user: user("ann"), amount, memo: None };
        deposit::deposit(&*store, deposit).await.unwrap();
        let room = Room { id: RoomId(store.ulid()), name: RoomName::new("room").unwrap() };
        store.create_room(&room, &[user("ann"), user("bob")], store.now()).await.unwrap();
        let terms = Terms::new(10, 1, Split::Equal, 600).unwrap();
        let (id, sender) = (SprayId(store.ulid()), user("ann"));
        let spray = create::create(&*store, Create { id, room: room.id, sender, terms });
        let spray = spray.await.unwrap();
        let request = Claim { room: room.id, token: spray.token, member: user("bob") };
        claim(&*store, &request).await.unwrap();
        let grant = store.books().await.unwrap().unpaid().pop().unwrap();
        Self { world, store, grant }
    }

    /// The same after the payment was refused for good: bob's wallet is full.
    async fn given_up() -> Self {
        let scene = Self::claimed().await;
        scene.set_wallet("bob", Some(BALANCE_MAX)).await;
        scene.attach();
        scene.world.settle_with_time().await.unwrap();
        assert_eq!(scene.status().await, Some(GrantStatus::PermanentlyFailed));
        assert_eq!(scene.messages(GRANTS_DLQ), 1);
        scene
    }

    fn attach(&self) {
        let secret = "a secret that only this test knows";
        compose::compose(self.world.clone(), self.store.clone(), secret).unwrap();
    }

    async fn dlq(&self) -> Dlq {
        let clock = Arc::new(WorldTime(self.world.clock().clone()));
        let environment = Outside::of(clock, Arc::new(SecureRng::from_seed(2)));
        Dlq::open_at(&self.world.sdk_config(), "largesse", environment).await.unwrap()
    }

    fn dynamo(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.world.sdk_config())
    }

    /// Writes a wallet that has no transfers, or removes it.
    async fn set_wallet(&self, name: &str, balance: Option<u64>) {
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

    async fn balance(&self, name: &str) -> u64 {
        self.store.wallet(&user(name)).await.unwrap().balance.get()
    }

    /// What the table of refused grants says about bob's grant.
    async fn status(&self) -> Option<GrantStatus> {
        let failed = self.store.failed_grant(self.grant.source, &self.grant.member).await;
        failed.unwrap().map(|failed| failed.status)
    }

    async fn paid_once(&self) {
        self.world.settle_with_time().await.unwrap();
        assert_eq!((self.status().await, self.balance("bob").await), (None, 10));
        audit(&self.store.books().await.unwrap()).unwrap();
    }

    async fn send(&self, queue: &str, group: &str, body: &str) {
        send(&self.world.sdk_config(), queue, group, body).await;
    }

    async fn delete_all(&self, queue: &str) {
        let sqs = aws_sdk_sqs::Client::new(&self.world.sdk_config());
        let url = sqs.get_queue_url().queue_name(queue).send().await.unwrap().queue_url.unwrap();
        loop {
            let got = sqs.receive_message().queue_url(&url).send().await.unwrap();
            let Some(message) = got.messages().first() else { return };
            let receipt = message.receipt_handle().unwrap();
            sqs.delete_message().queue_url(&url).receipt_handle(receipt).send().await.unwrap();
        }
    }

    fn messages(&self, queue: &str) -> usize {
        self.world.queue(queue).unwrap().messages.len()
    }

    fn body(&self) -> String {
        write_body(&GrantMessage::first(self.grant.clone())).unwrap()
    }
}

/// Sends a message to a queue.
async fn send(config: &SdkConfig, queue: &str, group: &str, body: &str) {
    let sqs = aws_sdk_sqs::Client::new(config);
    let url = sqs.get_queue_url().queue_name(queue).send().await.unwrap().queue_url.unwrap();
    let mut message = sqs.send_message().queue_url(url).message_body(body);
    if queue.ends_with(".fifo") {
        let unique = Ulid::from_parts(0, u128::from(NEXT.fetch_add(1, Ordering::Relaxed)));
        message = message.message_group_id(group).message_deduplication_id(unique.to_string());
    }
    message.send().await.unwrap();
}

static NEXT: AtomicU64 = AtomicU64::new(0);

async fn retry_all(dlq: &Dlq) -> RetryReport {
    let mut report = RetryReport::default();
    dlq.retry_all(&mut report).await.unwrap();
    report
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_was_given_up_is_explained_retried_and_paid_once() {
    let scene = Scene::given_up().await;
    let dlq = scene.dlq().await;
    // Looking changes nothing, so it can be done twice.
    for _ in 0..2 {
        let view = dlq.list_grants(10).await.unwrap();
        assert_eq!((view.messages, view.unreadable, view.others), (1, 0, 0));
        let row = view.rows.first().unwrap();
        assert_eq!(row.why, "given up after 4 refusals: the wallet cannot hold that much");
        assert_eq!(row.grant.as_ref().unwrap().grant, scene.grant);
        let table = dlq.list_table(&view.ids, 10).await.unwrap();
        assert_eq!((table.given_up, table.failed), (0, 0), "it has a message");
        let id = row.message_id.clone().unwrap();
        for wanted in [Wanted::Message(id), Wanted::Grant(scene.grant.id)] {
            let shown = dlq.show(&wanted).await.unwrap();
            assert_eq!(shown.grant.unwrap().status(), GrantStatus::PermanentlyFailed);
            assert!(shown.message.is_some());
        }
    }
    // The first send was some twenty seconds ago: the queue would drop the same message.
    scene.set_wallet("bob", None).await;
    let report = retry_all(&dlq).await;
    assert_eq!((report.sent, report.sent_from_table, report.kept_count()), (1, 0, 0));
    scene.paid_once().await;
    assert_eq!(scene.messages(GRANTS_DLQ), 0);
    assert_eq!(retry_all(&dlq).await, RetryReport::default());
    // A run that was killed before it deleted the message leaves one about a paid grant.
    scene.send(GRANTS_DLQ, "bob", &scene.body()).await;
    assert_eq!(retry_all(&dlq).await.paid, 1);
    scene.paid_once().await;
    assert_eq!(scene.messages(GRANTS_DLQ), 0);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_there_twice_is_paid_once() {
    let scene = Scene::claimed().await;
    let dlq = scene.dlq().await;
    // One of them in the same batch, one behind it.
    for _ in 0..12 {
        scene.send(GRANTS_DLQ, "bob", &scene.body()).await;
    }
    let report = retry_all(&dlq).await;
    assert_eq!((report.sent, report.twice, scene.messages(GRANTS_DLQ)), (1, 11, 0));
    // And by two runs, the first of which was killed before it deleted anything.
    scene.send(GRANTS_DLQ, "bob", &scene.body()).await;
    assert_eq!(retry_all(&dlq).await.sent, 1);
    scene.attach();
    scene.paid_once().await;
}

/// Gives up the grant again, as grant-pay does, as soon as it is sent.
struct GivesUp {
    world: World,
    grant: Grant,
    sends: AtomicU64,
}

impl FaultHook for GivesUp {
    fn before<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Option<Fault>> {
        async move {
            if call.operation == "SendMessageBatch" {
                let sends = self.sends.fetch_add(1, Ordering::Relaxed);
                let at = u64::try_from(self.world.clock().now_ms()).unwrap();
                let retry = Some(Ulid::from_parts(at, u128::from(sends)));
                let body = write_body(&GrantMessage { grant: self.grant.clone(), retry }).unwrap();
                send(&self.world.sdk_config(), GRANTS_DLQ, "bob", &body).await;
            }
            None
        }
        .boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_is_given_up_again_during_the_run_does_not_keep_it_going() {
    let scene = Scene::given_up().await;
    let dlq = scene.dlq().await;
    let (world, grant) = (scene.world.clone(), scene.grant.clone());
    let hook = Arc::new(GivesUp { world, grant, sends: AtomicU64::new(0) });
    scene.world.set_fault_hook(Some(hook.clone()));
    let report = retry_all(&dlq).await;
    scene.world.set_fault_hook(None);
    assert_eq!((report.sent, report.came_back), (1, 1));
    assert_eq!((hook.sends.load(Ordering::Relaxed), scene.messages(GRANTS_DLQ)), (1, 1));
    assert_eq!(dlq.list_grants(10).await.unwrap().others, 0, "it is visible again");
}

fn synthetic(n: u64) -> Grant {
    let source = PoolId::Spray(SprayId(Ulid::from_parts(1_767_225_600_000, u128::from(n / 16))));
    Grant {
        id: GrantId(Ulid::from_parts(1_767_225_600_000, u128::from(n))),
        source,
        member: user(&format!("member-{n}")),
        amount: Amount::new(1).unwrap(),
        reason: Reason::Share,
        funder: user("ann"),
    }
}

#[tokio::test(start_paused = true)]
async fn one_run_retries_five_thousand_messages_past_those_that_cannot_be_read() {
    const MESSAGES: u64 = 5_000;
    let scene = Scene::claimed().await;
    let dlq = scene.dlq().await;
    for n in 0..MESSAGES {
        let grant = synthetic(n);
        if n % 100 == 0 {
            scene.send(GRANTS_DLQ, "carol", "nonsense").await;
            let status = GrantStatus::PermanentlyFailed;
            let (failure, failed_at) = ("full".to_owned(), scene.store.now().minus_ms(60_000));
            let failed =
                FailedGrant { grant: grant.clone(), status, attempts: 4, failure, failed_at };
            scene.store.put_failed(&failed, 0).await.unwrap();
        }
        let body = write_body(&GrantMessage::first(grant.clone())).unwrap();
        // A dozen messages of one member lie behind those that cannot be read, in one group.
        let group = if n % 1_000 < 3 { "carol" } else { grant.member.as_str() };
        scene.send(GRANTS_DLQ, group, &body).await;
    }
    let report = retry_all(&dlq).await;
    // SQS shows at most ten of a group, and these begin with ten that cannot be read.
    let behind = 12;
    assert_eq!(report.sent, MESSAGES - behind);
    assert_eq!((report.kept_count(), report.came_back, report.twice), (10, 0, 0));
    assert_eq!(report.kept["the message is no grant"].examples.len(), 3);
    // Those behind that have an item were given up, so the table leads to them.
    assert_eq!(report.sent_from_table, 4);
    assert_eq!(scene.messages(GRANTS_DLQ), 50 + 12);
    assert_eq!(u64::try_from(scene.messages(GRANTS)).unwrap(), MESSAGES - behind + 4);
    let view = dlq.list_grants(3).await.unwrap();
    assert_eq!((view.rows.len(), view.messages, view.others), (3, 10, 52), "all are visible again");
}

#[tokio::test(start_paused = true)]
async fn unreadable_and_newer_messages_are_shown_and_put_back() {
    let scene = Scene::claimed().await;
    let dlq = scene.dlq().await;
    let newer = scene.body().replace("\"version\":1", "\"version\":2");
    scene.send(GRANTS_DLQ, "bob", "nonsense").await;
    scene.send(GRANTS_DLQ, "bob", &newer).await;
    scene.send(GRANTS_DLQ, "bob", &scene.body()).await;
    let view = dlq.list_grants(10).await.unwrap();
    let why: Vec<&str> = view.rows.iter().map(|row| row.why.as_str()).collect();
    let reasons = [
        "the message is no grant",
        "the message has version 2, this code reads up to 1: use the newer largesse",
        "never refused: its message was received too often",
    ];
    assert_eq!((why.as_slice(), view.unreadable), (reasons.as_slice(), 2));
    let report = retry_all(&dlq).await;
    assert_eq!((report.sent, report.kept_count()), (1, 2));
    let id = view.rows[1].message_id.clone().unwrap();
    let shown = dlq.show(&Wanted::Message(id.clone())).await.unwrap();
    assert_eq!(shown.message.unwrap().1.body, newer);
    let kept = dlq.retry(&Wanted::Message(id.clone())).await.unwrap();
    assert_eq!(kept, Retry::Kept(reasons[1].to_owned()));
    // What is no grant of any version can be dropped; what a newer version wrote cannot.
    let kept = Dropped::Kept("a newer version wrote it");
    assert_eq!(dlq.drop_one(&Wanted::Message(id)).await.unwrap(), kept);
    let id = view.rows[0].message_id.clone().unwrap();
    assert_eq!(dlq.drop_one(&Wanted::Message(id)).await.unwrap(), Dropped::Deleted);
    assert_eq!(scene.messages(GRANTS_DLQ), 1);
    scene.attach();
    scene.paid_once().await;
}

#[tokio::test(start_paused = true)]
async fn a_grant_without_a_message_is_listed_retried_and_voided_by_its_key() {
    let scene = Scene::given_up().await;
    // After 14 days.
    scene.delete_all(GRANTS_DLQ).await;
    let put = scene.dynamo().put_item().table_name("largesse-grants");
    let put = put.item("pk", Av::S("nonsense".to_owned())).item("sk", Av::S("x".to_owned()));
    put.send().await.unwrap();
    let dlq = scene.dlq().await;
    let view = dlq.list_grants(10).await.unwrap();
    let table = dlq.list_table(&view.ids, 10).await.unwrap();
    assert_eq!((view.messages, table.given_up, table.failed), (0, 1, 0));
    assert_eq!(table.rows.first().unwrap().grant.as_ref().unwrap().grant, scene.grant);
    assert_eq!(table.unreadable, [("nonsense".to_owned(), "x".to_owned())]);

    // By its source and member, and refused again; by its id, and paid.
    let entry = Wanted::parse(&scene.grant.source.to_string(), Some("bob")).unwrap();
    assert_eq!(dlq.retry(&entry).await.unwrap(), Retry::Sent);
    scene.world.settle_with_time().await.unwrap();
    assert_eq!(scene.status().await, Some(GrantStatus::PermanentlyFailed));
    scene.delete_all(GRANTS_DLQ).await;
    tokio::time::advance(std::time::Duration::from_secs(60)).await;
    let report = retry_all(&dlq).await;
    assert_eq!((report.sent, report.sent_from_table), (0, 1));
    assert_eq!(report.unreadable_items.len(), 1);
    scene.world.settle_with_time().await.unwrap();

    let by_id = grant_of(&GrantMessage::first(scene.grant.clone()));
    let preview = dlq.void(&by_id, false).await.unwrap();
    assert_eq!((preview.outcome, scene.balance("ann").await), (None, 0));
    assert_eq!(dlq.void(&by_id, true).await.unwrap().outcome, Some(Void::Voided));
    assert_eq!(scene.balance("ann").await, 10);
    assert_eq!(scene.messages(GRANTS_DLQ), 0, "its message goes with it");
    scene.set_wallet("bob", None).await;
    assert_eq!(dlq.void(&by_id, true).await.unwrap().outcome, Some(Void::AlreadyVoided));
    // Voided is for ever, whatever is sent.
    assert_eq!(dlq.retry(&entry).await.unwrap(), Retry::Voided);
    scene.send(GRANTS_DLQ, "bob", &scene.body()).await;
    scene.send(GRANTS, "bob", &scene.body()).await;
    assert_eq!(retry_all(&dlq).await.voided, 1);
    scene.world.settle_with_time().await.unwrap();
    assert_eq!((scene.balance("bob").await, scene.balance("ann").await), (0, 10));
    let standing = scene.store.lookup(std::slice::from_ref(&scene.grant)).await.unwrap();
    assert_eq!(standing, [Standing::Voided]);
}

#[tokio::test(start_paused = true)]
async fn only_a_grant_that_was_given_up_is_voided() {
    let scene = Scene::claimed().await;
    let dlq = scene.dlq().await;
    let entry = Wanted::Entry(scene.grant.source, user("bob"));
    // Drawn, not paid, never refused.
    assert_eq!(dlq.void(&entry, true).await.unwrap().outcome, Some(Void::NotGivenUp));
    scene.attach();
    scene.paid_once().await;
    assert_eq!(dlq.void(&entry, true).await.unwrap().outcome, Some(Void::Paid));
    scene.paid_once().await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_in_the_middle_leaves_what_was_not_handled() {
    let scene = Scene::claimed().await;
    let dlq = scene.dlq().await;
    for n in 0..25 {
        let grant = synthetic(n);
        let body = write_body(&GrantMessage::first(grant.clone())).unwrap();
        scene.send(GRANTS_DLQ, grant.member.as_str(), &body).await;
    }
    let denied = Matching::operation("SendMessageBatch");
    let denied = Faults::seeded(1).nth(15, denied, Fault::AccessDenied);
    scene.world.set_fault_hook(Some(Arc::new(denied)));
    let mut report = RetryReport::default();
    assert!(matches!(dlq.retry_all(&mut report).await, Err(DlqError::Port(_))));
    scene.world.set_fault_hook(None);
    assert_eq!((report.sent, scene.messages(GRANTS_DLQ), scene.messages(GRANTS)), (19, 6, 19));
    assert_eq!(retry_all(&dlq).await.sent, 6);
    assert_eq!((scene.messages(GRANTS_DLQ), scene.messages(GRANTS)), (0, 25));
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_cannot_be_is_explained_and_never_paid() {
    let scene = Scene::claimed().await;
    let (source, dlq) = (scene.grant.source, scene.dlq().await);
    let bucket = Av::S(format!("{source}#0"));
    let update = async |expression: &str, values: &[(&str, &str)]| {
        let update = scene.dynamo().update_item().table_name("largesse-pools");
        let update = update.key("pk", bucket.clone()).update_expression(expression);
        let update = values.iter().fold(update, |update, (name, number)| {
            update.expression_attribute_values(*name, Av::N((*number).to_owned()))
        });
        update.send().await.unwrap();
    };
    // A second entry with bob's index, and three parts taken.
    let carol = "SET draws.carol = draws.bob + :zero, taken = :two";
    update(carol, &[(":zero", "0"), (":two", "2")]).await;
    scene.attach();
    scene.world.settle_with_time().await.unwrap();
    assert_eq!((scene.balance("bob").await, scene.balance("carol").await), (10, 0));
    let view = dlq.list_outbox(10).await.unwrap();
    assert_eq!((view.messages, view.others), (1, 0));
    let row = view.rows.first().unwrap();
    assert!(!row.is_report);
    let why = format!(
        "entries that no draw can have written: {source}#0 (carol); the entries of carol are not \
         paid: repair the bucket"
    );
    assert_eq!(row.why, why);
    let carols = Wanted::Entry(source, user("carol"));
    assert!(matches!(dlq.retry(&carols).await, Err(DlqError::NotFound(_))));
    assert_eq!(retry_all(&dlq).await, RetryReport::default());
    let mut report = DropReport::default();
    dlq.drop_reports(&mut report).await.unwrap();
    assert_eq!((report.deleted, report.records), (0, 1), "only by its id");
    scene.world.settle_with_time().await.unwrap();
    assert_eq!(scene.balance("carol").await, 0);

    update("REMOVE draws.carol SET taken = :one", &[(":one", "1")]).await;
    let row = dlq.list_outbox(10).await.unwrap().rows.pop().unwrap();
    assert!(row.why.contains("the bucket can be read now"), "{}", row.why);
    let id = Wanted::Message(row.message_id);
    assert!(dlq.show(&id).await.unwrap().message.unwrap().1.body.contains("NewImage"));
    assert_eq!(dlq.drop_one(&id).await.unwrap(), Dropped::Deleted);
    scene.paid_once().await;
}

#[tokio::test(start_paused = true)]
async fn an_unpaid_entry_is_sent_by_its_source_and_member() {
    let scene = Scene::claimed().await;
    let dlq = scene.dlq().await;
    let entry = Wanted::Entry(scene.grant.source, user("bob"));
    assert_eq!(dlq.show(&entry).await.unwrap().grant.unwrap().status(), GrantStatus::Pending);
    assert_eq!(dlq.retry(&entry).await.unwrap(), Retry::Sent);
    assert_eq!(scene.messages(GRANTS), 1);
    let ann = Wanted::Entry(scene.grant.source, user("ann"));
    assert!(matches!(dlq.retry(&ann).await, Err(DlqError::NotFound(_))), "she drew nothing");
    scene.attach();
    scene.paid_once().await;
    assert_eq!(dlq.retry(&entry).await.unwrap(), Retry::Paid);
}

#[tokio::test(start_paused = true)]
async fn a_report_of_the_mapping_is_explained_and_dropped_and_the_sweep_pays() {
    let scene = Scene::claimed().await;
    let dlq = scene.dlq().await;
    let report = json!({
        "requestContext": { "condition": "RecordAgeExceeded" },
        "DDBStreamBatchInfo": {
            "shardId": "shard", "startSequenceNumber": "1", "endSequenceNumber": "3",
            "batchSize": 3,
        },
    });
    for _ in 0..25 {
        scene.send(OUTBOX_DLQ, "", &report.to_string()).await;
    }
    let why = "RecordAgeExceeded: 3 records from 1 to 3 of shard; pool-sweep sends what they held, \
               so drop it";
    let view = dlq.list_outbox(10).await.unwrap();
    assert_eq!((view.messages, view.rows.len()), (25, 10));
    assert_eq!((view.rows[0].why.as_str(), view.rows[0].is_report), (why, true));
    let mut dropped = DropReport::default();
    dlq.drop_reports(&mut dropped).await.unwrap();
    assert_eq!((dropped.deleted, scene.messages(OUTBOX_DLQ)), (25, 0));
    // The stream is never read here: pool-sweep alone leads to the payment.
    tokio::time::advance(std::time::Duration::from_secs(400)).await;
    let stop_at = scene.store.now().plus_ms(60_000);
    assert_eq!(pool_sweep::handle(&*scene.store, stop_at).await.unwrap().resent, 1);
    assert_eq!(scene.messages(GRANTS), 1);
}

#[test]
fn a_key_is_a_grant_an_entry_or_a_message() {
    let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    let source = format!("SPRAY#{id}");
    assert_eq!(Wanted::parse(id, None).unwrap(), Wanted::Grant(id.parse().unwrap()));
    let entry = Wanted::Entry(source.parse().unwrap(), user("bob"));
    assert_eq!(Wanted::parse(&source, Some("bob")).unwrap(), entry);
    let message = "9c4e9a2f-6a0e-4a2e-9f0f-0d7b4a3c1f11";
    assert_eq!(Wanted::parse(message, None).unwrap(), Wanted::Message(message.to_owned()));
    for (first, member) in [(source.as_str(), None), (id, Some("bob")), (&source, Some("b b"))] {
        assert!(matches!(Wanted::parse(first, member), Err(DlqError::BadKey(_))), "{first}");
    }
}

/// The real binary, up.
struct Up {
    child: Child,
    address: String,
}

impl Up {
    fn start(listen: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_largesse"));
        command.args(["up", "--listen", listen]).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let open = lines.find_map(|line| Some(line.split_once("open   http://")?.1.to_owned()));
        let address = open.unwrap().trim_end_matches("/docs").to_owned();
        Self { child, address }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn largesse(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_largesse")).args(arguments).output().unwrap()
}

#[tokio::test]
async fn the_command_works_on_a_running_stack() {
    let up = Up::start("127.0.0.1:0");
    let endpoint = format!("http://{}/_aws", up.address);
    let dlq = |arguments: &[&str]| {
        let out = largesse(&[&["dlq"], arguments, &["--endpoint", &endpoint]].concat());
        assert!(out.status.success(), "{out:?}");
        String::from_utf8(out.stdout).unwrap()
    };
    let empty = "grants queue: no messages\ngrants table: no grants without a message\n";
    assert_eq!(dlq(&["list"]), format!("{empty}outbox queue: no messages\n"));
    send(&emulator_config(&endpoint, REGION), GRANTS_DLQ, "bob", "nonsense").await;
    let listed = dlq(&["list", "--queue", "grants"]);
    assert!(listed.starts_with("grants queue: 1 message, 1 of them unreadable\n"), "{listed}");
    let row = listed.lines().nth(2).unwrap();
    assert!(row.ends_with("the message is no grant"), "{listed}");
    let id = row.split_whitespace().next().unwrap();
    assert!(dlq(&["show", id]).ends_with("body\n  nonsense\n"));
    let retried = format!("1  kept: the message is no grant ({id})\n");
    assert_eq!(dlq(&["retry", "--all"]), retried);
    assert_eq!(dlq(&["redrive", "--all"]), retried, "its former name");
    let json: Value = serde_json::from_str(&dlq(&["list", "--json"])).unwrap();
    assert_eq!(json["grants_queue"]["rows"][0]["message_id"], id);
    let json: Value = serde_json::from_str(&dlq(&["retry", "--all", "--json"])).unwrap();
    assert_eq!(json["kept"]["the message is no grant"]["count"], 1);
    assert_eq!(dlq(&["drop", id]), format!("message {id}: deleted\n"));
    assert_eq!(dlq(&["retry", "--all"]), "nothing to retry\n");
    // Neither one nor all: nothing happens by accident.
    for command in [["dlq", "retry"], ["dlq", "drop"], ["dlq", "void"], ["dlq", "show"]] {
        let out = largesse(&[&command[..], &["--endpoint", &endpoint]].concat());
        assert_eq!(out.status.code(), Some(2), "{out:?}");
    }
    let out = largesse(&["dlq", "void", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "--endpoint", &endpoint]);
    assert_eq!(out.status.code(), Some(1));
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(said.starts_with("largesse: found no grant 01ARZ3NDEKTSV4RRFFQ69G5FAV"), "{said}");
}

#[test]
fn where_nothing_is_up_the_command_says_how_to_reach_something() {
    // Port 1 is TCP multiplexing's, which nobody serves.
    let out = largesse(&["dlq", "list", "--endpoint", "http://127.0.0.1:1/_aws"]);
    assert_eq!(out.status.code(), Some(1));
    let said = String::from_utf8(out.stderr).unwrap();
    let hint = "largesse: cannot reach http://127.0.0.1:1/_aws; start `largesse up`, ";
    assert!(said.starts_with(hint), "{said}");
    assert!(said.contains("--endpoint") && said.contains("--aws"), "{said}");
}

#[tokio::test]
async fn the_embedded_aws_answers_this_machine_only() {
    let list = |address: &str, host: Option<&'static str>| {
        let request = reqwest::Client::new().post(format!("http://{address}/_aws/"));
        let request = request.header("x-amz-target", "DynamoDB_20120810.ListTables").body("{}");
        host.map_or(request.try_clone().unwrap(), |host| request.header("host", host)).send()
    };
    let up = Up::start("127.0.0.1:0");
    assert_eq!(list(&up.address, None).await.unwrap().status(), 200);
    let rebound = list(&up.address, Some("page.example")).await.unwrap();
    assert_eq!(rebound.status(), 403, "a request with a foreign host name is refused");
    let open = Up::start("0.0.0.0:0");
    let address = open.address.replace("0.0.0.0", "127.0.0.1");
    assert_eq!(list(&address, None).await.unwrap().status(), 404, "other machines could reach it");
}
