//! What is written is read back, lists and pages.

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::campaign::part::add_part;
use largesse_app::ports::{
    Campaigns, Change, CountsChange, Once, PortErrorKind, Versioned, Written,
};
use largesse_domain::campaign::{
    Actor, Agenda, Approval, Approvals, AuditEntry, Campaign, Candidate, Duplicates, Generation,
    Hash, Life, Parts, Priority, Queued, Running, Seal, State, Terms,
};
use largesse_domain::id::CampaignId;
use largesse_domain::time::Timestamp;
use largesse_tests::{Sandbox, amount, user};

use super::scene::{
    agenda, audit_key, count_key, made, meta_key, part, pending, read, seal_at, sealed,
    sealed_rows, seen, terms,
};
use crate::scene::{Table, key_with, n, s};

/// An entry behind the head of a campaign, which becomes its head.
pub(super) fn entry(campaign: &mut Campaign, action: &str) -> AuditEntry {
    let details = [("memo", "왜"), ("fence", "7")];
    let details = details.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let at = Timestamp::from_ms(1_767_225_600_123);
    let by = Actor::Member(user("bob"));
    let entry = AuditEntry::next(campaign.id, Some(campaign.audit), at, by, action, details);
    let entry = entry.unwrap();
    campaign.audit = entry.head();
    entry
}

/// A campaign with everything that one may have.
fn full(mut campaign: Campaign, seal: Seal) -> Campaign {
    campaign.life = Life {
        creator: user("ann"),
        approvals: Approvals::One,
        state: State::Waiting,
        seal_attempt: 3,
        sealed: Some(sealed_rows()),
        approval: Some(Approval { by: user("bob") }),
        queued: Some(Queued { forced: true }),
        fence: 9,
        generation: Generation::new(2).unwrap(),
    };
    campaign.parts = Parts { count: 1, rows: 20, refused: 3, amount: 400 };
    campaign.seal = Some(Seal { same_as: Some(campaign.id), widths_differ: true, ..seal });
    campaign.problem = Some("왜".to_owned());
    campaign.started_at = Some(Timestamp::from_ms(5));
    campaign.ended_at = Some(Timestamp::from_ms(6));
    campaign
}

#[tokio::test(start_paused = true)]
async fn a_campaign_is_read_as_it_was_written() {
    let sandbox = Sandbox::new(1);
    let store = &*sandbox.store;
    let all = Terms {
        default_amount: Some(amount(5)),
        starts_at: Some(Timestamp::from_ms(7)),
        priority: Priority::new(9).unwrap(),
        duplicates: Duplicates::Sum,
        approvals: Approvals::One,
        ..terms()
    };
    let id = made(&sandbox, all.clone()).await;
    let first = seen(&sandbox, id).await;
    assert_eq!((&first.value.terms, first.version), (&all, 1));
    assert_eq!(first.value.life, Life::new(user("ann"), Approvals::One));

    let mut campaign = full(first.value.clone(), seal_at(store));
    let entry = entry(&mut campaign, "start");
    let candidate =
        Candidate { id, starts_at: all.starts_at, priority: all.priority, forced: true };
    let next = Agenda {
        fence: 9,
        queued: vec![candidate, Candidate { starts_at: None, forced: false, ..candidate }],
        running: vec![Running { id, forced: true }, Running { id, forced: false }],
        rolling_back: vec![id],
        sealing: vec![id],
    };
    let counts = CountsChange::Open(pending());
    let change = Change {
        seen: &first,
        campaign: &campaign,
        entry: &entry,
        part: Some(&part(1, 20)),
        agenda: Some((&Versioned::default(), &next)),
        counts: Some(&counts),
    };
    assert_eq!(store.save_campaign(&change).await.unwrap(), Written::Done);
    let process = sandbox.another_process(2);
    let written = Versioned { value: campaign, version: 2, trace: None };
    assert_eq!(process.campaign(id).await.unwrap(), Some(written));
    assert_eq!(process.agenda().await.unwrap(), Versioned { value: next, version: 1, trace: None });
    assert_eq!(process.counts(id).await.unwrap(), pending());
    assert_eq!(process.part(id, part(1, 20).number).await.unwrap(), Some(part(1, 20)));
    let entries = process.audit_of(id, 0, 10).await.unwrap();
    assert_eq!((entries[0].action.as_str(), entries.len()), ("create", 2));
    assert_eq!(entries[1], entry);
    assert_eq!(process.audit_of(id, 1, 10).await.unwrap(), entries[1..]);
    assert_eq!(process.audit_of(id, 2, 10).await.unwrap(), []);
    assert_eq!(process.audit_of(id, 0, 1).await.unwrap(), entries[..1]);
}

/// The clause of the campaign.
#[tokio::test(start_paused = true)]
async fn a_campaign_is_made_once() {
    let sandbox = Sandbox::new(2);
    let id = made(&sandbox, terms()).await;
    let first = read(&sandbox, id).await;
    let mut other = first.clone();
    other.life.creator = user("bob");
    let details = [("name".to_owned(), "b".to_owned())].into();
    let by = Actor::Member(user("bob"));
    let entry = AuditEntry::next(id, None, Timestamp::from_ms(1), by, "create", details).unwrap();
    let again = sandbox.store.create_campaign(&other, &entry).await.unwrap();
    assert_eq!(again, Once::Before(first.clone()));
    assert_eq!(read(&sandbox, id).await, first);
}

/// The clause of the audit: a campaign that was deleted by hand does not lose its audit.
#[tokio::test(start_paused = true)]
async fn a_campaign_that_left_an_audit_is_not_made_again() {
    let sandbox = Sandbox::new(3);
    let id = made(&sandbox, terms()).await;
    let campaign = read(&sandbox, id).await;
    let entries = sandbox.store.audit_of(id, 0, 10).await.unwrap();
    Table::of(&sandbox, "campaigns").delete(&meta_key(id)).await;
    let details = [("name".to_owned(), "b".to_owned())].into();
    let entry = AuditEntry::next(id, None, Timestamp::from_ms(1), Actor::System, "x", details);
    let again = sandbox.store.create_campaign(&campaign, &entry.unwrap()).await;
    assert_eq!(again.unwrap_err().kind, PortErrorKind::Corrupt);
    assert_eq!(sandbox.store.campaign(id).await.unwrap(), None);
    assert_eq!(sandbox.store.audit_of(id, 0, 10).await.unwrap(), entries);
}

#[tokio::test(start_paused = true)]
async fn campaigns_are_listed_newest_first_page_by_page() {
    let sandbox = Sandbox::new(4);
    let mut ids: Vec<CampaignId> = Vec::new();
    for _ in 0..5 {
        ids.push(made(&sandbox, terms()).await);
    }
    // Parts, counters and entries are no campaigns.
    ids.push(sealed(&sandbox, terms()).await);
    ids.reverse();
    let (mut listed, mut before, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = sandbox.store.campaigns(before, 4).await.unwrap();
        listed.extend(page.rows.iter().map(|campaign| campaign.id));
        pages += 1;
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!((listed, pages), (ids.clone(), 2));
    let page = sandbox.store.campaigns(Some(ids[0]), 1).await.unwrap();
    assert_eq!(page.rows, [read(&sandbox, ids[1]).await]);
}

#[tokio::test(start_paused = true)]
async fn parts_are_listed_in_the_order_of_their_numbers() {
    let sandbox = Sandbox::new(5);
    let id = made(&sandbox, terms()).await;
    for number in [10_000, 2, 10] {
        add_part(&*sandbox.store, id, &user("ann"), &part(number, 1)).await.unwrap();
    }
    let numbers: Vec<u32> =
        sandbox.store.parts(id).await.unwrap().iter().map(|part| part.number.get()).collect();
    assert_eq!(numbers, [2, 10, 10_000]);
    assert_eq!(sandbox.store.part(id, part(3, 1).number).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn the_first_campaign_with_some_rows_stays_the_first() {
    let sandbox = Sandbox::new(6);
    let (rows, first, second) =
        (Hash::of(b"r"), CampaignId(sandbox.id()), CampaignId(sandbox.id()));
    for (id, found) in [(first, first), (second, first), (first, first)] {
        assert_eq!(sandbox.store.first_with_rows(rows, id).await.unwrap(), found);
    }
    assert_eq!(sandbox.store.first_with_rows(Hash::of(b"s"), second).await.unwrap(), second);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_read_where_nothing_is() {
    let sandbox = Sandbox::new(7);
    let (store, id) = (&*sandbox.store, CampaignId(sandbox.id()));
    assert_eq!(store.campaign(id).await.unwrap(), None);
    assert_eq!(store.parts(id).await.unwrap(), []);
    assert_eq!(store.counts(id).await.unwrap(), []);
    assert_eq!(store.audit_of(id, 0, 9).await.unwrap(), []);
    assert_eq!(agenda(&sandbox).await, Versioned::default());
    assert_eq!(store.campaigns(None, 9).await.unwrap().rows, []);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_corrupt() {
    let sandbox = Sandbox::new(8);
    let (store, table) = (&*sandbox.store, Table::of(&sandbox, "campaigns"));
    let id = sealed(&sandbox, terms()).await;
    super::scene::start(&sandbox, id).await;
    let part_key = key_with(format!("CAMPAIGN#{id}"), "PART#00001");
    let agenda_key = key_with("AGENDA", "AGENDA");
    for (key, name, bad) in [
        (meta_key(id), "state", s("AJAR")),
        (meta_key(id), "queued", s("perhaps")),
        (meta_key(id), "layout_round", n(3)),
        (meta_key(id), "generation", n(0)),
        (meta_key(id), "priority", n(10)),
        (part_key, "hash", s("x")),
        (agenda_key.clone(), "running", s("x")),
        (agenda_key.clone(), "rolling_back", Av::L(vec![n(1)])),
        (agenda_key, "sealing", Av::L(vec![s("x")])),
        (count_key(id, 3), "failed_rows", n(-1)),
        (audit_key(id, 2), "details", Av::M([("a".to_owned(), n(1))].into())),
    ] {
        let whole = table.get(&key).await.unwrap();
        table.set(&key, name, bad).await;
        let errors = [
            store.campaign(id).await.err(),
            store.parts(id).await.err(),
            store.agenda().await.err(),
            store.counts(id).await.err(),
            store.audit_of(id, 0, 10).await.err(),
        ];
        let kinds: Vec<_> = errors.into_iter().flatten().map(|error| error.kind).collect();
        assert_eq!(kinds, [PortErrorKind::Corrupt], "{name}");
        table.put(whole).await;
    }
    table.delete(&count_key(id, 3)).await;
    assert_eq!(store.counts(id).await.unwrap_err().kind, PortErrorKind::Corrupt);
}
