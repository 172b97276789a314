//! The lease of the survey of tokens, and the hint that it fills.

use std::sync::Arc;

use aws_sdk_dynamodb::types::{AttributeValue as Av, PutRequest, WriteRequest};
use largesse_app::ports::{Clock, HINT_LEN_MAX, PortErrorKind, Survey, TokenSpace};
use largesse_domain::id::{TOKEN_COUNT, Token};
use largesse_domain::time::Timestamp;
use largesse_emulator::{Fault, Faults, Matching};
use largesse_tests::Sandbox;

use crate::meanwhile::{Before, meanwhile};

/// The survey's item: until when, and what was found.
async fn item(sandbox: &Sandbox) -> (Option<i64>, Option<i64>) {
    let client = aws_sdk_dynamodb::Client::new(&sandbox.world.sdk_config());
    let key = Av::S("SURVEY".to_owned());
    let got = client.get_item().table_name("largesse-tokens").key("pk", key).send().await.unwrap();
    let item = got.item.unwrap_or_default();
    let ms = |name: &str| item.get(name).map(|av| av.as_n().unwrap().parse().unwrap());
    (ms("until_ms"), ms("earliest_ms"))
}

/// Somebody's survey: their lease, and what they found, if they have.
async fn put(sandbox: &Sandbox, until: Timestamp, earliest: Option<Timestamp>) {
    let client = aws_sdk_dynamodb::Client::new(&sandbox.world.sdk_config());
    let put = client.put_item().table_name("largesse-tokens");
    let put = put.item("pk", Av::S("SURVEY".to_owned()));
    let mut put = put.item("until_ms", Av::N(until.ms().to_string()));
    if let Some(earliest) = earliest {
        put = put.item("earliest_ms", Av::N(earliest.ms().to_string()));
    }
    put.send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_surveys_and_others_are_told_so_until_its_lease_is_over() {
    let sandbox = Sandbox::new(1);
    let (store, now) = (&sandbox.store, sandbox.store.now());
    assert!(!store.is_surveyed(now).await.unwrap());
    let Survey::Free { tokens, until } = store.survey(now).await.unwrap() else { panic!() };
    assert_eq!((tokens.len(), until), (TOKEN_COUNT as usize, now.plus_ms(5_000)));
    let other = sandbox.another_process(2);
    assert_eq!(other.survey(until.minus_ms(1)).await.unwrap(), Survey::Underway);
    assert!(other.is_surveyed(until.minus_ms(1)).await.unwrap());
    assert!(!other.is_surveyed(until).await.unwrap());
    assert!(matches!(other.survey(until).await.unwrap(), Survey::Free { .. }));
}

#[tokio::test(start_paused = true)]
async fn none_was_free_is_told_while_it_is_sure_and_no_longer() {
    let sandbox = Sandbox::new(2);
    let (store, now) = (&sandbox.store, sandbox.store.now());
    let (until, earliest) = (now.plus_ms(5_000), now.plus_ms(3_000));
    put(&sandbox, until, Some(earliest)).await;
    assert_eq!(store.survey(now).await.unwrap(), Survey::Full { earliest });
    assert!(!store.is_surveyed(now).await.unwrap(), "it is known what they found");
    assert_eq!(store.survey(earliest.minus_ms(1)).await.unwrap(), Survey::Full { earliest });
    assert_eq!(store.survey(earliest).await.unwrap(), Survey::Underway);
    assert!(store.is_surveyed(earliest).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_survey_found_is_not_told_during_a_later_one() {
    let sandbox = Sandbox::new(3);
    let (store, now) = (&sandbox.store, sandbox.store.now());
    put(&sandbox, now, Some(now.plus_ms(60_000))).await;
    // The later one ends in the middle.
    let broken = Faults::seeded(0).always(Matching::operation("Scan"), Fault::Throttle);
    sandbox.world.set_fault_hook(Some(Arc::new(broken)));
    assert_eq!(store.survey(now).await.unwrap_err().kind, PortErrorKind::Throttled);
    sandbox.world.set_fault_hook(None);
    assert_eq!(item(&sandbox).await, (Some(now.plus_ms(5_000).ms()), None));
    assert_eq!(store.survey(now).await.unwrap(), Survey::Underway);
}

/// Takes every token: as much of their items as a survey looks at.
async fn take_all(sandbox: &Sandbox, closes: Timestamp) {
    let client = aws_sdk_dynamodb::Client::new(&sandbox.world.sdk_config());
    let put = |n: u32| {
        let item = PutRequest::builder()
            .item("pk", Av::S(format!("TOKEN#{}", Token::from_index(n))))
            .item("closes_ms", Av::N(closes.ms().to_string()))
            .item("refunded", Av::Bool(false));
        WriteRequest::builder().put_request(item.build().unwrap()).build()
    };
    let tokens: Vec<u32> = (0..TOKEN_COUNT).collect();
    for some in tokens.chunks(25) {
        let puts = some.iter().copied().map(put).collect();
        let request = client.batch_write_item().request_items("largesse-tokens", puts);
        request.send().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_survey_that_found_none_does_not_speak_for_a_later_one() {
    let sandbox = Arc::new(Sandbox::new(6));
    let (store, now) = (&sandbox.store, sandbox.store.now());
    let earliest = now.plus_ms(3_600_000);
    take_all(&sandbox, earliest).await;
    // Its own lease is over before it ends, and somebody else's begins.
    let (later, between) = (now.plus_ms(10_000), sandbox.clone());
    meanwhile(&sandbox, Before(1, "Scan", "largesse-tokens"), async move {
        put(&between, later, None).await;
    });
    assert_eq!(store.survey(now).await.unwrap(), Survey::Full { earliest });
    assert_eq!(item(&sandbox).await, (Some(later.ms()), None));
    // Without such a one, it does.
    put(&sandbox, now, None).await;
    assert_eq!(store.survey(now).await.unwrap(), Survey::Full { earliest });
    assert_eq!(item(&sandbox).await, (Some(now.plus_ms(5_000).ms()), Some(earliest.ms())));
}

#[tokio::test(start_paused = true)]
async fn a_survey_ends_its_own_lease_and_no_other() {
    let sandbox = Sandbox::new(4);
    let (store, now) = (&sandbox.store, sandbox.store.now());
    let later = now.plus_ms(9_000);
    put(&sandbox, later, None).await;
    store.end_survey(now.plus_ms(5_000)).await.unwrap();
    assert_eq!(item(&sandbox).await, (Some(later.ms()), None));
    store.end_survey(later).await.unwrap();
    assert!(!store.is_surveyed(store.now()).await.unwrap());
}

#[tokio::test]
async fn a_part_of_the_hint_takes_as_many_as_there_is_room_for_or_none_and_is_renewed_whole() {
    let sandbox = Sandbox::new(5);
    let store = &sandbox.store;
    let tokens: Vec<Token> = (0..200).map(Token::from_index).collect();
    let left = async || {
        let mut all = Vec::new();
        while let Some(token) = store.pop_hint(3).await.unwrap() {
            all.push(token);
        }
        all
    };
    store.push_hint(3, &tokens[..HINT_LEN_MAX - 1]).await.unwrap();
    store.push_hint(3, &tokens[150..152]).await.unwrap();
    store.push_hint(3, &tokens[160..161]).await.unwrap();
    let held = left().await;
    assert_eq!(held.len(), HINT_LEN_MAX);
    assert_eq!(held.last(), Some(&tokens[160]), "two had no room, one had");
    store.push_hint(3, &tokens[..9]).await.unwrap();
    store.renew_hint(3, &tokens[20..22]).await.unwrap();
    assert_eq!(left().await, tokens[20..22]);
    store.push_hint(3, &tokens[..9]).await.unwrap();
    store.renew_hint(3, &[]).await.unwrap();
    assert_eq!(left().await, []);
}
