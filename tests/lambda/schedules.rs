//! Functions that a schedule starts: they run by the clock and the index, whatever the event says.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::campaign::create::{CreateCampaign, create};
use largesse_app::ports::{Campaigns, Change, Clock, Versioned, Written};
use largesse_aws::production::SystemClock;
use largesse_domain::campaign::{
    Actor, Agenda, Approvals, AuditEntry, CampaignName, Duplicates, Hash, Layout, Priority, Queued,
    Seal, Sealed, State, Terms, Totals,
};
use largesse_domain::id::{CampaignId, Ulid};
use largesse_domain::ledger::Memo;
use largesse_domain::money::BALANCE_MAX;
use largesse_domain::time::Timestamp;
use largesse_tests::user;
use serde_json::{Value, json};

use crate::bootstrap::Bootstrap;
use crate::events::event;
use crate::scene::{SPRAYED, Scene, pool};

const HOUR_MS: u64 = 3_600_000;
const CASES: [&str; 2] = ["happy", "hostile"];

/// A spray made then, and bob's draw, of which the outbox never heard.
async fn with_a_lost_draw(at: Timestamp) -> Scene {
    let scene = Scene::with_room().await;
    scene.spray(at).await;
    scene.draw("bob", at).await;
    scene
}

fn waiting(scene: &Scene) -> usize {
    scene.world.queue("largesse-grants.fifo").unwrap().messages.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn pool_sweep_sends_a_lost_draw_whatever_its_event_says() {
    for case in CASES {
        let scene = with_a_lost_draw(SystemClock.now().minus_ms(HOUR_MS)).await;
        assert_eq!(waiting(&scene), 0);
        let mut sweep = Bootstrap::start(&scene, "pool-sweep").await;
        for resent in [1, 0] {
            let report = sweep.invoke(&event("pool-sweep", case)).await.body;
            let expected = json!({ "buckets": resent, "resent": resent, "has_more": false });
            assert_eq!(report, expected, "{case}");
        }
        assert_eq!(waiting(&scene), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refund_batch_returns_the_unclaimed_rest_whatever_its_event_says() {
    for case in CASES {
        let scene = with_a_lost_draw(SystemClock.now().minus_ms(HOUR_MS)).await;
        let mut refund = Bootstrap::start(&scene, "refund-batch").await;
        for refunded in [1, 0] {
            let report = refund.invoke(&event("refund-batch", case)).await.body;
            let drawn = scene.grant("bob").await.expect("an entry").amount.get();
            let left = SPRAYED - drawn;
            let returned = if refunded == 1 { left } else { 0 };
            let expected = json!({
                "refunded": refunded, "closed": 0, "returned": returned, "wallet_full": 0,
                "has_more": false,
                "products": {
                    "settled": 0, "paid_out": 0, "refunded": 0, "returned": 0, "wallet_full": 0,
                },
            });
            assert_eq!((report, scene.balance("alice").await), (expected, left), "{case}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reconcile_proves_the_ledger_whatever_its_event_says() {
    for case in CASES {
        let scene = with_a_lost_draw(SystemClock.now()).await;
        let mut reconcile = Bootstrap::start(&scene, "reconcile").await;
        let of = |outcome: &str, done: u64| {
            json!({
                "outcome": outcome, "is_over": done == 1, "wallets": done, "transfers": 2 * done,
                "pools": done, "found": 0, "frozen": 0,
            })
        };
        for expected in [of("worked", 1), of("idle", 0)] {
            assert_eq!(reconcile.invoke(&event("reconcile", case)).await.body, expected, "{case}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn archive_begins_a_pass_and_finds_nothing_old_whatever_its_event_says() {
    for case in CASES {
        let scene = with_a_lost_draw(SystemClock.now()).await;
        let mut archive = Bootstrap::start(&scene, "archive").await;
        let worked = archive.invoke(&event("archive", case)).await.body;
        let expected = json!({
            "outcome": "worked", "is_over": true, "things": 0, "items": 0, "held": 0,
            "transfers": 0, "strays": 0,
            "horizon_ms": worked["horizon_ms"],
        });
        assert_eq!(worked, expected, "{case}");
        let age_ms = 400 * 24 * HOUR_MS;
        let horizon = Timestamp::from_ms(worked["horizon_ms"].as_i64().unwrap());
        // An hour is taken off the age.
        let margin_ms = SystemClock.now().ms_since(horizon) - age_ms;
        assert!((HOUR_MS..2 * HOUR_MS).contains(&margin_ms), "{case}: {margin_ms}");
        let idle = archive.invoke(&event("archive", case)).await.body;
        assert_eq!(idle["outcome"], "idle", "{case}");
    }
}

/// A campaign of alice that was made an hour ago, was sealed, and waits for the schedule.
async fn queued_campaign(scene: &Scene) -> CampaignId {
    let made = SystemClock.now().minus_ms(HOUR_MS);
    let id = CampaignId(Ulid::from_parts(made.ms_unsigned(), 1));
    let (hash, totals) = (Hash::of(b"content"), Totals { rows: 1, amount: 1, ..Totals::default() });
    let terms = Terms {
        name: CampaignName::new("a").unwrap(),
        default_reason: Memo::new("").unwrap(),
        default_amount: None,
        starts_at: None,
        priority: Priority::default(),
        duplicates: Duplicates::First,
        approvals: Approvals::Zero,
    };
    let creator = user("alice");
    create(&*scene.store, CreateCampaign { id, creator, terms: terms.clone() }).await.unwrap();
    let seen = scene.store.campaign(id).await.unwrap().unwrap();
    let mut campaign = seen.value.clone();
    campaign.life.state = State::Waiting;
    campaign.life.sealed = Some(Sealed { hash, totals });
    campaign.life.queued = Some(Queued { forced: false });
    let layout = Layout::new(1).unwrap();
    let (rows, same_as) = (Hash::of(b"rows"), None);
    campaign.seal = Some(Seal { layout, rows, at: made, same_as, widths_differ: false });
    let by = Actor::Member(user("alice"));
    let (last, details) = (Some(campaign.audit), BTreeMap::new());
    let entry = AuditEntry::next(id, last, made, by, "start", details).unwrap();
    campaign.audit = entry.head();
    let mut agenda = Agenda::default();
    agenda.place(id, &terms, &campaign.life).unwrap();
    let before = Versioned::default();
    let agenda = Some((&before, &agenda));
    let (part, counts) = (None, None);
    let change = Change { seen: &seen, campaign: &campaign, entry: &entry, part, agenda, counts };
    assert_eq!(scene.store.save_campaign(&change).await.unwrap(), Written::Done);
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn campaign_start_runs_a_queued_campaign_whatever_its_event_says() {
    for case in CASES {
        let scene = Scene::new().await;
        let id = queued_campaign(&scene).await;
        let mut start = Bootstrap::start(&scene, "campaign-start").await;
        for ran in [vec![id.to_string()], vec![]] {
            let report = start.invoke(&event("campaign-start", case)).await.body;
            let expected = json!({ "ran": ran, "resent": [], "failed": [] });
            assert_eq!(report, expected, "{case}");
        }
        let life = scene.store.campaign(id).await.unwrap().unwrap().value.life;
        assert_eq!((life.state, life.fence), (State::Running, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_refund_is_reported_once_however_often_it_is_tried() {
    let scene = with_a_lost_draw(SystemClock.now().minus_ms(HOUR_MS)).await;
    scene.overwrite_balance("alice", BALANCE_MAX).await;
    let mut refund = Bootstrap::start(&scene, "refund-batch").await;
    for _ in 0..3 {
        let report = refund.invoke(&event("refund-batch", "happy")).await.body;
        assert_eq!((&report["refunded"], &report["wallet_full"]), (&json!(0), &json!(1)));
        // An hour passes, as the index sees it.
        let update = scene.dynamo().update_item().table_name("largesse-sprays");
        let update = update.key("pk", Av::S(pool().to_string()));
        let update = update.update_expression("SET due_ms = :now");
        let now = SystemClock.now().ms().to_string();
        update.expression_attribute_values(":now", Av::N(now)).send().await.unwrap();
    }
    scene.overwrite_balance("alice", 0).await;
    let report = refund.invoke(&event("refund-batch", "happy")).await.body;
    refund.terminate();
    let (_, log) = refund.ended().await;
    let lines: Vec<Value> = log.lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
    let rings: Vec<&Value> = lines.iter().filter_map(|line| line.get("refund.refused")).collect();
    assert_eq!(rings, [&report["returned"]], "{log}");
    let alarms = include_str!("../../infra/alarms.yaml");
    assert!(alarms.contains("{ $.['refund.refused'] > 0 }"), "the alarm counts that line");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_schedule_touches_a_spray_that_is_open_whatever_its_event_says() {
    for function in ["pool-sweep", "refund-batch"] {
        let scene = with_a_lost_draw(SystemClock.now()).await;
        let mut process = Bootstrap::start(&scene, function).await;
        process.invoke(&event(function, "hostile")).await;
        assert_eq!((scene.balance("alice").await, waiting(&scene)), (0, 0));
    }
}
