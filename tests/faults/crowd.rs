//! Crowds: many members at the same time, from many processes.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_dynamodb::types::{AttributeValue as Av, PutRequest, WriteRequest};
use futures::StreamExt;
use futures::future::join_all;
use largesse_app::spray::claim::ClaimError;
use largesse_aws::Store;
use largesse_domain::id::{RoomId, USER_ID_LEN_MAX};
use largesse_domain::ledger::TransferKind;
use largesse_domain::spray::Spray;

use crate::client::claim_by;
use crate::rig::{Distance, Kill, Rig};

/// Adds members to a room, 25 with a call.
pub(crate) async fn add_members(rig: &Rig, room: RoomId, names: &[String]) {
    let client = aws_sdk_dynamodb::Client::new(&rig.sandbox.world.sdk_config());
    for some in names.chunks(25) {
        let puts = some.iter().map(|name| {
            let put = PutRequest::builder()
                .item("pk", Av::S(format!("ROOM#{room}")))
                .item("sk", Av::S(format!("MEMBER#{name}")))
                .item("joined_ms", Av::N("0".to_owned()));
            WriteRequest::builder().put_request(put.build().unwrap()).build()
        });
        let request = client.batch_write_item();
        request.request_items("largesse-rooms", puts.collect()).send().await.unwrap();
    }
}

/// Names of members, each of that many characters or fewer.
fn names(count: usize, length: usize) -> Vec<String> {
    (0..count).map(|n| format!("{n:0>length$}")).collect()
}

/// What a crowd heard.
#[derive(Debug, Default, PartialEq, Eq)]
struct Heard {
    won: usize,
    already: usize,
    exhausted: usize,
}

/// Every member of `names` claims once, `clients` of them at the same time, spread over processes.
async fn claims(
    rig: &Rig,
    room: RoomId,
    spray: &Spray,
    names: &[String],
    stores: &[Arc<Store>],
    clients: usize,
) -> Heard {
    // Every call takes a moment to arrive, so that the clients meet.
    rig.sandbox.world.set_fault_hook(Some(Arc::new(Distance::ms(2))));
    let requests = names.iter().enumerate();
    let requests: Vec<_> =
        requests.map(|(n, name)| claim_by(&stores[n % stores.len()], room, spray, name)).collect();
    let answers = futures::stream::iter(requests).buffer_unordered(clients);
    let answers: Vec<_> = answers.collect().await;
    rig.sandbox.world.set_fault_hook(None);
    let mut heard = Heard::default();
    for answer in answers {
        match answer {
            Ok(_) => heard.won += 1,
            Err(ClaimError::Already { .. }) => heard.already += 1,
            Err(ClaimError::Exhausted) => heard.exhausted += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    heard
}

/// A spray of 1,000 shares, claimed by 4,000 members from 64 clients and 16 processes.
async fn thousand_shares(seed: u64, id_length: usize) {
    let rig = Rig::new(seed, Kill::default());
    let names = names(4_000, id_length);
    let room = rig.sandbox.room(&["s"]).await;
    add_members(&rig, room, &names).await;
    let spray = rig.sandbox.spray(room, "s", 1_000_000, 1_000).await;
    let stores: Vec<_> = (0..16).map(|n| rig.sandbox.another_process(100 + n)).collect();
    let heard = claims(&rig, room, &spray, &names, &stores, 64).await;
    // Each of them hears "won" or "sold out". If any heard "sold out" too early, fewer
    // than 1,000 of 4,000 would win.
    assert_eq!(heard, Heard { won: 1_000, already: 0, exhausted: 3_000 });
    let books = largesse_tests::money::books(&rig.sandbox.world);
    assert_eq!(books.buckets.len(), 63);
    assert!(books.buckets.iter().all(largesse_domain::pool::Bucket::is_full));
    let winners: BTreeSet<_> = books.grants().map(|grant| grant.member).collect();
    assert_eq!(winners.len(), 1_000);
    let totals = rig.wind_up().await;
    rig.assert_all_paid();
    assert_eq!((totals.wallets, rig.balance("s")), (1_000_000, 0));
    assert_eq!(rig.transfers(TransferKind::Claim), 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_shares_have_a_thousand_winners_among_four_thousand() {
    thousand_shares(1, 4).await;
}

#[tokio::test(start_paused = true)]
async fn a_thousand_shares_have_a_thousand_winners_whose_ids_are_as_long_as_can_be() {
    thousand_shares(2, USER_ID_LEN_MAX).await;
}

#[tokio::test(start_paused = true)]
async fn five_hundred_shares_are_all_taken_by_two_thousand_members_in_several_processes() {
    let rig = Rig::new(3, Kill::default());
    let names = names(2_000, 4);
    let room = rig.sandbox.room(&["s"]).await;
    add_members(&rig, room, &names).await;
    let spray = rig.sandbox.spray(room, "s", 500_000, 500).await;
    let stores: Vec<_> = (0..5).map(|n| rig.sandbox.another_process(100 + n)).collect();
    // All of them at the same instant; then all of them again.
    let heard = claims(&rig, room, &spray, &names, &stores, names.len()).await;
    assert_eq!(heard, Heard { won: 500, already: 0, exhausted: 1_500 });
    let again = claims(&rig, room, &spray, &names, &stores, names.len()).await;
    assert_eq!(again, Heard { won: 0, already: 500, exhausted: 1_500 });
    let totals = rig.wind_up().await;
    rig.assert_all_paid();
    assert_eq!((totals.wallets, rig.balance("s")), (500_000, 0));
}

#[tokio::test(start_paused = true)]
async fn no_member_hears_sold_out_while_a_part_is_left() {
    // As many members as shares: each must win, whatever their walks meet.
    let rig = Rig::new(4, Kill::default());
    let names = names(100, 4);
    let room = rig.sandbox.room(&["s"]).await;
    add_members(&rig, room, &names).await;
    let spray = rig.sandbox.spray(room, "s", 1_000, 100).await;
    let stores: Vec<_> = (0..8).map(|n| rig.sandbox.another_process(100 + n)).collect();
    let heard = claims(&rig, room, &spray, &names, &stores, 64).await;
    assert_eq!(heard, Heard { won: 100, already: 0, exhausted: 0 });
    rig.wind_up().await;
    rig.assert_all_paid();
}

#[tokio::test(start_paused = true)]
async fn a_thousand_taps_of_one_member_win_one_share() {
    for size in [3, 60] {
        let rig = Rig::new(5, Kill::default());
        let (room, spray) = rig.spray(size).await;
        let stores: Vec<_> = (0..4).map(|n| rig.sandbox.another_process(100 + n)).collect();
        rig.sandbox.world.set_fault_hook(Some(Arc::new(Distance::ms(2))));
        let taps = (0..1_000).map(|n| claim_by(&stores[n % stores.len()], room, &spray, "a"));
        let answers = join_all(taps).await;
        rig.sandbox.world.set_fault_hook(None);
        let won: Vec<u64> = answers.iter().flatten().map(|amount| amount.get()).collect();
        assert_eq!(won.len(), 1, "one success");
        for answer in answers.into_iter().filter_map(Result::err) {
            let is_told =
                matches!(answer, ClaimError::Already { amount } if amount.get() == won[0]);
            assert!(is_told, "{answer:?}");
        }
        rig.wind_up().await;
        rig.assert_all_paid();
        assert_eq!(rig.balance("a"), won[0]);
        assert_eq!(rig.transfers(TransferKind::Claim), 1);
    }
}
