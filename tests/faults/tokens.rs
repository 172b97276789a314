//! Tokens: by their own timestamps, whatever TTL does; and found quickly while one is free.

use std::time::Duration;

use largesse_app::ports::{Clock, Survey, TokenSpace};
use largesse_app::spray::claim::ClaimError;
use largesse_app::spray::create::{self, Create, CreateError};
use largesse_app::spray::token::{self, Found};
use largesse_domain::id::{RoomId, SprayId, TOKEN_COUNT, Token};
use largesse_domain::split::Split;
use largesse_domain::spray::{Spray, Terms};
use largesse_tests::user;

use crate::rig::{Kill, Rig, claim_by, refund_all};

#[tokio::test(start_paused = true)]
async fn an_expired_token_whose_ttl_has_not_fired_refuses_claims_before_and_after_its_refund() {
    let rig = Rig::new(1, Kill::default());
    let (room, spray) = rig.spray(3).await;
    tokio::time::advance(Duration::from_secs(600)).await;
    let over = |answer| matches!(answer, Err(ClaimError::WindowOver));
    assert!(over(claim_by(&rig.sandbox.store, room, &spray, "a").await));
    refund_all(&rig.sandbox.store).await.unwrap();
    assert!(over(claim_by(&rig.sandbox.store, room, &spray, "a").await));
}

/// Makes a spray under exactly this token.
async fn under(rig: &Rig, room: RoomId, token: Token) -> Result<Spray, String> {
    use largesse_app::ports::Sprays;
    rig.sandbox.deposit("s", 30).await;
    let terms = Terms::new(30, 3, Split::Equal, 600).unwrap();
    let (id, now) = (SprayId(rig.sandbox.id()), rig.sandbox.store.now());
    let seed = largesse_domain::split::Seed([1; 32]);
    let spray = Spray::new(id, token, room, user("s"), &terms, seed, now);
    let order = largesse_domain::ledger::TransferOrder {
        id: largesse_domain::id::TransferId(id.0),
        wallet: user("s"),
        kind: largesse_domain::ledger::TransferKind::Spray,
        amount: terms.amount(),
        at: now,
        pool: Some(spray.pool.id),
        counterpart: None,
        memo: None,
    };
    let made = rig.sandbox.store.create_spray(&spray, &order).await.unwrap();
    made.map(|_| spray).map_err(|error| format!("{error:?}"))
}

#[tokio::test(start_paused = true)]
async fn a_token_is_reused_once_refunded_before_and_after_ttl_and_history_stays() {
    for ttl_fires in [false, true] {
        let rig = Rig::new(2, Kill::default());
        let (room, first) = rig.spray(3).await;
        let won = claim_by(&rig.sandbox.store, room, &first, "a").await.unwrap();
        rig.pay().await;
        assert!(under(&rig, room, first.token).await.is_err(), "it is live");
        tokio::time::advance(Duration::from_secs(700)).await;
        assert!(under(&rig, room, first.token).await.is_err(), "it is not refunded");
        assert_eq!(rig.sandbox.world.sweep_ttl().unwrap(), 0);
        refund_all(&rig.sandbox.store).await.unwrap();
        if ttl_fires {
            tokio::time::advance(Duration::from_secs(9 * 86_400)).await;
            assert_eq!(rig.sandbox.world.sweep_ttl().unwrap(), 1);
        }
        let second = under(&rig, room, first.token).await.unwrap();
        let again = claim_by(&rig.sandbox.store, room, &second, "a").await.unwrap();
        rig.pay().await;
        assert_eq!(rig.balance("a").await, won.amount.get() + again.amount.get());
        // The first spray's history is under its own id.
        let path = format!("/api/v2/sprays/{}", first.id);
        let (status, body) = rig.call("GET", &path, &[("x-user-id", "s")], "").await;
        assert_eq!((status, body["claims"].as_array().unwrap().len()), (200, 1));
        assert_eq!(body["claimed_amount"], won.amount.get());
        rig.wind_up().await;
    }
}

#[tokio::test(start_paused = true)]
async fn ttl_never_deletes_the_token_of_a_spray_that_is_not_refunded() {
    let rig = Rig::new(5, Kill::default());
    let (room, spray) = rig.spray(3).await;
    // Refunds fail for a month.
    tokio::time::advance(Duration::from_secs(30 * 86_400)).await;
    assert_eq!(rig.sandbox.world.sweep_ttl().unwrap(), 0);
    assert!(under(&rig, room, spray.token).await.is_err(), "its money is still owed");
    refund_all(&rig.sandbox.store).await.unwrap();
    // Its eight days are long over.
    assert_eq!(rig.sandbox.world.sweep_ttl().unwrap(), 1);
    under(&rig, room, spray.token).await.unwrap();
    // The item of the second spray has nothing of the first one's.
    assert_eq!(rig.sandbox.world.sweep_ttl().unwrap(), 0);
    rig.wind_up().await;
}

#[tokio::test(start_paused = true)]
async fn a_token_that_somebody_deleted_does_not_hinder_the_refund() {
    let rig = Rig::new(3, Kill::default());
    let (_, spray) = rig.spray(3).await;
    tokio::time::advance(Duration::from_secs(700)).await;
    let client = aws_sdk_dynamodb::Client::new(&rig.sandbox.world.sdk_config());
    let pk = aws_sdk_dynamodb::types::AttributeValue::S(format!("TOKEN#{}", spray.token));
    client.delete_item().table_name("largesse-tokens").key("pk", pk).send().await.unwrap();
    let report = refund_all(&rig.sandbox.store).await.unwrap();
    assert_eq!((report.refunded, report.returned, report.failed), (1, 30, 0));
    let entry = largesse_app::ports::Sprays::token_entry(&*rig.sandbox.store, spray.token).await;
    assert_eq!(entry.unwrap(), None, "no half of a token comes back");
}

/// Fills the token space but for `free` tokens, behind the adapters' back.
async fn occupy(rig: &Rig, free: u32) {
    let client = aws_sdk_dynamodb::Client::new(&rig.sandbox.world.sdk_config());
    let now = rig.sandbox.store.now();
    let closes = now.plus_ms(3_600_000).ms().to_string();
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
                .item("closes_ms", Av::N(closes.clone()))
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
    for _ in 1..46 {
        create::create(&*rig.sandbox.store, wish()).await.unwrap();
    }
    let attempts = rig
        .sandbox
        .world
        .recorder()
        .operation(largesse_world::Service::DynamoDb, "TransactWriteItems");
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
    assert!(matches!(full, Err(CreateError::NoFreeToken { .. })), "{full:?}");
    let spray = r#"{"amount":10,"recipients":1,"split":"equal","expires_in_s":600}"#;
    let room = room.to_string();
    let headers = [("x-user-id", "s"), ("x-room-id", room.as_str()), ("idempotency-key", "k")];
    let (status, body) = rig.call("POST", "/api/v2/sprays", &headers, spray).await;
    assert_eq!((status, body["code"].as_str()), (503, Some("ERR008")));
    // Once the first of them are over and refunded, there are tokens again.
    tokio::time::advance(Duration::from_secs(601)).await;
    refund_all(&rig.sandbox.store).await.unwrap();
    assert!(matches!(token::find(&*rig.sandbox.store).await.unwrap(), Found::Token(_)));
    create::create(&*rig.sandbox.store, wish()).await.unwrap();
    assert!(rig.sandbox.store.pop_hint(0).await.is_ok());
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
    rig.sandbox.world.interpose(Some(std::sync::Arc::new(crate::rig::Distance::ms(2))));
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
    rig.sandbox.world.interpose(None);
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
    let broken = largesse_world::Faults::seeded(0);
    let fault = largesse_world::Fault::InternalError;
    let broken = broken.always(largesse_world::Matching::operation("Scan"), fault);
    rig.sandbox.world.interpose(Some(std::sync::Arc::new(broken)));
    let killed = rig.sandbox.another_process(8);
    assert!(killed.survey(now).await.is_err());
    rig.sandbox.world.interpose(None);
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

impl largesse_world::Interpose for Overtaken {
    fn before<'a>(
        &'a self,
        call: &'a largesse_world::Call,
    ) -> futures::future::BoxFuture<'a, Option<largesse_world::Fault>> {
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
    rig.sandbox.world.interpose(Some(std::sync::Arc::new(overtaken)));
    let mine = rig.sandbox.store.survey(now).await.unwrap();
    assert!(matches!(mine, Survey::Full { .. }), "{mine:?}");
    rig.sandbox.world.interpose(None);
    let other = rig.sandbox.another_process(9).survey(now).await.unwrap();
    assert_eq!(other, Survey::Underway);
    // One that was not: it is believed for as long as its lease runs.
    let later = now.plus_ms(7_000);
    let mine = rig.sandbox.store.survey(later).await.unwrap();
    assert_eq!(rig.sandbox.another_process(9).survey(later).await.unwrap(), mine);
}
