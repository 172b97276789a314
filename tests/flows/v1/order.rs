//! Who breaks several rules at once hears of the first: 422, 403, token, own, window, twice,
//! exhausted.

use std::time::Duration;

use super::{V1, refused};

#[tokio::test(start_paused = true)]
async fn a_request_that_is_not_valid_is_told_so_before_anything_else() {
    let v1 = V1::new(1);
    let room = v1.room(&[1, 2]).await;
    // Not in the room, no money, and no valid amount.
    let ask = v1.api.post("9", "/api/v1/spray").room(&room);
    refused(&ask.json(r#"{"total_amount":0,"recipient_count":1}"#).await, 422, "ERR001");
    // Not in the room, and no token.
    let ask = v1.api.post("9", "/api/v1/receive").room(&room);
    refused(&ask.json("{}").await, 422, "ERR001");
    // No such room, and no user.
    let ask = v1.api.ask("GET", "/api/v1/spray/ZZZ").room("lobby");
    refused(&ask.await, 422, "ERR001");
    // Everything at once: each issue is told.
    let reply = v1.api.ask("POST", "/api/v1/spray").json("{}").await;
    refused(&reply, 422, "ERR001");
    let detail = reply.body["detail"].as_array().unwrap();
    let told: Vec<_> = detail.iter().map(|issue| issue["loc"].to_string()).collect();
    let expected = [
        r#"["header","x-user-id"]"#,
        r#"["header","x-room-id"]"#,
        r#"["body","total_amount"]"#,
        r#"["body","recipient_count"]"#,
    ];
    assert_eq!(told, expected);
}

#[tokio::test(start_paused = true)]
async fn who_is_not_in_the_room_hears_of_nothing_else() {
    let v1 = V1::new(2);
    let room = v1.room(&[1, 2]).await;
    let token = v1.spray(1, &room, 10, 1).await;
    v1.receive(2, &room, &token).await.expect(200);
    refused(&v1.try_spray(9, &room, 10, 1).await, 403, "ERR004");
    for token in [&token, "ZZZ", "zz", ""] {
        refused(&v1.receive(9, &room, token).await, 403, "ERR004");
    }
    // The sender and a winner, after they left.
    for user in ["1", "2"] {
        let path = format!("/api/v2/rooms/{room}/members/{user}");
        v1.api.ask("DELETE", path).user("2").await.expect(204);
    }
    refused(&v1.receive(1, &room, &token).await, 403, "ERR004");
    refused(&v1.receive(2, &room, &token).await, 403, "ERR004");
}

#[tokio::test(start_paused = true)]
async fn each_rule_comes_before_those_behind_it() {
    let v1 = V1::new(3);
    let room = v1.room(&[1, 2, 3]).await;
    let other = v1.room(&[1, 2, 3]).await;
    let token = v1.spray(1, &room, 10, 1).await;
    v1.receive(2, &room, &token).await.expect(200);
    // Another room's token, one's own, exhausted.
    refused(&v1.receive(1, &other, &token).await, 400, "ERR005");
    // One's own, exhausted.
    refused(&v1.receive(1, &room, &token).await, 400, "ERR101");
    // Twice, exhausted.
    refused(&v1.receive(2, &room, &token).await, 400, "ERR102");
    refused(&v1.receive(3, &room, &token).await, 400, "ERR103");
    tokio::time::advance(Duration::from_secs(604_800)).await;
    // The same, and over.
    refused(&v1.receive(1, &other, &token).await, 400, "ERR005");
    refused(&v1.receive(1, &room, &token).await, 400, "ERR101");
    refused(&v1.receive(2, &room, &token).await, 400, "ERR104");
    refused(&v1.receive(3, &room, &token).await, 400, "ERR104");
    // The sender alone hears that the days are over; a user who is not in the room hears of no
    // token. A read names no room, so another room's id changes nothing.
    refused(&v1.look(9, &room, &token).await, 404, "ERR005");
    refused(&v1.look(2, &room, &token).await, 403, "ERR004");
    refused(&v1.look(1, &other, &token).await, 404, "ERR104");
    refused(&v1.look(1, &room, &token).await, 404, "ERR104");
}
