use super::*;
use crate::campaign::status_name;
use largesse_domain::campaign::{
    Approval, Approvals, AuditHead, CampaignName, Failure, Hash, Layout, Life, Priority, Queued,
    RowState, Seal, Sealed, State, Sum, Totals,
};
use largesse_domain::id::CampaignId;
use largesse_domain::ledger::Memo;
use largesse_domain::money::Amount;
use largesse_domain::time::Timestamp;
use serde_json::{Value, json};

const ID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

fn draft() -> Campaign {
    let id: CampaignId = ID.parse().unwrap();
    let terms = Terms {
        name: CampaignName::new("추석").unwrap(),
        default_reason: Memo::new("보상").unwrap(),
        default_amount: None,
        starts_at: None,
        priority: Priority::default(),
        duplicates: Duplicates::First,
        approvals: Approvals::Zero,
    };
    Campaign {
        id,
        life: Life::new("ann".parse().unwrap(), Approvals::Zero),
        terms,
        parts: Parts::default(),
        seal: None,
        problem: None,
        started_at: None,
        ended_at: None,
        audit: AuditHead { seq: 1, hash: Hash::of(b"") },
    }
}

fn sealed() -> Campaign {
    let mut campaign = draft();
    let totals = Totals { rows: 1_001, amount: 5_000, duplicates: 2, refused: 1 };
    campaign.life.state = State::Waiting;
    campaign.life.sealed = Some(Sealed { hash: Hash([7; 32]), totals });
    campaign.seal = Some(Seal {
        layout: Layout::new(1_003).unwrap(),
        rows: Hash([8; 32]),
        at: Timestamp::from_ms(1_769_850_000_000),
        same_as: None,
        widths_differ: false,
    });
    campaign
}

fn shown(campaign: &Campaign, tally: Option<&Tally>, per_s: Option<u64>) -> Value {
    let money = MoneyFacts { per_s, is_http: false };
    serde_json::to_value(CampaignView::new(campaign, tally, money)).unwrap()
}

#[test]
fn a_new_campaign_shows_its_terms_and_nothing_of_what_comes_later() {
    let view = shown(&draft(), Some(&Tally::default()), Some(1));
    let terms = json!({
        "default_reason": "보상", "priority": 0, "duplicates": "first", "approvals": 0,
    });
    let expected = json!({
        "campaign_id": ID, "name": "추석", "state": "DRAFT", "creator": "ann",
        "created_at": "2016-07-30T23:54:10.259Z", "terms": terms,
        "parts": { "count": 0, "rows": 0, "refused": 0, "amount": 0 },
        "audit": {
            "seq": 1,
            "hash": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        },
    });
    assert_eq!(view, expected);
}

#[test]
fn every_term_is_shown() {
    let mut campaign = draft();
    campaign.terms.default_amount = Some(Amount::new(5).unwrap());
    campaign.terms.starts_at = Some(Timestamp::from_ms(1_769_850_000_000));
    campaign.terms.priority = Priority::new(9).unwrap();
    campaign.terms.duplicates = Duplicates::Sum;
    campaign.terms.approvals = Approvals::One;
    let expected = json!({
        "default_reason": "보상", "default_amount": 5, "starts_at": "2026-01-31T09:00:00.000Z",
        "priority": 9, "duplicates": "sum", "approvals": 1,
    });
    assert_eq!(shown(&campaign, None, None)["terms"], expected);
}

#[test]
fn what_was_sealed_is_shown_with_its_hashes_an_estimate_and_warnings() {
    let view = shown(&sealed(), None, Some(500));
    let expected = json!({
        "rows": 1_001, "amount": 5_000, "duplicates": 2, "refused": 1,
        "content_hash": "07".repeat(32), "rows_hash": "08".repeat(32),
        "sealed_at": "2026-01-31T09:00:00.000Z", "eta_s": 3, "cost": 2_691,
        "warnings": [
            { "code": "rows_refused", "detail": "1 row was refused and is left out." },
            {
                "code": "duplicates",
                "detail": "2 rows name a member again: the first row of each counts.",
            },
        ],
    });
    assert_eq!(view["sealed"], expected);
    assert_eq!(shown(&sealed(), None, None)["sealed"]["eta_s"], Value::Null);
    let http = MoneyFacts { per_s: None, is_http: true };
    let view = serde_json::to_value(CampaignView::new(&sealed(), None, http)).unwrap();
    assert_eq!(view["sealed"]["cost"], 189);
}

#[test]
fn equal_rows_and_ids_of_several_widths_are_warned_about_first() {
    let mut campaign = sealed();
    campaign.terms.duplicates = Duplicates::Sum;
    let seal = campaign.seal.as_mut().unwrap();
    seal.same_as = Some("01ARZ3NDEKTSV4RRFFQ69G5FAW".parse().unwrap());
    seal.widths_differ = true;
    let view = shown(&campaign, None, None);
    let warnings = view["sealed"]["warnings"].as_array().unwrap();
    let codes: Vec<_> = warnings.iter().map(|warning| warning["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["same_rows", "widths_differ", "rows_refused", "duplicates"]);
    assert_eq!(warnings[0]["campaign_id"], "01ARZ3NDEKTSV4RRFFQ69G5FAW");
    assert!(warnings[3]["detail"].as_str().unwrap().ends_with("their amounts are added."));
}

#[test]
fn rows_and_amounts_are_shown_by_where_they_stand() {
    let sum = |rows, amount| Sum { rows, amount };
    let tally = Tally {
        pending: sum(1, 10),
        unknown: sum(2, 20),
        success: sum(3, 30),
        failed: sum(4, 40),
        reversed: sum(5, 50),
        shortfall: sum(6, 60),
    };
    let view = shown(&sealed(), Some(&tally), None);
    let counts = json!({
        "rows": 21, "pending": 1, "processing": 2, "success": 3, "failed": 4, "reversed": 5,
        "shortfall": 6,
    });
    let amounts = json!({
        "rows": 210, "pending": 10, "processing": 20, "success": 30, "failed": 40, "reversed": 50,
        "shortfall": 60,
    });
    assert_eq!((&view["counts"], &view["amounts"]), (&counts, &amounts));
}

#[test]
fn every_state_of_a_campaign_and_its_times_are_shown() {
    let mut campaign = sealed();
    campaign.life.state = State::RollingBack;
    campaign.life.approval = Some(Approval { by: "eve".parse().unwrap() });
    campaign.life.queued = Some(Queued { forced: true });
    campaign.started_at = Some(Timestamp::from_ms(1_769_850_000_000));
    campaign.ended_at = Some(Timestamp::from_ms(1_769_850_001_000));
    campaign.problem = Some("the counters differ".to_owned());
    let view = shown(&campaign, None, None);
    assert_eq!(view["state"], "ROLLING_BACK");
    assert_eq!(view["approval"], json!({ "by": "eve" }));
    assert_eq!(view["queued"], json!({ "forced": true }));
    assert_eq!(view["started_at"], "2026-01-31T09:00:00.000Z");
    assert_eq!(view["ended_at"], "2026-01-31T09:00:01.000Z");
    assert_eq!(view["problem"], "the counters differ");
}

#[test]
fn the_states_of_rows_have_the_names_of_the_counters() {
    let view = serde_json::to_value(CountsView::from(&Tally::default())).unwrap();
    let amount = Amount::new(1).unwrap();
    let states = [
        RowState::Pending,
        RowState::Unknown,
        RowState::Success,
        RowState::Failed { reason: Failure::new("no"), attempts: 4 },
        RowState::Reversed,
        RowState::Shortfall { missing: amount },
    ];
    for state in states {
        let name = status_name(&state).to_lowercase();
        assert!(view.get(&name).is_some(), "{name}");
    }
}
