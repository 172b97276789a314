//! Hardly a token is free, or none: a spray finds one while there is one, and then the answer says
//! when there will be.

use std::collections::BTreeSet;
use std::time::Duration;

use largesse_app::ports::Clock;
use largesse_app::spray::create::{self, Create, CreateError};
use largesse_domain::id::{SprayId, TOKEN_COUNT, Token};
use largesse_domain::split::Split;
use largesse_domain::spray::Terms;
use largesse_tests::user;

use crate::rig::{Kill, Rig, refund_all};

/// How long the first of the occupied tokens is taken.
const OCCUPIED_MS: u64 = 3_600_000;

/// When an occupied token is free again, after that: each at another second, in no order that the
/// table has. 7,919 and the number of tokens have no divisor in common.
fn later_ms(n: u32) -> u64 {
    u64::from(n * 7_919 % TOKEN_COUNT) * 1_000
}

/// Fills the token space but for `free` tokens, behind the adapters.
async fn occupy(rig: &Rig, free: u32) {
    let client = aws_sdk_dynamodb::Client::new(&rig.sandbox.world.sdk_config());
    let now = rig.sandbox.store.now();
    let closes_ms = |n| now.plus_ms(OCCUPIED_MS + later_ms(n)).ms().to_string();
    let tokens: Vec<u32> = (free..TOKEN_COUNT).collect();
    for some in tokens.chunks(25) {
        let puts = some.iter().map(|n| {
            use aws_sdk_dynamodb::types::{AttributeValue as Av, PutRequest, WriteRequest};
            let text = |value: String| Av::S(value);
            let put = PutRequest::builder()
                .item("pk", text(format!("TOKEN#{}", Token::from_index(*n))))
                .item("spray", text("01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned()))
                .item("room", text("01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned()))
                .item("giver", text("other".to_owned()))
                .item("opens_ms", Av::N(now.ms().to_string()))
                .item("closes_ms", Av::N(closes_ms(*n)))
                .item("recipients", Av::N("1".to_owned()))
                .item("refunded", Av::Bool(false));
            WriteRequest::builder().put_request(put.build().unwrap()).build()
        });
        let request = client.batch_write_item();
        request.request_items("largesse-tokens", puts.collect()).send().await.unwrap();
    }
}

/// Tokens that are left free in the test below.
const FREE: u32 = 46;

#[tokio::test(start_paused = true)]
async fn with_one_token_in_a_thousand_free_every_spray_finds_one_and_then_the_answer_is_503() {
    let rig = Rig::new(4, Kill::default());
    let room = rig.sandbox.room(&["s"]).await;
    occupy(&rig, FREE).await;
    rig.sandbox.deposit("s", 10_000).await;
    rig.sandbox.world.recorder().reset();
    let terms = Terms::new(10, 1, Split::Equal, 600).unwrap();
    let request = || Create { id: SprayId(rig.sandbox.id()), room, sender: user("s"), terms };
    let first = request();
    let made = create::create(&*rig.sandbox.store, first.clone()).await.unwrap();
    let mut taken = BTreeSet::from([made.token]);
    for _ in 1..FREE {
        taken.insert(create::create(&*rig.sandbox.store, request()).await.unwrap().token);
    }
    assert_eq!(taken, (0..FREE).map(Token::from_index).collect());
    let recorder = rig.sandbox.world.recorder();
    let tried = recorder.operation(largesse_emulator::Service::DynamoDb, "TransactWriteItems");
    assert_eq!(tried.calls, u64::from(FREE), "no token was tried that is taken");
    // Other refusals come first, and a repeat of what was made is answered all the same.
    let poor = Create { sender: user("poor"), ..request() };
    let refused = create::create(&*rig.sandbox.store, poor).await;
    assert!(matches!(refused, Err(CreateError::NotAMember)), "{refused:?}");
    let rich = Terms::new(1_000_000, 1, Split::Equal, 600).unwrap();
    let refused = create::create(&*rig.sandbox.store, Create { terms: rich, ..request() }).await;
    assert!(matches!(refused, Err(CreateError::Insufficient { .. })), "{refused:?}");
    let repeated = create::create(&*rig.sandbox.store, first).await.unwrap();
    assert_eq!((repeated.id, repeated.token), (made.id, made.token));
    let full = create::create(&*rig.sandbox.store, request()).await;
    let Err(CreateError::NoFreeToken { earliest }) = full else { panic!("{full:?}") };
    assert_eq!(earliest, made.window.closes, "the first of them");
    let spray = r#"{"amount":10,"recipients":1,"split":"equal","expires_in_s":600}"#;
    let room_id = room.to_string();
    let headers = [("x-user-id", "s"), ("x-room-id", room_id.as_str()), ("idempotency-key", "k")];
    let reply = rig.request("POST", "/api/v2/sprays", &headers, spray).await;
    let wait_s = earliest.ms_since(rig.sandbox.store.now()).div_ceil(1_000).to_string();
    assert_eq!((reply.verdict(), reply.header("retry-after")), ((503, "ERR008"), wait_s.as_str()));
    // Once they are over and refunded, they are free again, each once, without another scan.
    tokio::time::advance(Duration::from_secs(601)).await;
    refund_all(&rig.sandbox.store).await.unwrap();
    rig.sandbox.world.recorder().reset();
    let mut again = BTreeSet::new();
    for _ in 0..FREE {
        again.insert(create::create(&*rig.sandbox.store, request()).await.unwrap().token);
    }
    assert_eq!(again, taken);
    let scans = recorder.operation(largesse_emulator::Service::DynamoDb, "Scan");
    assert_eq!(scans.calls, 0);
}

#[tokio::test(start_paused = true)]
async fn when_all_tokens_are_taken_retry_after_is_when_the_first_of_them_is_over() {
    let rig = Rig::new(9, Kill::default());
    let room = rig.sandbox.room(&["7"]).await;
    rig.sandbox.deposit("7", 100).await;
    occupy(&rig, 0).await;
    let first = rig.sandbox.store.now().plus_ms(OCCUPIED_MS);
    let terms = Terms::new(10, 1, Split::Equal, 600).unwrap();
    let wish = Create { id: SprayId(rig.sandbox.id()), room, sender: user("7"), terms };
    let full = create::create(&*rig.sandbox.store, wish).await;
    let Err(CreateError::NoFreeToken { earliest }) = full else { panic!("{full:?}") };
    assert_eq!(earliest, first);
    let room = room.to_string();
    let (v1, v2) = (
        r#"{"total_amount":10,"recipient_count":1}"#,
        r#"{"amount":10,"recipients":1,"split":"equal","expires_in_s":600}"#,
    );
    // By the process that scans, and by one that knows what a scan found. A second that has begun
    // counts whole.
    for (later_ms, path, wish, retry_after) in [
        (0, "/api/v1/spray", v1, "3600"),
        (1, "/api/v2/sprays", v2, "3600"),
        (1_000, "/api/v1/spray", v1, "3599"),
        (60_000, "/api/v1/spray", v1, "3539"),
        (60_000, "/api/v2/sprays", v2, "3479"),
    ] {
        tokio::time::advance(Duration::from_millis(later_ms)).await;
        let headers = [("x-user-id", "7"), ("x-room-id", room.as_str()), ("idempotency-key", "k")];
        let reply = rig.request("POST", path, &headers, wish).await;
        assert_eq!(reply.status, 503, "{path}: {}", reply.text);
        assert_eq!(reply.header("retry-after"), retry_after, "{path}: {}", reply.text);
    }
}
