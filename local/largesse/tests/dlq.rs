//! The operator's command for dead letters: what it explains, and what it redrives.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue as Av;
use aws_types::SdkConfig;
use largesse::compose;
use largesse::dlq::{Dlq, Queue, Redriven};
use largesse_app::ports::{Clock, Grants, Ids, Room, Rooms, Wallets};
use largesse_app::spray::claim::{Claim, claim};
use largesse_app::spray::create::{self, Create};
use largesse_app::wallet::deposit::{self, Deposit};
use largesse_aws::Store;
use largesse_aws::production::{SecureRng, emulator_config};
use largesse_aws::queue::read_body;
use largesse_domain::audit::audit;
use largesse_domain::grant::{Grant, GrantStatus};
use largesse_domain::id::{PoolId, RoomId, SprayId, TransferId, UserId};
use largesse_domain::money::Amount;
use largesse_domain::pool::Attempt;
use largesse_domain::room::RoomName;
use largesse_domain::split::Split;
use largesse_domain::spray::Terms;
use largesse_emulator::{Fault, Faults, Matching, REGION, World, WorldClock};
use serde_json::json;

const GRANTS_DLQ: &str = "largesse-grants-dlq.fifo";
const OUTBOX_DLQ: &str = "largesse-outbox-dlq";

/// A world in which "bob" has claimed a spray of ten won.
struct Scene {
    world: World,
    store: Arc<Store>,
    grant: Grant,
}

fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

impl Scene {
    /// Nothing is attached yet, so nothing is paid.
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
        let wish = Create { id, room: room.id, sender, terms };
        let spray = create::create(&*store, wish).await.unwrap();
        let (token, key) = (spray.token, Some(Attempt::from_bits(1)));
        let wish = Claim { room: room.id, token, member: user("bob"), key };
        claim(&*store, wish).await.unwrap();
        let grant = store.grant(PoolId::Spray(spray.id), &user("bob")).await.unwrap().unwrap();
        Self { world, store, grant }
    }

    fn attach(&self) {
        let secret = "a secret that only this test knows";
        compose::compose(self.world.clone(), self.store.clone(), secret).unwrap();
    }

    async fn dlq(&self) -> Dlq {
        Dlq::open(&self.world.sdk_config(), "largesse").await.unwrap()
    }

    async fn balance(&self) -> u64 {
        self.store.wallet(&user("bob")).await.unwrap().balance.get()
    }

    async fn status(&self) -> GrantStatus {
        let grant = self.store.grant(self.grant.pool, &self.grant.member).await.unwrap().unwrap();
        assert_eq!(grant.id, self.grant.id);
        grant.status
    }

    async fn bury(&self, queue: &str, body: &str) {
        bury(&self.world.sdk_config(), queue, body).await;
    }

    fn dead(&self, queue: &str) -> usize {
        self.world.queue(queue).unwrap().messages.len()
    }

    fn body(&self) -> String {
        let Grant { id, pool, member, .. } = &self.grant;
        let (source, member, id) = (pool.to_string(), member.to_string(), id.to_string());
        json!({ "source": source, "member": member, "grant_id": id }).to_string()
    }
}

/// Puts a dead letter into a queue.
async fn bury(config: &SdkConfig, queue: &str, body: &str) {
    let sqs = aws_sdk_sqs::Client::new(config);
    let url = sqs.get_queue_url().queue_name(queue).send().await.unwrap().queue_url.unwrap();
    let mut letter = sqs.send_message().queue_url(url).message_body(body);
    if queue == GRANTS_DLQ {
        letter = letter.message_group_id("bob").message_deduplication_id(body);
    }
    letter.send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_failed_for_ever_is_explained_and_redriven_and_paid_once() {
    let scene = Scene::claimed().await;
    scene.attach();
    let ledger = Matching::operation("TransactWriteItems").on("largesse-ledger");
    let broken = Faults::seeded(1).always(ledger, Fault::Throttle);
    scene.world.set_fault_hook(Some(Arc::new(broken)));
    scene.world.settle_with_time().await.unwrap();
    scene.world.set_fault_hook(None);
    assert_eq!((scene.status().await, scene.balance().await), (GrantStatus::PermanentlyFailed, 0));

    let dlq = scene.dlq().await;
    // Looking changes nothing, so it can be done twice.
    for _ in 0..2 {
        let (letters, others) = dlq.list(Queue::Grants).await.unwrap();
        assert_eq!((letters.len(), others), (1, 0));
        let one = letters.first().unwrap();
        assert!(one.why.starts_with("given up after 4 failures: "), "{}", one.why);
        assert_eq!(one.grant.as_ref().unwrap().id, scene.grant.id);
        let shown = dlq.show(&one.letter.id).await.unwrap().letter;
        assert_eq!(read_body(&shown.body).unwrap().id, scene.grant.id);
    }

    let redriven = dlq.redrive(None).await.unwrap();
    assert_eq!(redriven.iter().map(|(_, done)| done).collect::<Vec<_>>(), [&Redriven::Sent]);
    scene.world.settle_with_time().await.unwrap();
    assert_eq!((scene.status().await, scene.balance().await), (GrantStatus::Success, 10));

    assert_eq!(dlq.redrive(None).await.unwrap(), []);
    // A redrive that was cut off before it deleted the letter leaves one about a paid grant.
    scene.bury(GRANTS_DLQ, &scene.body()).await;
    let redriven = dlq.redrive(None).await.unwrap();
    assert_eq!(redriven.iter().map(|(_, done)| done).collect::<Vec<_>>(), [&Redriven::PaidBefore]);
    scene.world.settle_with_time().await.unwrap();
    assert_eq!((scene.status().await, scene.balance().await), (GrantStatus::Success, 10));
    assert_eq!(scene.dead(GRANTS_DLQ), 0);
    audit(&scene.store.books().await.unwrap()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_is_sent_twice_at_once_is_paid_once() {
    let scene = Scene::claimed().await;
    let dlq = scene.dlq().await;
    // Two letters about one grant, as when a redrive is cut off between sending and deleting.
    scene.bury(GRANTS_DLQ, &scene.body()).await;
    scene.bury(GRANTS_DLQ, &format!("{} ", scene.body())).await;
    let redriven = dlq.redrive(None).await.unwrap();
    assert_eq!(redriven.iter().filter(|(_, done)| *done == Redriven::Sent).count(), 2);
    scene.attach();
    scene.world.settle_with_time().await.unwrap();
    assert_eq!((scene.status().await, scene.balance().await), (GrantStatus::Success, 10));
    audit(&scene.store.books().await.unwrap()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_nobody_can_pay_stays_a_dead_letter_and_says_why() {
    let scene = Scene::claimed().await;
    let dlq = scene.dlq().await;
    scene.bury(GRANTS_DLQ, "nonsense").await;
    scene.bury(GRANTS_DLQ, &scene.body().replace("bob", "rob")).await;
    let why = ["the message names no grant", "there is no such grant"];
    let (letters, _) = dlq.list(Queue::Grants).await.unwrap();
    assert_eq!(letters.iter().map(|one| one.why.as_str()).collect::<Vec<_>>(), why);
    let redriven = dlq.redrive(None).await.unwrap();
    let kept = why.map(Redriven::Kept);
    assert_eq!(redriven.iter().map(|(_, done)| done).collect::<Vec<_>>(), [&kept[0], &kept[1]]);
    assert_eq!(scene.dead(GRANTS_DLQ), 2);
    assert!(dlq.redrive(Some("another")).await.is_err());
}

/// Puts a grant that nobody can read into the table, as far as `attributes` go.
async fn corrupt(config: &SdkConfig, pool: &str, member: &str, attributes: &[(&str, &str)]) {
    let put = aws_sdk_dynamodb::Client::new(config).put_item().table_name("largesse-grants");
    let put = put.item("pk", Av::S(pool.to_owned()));
    let put = put.item("sk", Av::S(format!("MEMBER#{member}")));
    let attributes = attributes.iter();
    let put = attributes.fold(put, |put, (name, text)| put.item(*name, Av::S((*text).to_owned())));
    put.send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_cannot_be_read_is_kept_and_the_rest_is_redriven() {
    let scene = Scene::claimed().await;
    let dlq = scene.dlq().await;
    let (pool, id) = (scene.grant.pool.to_string(), scene.grant.id.to_string());
    // One without an amount, given up; one without anything.
    let given_up = [("grant_id", id.as_str()), ("status", "PERMANENTLY_FAILED")];
    corrupt(&scene.world.sdk_config(), &pool, "carol", &given_up).await;
    corrupt(&scene.world.sdk_config(), &pool, "dave", &[]).await;
    for member in ["carol", "dave", "bob"] {
        scene.bury(GRANTS_DLQ, &scene.body().replace("bob", member)).await;
    }
    let (letters, others) = dlq.list(Queue::Grants).await.unwrap();
    let why: Vec<&str> = letters.iter().map(|one| one.why.as_str()).collect();
    let waits = "received too often without an outcome";
    assert_eq!(why, ["the grant cannot be read", "the grant cannot be read", waits]);
    assert_eq!(others, 0);
    assert!(dlq.show(&letters[0].letter.id).await.unwrap().grant.is_none());

    let redriven = dlq.redrive(None).await.unwrap();
    let kept = Redriven::Kept("the grant cannot be read");
    let done: Vec<_> = redriven.into_iter().map(|(_, done)| done).collect();
    assert_eq!(done, [kept.clone(), kept, Redriven::Sent]);
    let items = scene.world.database().scan("largesse-grants").unwrap();
    let items = serde_json::to_string(&items).unwrap();
    assert!(items.contains("PERMANENTLY_FAILED"), "what cannot be read is left as it is");
    scene.attach();
    scene.world.settle_with_time().await.unwrap();
    assert_eq!((scene.status().await, scene.balance().await), (GrantStatus::Success, 10));
    assert_eq!(scene.dead(GRANTS_DLQ), 2);
}

#[tokio::test(start_paused = true)]
async fn what_the_outbox_gave_up_on_is_sent_from_the_table_and_paid_once() {
    let scene = Scene::claimed().await;
    let dlq = scene.dlq().await;
    let told = json!({
        "requestContext": { "condition": "RetryAttemptsExhausted" },
        "DDBStreamBatchInfo": {
            "shardId": "shard", "startSequenceNumber": "1", "endSequenceNumber": "3",
            "batchSize": 3,
        },
    });
    scene.bury(OUTBOX_DLQ, &told.to_string()).await;
    let (letters, _) = dlq.list(Queue::Outbox).await.unwrap();
    let why = "RetryAttemptsExhausted: 3 records from 1 to 3 of shard";
    assert_eq!(letters.first().unwrap().why, why);
    let done = dlq.redrive_outbox(None).await.unwrap();
    assert_eq!((done.letters, done.sent, done.kept), (1, 1, vec![]));
    // It is unpaid still, as the table says, without any letter: sent again, and paid once.
    let again = dlq.redrive_outbox(None).await.unwrap();
    assert_eq!((again.letters, again.sent, again.kept), (0, 1, vec![]));
    scene.attach();
    scene.world.settle_with_time().await.unwrap();
    assert_eq!((scene.status().await, scene.balance().await), (GrantStatus::Success, 10));
    assert_eq!(scene.dead(OUTBOX_DLQ), 0);
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_the_outbox_cannot_read_holds_up_nobody_and_is_paid_once_it_is_mended() {
    let scene = Scene::claimed().await;
    let config = scene.world.sdk_config();
    let pool = scene.grant.pool.to_string();
    // Before and behind bob's.
    corrupt(&config, &pool, "carol", &[("status", "PENDING")]).await;
    corrupt(&config, "nonsense", "dave", &[("status", "PENDING")]).await;
    scene.attach();
    scene.world.settle_with_time().await.unwrap();
    assert_eq!((scene.status().await, scene.balance().await), (GrantStatus::Success, 10));

    let dlq = scene.dlq().await;
    let why = async || {
        let (letters, _) = dlq.list(Queue::Outbox).await.unwrap();
        letters.into_iter().map(|one| one.why).collect::<Vec<_>>()
    };
    let of_carol = format!("a new grant whose grant_id cannot be read: {pool} MEMBER#carol");
    let of_dave = "a new grant whose pk cannot be read: nonsense MEMBER#dave";
    let broken = [&of_carol, of_dave].map(|why| format!("{why}; mend it, then redrive"));
    assert_eq!(why().await, broken);
    let (letters, _) = dlq.list(Queue::Outbox).await.unwrap();
    let shown = dlq.show(&letters[0].letter.id).await.unwrap().letter.body;
    assert!(shown.contains("NewImage") && shown.contains("SequenceNumber"), "{shown}");

    let kept = ["the grant cannot be read", "the record names no grant"];
    let done = dlq.redrive_outbox(None).await.unwrap();
    assert_eq!(done.kept.iter().map(|(_, why)| *why).collect::<Vec<_>>(), kept);
    assert_eq!((done.letters, done.sent, scene.dead(OUTBOX_DLQ)), (0, 0, 2));
    // Positions are redriven all the same: what cannot be read has letters of its own.
    scene.bury(OUTBOX_DLQ, "{}").await;
    let done = dlq.redrive_outbox(None).await.unwrap();
    assert_eq!((done.letters, done.kept.len()), (1, 2));
    // One that cannot be read and that nobody has told of keeps them.
    corrupt(&config, &pool, "erin", &[("status", "PENDING")]).await;
    scene.bury(OUTBOX_DLQ, "{}").await;
    let done = dlq.redrive_outbox(None).await.unwrap();
    assert_eq!((done.letters, done.kept.len()), (0, 3));

    // Mended, it is as any other that nobody has tried.
    let erin = Grant { member: user("erin"), ..scene.grant.clone() };
    let dynamo = aws_sdk_dynamodb::Client::new(&config);
    for (pool, member) in [(pool.as_str(), "carol"), ("nonsense", "dave"), (&pool, "erin")] {
        let delete = dynamo.delete_item().table_name("largesse-grants");
        let delete = delete.key("pk", Av::S(pool.to_owned()));
        delete.key("sk", Av::S(format!("MEMBER#{member}"))).send().await.unwrap();
    }
    let carol = Grant { member: user("carol"), ..erin };
    scene.store.record(&carol).await.unwrap();
    assert_eq!(why().await[0], format!("{of_carol}; it can be read by now"));
    let done = dlq.redrive_outbox(None).await.unwrap();
    assert_eq!((done.letters, done.sent), (2, 2), "carol's letter and the positions");
    assert_eq!(done.kept[0].1, "the record names no grant");
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
    assert_eq!(dlq(&["list"]), "grants: no dead letters\noutbox: no dead letters\n");
    bury(&emulator_config(&endpoint, REGION), GRANTS_DLQ, "nonsense").await;
    let listed = dlq(&["list", "--queue", "grants"]);
    assert!(listed.starts_with("grants: 1 dead letter\n"), "{listed}");
    assert!(listed.contains("the message names no grant"), "{listed}");
    let id = listed.lines().last().unwrap().split_whitespace().next().unwrap();
    assert!(dlq(&["show", id]).ends_with("body\n  nonsense\n"));
    let redriven = dlq(&["redrive", "--id", id]);
    let summary = "grants: 0 sent to be paid, 0 paid before, 1 kept";
    assert_eq!(redriven, format!("{id}  kept: the message names no grant\n{summary}\n"));
    // Neither one nor all: a redrive is never by accident.
    assert!(!largesse(&["dlq", "redrive", "--endpoint", &endpoint]).status.success());
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
    assert_eq!(rebound.status(), 403, "a web page that rebinds its name is refused");
    let open = Up::start("0.0.0.0:0");
    let address = open.address.replace("0.0.0.0", "127.0.0.1");
    assert_eq!(list(&address, None).await.unwrap().status(), 404, "others could reach it");
}
