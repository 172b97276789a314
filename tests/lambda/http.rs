//! Functions behind the API.

use largesse_app::drop::create::{Create, create};
use largesse_app::ports::{Campaigns, Clock, Products, Sprays};
use largesse_aws::production::SystemClock;
use largesse_domain::id::{CampaignId, SprayId};
use largesse_domain::product::{Limits, Product, Terms, Title};
use largesse_domain::time::Window;
use largesse_tests::user;
use serde_json::{Value, json};

use crate::bootstrap::{Answered, Bootstrap};
use crate::events::event;
use crate::scene::{DROP, Scene, room};

/// What API Gateway would send to the caller.
pub(crate) struct Reply {
    pub(crate) status: u64,
    pub(crate) headers: Value,
    pub(crate) body: Value,
}

impl Reply {
    /// Reads an answer of format 2.0, and checks what every answer has.
    pub(crate) fn of(answered: &Answered) -> Self {
        let answer = &answered.body;
        assert_eq!(answer["isBase64Encoded"], false, "{answer}");
        let body = serde_json::from_str(answer["body"].as_str().expect("a text"));
        let (headers, body) = (answer["headers"].clone(), body.expect("JSON"));
        assert_eq!(headers["x-request-id"], *answered.invocation.request_id);
        assert_eq!(headers["x-content-type-options"], "nosniff");
        Self { status: answer["statusCode"].as_u64().expect("a status"), headers, body }
    }

    /// The error code; empty when there is none.
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// Checks that it is a problem document of that status and code.
    pub(crate) fn assert_problem(&self, status: u64, code: &str) {
        assert_eq!(
            (self.status, self.body["code"].as_str()),
            (status, Some(code)),
            "{}",
            self.body
        );
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.body["status"], status);
        assert_eq!(self.body["request_id"], self.headers["x-request-id"]);
    }
}

/// Drives one event through a new process.
async fn drive(scene: &Scene, function: &str, case: &str) -> Reply {
    Reply::of(&Bootstrap::start(scene, function).await.invoke(&event(function, case)).await)
}

/// Drives a hostile event, which must not even reach AWS.
async fn drive_hostile(function: &str) -> Reply {
    let scene = Scene::with_room().await;
    scene.world.recorder().reset();
    let reply = drive(&scene, function, "hostile").await;
    assert_eq!(scene.world.recorder().operations(), []);
    reply
}

#[tokio::test(flavor = "multi_thread")]
async fn admin_makes_a_room_with_its_first_members() {
    let scene = Scene::new().await;
    let reply = drive(&scene, "admin", "happy").await;
    assert_eq!((reply.status, &reply.body["name"]), (201, &json!("Friday lunch")));
    let room = reply.body["room_id"].as_str().unwrap().parse().unwrap();
    for member in ["alice", "bob", "carol"] {
        assert!(scene.is_member(room, member).await, "{member}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn campaign_control_makes_a_campaign() {
    let scene = Scene::new().await;
    let reply = drive(&scene, "campaign-control", "happy").await;
    assert_eq!((reply.status, &reply.body["state"]), (201, &json!("DRAFT")), "{}", reply.body);
    let id: CampaignId = reply.body["campaign_id"].as_str().unwrap().parse().unwrap();
    let campaign = scene.store.campaign(id).await.unwrap().unwrap().value;
    assert_eq!(campaign.terms.default_reason.as_str(), "출석 보상");
}

#[tokio::test(flavor = "multi_thread")]
async fn wallet_takes_a_deposit() {
    let scene = Scene::new().await;
    let reply = drive(&scene, "wallet", "happy").await;
    assert_eq!((reply.status, &reply.body["balance"]), (201, &json!(50_000)));
    assert_eq!(scene.balance("alice").await, 50_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn spray_create_sprays() {
    let scene = Scene::with_room().await;
    scene.deposit("alice", 50_000).await;
    let reply = drive(&scene, "spray-create", "happy").await;
    assert_eq!(reply.status, 201);
    let id: SprayId = reply.body["spray_id"].as_str().unwrap().parse().unwrap();
    let spray = scene.store.spray(id).await.unwrap().unwrap();
    assert_eq!(reply.body["token"], spray.token.to_string());
    assert_eq!((spray.room, spray.sender.as_str()), (room(), "alice"));
    assert_eq!(scene.balance("alice").await, 40_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn product_invest_takes_capacity() {
    let scene = Scene::new().await;
    scene.deposit("alice", 50_000).await;
    let opens = SystemClock.now().minus_ms(1_000);
    let window = Window { opens, closes: opens.plus_ms(3_600_000) };
    let limits = Limits { target: 25_000, ..Limits::default() };
    let terms = Terms::new(Title::new("a").unwrap(), window, user("bob"), limits).unwrap();
    let id = "01M5170180BMF9MZ1V5X082VJP".parse().unwrap();
    scene.store.create_product(&Product::new(id, user("bob"), terms)).await.unwrap();
    let reply = drive(&scene, "product-invest", "happy").await;
    assert_eq!((reply.status, &reply.body["remaining"]), (201, &json!(15_000)), "{}", reply.body);
    assert_eq!(scene.balance("alice").await, 40_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn spray_claim_draws_a_share() {
    let scene = Scene::with_room().await;
    scene.spray(SystemClock.now()).await;
    let reply = drive(&scene, "spray-claim", "happy").await;
    let grant = scene.grant("bob").await.unwrap();
    assert_eq!((reply.status, reply.body), (201, json!({ "amount": grant.amount.get() })));
}

#[tokio::test(flavor = "multi_thread")]
async fn drop_enter_draws_a_slot() {
    let scene = Scene::new().await;
    scene.deposit("f", 30).await;
    let (id, terms) = (DROP.parse().unwrap(), scene.drop_terms(3, 0));
    create(&*scene.store, Create { id, funder: user("f"), terms }).await.unwrap();
    let reply = drive(&scene, "drop-enter", "happy").await;
    let won = json!({ "state": "won", "slot": 1, "amount": 10 });
    assert_eq!((reply.status, reply.body), (201, won));
}

#[tokio::test(flavor = "multi_thread")]
async fn query_reads_a_wallet() {
    let scene = Scene::new().await;
    scene.deposit("alice", 1_234).await;
    let reply = drive(&scene, "query", "happy").await;
    let wallet = json!({ "user": "alice", "balance": 1_234, "held": 0 });
    assert_eq!((reply.status, reply.body), (200, wallet));
}

#[tokio::test(flavor = "multi_thread")]
async fn query_is_well_without_asking_aws() {
    let scene = Scene::new().await;
    let reply = drive(&scene, "query", "health").await;
    assert_eq!((reply.status, &reply.body["status"]), (200, &json!("ok")));
    assert_eq!(scene.world.recorder().operations(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_request_is_refused_before_anything_is_read() {
    for function in [
        "admin",
        "campaign-control",
        "drop-enter",
        "product-invest",
        "wallet",
        "spray-create",
        "query",
    ] {
        drive_hostile(function).await.assert_problem(400, "ERR001");
    }
    let reply = drive_hostile("spray-claim").await;
    assert_eq!((reply.status, &reply.headers["content-type"]), (422, &json!("application/json")));
    assert_eq!((&reply.body["code"], reply.body["detail"].is_array()), (&json!("ERR001"), true));
}
