//! Items in the shapes that lie in the tables: they are read for ever.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::{Clock, Sprays};
use largesse_domain::id::{RoomId, SprayId, TransferId};
use largesse_domain::ledger::{TransferKind, TransferOrder};
use largesse_domain::spray::Spray;
use largesse_tests::user;

use crate::client::claim_by;
use crate::rig::{Kill, Rig};

#[tokio::test(start_paused = true)]
async fn items_as_this_version_writes_them_are_read_for_ever() {
    let rig = Rig::new(6, Kill::default());
    let room = rig.sandbox.room(&["s", "a"]).await;
    rig.sandbox.deposit("s", 100).await;
    // The items of a spray, by hand, in the shapes that lie in the tables today.
    let spray = golden_spray(&rig, room).await;
    let a = claim_by(&rig.sandbox.store, room, &spray, "a").await.unwrap().get();
    rig.pay().await;
    assert_eq!(rig.balance("a"), a);
    let totals = rig.wind_up().await;
    rig.assert_all_paid();
    assert_eq!((totals.wallets, rig.balance("s")), (100, 100 - a));
}

/// Makes a spray of 10 in two equal shares by plain writes. Changing them would change history.
async fn golden_spray(rig: &Rig, room: RoomId) -> Spray {
    let id = SprayId(rig.sandbox.id());
    let now = rig.sandbox.store.now().ms();
    let (n, s) = (|n: i64| Av::N(n.to_string()), |text: &str| Av::S(text.to_owned()));
    let (pk, id_text, room) = (format!("SPRAY#{id}"), id.to_string(), room.to_string());
    let (opens, closes) = (n(now), n(now + 600_000));
    let shard = s(&(id.0.random() % 8).to_string());
    let bucket = [
        ("pk", s(&format!("{pk}#0"))),
        ("kind", s("share")),
        ("funder", s("s")),
        ("status", s("OPEN")),
        ("opens_ms", opens.clone()),
        ("closes_ms", closes.clone()),
        ("size", n(2)),
        ("worth", n(5)),
        ("taken", n(0)),
        ("draws", Av::M([].into())),
        ("sweep_shard", shard.clone()),
    ];
    let spray = [
        ("pk", s(&pk)),
        ("spray_id", s(&id_text)),
        ("sender", s("s")),
        ("room", s(&room)),
        ("token", s("A7Q")),
        ("opens_ms", opens.clone()),
        ("closes_ms", closes.clone()),
        ("amount", n(10)),
        ("recipients", n(2)),
        ("split", s("equal")),
        ("seed", Av::B(Blob::new([7; 32]))),
        ("due_shard", shard),
        ("due_ms", closes.clone()),
    ];
    let token = [
        ("pk", s("TOKEN#A7Q")),
        ("spray", s(&id_text)),
        ("room", s(&room)),
        ("giver", s("s")),
        ("opens_ms", opens),
        ("closes_ms", closes),
        ("recipients", n(2)),
        ("refunded", Av::Bool(false)),
    ];
    rig.put("largesse-pools", &bucket).await;
    rig.put("largesse-sprays", &spray).await;
    rig.put("largesse-tokens", &token).await;
    let spray = rig.sandbox.store.spray(id).await.unwrap().unwrap();
    let order = TransferOrder {
        id: TransferId(id.0),
        wallet: user("s"),
        kind: TransferKind::Spray,
        amount: spray.amount,
        at: rig.sandbox.store.now(),
        pool: Some(spray.pool()),
        counterpart: None,
        memo: None,
    };
    rig.sandbox.post(order).await;
    spray
}
