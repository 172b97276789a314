use clap::Parser;
use serde_json::{Value, json};

use super::fake::{Fake, ID, campaign};
use super::*;
use crate::campaign::command::{Action, Place, run};

/// The commands as the command line has them.
#[derive(Debug, Parser)]
struct Line {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    place: Place,
}

/// Runs a command line against the fake.
async fn ran(fake: &Fake, line: &str) -> Result<(Ended, String), CampaignError> {
    let words = std::iter::once("campaign").chain(line.split(' ')).chain(["--url", &fake.url]);
    let Line { action, place } = Line::try_parse_from(words).unwrap();
    let heard = Heard::default();
    let ended = run(action, &place, &heard).await?;
    Ok((ended, heard.text()))
}

fn parse(line: &str) -> Result<Line, clap::error::ErrorKind> {
    Line::try_parse_from(std::iter::once("campaign").chain(line.split(' ')))
        .map_err(|error| error.kind())
}

fn counts(success: u64, failed: u64, pending: u64) -> Value {
    json!({ "rows": success + failed + pending, "pending": pending, "processing": 0,
        "success": success, "failed": failed, "reversed": 0, "shortfall": 0 })
}

/// A campaign that was sealed.
fn sealed(state: &str) -> Value {
    let terms = json!({ "name": "October", "default_amount": 1_000 });
    let mut shown = campaign(ID, &terms);
    shown["state"] = json!(state);
    shown["sealed"] = json!({ "rows": 1_234, "amount": 1_234_000, "duplicates": 1, "refused": 2,
        "content_hash": "ab".repeat(32), "eta_s": 4_000, "cost": 3_317, "warnings":
        [{ "code": "rows_refused", "detail": "2 rows were refused and are left out." }] });
    shown["counts"] = counts(0, 0, 1_234);
    shown["amounts"] = counts(0, 0, 1_234_000);
    shown
}

async fn with_campaign(shown: Value) -> Fake {
    let fake = Fake::start().await;
    fake.with(|world| world.campaigns.insert(ID.to_owned(), shown));
    fake
}

#[tokio::test]
async fn a_campaign_is_shown_in_full() {
    let fake = with_campaign(sealed("WAITING")).await;
    let (_, said) = ran(&fake, &format!("show {ID}")).await.unwrap();
    insta::assert_snapshot!(said, @r"
    campaign    01ARZ3NDEKTSV4RRFFQ69G5FAV
    name        October
    state       WAITING: not started
    creator     ann
    created     2026-01-31T09:00:00.000Z
    reason      each row has its own
    amount      1,000
    duplicates  first
    priority    0
    approvals   0
    parts       0: 0 rows, 0 refused

    sealed      October
    rows        1,234
    amount      1,234,000
    refused     2
    duplicates  1 (first)
    time        1 h 6 min at the limit of the money service
    cost        about $0.01 for the writes at AWS
    hash        abababababababababababababababababababababababababababababababab
    warning     2 rows were refused and are left out.

               count     amount
      rows     1,234  1,234,000
      success      0          0
      failed       0          0
      pending  1,234  1,234,000
    ");
    let (_, said) = ran(&fake, &format!("show {ID} --json")).await.unwrap();
    let json: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(json["a_field_of_a_later_version"], true);
}

#[tokio::test]
async fn campaigns_are_listed_page_by_page() {
    let fake = Fake::start().await;
    let page = |shown: Value, next: Value| json!({ "campaigns": [shown], "next_cursor": next });
    fake.with(|world| {
        let draft = campaign("01ARZ3NDEKTSV4RRFFQ69G5FAW", &json!({ "name": "추석 보상" }));
        world.pages.insert("GET ".to_owned(), page(draft, json!("two")));
        world.pages.insert("GET ?cursor=two".to_owned(), page(sealed("RUNNING"), Value::Null));
    });
    let (_, said) = ran(&fake, "list").await.unwrap();
    insta::assert_snapshot!(said, @r"
    campaign                    state    created                   name        rows     amount
    01ARZ3NDEKTSV4RRFFQ69G5FAW  DRAFT    2026-01-31T09:00:00.000Z  추석 보상      –          –
    01ARZ3NDEKTSV4RRFFQ69G5FAV  RUNNING  2026-01-31T09:00:00.000Z  October    1,234  1,234,000
    ");
    let (_, said) = ran(&fake, "list --limit 1 --json").await.unwrap();
    let json: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(json["campaigns"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn rows_are_shown_by_where_they_stand_and_one_by_its_member() {
    let fake = Fake::start().await;
    let failed = json!({ "member_id": "user-7", "amount": 2_500, "reason": "why",
        "status": "FAILED", "attempts": 3, "failure": "limit" });
    let path = format!("GET /{ID}/rows?status=FAILED");
    fake.with(|world| {
        let page = json!({ "rows": [failed, failed] });
        world.pages.insert(path, page);
        world.pages.insert(format!("GET /{ID}/rows/user-7"), failed);
    });
    let (_, said) = ran(&fake, &format!("rows {ID} --status failed --limit 1")).await.unwrap();
    insta::assert_snapshot!(said, @r"
    member  status  reason  failure  amount  attempts
    user-7  FAILED  why     limit     2,500         3
    and more: --limit shows them
    ");
    let (_, said) = ran(&fake, &format!("row {ID} user-7")).await.unwrap();
    insta::assert_snapshot!(said, @r"
    member    user-7
    amount    2,500
    reason    why
    status    FAILED
    attempts  3
    failure   limit
    ");
    let error = ran(&fake, &format!("row {ID} user-8")).await.unwrap_err();
    let told =
        format!("GET /campaigns/{ID}/rows/user-8 was answered 404: ERR005: Refused: Not so.");
    assert_eq!(error.to_string(), told);
}

#[tokio::test]
async fn an_action_names_the_hash_and_says_where_the_campaign_stands() {
    let fake = with_campaign(sealed("WAITING")).await;
    let hash = "ab".repeat(32);
    let (ended, said) = ran(&fake, &format!("start {ID} --hash {hash}")).await.unwrap();
    assert_eq!(ended, Ended::Done);
    assert_eq!(said, "WAITING: starts when the campaigns before it have ended");
    assert_eq!(fake.taken("POST"), [format!("/{ID}/start")]);
    for line in ["stop ID --memo enough", "retry ID", "rollback ID --memo enough"] {
        ran(&fake, &line.replace("ID", ID)).await.unwrap();
    }
    let taken = fake.taken("POST");
    assert_eq!(taken, ["stop", "retry", "rollback"].map(|action| format!("/{ID}/{action}")));
}

#[tokio::test]
async fn a_campaign_is_watched_to_its_end_and_failed_rows_are_an_exit_code() {
    let fake = with_campaign(sealed("WAITING")).await;
    let amounts = counts(1_200_000, 34_000, 0);
    let end = |failed: u64| {
        json!({ "state": "COMPLETED", "queued": null, "counts": counts(1_234 - failed, failed, 0),
            "amounts": amounts })
    };
    let course = [
        json!({ "queued": { "forced": false } }),
        json!({ "state": "RUNNING", "queued": null, "counts": counts(500, 1, 733) }),
        json!({ "counts": counts(900, 2, 332) }),
        end(34),
    ];
    fake.with(|world| world.course.extend(course));
    let (ended, said) = ran(&fake, &format!("watch {ID}")).await.unwrap();
    assert_eq!(ended, Ended::Left);
    insta::assert_snapshot!(said, @r"
    WAITING: starts when the campaigns before it have ended
    RUNNING
    COMPLETED: October
               count     amount
      rows     1,234  1,234,000
      success  1,200  1,200,000
      failed      34     34,000
    the failed rows:
      largesse campaign failures 01ARZ3NDEKTSV4RRFFQ69G5FAV --csv FILE
    pay them again:
      largesse campaign retry 01ARZ3NDEKTSV4RRFFQ69G5FAV --watch
    ");
    fake.with(|world| world.course.push_back(end(0)));
    let (ended, _) = ran(&fake, &format!("watch {ID}")).await.unwrap();
    assert_eq!(ended, Ended::Done);
    for (state, expected) in [("STOPPED", Ended::Left), ("FAILED", Ended::Left)] {
        fake.with(|world| world.course.push_back(json!({ "state": state })));
        assert_eq!(ran(&fake, &format!("watch {ID}")).await.unwrap().0, expected);
    }
    fake.with(|world| world.course.push_back(json!({ "state": "DRAFT" })));
    let error = ran(&fake, &format!("watch {ID}")).await.unwrap_err();
    assert!(matches!(error, CampaignError::NothingRuns("DRAFT")), "{error}");
}

#[tokio::test]
async fn a_payment_that_was_not_taken_back_is_shown_with_what_is_missing() {
    let fake = Fake::start().await;
    let row = json!({ "member_id": "user-7", "amount": 2_500, "reason": "why",
        "status": "SHORTFALL", "attempts": 0, "missing": 1_200 });
    fake.with(|world| world.pages.insert(format!("GET /{ID}/rows/user-7"), row));
    let (_, said) = ran(&fake, &format!("row {ID} user-7")).await.unwrap();
    assert!(said.ends_with("\nmissing   1,200"), "{said}");
}

#[tokio::test]
async fn a_campaign_that_waits_says_for_what() {
    let fake = with_campaign(sealed("WAITING")).await;
    let mut waits = sealed("WAITING");
    waits["terms"]["approvals"] = json!(1);
    let next =
        json!({ "state": "COMPLETED", "counts": counts(1, 0, 0), "amounts": counts(1, 0, 0) });
    fake.with(|world| world.course.extend([json!({}), next.clone()]));
    let (_, said) = ran(&fake, &format!("watch {ID}")).await.unwrap();
    assert!(said.starts_with("WAITING: not started\n"), "{said}");
    let fake = with_campaign(waits).await;
    fake.with(|world| world.course.extend([json!({}), next]));
    let (_, said) = ran(&fake, &format!("watch {ID}")).await.unwrap();
    assert!(said.starts_with("WAITING: needs an approval\n"), "{said}");
}

#[tokio::test]
async fn a_rollback_without_its_shortfall_is_done_and_with_one_something_is_left() {
    let fake = with_campaign(sealed("ROLLING_BACK")).await;
    for (short, expected) in [(0, Ended::Done), (1, Ended::Left)] {
        let mut all = counts(0, 0, 0);
        all["shortfall"] = json!(short);
        let end = json!({ "state": "ROLLED_BACK", "counts": all, "amounts": all });
        fake.with(|world| world.course.push_back(end));
        let (ended, said) = ran(&fake, &format!("watch {ID}")).await.unwrap();
        assert_eq!(ended, expected);
        let where_they_are = format!("largesse campaign rows {ID} --status SHORTFALL");
        assert_eq!(said.contains(&where_they_are), short > 0, "{said}");
    }
}

#[test]
fn a_dry_run_says_what_a_rollback_could_not_take_back() {
    let shortfall = |rows, sampled| json!({ "rows": rows, "amount": rows * 10, "missing": rows * 9, "sampled_rows": sampled });
    let cases = [
        (shortfall(0, 1_234), "none"),
        (shortfall(3, 1_234), "3 of them, with an amount of 30: their wallets lack 27"),
        (
            shortfall(1_000, 617),
            "about 1,000 of them, with an amount of 10,000: their wallets lack 9,000 (estimated \
             from 617 wallets)",
        ),
        (Value::Null, "not known: they are elsewhere"),
    ];
    for (shortfall, expected) in cases {
        let why = shortfall.is_null().then_some("they are elsewhere");
        let preview = json!({
            "rows": 1_234, "amount": 12_340, "shortfall": shortfall, "shortfall_unknown": why,
        });
        let preview = serde_json::from_value(preview).unwrap();
        let lines = format!("payments   1,234\namount     12,340\nshortfall  {expected}");
        assert_eq!(text::would(&preview), format!("{lines}\nnothing has changed"));
    }
}

#[tokio::test]
async fn a_csv_is_saved_whole_or_not_at_all() {
    let (fake, folder) = (Fake::start().await, Folder::new());
    let text = "\u{feff}member_id,amount,reason,failure\r\nuser-7,5,why,limit\r\n";
    fake.with(|world| world.csv = (text, false));
    let file = folder.0.join("failures.csv");
    let line = format!("failures {ID} --csv {}", file.display());
    let (_, said) = ran(&fake, &line).await.unwrap();
    assert_eq!(said, format!("{}: 1 rows", file.display()));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    let behind = "\u{feff}member_id,amount,reason,failure\r\nuser-8,5,why,limit\r\n";
    fake.with(|world| world.csv_behind = Some(behind));
    let (_, said) = ran(&fake, &line).await.unwrap();
    assert_eq!(said, format!("{}: 2 rows", file.display()));
    let both = format!("{text}user-8,5,why,limit\r\n");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), both);
    std::fs::remove_file(&file).unwrap();
    fake.with(|world| world.csv.1 = true);
    let error = ran(&fake, &line.replace("failures ", "duplicates ")).await.unwrap_err();
    assert!(matches!(error, CampaignError::NoAnswer { .. }), "{error}");
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 0);
}

#[tokio::test]
async fn an_audit_that_was_changed_or_cut_off_is_found() {
    let fake = with_campaign(sealed("STOPPED")).await;
    fake.with(|world| ["create", "seal", "sealed", "stop"].map(|action| world.write(action)));
    let (_, said) = ran(&fake, &format!("audit {ID}")).await.unwrap();
    insta::assert_snapshot!(said, @r"
    entry  at                        by   action  details
    1      1970-01-01T00:00:00.000Z  ann  create  memo=because
    2      1970-01-01T00:00:01.000Z  ann  seal    memo=because
    3      1970-01-01T00:00:02.000Z  ann  sealed  memo=because
    4      1970-01-01T00:00:03.000Z  ann  stop    memo=because
    ");
    let (api, heard) = (fake.api(), Heard::default());
    let id = ID.parse().unwrap();
    assert_eq!(verify::audit(&api, &heard, id).await.unwrap(), Ended::Done);
    assert_eq!(heard.text(), format!("the audit of {ID} is as it was written: 4 entries"));
    // An entry that came after the head was read is no break.
    let head = fake.with(|world| {
        let head = world.campaigns[ID]["audit"].clone();
        world.write("start");
        std::mem::replace(&mut world.campaigns.get_mut(ID).unwrap()["audit"], head)
    });
    assert_eq!(verify::audit(&api, &heard, id).await.unwrap(), Ended::Done);
    fake.with(|world| world.campaigns.get_mut(ID).unwrap()["audit"] = head);
    let last = fake.with(|world| world.audit.pop()).unwrap();
    let error = verify::audit(&api, &heard, id).await.unwrap_err();
    assert!(matches!(error, CampaignError::AuditBroken(AuditBroken { seq: 5, .. })), "{error}");
    fake.with(|world| {
        world.audit.push(last);
        world.audit[1].details.clear();
    });
    let error = verify::audit(&api, &heard, id).await.unwrap_err();
    assert!(matches!(error, CampaignError::AuditBroken(AuditBroken { seq: 2, .. })), "{error}");
}

#[test]
fn a_load_has_a_name_or_an_id_and_not_both() {
    use clap::error::ErrorKind;
    assert!(parse("load a.csv --name October").is_ok());
    assert!(parse(&format!("load a.csv --id {ID}")).is_ok());
    let cases = [
        ("load a.csv", ErrorKind::MissingRequiredArgument),
        ("load a.csv --name a --id 01ARZ3NDEKTSV4RRFFQ69G5FAV", ErrorKind::ArgumentConflict),
        ("load a.csv --name a --watch", ErrorKind::MissingRequiredArgument),
        ("load a.csv --name a --amount 0", ErrorKind::ValueValidation),
        ("load a.csv --name a --starts-at tomorrow", ErrorKind::ValueValidation),
        ("load a.csv --name a --duplicates last", ErrorKind::ValueValidation),
        ("list --url ftp://a", ErrorKind::ValueValidation),
        ("list --limit 0", ErrorKind::ValueValidation),
        ("start 01ARZ3NDEKTSV4RRFFQ69G5FAV", ErrorKind::MissingRequiredArgument),
        ("stop 01ARZ3NDEKTSV4RRFFQ69G5FAV", ErrorKind::MissingRequiredArgument),
        ("show not-an-id", ErrorKind::ValueValidation),
    ];
    for (line, kind) in cases {
        assert_eq!(parse(line).unwrap_err(), kind, "{line}");
    }
}

#[tokio::test]
async fn a_start_before_the_approval_is_wrong_use() {
    let fake = Fake::start().await;
    let error = ran(&fake, "load a.csv --name a --approvals 1 --start").await.unwrap_err();
    assert!(error.is_wrong_use(), "{error}");
}

#[tokio::test]
async fn a_file_is_generated_and_its_options_must_fit() {
    let (fake, folder) = (Fake::start().await, Folder::new());
    let file = folder.0.join("rows.csv");
    let line = format!("generate --rows 5 --bad-rows 1 -o {}", file.display());
    let (_, said) = ran(&fake, &line).await.unwrap();
    assert_eq!(said, format!("{}: 5 rows", file.display()));
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 6);
    let error = ran(&fake, &line.replace("--bad-rows 1", "--bad-rows 5")).await.unwrap_err();
    assert!(error.is_wrong_use());
    assert_eq!(fake.taken("").len(), 0);
}
