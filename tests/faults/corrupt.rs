//! What cannot be read keeps the money where it is, and says so.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::pool::sweep;
use largesse_app::ports::{Clock, INDEX_SHARDS, Pools};
use largesse_app::spray::create::{self, Create};
use largesse_domain::id::SprayId;
use largesse_domain::pool::{Attempt, Drawn, PoolStatus};
use largesse_domain::split::Split;
use largesse_domain::spray::{Spray, Terms};
use largesse_runtime::RunError;
use largesse_tests::user;
use ulid::Ulid;

use crate::rig::{Kill, Rig, claim_by, drawn_but_not_recorded, refund_all};

/// Changes the note of `b` on the spray's head, behind the adapters' back.
async fn note_of_b(rig: &Rig, spray: &Spray, update: &str, note: Option<Drawn>) {
    let client = aws_sdk_dynamodb::Client::new(&rig.sandbox.world.sdk_config());
    let request = client.update_item().table_name("largesse-pools").update_expression(update);
    let request = request.key("pk", Av::S(spray.pool.id.to_string()));
    let value = note.map(|note| (":note".to_owned(), Av::N(note.pack().to_string())));
    let values = value.map(|value| [value].into());
    request.set_expression_attribute_values(values).send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_note_that_cannot_be_read_is_neither_trimmed_nor_refunded_over() {
    for size in [3, 60] {
        let rig = Rig::new(1, Kill::default());
        let (room, spray) = rig.spray(size).await;
        let process = rig.sandbox.another_process(7);
        let draw = largesse_domain::pool::Draw {
            member: user("a"),
            at: rig.sandbox.store.now(),
            attempt: Attempt::from_bits(1),
            ask: largesse_domain::pool::Ask::Next,
        };
        process.draw(spray.pool.id, draw).await.unwrap().unwrap();
        let beyond =
            Drawn { part: size, at: rig.sandbox.store.now(), attempt: Attempt::from_bits(2) };
        note_of_b(&rig, &spray, "SET pending.b = :note", Some(beyond)).await;
        let path = format!("/api/v2/sprays/{}/claims", spray.token);
        let in_room = room.to_string();
        let headers = [("x-user-id", "b"), ("x-room-id", in_room.as_str())];
        let (status, body) = rig.call("POST", &path, &headers, "").await;
        assert_eq!((status, body["code"].as_str()), (500, Some("ERR003")));

        tokio::time::advance(Duration::from_secs(61)).await;
        let stop_at = rig.sandbox.store.now().plus_ms(60_000);
        let swept = sweep::run(&*rig.sandbox.store, stop_at).await.unwrap();
        assert_eq!((swept.pools, swept.failed), (1, 1));
        // Whoever can be paid is paid.
        rig.pay().await;
        assert!(rig.balance("a").await > 0);
        tokio::time::advance(Duration::from_secs(700)).await;
        let refunded = refund_all(&rig.sandbox.store).await.unwrap();
        assert_eq!((refunded.refunded, refunded.failed), (0, 1));
        let head = rig.sandbox.store.pool(spray.pool.id).await.unwrap().unwrap();
        assert_eq!(head.status, PoolStatus::Open, "it is still owed");
        assert_eq!(head.pending.get(&user("b")), Some(&beyond), "and known to whom");
        assert_eq!(rig.balance("s").await, 0);

        // Once somebody has put it right, the rest goes its way.
        note_of_b(&rig, &spray, "REMOVE pending.b", None).await;
        rig.wind_up().await;
        assert_eq!(rig.balance("a").await + rig.balance("s").await, size * 10);
        assert!(claim_by(&rig.sandbox.store, room, &spray, "b").await.is_err());
    }
}

/// More sprays than a page of the index has, all in one part of it.
const SPRAYS: u128 = 130;

#[tokio::test(start_paused = true)]
async fn a_pool_that_cannot_be_settled_holds_up_no_other() {
    let rig = Rig::new(2, Kill::default());
    let room = rig.sandbox.room(&["s", "a", "b"]).await;
    rig.sandbox.deposit("s", 2_600).await;
    let terms = Terms::new(20, 2, Split::Equal, 600).unwrap();
    let mut broken = None;
    for n in 0..SPRAYS {
        let at_ms = rig.sandbox.store.now().ms_unsigned();
        // Which part of the index, the id's random part says.
        let id = SprayId(Ulid::from_parts(at_ms, n * u128::from(INDEX_SHARDS)));
        let wish = Create { id, room, sender: user("s"), terms };
        let spray = create::create(&*rig.sandbox.store, wish).await.unwrap();
        drawn_but_not_recorded(&rig, &spray, "a").await;
        broken.get_or_insert(spray);
    }
    let broken = broken.unwrap();
    let beyond = Drawn { part: 9, at: rig.sandbox.store.now(), attempt: Attempt::from_bits(2) };
    note_of_b(&rig, &broken, "SET pending.b = :note", Some(beyond)).await;
    tokio::time::advance(Duration::from_secs(61)).await;
    let sprays = u64::try_from(SPRAYS).unwrap();
    let stop_at = rig.sandbox.store.now().plus_ms(60_000);
    let swept = sweep::run(&*rig.sandbox.store, stop_at).await.unwrap();
    assert_eq!((swept.pools, swept.failed, swept.has_more), (sprays, 1, false));
    // Whoever looks after the schedule hears of it, at every run until it is put right.
    for _ in 0..2 {
        let run = pool_sweep::handle(&*rig.sandbox.store, stop_at).await;
        assert!(matches!(run, Err(RunError::LeftOver(1))), "{run:?}");
    }
    tokio::time::advance(Duration::from_secs(700)).await;
    let refunded = refund_all(&rig.sandbox.store).await.unwrap();
    assert_eq!((refunded.refunded, refunded.failed), (sprays - 1, 1));
    let stop_at = rig.sandbox.store.now().plus_ms(60_000);
    let run = refund_batch::handle(&*rig.sandbox.store, stop_at).await;
    assert!(matches!(run, Err(RunError::LeftOver(1))), "{run:?}");
    note_of_b(&rig, &broken, "REMOVE pending.b", None).await;
    rig.wind_up().await;
    assert_eq!((rig.balance("a").await, rig.balance("s").await), (1_300, 1_300));
}
