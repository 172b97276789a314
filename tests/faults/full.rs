//! Hardly a token is free, or none: it is found while there is one, and then the answer says when.

use std::collections::BTreeSet;
use std::time::Duration;

use largesse_app::ports::{Clock, HINT_PARTS, Survey, TokenSpace};
use largesse_app::spray::create::{self, Create, CreateError};
use largesse_app::spray::token::{self, Found};
use largesse_domain::id::{RoomId, SprayId, TOKEN_COUNT, Token};
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

/// Fills the token space but for `free` tokens, behind the adapters' back.
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

#[tokio::test(start_paused = true)]
async fn with_one_token_in_a_thousand_free_every_spray_finds_one_and_then_the_answer_is_503() {
    let rig = Rig::new(4, Kill::default());
    let room = rig.sandbox.room(&["s"]).await;
    occupy(&rig, 46).await;
    rig.sandbox.deposit("s", 10_000).await;
    rig.sandbox.world.recorder().reset();
    let terms = Terms::new(10, 1, Split::Equal, 600).unwrap();
    let wish = || Create { id: SprayId(rig.sandbox.id()), room, sender: user("s"), terms };
    let first = wish();
    let made = create::create(&*rig.sandbox.store, first.clone()).await.unwrap();
    let mut taken = BTreeSet::from([made.token]);
    for _ in 1..46 {
        taken.insert(create::create(&*rig.sandbox.store, wish()).await.unwrap().token);
    }
    let attempts = rig
        .sandbox
        .world
        .recorder()
        .operation(largesse_emulator::Service::DynamoDb, "TransactWriteItems");
    assert!(attempts.calls < 2 * 46, "{} transactions for 46 sprays", attempts.calls);
    // Whoever is refused uses up no hint, and a repeat of what was made is answered all the same.
    let hints = rig.sandbox.world.database().scan("largesse-tokens").unwrap().len();
    let poor = Create { sender: user("poor"), ..wish() };
    let refused = create::create(&*rig.sandbox.store, poor).await;
    assert!(matches!(refused, Err(CreateError::NotAMember)), "{refused:?}");
    let rich = Terms::new(1_000_000, 1, Split::Equal, 600).unwrap();
    let refused = create::create(&*rig.sandbox.store, Create { terms: rich, ..wish() }).await;
    assert!(matches!(refused, Err(CreateError::Insufficient { .. })), "{refused:?}");
    assert_eq!(rig.sandbox.world.database().scan("largesse-tokens").unwrap().len(), hints);
    let repeated = create::create(&*rig.sandbox.store, first).await.unwrap();
    assert_eq!((repeated.id, repeated.token), (made.id, made.token));
    let full = create::create(&*rig.sandbox.store, wish()).await;
    let Err(CreateError::NoFreeToken { earliest }) = full else { panic!("{full:?}") };
    assert_eq!(earliest, made.pool.window.closes, "the first of them");
    let spray = r#"{"amount":10,"recipients":1,"split":"equal","expires_in_s":600}"#;
    let room_id = room.to_string();
    let headers = [("x-user-id", "s"), ("x-room-id", room_id.as_str()), ("idempotency-key", "k")];
    let reply = rig.ask("POST", "/api/v2/sprays", &headers, spray).await;
    let wait_s = earliest.ms_since(rig.sandbox.store.now()).div_ceil(1_000).to_string();
    assert_eq!((reply.verdict(), reply.header("retry-after")), ((503, "ERR008"), wait_s.as_str()));
    // Once the first of them are over and refunded, there are tokens again, and hints at them.
    tokio::time::advance(Duration::from_secs(601)).await;
    refund_all(&rig.sandbox.store).await.unwrap();
    let mut hinted = BTreeSet::new();
    for part in 0..HINT_PARTS {
        while let Some(token) = rig.sandbox.store.pop_hint(part).await.unwrap() {
            assert!(hinted.insert(token), "{token} is hinted twice");
        }
    }
    assert_eq!(hinted, taken);
    // Without the hints a survey finds them.
    assert!(matches!(token::find(&*rig.sandbox.store).await.unwrap(), Found::Token(_)));
    create::create(&*rig.sandbox.store, wish()).await.unwrap();
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
    // By whoever surveys, and by whoever is told what a survey found. A second that has begun is
    // waited for.
    for (later_ms, path, wish, retry_after) in [
        (0, "/api/v1/spray", v1, "3600"),
        (1, "/api/v2/sprays", v2, "3600"),
        (1_000, "/api/v1/spray", v1, "3599"),
        (60_000, "/api/v1/spray", v1, "3539"),
        (60_000, "/api/v2/sprays", v2, "3479"),
    ] {
        tokio::time::advance(Duration::from_millis(later_ms)).await;
        let headers = [("x-user-id", "7"), ("x-room-id", room.as_str()), ("idempotency-key", "k")];
        let reply = rig.ask("POST", path, &headers, wish).await;
        assert_eq!(reply.status, 503, "{path}: {}", reply.text);
        assert_eq!(reply.header("retry-after"), retry_after, "{path}: {}", reply.text);
    }
}

/// A crowd of senders, spread over some processes; each has money for ten sprays.
async fn crowd(rig: &Rig, senders: usize) -> (RoomId, Vec<String>) {
    let names: Vec<String> = (0..senders).map(|n| format!("s{n}")).collect();
    let room = rig.sandbox.room(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for name in &names {
        rig.sandbox.deposit(name, 100).await;
    }
    (room, names)
}

#[tokio::test(start_paused = true)]
async fn a_crowd_that_finds_the_hints_dry_waits_for_the_survey_and_gets_its_tokens() {
    let rig = Rig::new(6, Kill::default());
    let (room, names) = crowd(&rig, 32).await;
    occupy(&rig, TOKEN_COUNT - 42_000).await;
    let stores: Vec<_> = (0..8).map(|n| rig.sandbox.another_process(20 + n)).collect();
    let terms = Terms::new(10, 1, Split::Equal, 600).unwrap();
    let wish = |name| Create { id: SprayId(rig.sandbox.id()), room, sender: user(name), terms };
    // Every call takes its time, so that the others go on meanwhile.
    rig.sandbox.world.set_fault_hook(Some(std::sync::Arc::new(crate::rig::Distance::ms(2))));
    rig.sandbox.world.recorder().keep_calls(true);
    rig.sandbox.world.recorder().reset();
    let each = names.iter().enumerate().map(|(i, name)| {
        let store = stores[i % stores.len()].clone();
        async move {
            for _ in 0..10 {
                create::create(&*store, wish(name)).await.unwrap();
            }
        }
    });
    futures::future::join_all(each).await;
    let calls = rig.sandbox.world.recorder().calls();
    rig.sandbox.world.set_fault_hook(None);
    let of = |operation: &str| {
        let on = |table: &String| table == "largesse-tokens";
        let calls = calls.iter().filter(|one| one.call.operation == operation);
        calls.filter(|one| one.call.resources.iter().any(on)).count()
    };
    // Reading the table takes several pages; all of the crowd together read it once.
    assert!((1..16).contains(&of("Scan")), "{} pages", of("Scan"));
    let tried = of("TransactWriteItems");
    assert!(tried < 2 * 320, "{tried} tokens tried for 320 sprays");
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_in_vain_for_a_survey_is_told_to_try_again() {
    let rig = Rig::new(7, Kill::default());
    let (room, names) = crowd(&rig, 1).await;
    occupy(&rig, 0).await;
    // Whoever surveys is killed in the middle of it.
    let now = rig.sandbox.store.now();
    let broken = largesse_emulator::Faults::seeded(0);
    let fault = largesse_emulator::Fault::InternalError;
    let broken = broken.always(largesse_emulator::Matching::operation("Scan"), fault);
    rig.sandbox.world.set_fault_hook(Some(std::sync::Arc::new(broken)));
    let killed = rig.sandbox.another_process(8);
    assert!(killed.survey(now).await.is_err());
    rig.sandbox.world.set_fault_hook(None);
    let began = rig.sandbox.store.now();
    let room = room.to_string();
    let headers = [("x-user-id", "s0"), ("x-room-id", room.as_str()), ("idempotency-key", "k")];
    let spray = r#"{"amount":10,"recipients":1,"split":"equal","expires_in_s":600}"#;
    let (status, body) = rig.call("POST", "/api/v2/sprays", &headers, spray).await;
    assert_eq!((status, body["detail"].as_str()), (503, Some("Try again in a moment.")));
    let waited_ms = rig.sandbox.store.now().ms_since(began);
    assert!((1_200..3_600).contains(&waited_ms), "{waited_ms} ms");
    // When its lease is over somebody surveys, and then it is known that all are taken.
    tokio::time::advance(Duration::from_secs(4)).await;
    let (status, body) = rig.call("POST", "/api/v2/sprays", &headers, spray).await;
    assert_eq!((status, body["detail"].as_str()), (503, Some("Live sprays carry all tokens.")));
    assert_eq!(names.len(), 1);
}

/// Lets a later survey begin while an earlier one reads.
struct Overtaken(aws_sdk_dynamodb::Client, i64);

impl largesse_emulator::FaultHook for Overtaken {
    fn before<'a>(
        &'a self,
        call: &'a largesse_emulator::Call,
    ) -> futures::future::BoxFuture<'a, Option<largesse_emulator::Fault>> {
        use aws_sdk_dynamodb::types::AttributeValue as Av;
        Box::pin(async move {
            if call.operation == "Scan" {
                let put = self.0.put_item().table_name("largesse-tokens");
                let put = put.item("pk", Av::S("SURVEY".to_owned()));
                let put = put.item("until_ms", Av::N(self.1.to_string()));
                put.send().await.unwrap();
            }
            None
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_survey_that_was_overtaken_tells_others_nothing() {
    let rig = Rig::new(8, Kill::default());
    occupy(&rig, 0).await;
    let now = rig.sandbox.store.now();
    let client = aws_sdk_dynamodb::Client::new(&rig.sandbox.world.sdk_config());
    let overtaken = Overtaken(client, now.plus_ms(7_000).ms());
    rig.sandbox.world.set_fault_hook(Some(std::sync::Arc::new(overtaken)));
    let mine = rig.sandbox.store.survey(now).await.unwrap();
    assert!(matches!(mine, Survey::Full { .. }), "{mine:?}");
    rig.sandbox.world.set_fault_hook(None);
    let other = rig.sandbox.another_process(9).survey(now).await.unwrap();
    assert_eq!(other, Survey::Underway);
    // One that was not: it is believed for as long as its lease runs.
    let later = now.plus_ms(7_000);
    let mine = rig.sandbox.store.survey(later).await.unwrap();
    assert_eq!(rig.sandbox.another_process(9).survey(later).await.unwrap(), mine);
}
