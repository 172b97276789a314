//! Lives as a whole: what the audit tells, and random sequences of actions.

use largesse_app::campaign::act;
use largesse_app::campaign::part::add_part;
use largesse_app::campaign::read;
use largesse_app::ports::Campaigns;
use largesse_domain::campaign::{AuditBroken, Broken, Hash, State};
use largesse_domain::id::CampaignId;
use largesse_tests::{Sandbox, user};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::scene::{
    agenda, audit, audit_key, completed, hash, made, memo, part, pending, read as campaign,
    seal_at, sealed, sealed_rows, seen, start, started, stop, taken_back, terms, verified,
    worked_off,
};
use crate::scene::{Table, n, s};

/// The details of the last entry of that action.
async fn details(sandbox: &Sandbox, id: CampaignId, action: &str) -> Vec<(String, String)> {
    let entries = sandbox.store.audit_of(id, 0, 100).await.unwrap();
    let entry = entries.into_iter().rfind(|entry| entry.action == action).unwrap();
    entry.details.into_iter().collect()
}

fn texts(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// What the outbox and its readers stand on.
#[tokio::test(start_paused = true)]
async fn an_audit_entry_tells_all_that_its_readers_need() {
    let sandbox = Sandbox::new(1);
    let (store, ann) = (&*sandbox.store, user("ann"));
    let id = completed(&sandbox, 4).await;
    let began = campaign(&sandbox, id).await.started_at.unwrap().ms().to_string();
    let summary = |more: &[(&str, &str)], success, reversed, amount| {
        let mut all = texts(&[
            ("amount_failed", "40"),
            ("amount_success", amount),
            ("failed", "4"),
            ("name", "추석 보상"),
            ("reversed", reversed),
            ("rows", "20"),
            ("shortfall", "0"),
            ("started_ms", &began),
            ("success", success),
        ]);
        all.extend(texts(more));
        all.sort();
        all
    };
    assert_eq!(details(&sandbox, id, "seal").await, texts(&[("attempt", "1")]));
    assert_eq!(details(&sandbox, id, "run").await, texts(&[("fence", "1")]));
    assert_eq!(details(&sandbox, id, "start").await, texts(&[("hash", &hash().to_string())]));
    assert_eq!(details(&sandbox, id, "end").await, summary(&[], "16", "0", "160"));
    act::rollback(store, id, &ann, memo("why")).await.unwrap();
    assert_eq!(details(&sandbox, id, "rollback").await, texts(&[("fence", "2"), ("memo", "why")]));
    taken_back(&sandbox, id).await;
    act::rolled_back(store, id, 2).await.unwrap();
    assert_eq!(details(&sandbox, id, "rolled_back").await, summary(&[], "0", "16", "0"));

    // One that never ran has no start.
    started(&sandbox).await;
    let queued = started(&sandbox).await;
    stop(&sandbox, queued).await;
    let stopped = details(&sandbox, queued, "stop").await;
    assert!(stopped.contains(&("memo".to_owned(), "why".to_owned())));
    assert!(!stopped.iter().any(|(name, _)| name == "started_ms"));
    assert_eq!(campaign(&sandbox, queued).await.ended_at, None);
}

#[tokio::test(start_paused = true)]
async fn a_retry_tells_its_generation_and_its_rows() {
    let sandbox = Sandbox::new(2);
    let id = completed(&sandbox, 4).await;
    act::retry(&*sandbox.store, id, &user("ann")).await.unwrap();
    let expected = texts(&[("amount", "40"), ("generation", "2"), ("rows", "4")]);
    assert_eq!(details(&sandbox, id, "retry").await, expected);
    let life = campaign(&sandbox, id).await.life;
    assert_eq!((life.state, life.fence), (State::Running, 2));
}

#[tokio::test(start_paused = true)]
async fn an_audit_that_was_changed_is_found() {
    let sandbox = Sandbox::new(3);
    let table = Table::of(&sandbox, "campaigns");
    let id = started(&sandbox).await;
    assert_eq!(verified(&sandbox, id).await, Ok(()));
    let other = s(Hash::of(b"x"));
    for (seq, name, value, broken) in [
        (1, "action", s("x"), Broken::Hash),
        (3, "by", s("eve"), Broken::Hash),
        (4, "previous", other.clone(), Broken::Previous),
        (5, "at_ms", n(5), Broken::Hash),
        (6, "hash", other, Broken::Hash),
    ] {
        let whole = table.get(&audit_key(id, seq)).await.unwrap();
        table.set(&audit_key(id, seq), name, value).await;
        let found = verified(&sandbox, id).await;
        assert_eq!(found, Err(AuditBroken { seq, what: broken }), "{name}");
        table.put(whole).await;
    }
    table.delete(&audit_key(id, 6)).await;
    let found = verified(&sandbox, id).await;
    assert_eq!(found, Err(AuditBroken { seq: 6, what: Broken::Head }));
}

#[tokio::test(start_paused = true)]
async fn an_audit_is_read_page_by_page() {
    let sandbox = Sandbox::new(4);
    let (store, id) = (&*sandbox.store, started(&sandbox).await);
    let first = read::audit(store, id, 0, 4).await.unwrap().unwrap();
    assert_eq!((first.rows.len(), first.next), (4, Some(4)));
    let last = read::audit(store, id, 4, 4).await.unwrap().unwrap();
    assert_eq!((last.rows.len(), last.next), (2, None));
    assert_eq!(last.rows[1].action, "run");
    let whole = read::audit(store, id, 0, 6).await.unwrap().unwrap();
    assert_eq!((whole.rows.len(), whole.next), (6, None));
}

/// Any action, as a member or a worker would take it.
async fn act_at_random(sandbox: &Sandbox, id: CampaignId, rng: &mut StdRng) -> bool {
    let (store, ann) = (&*sandbox.store, user("ann"));
    let life = campaign(sandbox, id).await.life;
    let (fence, attempt) = (life.fence, life.seal_attempt);
    match rng.random_range(0..15) {
        0 => return add_part(store, id, &ann, &part(rng.random_range(1..3), 20)).await.is_ok(),
        1 => act::seal(store, id, &ann).await,
        2 => act::sealed(store, id, attempt, sealed_rows(), seal_at(store), pending()).await,
        3 => act::seal_failed(store, id, attempt, "why".to_owned()).await,
        4 | 5 => act::start(store, id, &ann, hash()).await,
        6 => act::force(store, id, &ann, hash(), memo("why")).await,
        7 => act::stop(store, id, &ann, memo("why")).await,
        8 => act::retry(store, id, &ann).await,
        9 | 10 => {
            if life.state == State::Running {
                worked_off(sandbox, id, rng.random_range(0..3)).await;
            }
            act::end(store, id, fence).await
        }
        11 => act::fail(store, id, fence, "broken".to_owned()).await,
        12 => act::damaged(store, id, fence, "broken".to_owned()).await,
        13 => act::rollback(store, id, &ann, memo("why")).await,
        _ => {
            if life.state == State::RollingBack {
                taken_back(sandbox, id).await;
            }
            act::rolled_back(store, id, fence).await
        }
    }
    .is_ok()
}

#[tokio::test(start_paused = true)]
async fn after_any_actions_the_audit_holds_and_the_agenda_agrees_with_every_life() {
    let mut taken = 0;
    for seed in 0..12 {
        let sandbox = Sandbox::new(seed);
        let mut rng = StdRng::seed_from_u64(seed);
        let ids = [
            made(&sandbox, terms()).await,
            sealed(&sandbox, terms()).await,
            sealed(&sandbox, terms()).await,
        ];
        for _ in 0..60 {
            let id = ids[rng.random_range(0..ids.len())];
            let before = seen(&sandbox, id).await;
            let is_taken = act_at_random(&sandbox, id, &mut rng).await;
            let after = seen(&sandbox, id).await;
            assert!(is_taken || after == before, "a refused action changed the campaign");
            assert!(after.value.life.fence >= before.value.life.fence);
            taken += u32::from(after != before);
        }
        let on_it = agenda(&sandbox).await.value;
        assert!(on_it.running.iter().filter(|running| !running.forced).count() <= 1);
        for id in ids {
            let life = campaign(&sandbox, id).await.life;
            audit(&sandbox, id).await;
            let is_queued = on_it.queued.iter().any(|queued| queued.id == id);
            let runs = on_it.running.iter().any(|running| running.id == id);
            assert_eq!(is_queued, life.queued.is_some());
            assert_eq!(runs, life.state == State::Running);
            assert_eq!(on_it.rolling_back.contains(&id), life.state == State::RollingBack);
            assert_eq!(on_it.sealing.contains(&id), life.state == State::Sealing);
            assert!(on_it.fence >= life.fence);
        }
    }
    assert!(taken > 60, "only {taken} actions were taken");
}

#[tokio::test(start_paused = true)]
async fn a_campaign_that_is_shown_has_counters_from_its_seal_on() {
    let sandbox = Sandbox::new(5);
    let store = &*sandbox.store;
    let id = made(&sandbox, terms()).await;
    assert_eq!(read::show(store, id).await.unwrap().unwrap().counts, None);
    let id = sealed(&sandbox, terms()).await;
    start(&sandbox, id).await;
    let view = read::show(store, id).await.unwrap().unwrap();
    assert_eq!(view.counts.unwrap().tally.pending.rows, 20);
    let page = read::list(store, None, 1_000).await.unwrap();
    assert_eq!(page.rows[0], view.campaign);
}
