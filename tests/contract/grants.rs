//! Grants that were refused: each refusal counts once, whichever worker counts it, and a voided
//! grant stays voided. One test for each clause of the two conditions.

use std::collections::BTreeSet;

use largesse_app::ports::{Grants, Money, PortErrorKind, Written};
use largesse_domain::grant::{FailedGrant, Grant, GrantStatus};
use largesse_domain::id::GrantId;
use largesse_tests::{Sandbox, user};
use rstest::rstest;

use crate::scene::{Table, drawn, key_with, n, refused, s, sprayed};

async fn one(sandbox: &Sandbox) -> Grant {
    let spray = sprayed(sandbox, 1).await;
    drawn(sandbox, &spray, "m").await
}

async fn kept(sandbox: &Sandbox, grant: &Grant) -> Option<FailedGrant> {
    sandbox.store.failed_grant(grant.source, &grant.member).await.unwrap()
}

/// Writes the grant as failed, if so many refusals are counted.
async fn write(sandbox: &Sandbox, grant: &Grant, attempts: u32, seen: u32) -> Written {
    let failed = refused(grant, GrantStatus::Failed, attempts);
    sandbox.store.put_failed(&failed, seen).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_counted_once_and_none_is_left_out() {
    let sandbox = Sandbox::new(1);
    let grant = one(&sandbox).await;
    assert_eq!(kept(&sandbox, &grant).await, None);
    for attempts in 1..=3 {
        // The first of two that read the same count, and the other.
        let seen = attempts - 1;
        assert_eq!(write(&sandbox, &grant, attempts, seen).await, Written::Done);
        assert_eq!(write(&sandbox, &grant, attempts, seen).await, Written::Changed);
        let expected = refused(&grant, GrantStatus::Failed, attempts);
        assert_eq!(kept(&sandbox, &grant).await, Some(expected));
    }
    // An operator's retry begins anew; then a first refusal finds the item.
    assert_eq!(write(&sandbox, &grant, 0, 3).await, Written::Done);
    assert_eq!(write(&sandbox, &grant, 1, 0).await, Written::Done);
    assert_eq!(kept(&sandbox, &grant).await.unwrap().attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_later_refusal_of_a_grant_that_has_no_item_is_not_written() {
    let sandbox = Sandbox::new(2);
    let grant = one(&sandbox).await;
    assert_eq!(write(&sandbox, &grant, 2, 1).await, Written::Changed);
    assert_eq!(kept(&sandbox, &grant).await, None);
}

/// What stands in the table, and how many refusals a writer has seen there: as many as it says.
#[rstest]
#[case::another_grant_reset(true, GrantStatus::Failed, 0)]
#[case::another_grant(true, GrantStatus::Failed, 2)]
#[case::voided_reset(false, GrantStatus::Voided, 0)]
#[case::voided(false, GrantStatus::Voided, 2)]
#[tokio::test(start_paused = true)]
async fn a_voided_grant_and_one_of_another_id_stay_as_they_are(
    #[case] is_another: bool,
    #[case] status: GrantStatus,
    #[case] attempts: u32,
) {
    let sandbox = Sandbox::new(3);
    let grant = one(&sandbox).await;
    assert_eq!(write(&sandbox, &grant, 1, 0).await, Written::Done);
    let other = GrantId::of_draw(&grant.source, &user("x"), grant.decided_at());
    let id = if is_another { other } else { grant.id };
    let (table, key) = (Table::of(&sandbox, "grants"), key_with(grant.source, "MEMBER#m"));
    table.set(&key, "grant_id", s(id)).await;
    table.set(&key, "status", s(status.as_str())).await;
    table.set(&key, "attempts", n(attempts)).await;
    let before = table.get(&key).await;
    assert_eq!(write(&sandbox, &grant, attempts + 1, attempts).await, Written::Changed);
    assert_eq!(table.get(&key).await, before);
    table.delete(&key).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_paid_has_no_item_and_removing_it_again_does_nothing() {
    let sandbox = Sandbox::new(4);
    let grant = one(&sandbox).await;
    write(&sandbox, &grant, 1, 0).await;
    sandbox.store.pay(std::slice::from_ref(&grant)).await;
    for _ in 0..2 {
        sandbox.store.remove_failed(&grant).await.unwrap();
        assert_eq!(kept(&sandbox, &grant).await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn the_failed_grants_of_a_source_are_listed_in_pages_and_no_others() {
    let sandbox = Sandbox::new(5);
    let (mine, other) = (sprayed(&sandbox, 7).await, sprayed(&sandbox, 1).await);
    let mut expected = BTreeSet::new();
    for member in 0..7 {
        let member = format!("m{member}");
        let grant = drawn(&sandbox, &mine, &member).await;
        write(&sandbox, &grant, 1, 0).await;
        expected.insert(grant.member);
    }
    let theirs = drawn(&sandbox, &other, "m0").await;
    write(&sandbox, &theirs, 1, 0).await;
    // Those that cannot be read are named, and hide no other.
    let table = Table::of(&sandbox, "grants");
    let broken =
        ["m3", "m8, who is no member"].map(|m| key_with(mine.pool(), format!("MEMBER#{m}")));
    for item in &broken {
        table.set(item, "attempts", s("many")).await;
    }
    expected.remove(&user("m3"));
    for limit in [1, 3, 7, 100] {
        let (mut found, mut unreadable, mut after) = (Vec::new(), Vec::new(), None);
        loop {
            let page = sandbox.store.failed_grants(mine.pool(), after, limit).await.unwrap();
            unreadable.extend(page.unreadable);
            found.extend(page.rows.into_iter().map(|failed| failed.grant.member));
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert!(found.is_sorted());
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
        assert_eq!(unreadable, ["m3", "m8, who is no member"]);
    }
    for item in broken {
        table.delete(&item).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_operator_sees_every_failed_grant_and_the_keys_of_what_cannot_be_read() {
    let sandbox = Sandbox::new(6);
    let grant = one(&sandbox).await;
    write(&sandbox, &grant, 1, 0).await;
    let (table, broken) = (Table::of(&sandbox, "grants"), key_with("nonsense", "MEMBER#m"));
    table.put(broken.clone()).await;
    let page = sandbox.store.scan_failed_grants(None).await.unwrap();
    assert_eq!(page.grants, [refused(&grant, GrantStatus::Failed, 1)]);
    assert_eq!(page.unreadable, [("nonsense".to_owned(), "MEMBER#m".to_owned())]);
    assert_eq!(page.next, None);
    // A page after a key holds what follows it.
    let last = [grant.source.to_string(), "nonsense".to_owned()];
    let mut left = 0;
    for pk in last {
        let page = sandbox.store.scan_failed_grants(Some((pk, "MEMBER#m".to_owned()))).await;
        let page = page.unwrap();
        left += page.grants.len() + page.unreadable.len();
    }
    assert_eq!(left, 1, "one of the two follows the other");
    table.delete(&broken).await;
}

/// The failed rows of a campaign stand with the campaign. An item about one was written by hand.
#[tokio::test(start_paused = true)]
async fn a_failed_grant_of_a_campaign_is_no_failed_grant() {
    let sandbox = Sandbox::new(7);
    let grant = one(&sandbox).await;
    write(&sandbox, &grant, 1, 0).await;
    let table = Table::of(&sandbox, "grants");
    let mut item = table.get(&key_with(grant.source, "MEMBER#m")).await.unwrap();
    let campaign = "CAMPAIGN#01ARZ3NDEKTSV4RRFFQ69G5FAX";
    item.insert("pk".to_owned(), s(campaign));
    table.put(item).await;
    let error = sandbox.store.failed_grant(campaign.parse().unwrap(), &grant.member).await;
    assert_eq!(error.unwrap_err().kind, PortErrorKind::Corrupt);
    let page = sandbox.store.scan_failed_grants(None).await.unwrap();
    assert_eq!(page.unreadable, [(campaign.to_owned(), "MEMBER#m".to_owned())]);
    table.delete(&key_with(campaign, "MEMBER#m")).await;
}
