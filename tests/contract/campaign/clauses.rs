//! Each clause of each condition of an action: without it, the action would be written over what
//! it was not decided on.

use largesse_app::ports::{COUNT_SHARDS, Campaigns, Change, CountsChange, Versioned, Written};
use largesse_domain::campaign::{Agenda, AuditEntry, Campaign, Part, Tally};
use largesse_domain::id::CampaignId;
use largesse_tests::Sandbox;

use super::scene::{agenda, audit_key, count_key, made, part, pending, sealed, seen, start, terms};
use super::store::entry;
use crate::scene::{Table, n, number, s};

/// Everything of a campaign, and the agenda.
#[derive(Debug, PartialEq)]
struct Stored {
    campaign: Option<Versioned<Campaign>>,
    audit: Vec<AuditEntry>,
    parts: Vec<Part>,
    counts: Vec<Tally>,
    agenda: Versioned<Agenda>,
}

async fn stored(sandbox: &Sandbox, id: CampaignId) -> Stored {
    let store = &*sandbox.store;
    let campaign = store.campaign(id).await.unwrap();
    let last = campaign.as_ref().map_or(0, |campaign| campaign.value.audit.seq);
    let mut audit = store.audit_of(id, 0, 100).await.unwrap();
    // What a test plants behind the head is no change of the action's.
    audit.retain(|entry| entry.seq <= last);
    let counts = store.counts(id).await.unwrap_or_default();
    let parts = store.parts(id).await.unwrap();
    Stored { campaign, audit, parts, counts, agenda: store.agenda().await.unwrap() }
}

/// A change of everything, as of a campaign that was just read.
struct Wish {
    seen: Versioned<Campaign>,
    campaign: Campaign,
    entry: AuditEntry,
    part: Option<Part>,
    agenda: Option<(Versioned<Agenda>, Agenda)>,
    counts: Option<CountsChange>,
}

impl Wish {
    async fn of(sandbox: &Sandbox, id: CampaignId, action: &str) -> Self {
        let seen = seen(sandbox, id).await;
        let mut campaign = seen.value.clone();
        campaign.problem = Some(action.to_owned());
        let entry = entry(&mut campaign, action);
        Self { seen, campaign, entry, part: None, agenda: None, counts: None }
    }

    async fn save(&self, sandbox: &Sandbox) -> Written {
        let Self { seen, campaign, entry, part, agenda, counts } = self;
        let change = Change {
            seen,
            campaign,
            entry,
            part: part.as_ref(),
            agenda: agenda.as_ref().map(|(seen, next)| (seen, next)),
            counts: counts.as_ref(),
        };
        sandbox.store.save_campaign(&change).await.unwrap()
    }

    /// It is refused, and nothing of it is written.
    async fn assert_refused(&self, sandbox: &Sandbox) {
        let before = stored(sandbox, self.campaign.id).await;
        assert_eq!(self.save(sandbox).await, Written::Changed);
        assert_eq!(stored(sandbox, self.campaign.id).await, before);
    }
}

/// The campaign's `version = seen`.
#[tokio::test(start_paused = true)]
async fn of_two_actions_at_once_one_is_decided_anew() {
    let sandbox = Sandbox::new(1);
    let id = made(&sandbox, terms()).await;
    let first = Wish::of(&sandbox, id, "one").await;
    let mut second = Wish::of(&sandbox, id, "two").await;
    assert_eq!(first.save(&sandbox).await, Written::Done);
    second.assert_refused(&sandbox).await;
    // Where the audit is free, the version decides alone.
    second.entry.seq = 7;
    second.assert_refused(&sandbox).await;
    assert_eq!(Wish::of(&sandbox, id, "two").await.save(&sandbox).await, Written::Done);
}

/// The audit's `attribute_not_exists`.
#[tokio::test(start_paused = true)]
async fn an_entry_of_the_audit_is_never_overwritten() {
    let sandbox = Sandbox::new(2);
    let id = made(&sandbox, terms()).await;
    let table = Table::of(&sandbox, "campaigns");
    let mut other = table.get(&audit_key(id, 1)).await.unwrap();
    other.extend(audit_key(id, 2));
    table.put(other).await;
    Wish::of(&sandbox, id, "one").await.assert_refused(&sandbox).await;
    table.delete(&audit_key(id, 2)).await;
    assert_eq!(Wish::of(&sandbox, id, "one").await.save(&sandbox).await, Written::Done);
}

/// The part's `attribute_not_exists`.
#[tokio::test(start_paused = true)]
async fn an_action_that_is_refused_changes_nothing() {
    let sandbox = Sandbox::new(3);
    let id = made(&sandbox, terms()).await;
    let mut wish = Wish::of(&sandbox, id, "part").await;
    wish.part = Some(part(1, 5));
    assert_eq!(wish.save(&sandbox).await, Written::Done);
    // Another part under its number, with all that an action may change.
    let mut wish = Wish::of(&sandbox, id, "part").await;
    wish.agenda = Some((agenda(&sandbox).await, Agenda { fence: 5, ..Agenda::default() }));
    wish.counts = Some(CountsChange::Open(pending()));
    wish.part = Some(part(1, 6));
    wish.assert_refused(&sandbox).await;
    wish.part = Some(part(2, 6));
    assert_eq!(wish.save(&sandbox).await, Written::Done);
}

/// The agenda's `attribute_not_exists`, and its `version = seen`.
#[tokio::test(start_paused = true)]
async fn the_agenda_is_written_only_as_it_was_read() {
    let sandbox = Sandbox::new(4);
    let (one, two) = (made(&sandbox, terms()).await, made(&sandbox, terms()).await);
    let next = |fence| Agenda { fence, ..Agenda::default() };
    let empty = agenda(&sandbox).await;
    assert_eq!(empty.version, 0);
    let mut first = Wish::of(&sandbox, one, "one").await;
    first.agenda = Some((empty.clone(), next(1)));
    assert_eq!(first.save(&sandbox).await, Written::Done);
    let mut second = Wish::of(&sandbox, two, "two").await;
    second.agenda = Some((empty.clone(), next(2)));
    second.assert_refused(&sandbox).await;
    assert_eq!(sandbox.store.mend_agenda(&empty, &next(3)).await.unwrap(), Written::Changed);

    let written = agenda(&sandbox).await;
    assert_eq!(sandbox.store.mend_agenda(&written, &next(3)).await.unwrap(), Written::Done);
    second.agenda = Some((written.clone(), next(4)));
    second.assert_refused(&sandbox).await;
    assert_eq!(sandbox.store.mend_agenda(&written, &next(5)).await.unwrap(), Written::Changed);
    second.agenda = Some((agenda(&sandbox).await, next(4)));
    assert_eq!(second.save(&sandbox).await, Written::Done);
    assert_eq!(agenda(&sandbox).await, Versioned { value: next(4), version: 3, trace: None });
}

/// The `attribute_not_exists` of each shard.
#[tokio::test(start_paused = true)]
async fn counters_that_are_there_are_not_opened_again() {
    let sandbox = Sandbox::new(5);
    let table = Table::of(&sandbox, "campaigns");
    for shard in 0..COUNT_SHARDS {
        let id = made(&sandbox, terms()).await;
        let mut planted = count_key(id, shard);
        planted.insert("planted".to_owned(), s("x"));
        table.put(planted).await;
        let mut wish = Wish::of(&sandbox, id, "sealed").await;
        wish.counts = Some(CountsChange::Open(pending()));
        wish.assert_refused(&sandbox).await;
    }
}

/// The clause of each number of each shard.
#[tokio::test(start_paused = true)]
async fn counters_are_replaced_only_as_they_were_read() {
    let sandbox = Sandbox::new(6);
    let table = Table::of(&sandbox, "campaigns");
    let id = sealed(&sandbox, terms()).await;
    let seen = sandbox.store.counts(id).await.unwrap();
    let mut after = seen.clone();
    after.swap(0, 15);
    let mut wish = Wish::of(&sandbox, id, "retry").await;
    wish.counts = Some(CountsChange::Replace { seen, after: after.clone() });
    let states = ["pending", "unknown", "success", "failed", "reversed", "shortfall"];
    for (shard, state) in (0..COUNT_SHARDS).flat_map(|shard| states.map(|state| (shard, state))) {
        for unit in ["rows", "amount"] {
            let (key, name) = (count_key(id, shard), format!("{state}_{unit}"));
            let count = number(&table.get(&key).await.unwrap(), &name);
            table.set(&key, &name, n(count + 1)).await;
            wish.assert_refused(&sandbox).await;
            table.set(&key, &name, n(count)).await;
        }
    }
    assert_eq!(wish.save(&sandbox).await, Written::Done);
    assert_eq!(sandbox.store.counts(id).await.unwrap(), after);
}

/// A campaign that runs, changed by a write that saw it queued.
#[tokio::test(start_paused = true)]
async fn an_action_that_was_decided_before_the_campaign_ran_is_not_written() {
    let sandbox = Sandbox::new(7);
    let id = sealed(&sandbox, terms()).await;
    let wish = Wish::of(&sandbox, id, "late").await;
    start(&sandbox, id).await;
    wish.assert_refused(&sandbox).await;
}
