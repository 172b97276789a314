//! A campaign is sealed: which rows are kept, and what the hash covers.

use largesse_app::campaign::seal::{PASS_CHUNKS, SealProgress};
use largesse_domain::campaign::{
    CHUNK_ROWS_MAX, ChunkNumber, Duplicates, Layout, State, Totals, content_hash,
};
use largesse_domain::id::UserId;
use largesse_tests::Sandbox;

use super::{campaign, csv, draft, listed, members, put, seal, seal_in, sealed_rows, shown, terms};

#[tokio::test(start_paused = true)]
async fn a_seal_in_many_passes_equals_a_seal_in_one() {
    let sandbox = Sandbox::new(1);
    let mut sealed = Vec::new();
    for pass_chunks in [30, PASS_CHUNKS] {
        let id = draft(&sandbox, Duplicates::First).await;
        put(&sandbox, id, 1, &members(0, 12_000)).await;
        // Some 2,000 of them name a member again.
        put(&sandbox, id, 2, &members(10_000, 8_000)).await;
        let progress = seal_in(&sandbox, id, pass_chunks).await;
        assert!(matches!(progress, SealProgress::Sealed(_)), "{progress:?}");
        sealed.push(campaign(&sandbox, id).await);
    }
    let [many, one] = &sealed[..] else { panic!("two campaigns") };
    assert_eq!(many.life.sealed, one.life.sealed);
    assert_eq!(many.seal.unwrap().rows, one.seal.unwrap().rows);
    let totals = many.life.sealed.unwrap().totals;
    assert_eq!((totals.rows, totals.duplicates), (18_000, 2_000));
    assert_eq!(sealed_rows(&sandbox, many).await, sealed_rows(&sandbox, one).await);
    let duplicates = listed(&sandbox, many, 777).await;
    assert_eq!(duplicates, listed(&sandbox, one, 10_000).await);
    assert_eq!(duplicates.len(), 2_000);
    assert_eq!(shown(&duplicates[0]), (2, 2, "m10000".to_owned(), 1, 10_002));
    // The same rows were sealed before: a warning, and no refusal.
    assert_eq!((many.seal.unwrap().same_as, one.seal.unwrap().same_as), (None, Some(many.id)));
}

/// C9, C18: in one part, in two, in adjacent rows, in other case and width.
#[tokio::test(start_paused = true)]
async fn a_member_named_again_is_kept_once_and_listed_by_line() {
    for (policy, kept) in [
        (Duplicates::First, [("0042", 2), ("42", 3), ("Kim", 8), ("kim", 5)]),
        (Duplicates::Sum, [("0042", 2), ("42", 13), ("Kim", 8), ("kim", 26)]),
    ] {
        let sandbox = Sandbox::new(2);
        let id = draft(&sandbox, policy).await;
        put(&sandbox, id, 2, &csv([("kim", 9), ("42", 10)])).await;
        put(
            &sandbox,
            id,
            1,
            &csv([("kim", 5), ("kim", 5), ("0042", 2), ("42", 3), ("kim", 7), ("Kim", 8)]),
        )
        .await;
        let sealed = seal(&sandbox, id).await;
        let mut rows = sealed_rows(&sandbox, &sealed).await;
        rows.sort_by(|a, b| a.member.cmp(&b.member));
        let rows: Vec<_> = rows.iter().map(|row| (row.member.as_str(), row.amount.get())).collect();
        assert_eq!(rows, kept);
        let expected =
            [(1, 3, "kim", 1, 2), (1, 6, "kim", 1, 2), (2, 2, "kim", 1, 2), (2, 3, "42", 1, 5)];
        let expected = expected.map(|(p, l, m, fp, fl)| (p, l, m.to_owned(), fp, fl));
        for limit in [1, 3, 100] {
            let duplicates = listed(&sandbox, &sealed, limit).await;
            assert_eq!(duplicates.iter().map(shown).collect::<Vec<_>>(), expected);
        }
        assert_eq!(sealed.life.sealed.unwrap().totals.duplicates, 4);
    }
}

#[tokio::test(start_paused = true)]
async fn refuse_names_the_duplicates_by_part_and_line() {
    let sandbox = Sandbox::new(3);
    let id = draft(&sandbox, Duplicates::Refuse).await;
    put(&sandbox, id, 1, &csv([("a", 5), ("b", 5), ("a", 5)])).await;
    put(&sandbox, id, 2, &csv([("b", 5)])).await;
    let progress = seal_in(&sandbox, id, PASS_CHUNKS).await;
    let expected = "rows that name a member again: 2. part 1 line 4 names a again, after part 1 \
                    line 2; part 2 line 2 names b again, after part 1 line 3";
    assert_eq!(progress, SealProgress::Refused(expected.to_owned()));
    let refused = campaign(&sandbox, id).await;
    assert_eq!((refused.life.state, refused.problem.as_deref()), (State::Draft, Some(expected)));
    assert_eq!(refused.life.sealed, None);
    // Of many, twenty are named.
    let id = draft(&sandbox, Duplicates::Refuse).await;
    put(&sandbox, id, 1, &members(0, 500)).await;
    put(&sandbox, id, 2, &members(0, 500)).await;
    let progress = seal_in(&sandbox, id, 3).await;
    let SealProgress::Refused(problem) = progress else { panic!("{progress:?}") };
    assert!(problem.starts_with("rows that name a member again: 500. part 2 line 2 names m0 "));
    assert!(problem.ends_with("part 2 line 21 names m19 again, after part 1 line 21; and more"));
}

#[tokio::test(start_paused = true)]
async fn a_sum_above_one_payment_is_refused_with_its_part_and_line() {
    let sandbox = Sandbox::new(4);
    let id = draft(&sandbox, Duplicates::Sum).await;
    put(&sandbox, id, 1, &csv([("a", 1_000_000_000_000), ("b", 1), ("a", 1)])).await;
    let progress = seal_in(&sandbox, id, PASS_CHUNKS).await;
    let SealProgress::Refused(problem) = progress else { panic!("{progress:?}") };
    assert!(problem.contains("part 1 line 4 names a again, after part 1 line 2"), "{problem}");
    assert_eq!(campaign(&sandbox, id).await.life.state, State::Draft);
}

/// C12: to go on without the bad rows is a choice, since the hash covers how many there are.
#[tokio::test(start_paused = true)]
async fn a_row_left_out_is_in_the_totals_and_changes_the_hash() {
    let sandbox = Sandbox::new(5);
    let mut hashes = Vec::new();
    for bad in ["", "m50,oops\n"] {
        let id = draft(&sandbox, Duplicates::First).await;
        put(&sandbox, id, 1, &(members(0, 50) + bad)).await;
        let sealed = seal(&sandbox, id).await;
        let totals = sealed.life.sealed.unwrap().totals;
        let refused = u64::from(!bad.is_empty());
        assert_eq!((totals.rows, totals.refused), (50, refused));
        let rows = sealed.seal.unwrap().rows;
        assert_eq!(
            sealed.life.sealed.unwrap().hash,
            content_hash(&terms(Duplicates::First), rows, totals)
        );
        hashes.push((rows, sealed.life.sealed.unwrap().hash));
    }
    assert_eq!(hashes[0].0, hashes[1].0);
    assert_ne!(hashes[0].1, hashes[1].1);
}

/// C3: leading zeros may have been lost.
#[tokio::test(start_paused = true)]
async fn ids_of_digits_that_differ_in_width_are_a_warning() {
    let sandbox = Sandbox::new(6);
    for (members, differ) in
        [(["00042", "00043"], false), (["00042", "43"], true), (["00042", "x"], false)]
    {
        let id = draft(&sandbox, Duplicates::First).await;
        for (part, member) in (1..).zip(members) {
            put(&sandbox, id, part, &csv([(member, 5)])).await;
        }
        let sealed = seal(&sandbox, id).await;
        assert_eq!(sealed.seal.unwrap().widths_differ, differ, "{members:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_campaign_without_rows_is_refused() {
    let sandbox = Sandbox::new(7);
    let id = draft(&sandbox, Duplicates::First).await;
    put(&sandbox, id, 1, "member_id,amount\na,oops\n").await;
    let progress = seal_in(&sandbox, id, PASS_CHUNKS).await;
    assert_eq!(progress, SealProgress::Refused("the campaign has no row".to_owned()));
    // It takes parts again, and is sealed.
    put(&sandbox, id, 2, &csv([("a", 5)])).await;
    let totals = seal(&sandbox, id).await.life.sealed.unwrap().totals;
    assert_eq!(totals, Totals { rows: 1, amount: 5, duplicates: 0, refused: 1 });
}

#[tokio::test(start_paused = true)]
async fn members_that_crowd_one_chunk_are_laid_out_anew() {
    let sandbox = Sandbox::new(8);
    let layout = Layout::new(250).unwrap();
    let all = (0..).map(|n| format!("m{n}"));
    let crowd = all.filter(|m| layout.chunk(&m.parse::<UserId>().unwrap()) == ChunkNumber(1));
    let crowd: Vec<String> = crowd.take(250).collect();
    let id = draft(&sandbox, Duplicates::First).await;
    put(&sandbox, id, 1, &csv(crowd.iter().map(|m| (m.as_str(), 5)))).await;
    // The first pass of one chunk is done before the second finds the crowd.
    let progress = seal_in(&sandbox, id, 1).await;
    assert!(matches!(progress, SealProgress::Sealed(_)), "{progress:?}");
    let sealed = campaign(&sandbox, id).await;
    assert_eq!(sealed.seal.unwrap().layout.round(), 1);
    assert_eq!(sealed_rows(&sandbox, &sealed).await.len(), 250);
    const { assert!(250 > CHUNK_ROWS_MAX) };
}

/// One member in ten thousand rows, over passes: one row is kept, and each other one is listed.
#[tokio::test(start_paused = true)]
async fn a_member_named_ten_thousand_times_is_paid_once() {
    let sandbox = Sandbox::new(9);
    let id = draft(&sandbox, Duplicates::First).await;
    let body = "member_id,amount\n".to_owned() + &"a,1\n".repeat(10_001) + "b,1\n";
    put(&sandbox, id, 1, &body).await;
    let progress = seal_in(&sandbox, id, 50).await;
    assert!(matches!(progress, SealProgress::Sealed(_)), "{progress:?}");
    let sealed = campaign(&sandbox, id).await;
    assert_eq!(sealed_rows(&sandbox, &sealed).await.len(), 2);
    assert_eq!(listed(&sandbox, &sealed, 3_000).await.len(), 10_000);
}
