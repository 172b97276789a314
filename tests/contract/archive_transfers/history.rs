//! Reads of what is archived.

use largesse_app::ports::{HistoryFilter, PortErrorKind, Wallets};
use largesse_app::wallet::history::numbered;
use largesse_aws::Store;
use largesse_domain::id::TransferId;
use largesse_domain::ledger::TransferKind;
use largesse_domain::time::Timestamp;
use largesse_tests::user;
use proptest::prelude::*;

use super::{
    Archived, Ledger, all_pages, archive, assert_sound, days_ago, ids_of, process_with, some,
};

/// What a wallet goes through, and what is asked of it.
#[derive(Clone, Debug)]
struct Case {
    /// The hour of each move, and which move it is.
    moves: Vec<(u64, u8)>,
    /// The hours at which archives end.
    horizons: Vec<u64>,
    kinds: Vec<TransferKind>,
    from: Option<u64>,
    to: Option<u64>,
    limit: u32,
}

const HOURS: u64 = 40;

fn cases() -> impl Strategy<Value = Case> {
    let kinds = vec![TransferKind::Deposit, TransferKind::Campaign, TransferKind::Reversal];
    (
        proptest::collection::vec((0..HOURS, 0..4_u8), 1..40),
        proptest::collection::btree_set(0..HOURS, 1..6),
        proptest::sample::subsequence(kinds, 0..3),
        proptest::option::of(0..HOURS),
        proptest::option::of(0..HOURS),
        1..12_u32,
    )
        .prop_map(|(moves, horizons, kinds, from, to, limit)| Case {
            moves,
            horizons: horizons.into_iter().collect(),
            kinds,
            from,
            to,
            limit,
        })
}

/// Everything that is read of a wallet.
async fn read(store: &Store, case: &Case, hour: impl Fn(u64) -> Timestamp) -> String {
    let name = "a";
    let wallet = store.wallet(&user(name)).await.unwrap();
    let mut said = format!("{wallet:?}\n");
    let filtered = HistoryFilter {
        kinds: case.kinds.clone(),
        from: case.from.map(&hour),
        to: case.to.map(&hour),
    };
    for filter in [HistoryFilter::default(), filtered] {
        let rows = all_pages(store, name, &filter, case.limit).await.unwrap();
        said.push_str(&format!("{rows:?}\n"));
        let count = store.count(&user(name), &filter, u64::MAX).await.unwrap();
        assert_eq!((count.rows, count.next), (u64::try_from(rows.len()).unwrap(), None));
        let (mut number, mut of_pages) = (1, Vec::new());
        loop {
            let page = numbered(store, &wallet, &filter, number, case.limit).await.unwrap();
            assert_eq!(page.total, count.rows);
            if page.rows.is_empty() {
                break;
            }
            of_pages.extend(page.rows);
            number += 1;
        }
        assert_eq!(of_pages, rows, "the numbered pages");
        for row in rows {
            let read = store.transfer(&user(name), row.order.id).await.unwrap();
            assert_eq!(read, Some(row));
        }
    }
    said
}

async fn play(case: Case) {
    let world = Archived::new(1);
    let (sandbox, store) = (&world.sandbox, &world.store);
    let begin = days_ago(sandbox, 300);
    let hour = |hour: u64| begin.plus_ms(hour * 3_600_000);
    let mut ledger = Ledger::of("a");
    for (nonce, (at, kind)) in case.moves.iter().enumerate() {
        let (at, nonce) = (hour(*at), u128::try_from(nonce).unwrap());
        match kind {
            0 => ledger.paid_and_taken_back(at, nonce, 9),
            1 => ledger.void(at, nonce),
            _ => drop(ledger.deposit(at, nonce, 1 + u64::try_from(nonce).unwrap())),
        }
    }
    ledger.written(sandbox).await;
    let before = read(store, &case, hour).await;
    for horizon in &case.horizons {
        let done = archive(store, hour(*horizon)).await.unwrap();
        assert_eq!((done.strays, done.damaged), (0, 0));
        assert_eq!(read(store, &case, hour).await, before);
        assert_sound(store).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_history_is_the_same_before_and_after_it_is_archived(case in cases()) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build().unwrap();
        runtime.block_on(play(case));
    }
}

#[tokio::test(start_paused = true)]
async fn a_transfer_of_another_member_or_a_void_is_not_found_in_the_archive() {
    let world = Archived::new(2);
    let (sandbox, store) = (&world.sandbox, &world.store);
    let ledger = some(sandbox, "a", 5).await;
    some(sandbox, "b", 2).await;
    archive(store, days_ago(sandbox, 400)).await.unwrap();
    let read = async |name: &str, id| store.transfer(&user(name), id).await.unwrap();
    let first = ledger.transfers[0].clone();
    assert_eq!(read("a", first.order.id).await, Some(first));
    // The member `b` has transfers in the same object, with the same ids below 2.
    assert_eq!(read("b", ledger.transfers[4].order.id).await, None);
    assert_eq!(read("c", ledger.transfers[4].order.id).await, None);
    assert_eq!(read("a", ledger.voids[0]).await, None);
    assert_eq!(read("a", TransferId(sandbox.id())).await, None);
}

#[tokio::test(start_paused = true)]
async fn while_the_archive_is_away_a_read_of_it_fails_and_others_go_on() {
    let world = Archived::new(3);
    let (sandbox, store) = (&world.sandbox, &world.store);
    let ledger = some(sandbox, "a", 5).await;
    archive(store, days_ago(sandbox, 400)).await.unwrap();
    let away = process_with(sandbox, 30, None);
    let young = ledger.transfers.last().unwrap();
    let read = away.transfer(&user("a"), young.order.id).await.unwrap();
    assert_eq!(read.as_ref(), Some(young));
    let all = HistoryFilter::default();
    let page = away.history(&user("a"), &all, None, 3).await.unwrap();
    assert_eq!((page.rows.len(), page.next), (3, page.rows.last().map(|row| row.order.id)));
    assert_eq!(away.count(&user("a"), &all, u64::MAX).await.unwrap().rows, 10);
    let old = away.transfer(&user("a"), ledger.transfers[0].order.id).await.unwrap_err();
    let beyond = away.history(&user("a"), &all, None, 4).await.unwrap_err();
    assert_eq!((old.kind, beyond.kind), (PortErrorKind::Unknown, PortErrorKind::Unknown));
    assert_eq!(ids_of(store, "a", 4).await, ledger.ids());
}
