//! The table of v1's refusals, cell by cell.

use std::time::Duration;

use largesse_domain::money::BALANCE_MAX;
use rstest::rstest;
use serde_json::json;

use super::{V1, refused};

const NO_ROOM: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
const SEVEN_DAYS: Duration = Duration::from_secs(604_800);

#[rstest]
#[case::no_user(None, Some("{room}"), r#"{"total_amount":5,"recipient_count":1}"#)]
#[case::no_room(Some("1"), None, r#"{"total_amount":5,"recipient_count":1}"#)]
#[case::no_integer(Some("ann"), Some("{room}"), r#"{"total_amount":5,"recipient_count":1}"#)]
#[case::no_json(Some("1"), Some("{room}"), "{")]
#[case::no_amount(Some("1"), Some("{room}"), r#"{"recipient_count":1}"#)]
#[case::amount_of_zero(Some("1"), Some("{room}"), r#"{"total_amount":0,"recipient_count":1}"#)]
#[case::less_than_zero(Some("1"), Some("{room}"), r#"{"total_amount":-5,"recipient_count":1}"#)]
#[case::nobody(Some("1"), Some("{room}"), r#"{"total_amount":5,"recipient_count":0}"#)]
#[case::negative_people(Some("1"), Some("{room}"), r#"{"total_amount":5,"recipient_count":-1}"#)]
#[case::less_than_one_each(Some("1"), Some("{room}"), r#"{"total_amount":2,"recipient_count":3}"#)]
#[case::fraction(Some("1"), Some("{room}"), r#"{"total_amount":5.5,"recipient_count":1}"#)]
#[case::text_fraction(Some("1"), Some("{room}"), r#"{"total_amount":"5.5","recipient_count":1}"#)]
#[tokio::test(start_paused = true)]
async fn a_spray_that_is_not_valid_is_422(
    #[case] user: Option<&str>,
    #[case] room: Option<&str>,
    #[case] body: &str,
) {
    let v1 = V1::new(1);
    let here = v1.room(&[1, 2]).await;
    v1.charge(1, 100).await.expect(200);
    let mut ask = v1.api.ask("POST", "/api/v1/spray").json(body);
    if let Some(user) = user {
        ask = ask.user(user);
    }
    if let Some(room) = room {
        ask = ask.room(room.replace("{room}", &here));
    }
    refused(&ask.await, 422, "ERR001");
    let balance = v1.get(1, "wallet/balance").await.expect(200).number("balance");
    assert_eq!(balance, 100);
}

#[tokio::test(start_paused = true)]
async fn a_spray_is_refused_to_who_is_not_in_the_room_or_has_not_the_money() {
    let v1 = V1::new(2);
    let room = v1.room(&[1, 2]).await;
    v1.charge(3, 1_000).await.expect(200);
    v1.charge(1, 99).await.expect(200);
    refused(&v1.try_spray(3, &room, 100, 1).await, 403, "ERR004");
    refused(&v1.try_spray(1, NO_ROOM, 10, 1).await, 403, "ERR004");
    refused(&v1.try_spray(1, "lobby", 10, 1).await, 403, "ERR004");
    refused(&v1.try_spray(404, &room, 10, 1).await, 403, "ERR004");
    let poor = v1.try_spray(1, &room, 100, 1).await;
    refused(&poor, 400, "ERR501");
    assert_eq!(poor.number("balance"), 99);
    v1.try_spray(1, &room, 99, 99).await.expect(200);
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_is_not_valid_is_422() {
    let v1 = V1::new(3);
    let room = v1.room(&[1, 2]).await;
    let token = v1.spray(1, &room, 10, 1).await;
    let path = "/api/v1/receive";
    let right = json!({ "token": token });
    refused(&v1.api.ask("POST", path).room(&room).json(&right).await, 422, "ERR001");
    refused(&v1.api.post("2", path).json(&right).await, 422, "ERR001");
    refused(&v1.api.post("two", path).room(&room).json(&right).await, 422, "ERR001");
    refused(&v1.api.post("2", path).room(&room).json("{\"token\":").await, 422, "ERR001");
    refused(&v1.api.post("2", path).room(&room).json("{}").await, 422, "ERR001");
    refused(&v1.api.post("2", path).room(&room).json(r#"{"token":1}"#).await, 422, "ERR001");
    v1.receive(2, &room, &token).await.expect(200);
}

#[tokio::test(start_paused = true)]
async fn each_refusal_of_a_claim_has_its_status_and_code() {
    let v1 = V1::new(4);
    let room = v1.room(&[1, 2, 3, 4]).await;
    let other = v1.room(&[1, 2]).await;
    let token = v1.spray(1, &room, 10, 2).await;

    refused(&v1.receive(9, &room, &token).await, 403, "ERR004");
    refused(&v1.receive(2, NO_ROOM, &token).await, 403, "ERR004");
    refused(&v1.receive(2, "lobby", &token).await, 403, "ERR004");
    refused(&v1.receive(2, &other, &token).await, 400, "ERR005");
    let unknown = if token == "ZZZ" { "ZZY" } else { "ZZZ" };
    refused(&v1.receive(2, &room, unknown).await, 400, "ERR005");
    refused(&v1.receive(2, &room, "zz").await, 400, "ERR005");
    refused(&v1.receive(1, &room, &token).await, 400, "ERR101");
    let amount = v1.receive(2, &room, &token).await.expect(200).number("received_amount");
    let twice = v1.receive(2, &room, &token).await;
    refused(&twice, 400, "ERR102");
    assert_eq!(twice.number("amount"), amount);
    v1.receive(3, &room, &token).await.expect(200);
    refused(&v1.receive(4, &room, &token).await, 400, "ERR103");
    tokio::time::advance(SEVEN_DAYS).await;
    refused(&v1.receive(4, &room, &token).await, 400, "ERR104");
    v1.api.refund_due().await;
    refused(&v1.receive(4, &room, &token).await, 400, "ERR104");
}

#[tokio::test(start_paused = true)]
async fn each_refusal_of_a_look_has_its_status_and_code() {
    let v1 = V1::new(5);
    let room = v1.room(&[1, 2]).await;
    let other = v1.room(&[1, 2]).await;
    let token = v1.spray(1, &room, 10, 2).await;

    let path = format!("/api/v1/spray/{token}");
    refused(&v1.api.ask("GET", &path).room(&room).await, 422, "ERR001");
    refused(&v1.api.get("one", &path).room(&room).await, 422, "ERR001");
    // A token is unique over all rooms: a room is neither needed nor looked at.
    v1.api.get("1", &path).await.expect(200);
    for room in [&other, NO_ROOM, "lobby"] {
        v1.look(1, room, &token).await.expect(200);
    }
    let unknown = if token == "ZZZ" { "ZZY" } else { "ZZZ" };
    refused(&v1.look(1, &room, unknown).await, 404, "ERR005");
    refused(&v1.look(1, &room, "zzz").await, 404, "ERR005");
    refused(&v1.look(2, &room, &token).await, 403, "ERR004");
    v1.look(1, &room, &token).await.expect(200);
    tokio::time::advance(SEVEN_DAYS - Duration::from_millis(1_000)).await;
    v1.look(1, &room, &token).await.expect(200);
    tokio::time::advance(Duration::from_millis(1_000)).await;
    refused(&v1.look(1, &room, &token).await, 404, "ERR104");
}

/// Its window may be over long before the seven days in which the sender looks.
#[tokio::test(start_paused = true)]
async fn a_spray_that_is_over_is_still_shown_to_its_sender() {
    let v1 = V1::new(6);
    let room = v1.room(&[1, 2]).await;
    let token = v1.api.spray(&room, "1", 10, 2).await;
    v1.receive(2, &room, &token).await.expect(200);
    tokio::time::advance(Duration::from_secs(600)).await;
    refused(&v1.receive(2, &room, &token).await, 400, "ERR104");
    let spray = v1.look(1, &room, &token).await.expect(200);
    assert_eq!((spray.number("spray_amount"), spray.number("received_amount")), (10, 5));
    v1.api.refund_due().await;
    let spray = v1.look(1, &room, &token).await.expect(200);
    assert_eq!((spray.number("spray_amount"), spray.number("received_amount")), (10, 5));
}

#[tokio::test(start_paused = true)]
async fn the_other_calls_refuse_in_the_same_shape() {
    let v1 = V1::new(7);
    let room = v1.room(&[1, 2]).await;
    let invite = |user: &str, room: &str| {
        let ask = v1.api.post(user, format!("/api/v1/rooms/{room}/invite"));
        ask.json(json!({ "user_id": 5 }))
    };
    refused(&invite("9", &room).await, 403, "ERR004");
    refused(&invite("1", NO_ROOM).await, 403, "ERR004");
    refused(&invite("1", "lobby").await, 403, "ERR004");
    refused(&invite("x", &room).await, 422, "ERR001");
    refused(&v1.charge(1, 0).await, 422, "ERR001");
    // Nobody charges a trillion nine thousand times here; the books get their item back.
    v1.charge(1, 5).await.expect(200);
    v1.api.sandbox.overwrite_balance("1", BALANCE_MAX - 4).await;
    refused(&v1.charge(1, 5).await, 400, "ERR502");
    v1.api.sandbox.overwrite_balance("1", 5).await;
    refused(&v1.get(1, &format!("transactions/{NO_ROOM}")).await, 404, "ERR005");
    refused(&v1.get(1, "nothing").await, 404, "ERR005");
    refused(&v1.api.ask("DELETE", "/api/v1/rooms").user("1").await, 405, "ERR001");
}
