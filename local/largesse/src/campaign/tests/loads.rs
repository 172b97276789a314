use serde_json::{Value, json};

use super::fake::{Fake, Fault, ID, campaign};
use super::*;
use crate::campaign::csv::Source;
use crate::campaign::lines::FileLines;
use crate::campaign::load::{Into, Load, load};
use crate::campaign::state::{self, Receipt};

/// Rows of a file; each part has three.
const ROWS: u32 = 10;

fn rows(count: u32) -> String {
    let row = |n| format!("user-{n},{n},why\n");
    (1..=count).fold("member_id,amount,reason\n".to_owned(), |text, n| text + &row(n))
}

fn terms() -> Value {
    json!({ "name": "October", "default_reason": "" })
}

/// A load of a file in parts of three rows: the receipt says how it is split.
fn small_load(fake: &Fake, folder: &Folder, text: impl AsRef<[u8]>) -> Load {
    let file = folder.file("rows.csv", text);
    let receipt = state::beside(&file);
    if !receipt.exists() {
        let url = fake.url.clone();
        let key = "the-key".to_owned();
        let first =
            Receipt { url, key, terms: terms(), part_bytes: 999, part_rows: 3, campaign_id: None };
        state::write(&receipt, &first).unwrap();
    }
    let into = Into::New { terms: terms(), receipt };
    Load { file, into, start: false, accept_refused: false, accept_same: false, watch: false }
}

async fn done(fake: &Fake, wanted: &Load) -> Result<(Ended, String), CampaignError> {
    let heard = Heard::default();
    let ended = load(&fake.api(), &heard, wanted).await?;
    Ok((ended, heard.text()))
}

#[tokio::test]
async fn a_file_is_uploaded_in_parts_sealed_and_started() {
    let (fake, folder) = (Fake::start().await, Folder::new());
    let wanted = Load { start: true, ..small_load(&fake, &folder, rows(ROWS)) };
    let (ended, said) = done(&fake, &wanted).await.unwrap();
    assert_eq!(ended, Ended::Done);
    let said = said.replace(&folder.0.display().to_string(), "FOLDER");
    insta::assert_snapshot!(said, @r"
    FOLDER/rows.csv: 10 rows, 0 refused
    campaign 01ARZ3NDEKTSV4RRFFQ69G5FAV
    4 parts
    sealed      October
    rows        10
    amount      55
    refused     0
    duplicates  0 (first)
    time        1 min 15 s at the limit of the money service
    cost        about $0.01 for the writes at AWS
    hash        ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73
    started
    ");
    let mut puts = fake.taken("PUT");
    puts.sort();
    assert_eq!(puts, [1, 2, 3, 4].map(|part| format!("/{ID}/parts/{part}")));
    let parts = fake.with(|world| world.parts.clone());
    assert_eq!(parts[&1], "member_id,amount,reason\nuser-1,1,why\nuser-2,2,why\nuser-3,3,why\n");
    assert_eq!(parts[&4], "member_id,amount,reason\nuser-10,10,why\n");
}

#[tokio::test]
async fn a_load_that_was_cut_off_sends_only_what_is_missing() {
    let (fake, folder) = (Fake::start().await, Folder::new());
    let wanted = small_load(&fake, &folder, rows(ROWS));
    // Part 3 is refused as often as it is sent.
    let third = "PUT /01ARZ3NDEKTSV4RRFFQ69G5FAV/parts/3";
    fake.with(|world| world.faults.extend([(third, Fault::Busy); 3]));
    let error = done(&fake, &wanted).await.unwrap_err();
    assert!(matches!(error, CampaignError::Refused { status: 503, .. }), "{error}");
    let there = fake.with(|world| world.parts.keys().copied().collect::<Vec<u32>>());
    fake.taken("PUT");
    assert!(!there.contains(&3));
    let (ended, said) = done(&fake, &wanted).await.unwrap();
    assert_eq!(ended, Ended::Done);
    let missing: Vec<u32> = (1..=4).filter(|part| !there.contains(part)).collect();
    let mut puts = fake.taken("PUT");
    puts.sort();
    let expected: Vec<String> = missing.iter().map(|p| format!("/{ID}/parts/{p}")).collect();
    assert_eq!(puts, expected);
    assert!(said.contains(&format!("4 parts, {} of them were there before", there.len())));
    assert!(said.contains("rows        10"), "{said}");
}

#[tokio::test]
async fn a_load_whose_first_answer_was_lost_makes_no_second_campaign() {
    let (fake, folder) = (Fake::start().await, Folder::new());
    let wanted = small_load(&fake, &folder, rows(ROWS));
    fake.with(|world| world.faults.extend([("POST ", Fault::Lost); 3]));
    let error = done(&fake, &wanted).await.unwrap_err();
    assert!(matches!(error, CampaignError::Refused { status: 500, .. }), "{error}");
    done(&fake, &wanted).await.unwrap();
    assert_eq!(fake.with(|world| world.campaigns.len()), 1);
}

#[tokio::test]
async fn a_load_that_is_repeated_after_its_end_sends_nothing() {
    let (fake, folder) = (Fake::start().await, Folder::new());
    let wanted = Load { start: true, ..small_load(&fake, &folder, rows(ROWS)) };
    done(&fake, &wanted).await.unwrap();
    fake.taken("");
    let (ended, said) = done(&fake, &wanted).await.unwrap();
    assert_eq!(ended, Ended::Done);
    assert!(said.contains("4 parts, 4 of them were there before"), "{said}");
    let log = fake.with(|world| std::mem::take(&mut world.log));
    assert!(log.iter().all(|line| line.starts_with("GET ")), "{log:?}");
}

#[tokio::test]
async fn loads_of_a_file_that_begin_at_once_make_one_campaign() {
    let (fake, folder) = (Fake::start().await, Folder::new());
    let first = small_load(&fake, &folder, rows(ROWS));
    let receipt = state::beside(&first.file);
    let ours = state::read(&receipt).unwrap().unwrap();
    let theirs = Receipt { key: "another key".to_owned(), ..ours.clone() };
    assert_eq!(state::read_or_write(&receipt, &theirs).unwrap(), ours);
    std::fs::remove_file(&receipt).unwrap();
    let begun = std::thread::scope(|scope| {
        let begin = |n: u32| Receipt { key: format!("key {n}"), ..ours.clone() };
        let receipt = &receipt;
        let all: Vec<_> = (0..8)
            .map(|n| scope.spawn(move || state::read_or_write(receipt, &begin(n)).unwrap().key))
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect::<Vec<String>>()
    });
    let kept = state::read(&receipt).unwrap().unwrap().key;
    assert!(begun.iter().all(|key| *key == kept), "{begun:?}");
}

#[tokio::test]
async fn a_load_does_not_start_a_campaign_that_was_stopped_and_says_so() {
    let (fake, folder) = (Fake::start().await, Folder::new());
    let wanted = Load { start: true, ..small_load(&fake, &folder, rows(ROWS)) };
    done(&fake, &wanted).await.unwrap();
    let stopped = json!({ "state": "STOPPED", "queued": null });
    fake.with(|world| world.course.push_back(stopped));
    fake.taken("");
    let (ended, said) = done(&fake, &wanted).await.unwrap();
    assert_eq!(ended, Ended::Left);
    let start = format!("STOPPED; go on:\n  largesse campaign start {ID} --hash ");
    assert!(said.contains(&start), "{said}");
    assert!(fake.taken("POST").is_empty());
}

#[tokio::test]
async fn a_file_that_was_changed_is_not_loaded_on() {
    let (fake, folder) = (Fake::start().await, Folder::new());
    done(&fake, &small_load(&fake, &folder, rows(ROWS))).await.unwrap();
    let changed = rows(ROWS).replace("user-5,5", "user-5,6");
    let error = done(&fake, &small_load(&fake, &folder, changed)).await.unwrap_err();
    assert!(matches!(error, CampaignError::OtherContent { part: 2 }), "{error}");
    let error = done(&fake, &small_load(&fake, &folder, rows(6))).await.unwrap_err();
    assert!(matches!(error, CampaignError::MoreParts { part: 3 }), "{error}");
    let error = done(&fake, &small_load(&fake, &folder, rows(ROWS + 3))).await.unwrap_err();
    assert!(matches!(error, CampaignError::OtherContent { part: 4 }), "{error}");
    // A part more, behind parts that are the same.
    fake.with(|world| world.parts.remove(&4));
    let error = done(&fake, &small_load(&fake, &folder, rows(ROWS))).await.unwrap_err();
    assert!(matches!(error, CampaignError::Closed { state: "WAITING", part: 4 }), "{error}");
}

#[tokio::test]
async fn a_load_with_other_terms_is_not_taken_for_the_same() {
    let (fake, folder) = (Fake::start().await, Folder::new());
    let wanted = small_load(&fake, &folder, rows(ROWS));
    done(&fake, &wanted).await.unwrap();
    let Into::New { receipt, .. } = &wanted.into else { panic!() };
    let into = Into::New { terms: json!({ "name": "November" }), receipt: receipt.clone() };
    let error = done(&fake, &Load { into, ..wanted.clone() }).await.unwrap_err();
    assert!(matches!(error, CampaignError::OtherLoad { .. }), "{error}");
    let elsewhere = Fake::start().await;
    let error = done(&elsewhere, &wanted).await.unwrap_err();
    assert!(matches!(error, CampaignError::OtherLoad { what: "--url", .. }), "{error}");
    assert_eq!(elsewhere.taken("").len(), 0);
}

#[tokio::test]
async fn a_load_into_a_campaign_by_its_id_keeps_no_receipt() {
    let (fake, folder) = (Fake::start().await, Folder::new());
    fake.with(|world| {
        world.campaigns.insert(ID.to_owned(), campaign(ID, &terms()));
    });
    let file = folder.file("rows.txt", rows(ROWS));
    let into = Into::Campaign(ID.to_owned());
    let wanted =
        Load { file, into, start: false, accept_refused: false, accept_same: false, watch: false };
    let (_, said) = done(&fake, &wanted).await.unwrap();
    assert!(said.contains("\n1 part\n"), "{said}");
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 1);
}

#[tokio::test]
async fn a_start_without_the_refused_rows_is_an_explicit_choice() {
    let (fake, folder) = (Fake::start().await, Folder::new());
    let text = rows(ROWS) + "user-11,1E+05,\"two\nlines\"\n\n,,\nuser-12,\"1,000\",why\n";
    let wanted = Load { start: true, ..small_load(&fake, &folder, text) };
    let (ended, said) = done(&fake, &wanted).await.unwrap();
    assert_eq!(ended, Ended::Left);
    assert!(said.contains("12 rows, 2 refused"), "{said}");
    // The lines are those of the file, whatever part the row is in.
    assert!(said.contains("\n  line 12, amount: The amount is in scientific notation"), "{said}");
    assert!(said.contains("\n  line 16, amount: The amount has separators"), "{said}");
    assert!(said.contains("--accept-refused") && !said.contains("\nstarted"), "{said}");
    assert!(!fake.taken("POST").contains(&format!("/{ID}/start")));
    let (ended, said) = done(&fake, &Load { accept_refused: true, ..wanted }).await.unwrap();
    assert_eq!(ended, Ended::Done);
    assert!(said.ends_with("\nstarted"), "{said}");
    assert_eq!(fake.taken("POST"), [format!("/{ID}/start")]);
}

#[tokio::test]
async fn duplicates_of_a_file_are_named_by_its_lines() {
    let (fake, folder) = (Fake::start().await, Folder::new());
    let wanted = small_load(&fake, &folder, rows(ROWS));
    done(&fake, &wanted).await.unwrap();
    // Line 3 of part 2 is the fifth row, on line 6 of the file.
    let text = "\u{feff}member_id,amount,reason,part,line\r\nuser-5,5,\"a, b\",2,3\r\n";
    fake.with(|world| world.csv = (text, false));
    let lines = FileLines::read(&fake.api(), ID, &wanted.file).await.unwrap();
    let (out, saved) = (Heard::default(), folder.0.join("again.csv"));
    let path = format!("/campaigns/{ID}/duplicates.csv");
    let source = Source { path, lines: Some(&lines) };
    csv::fetch(&fake.api(), &out, &source, Some(&saved)).await.unwrap();
    let expected = "\u{feff}member_id,amount,reason,line\r\nuser-5,5,\"a, b\",6\r\n";
    assert_eq!(std::fs::read_to_string(&saved).unwrap(), expected);
    let unplaced = lines.translate(b"member_id,amount,reason,line\r\nkim,1,x,3\r\n");
    assert!(matches!(unplaced, Err(CampaignError::NoPlaces)));
    let changed = folder.file("rows.csv", rows(ROWS).replace("user-5,5", "user-5,6"));
    let other = FileLines::read(&fake.api(), ID, &changed).await;
    assert!(matches!(other, Err(CampaignError::OtherContent { part: 2 })));
}

#[tokio::test]
async fn a_start_of_rows_that_were_sealed_before_is_an_explicit_choice() {
    let (fake, folder) = (Fake::start().await, Folder::new());
    let same = json!({ "code": "same_rows", "detail": "The same.", "campaign_id": "another" });
    fake.with(|world| world.warnings.push(same));
    let wanted = Load { start: true, ..small_load(&fake, &folder, rows(ROWS)) };
    let (ended, said) = done(&fake, &wanted).await.unwrap();
    assert_eq!(ended, Ended::Left);
    assert!(said.contains("warning     The same. (another)"), "{said}");
    assert!(said.contains("--accept-same"), "{said}");
    assert!(!fake.taken("POST").contains(&format!("/{ID}/start")));
    let (ended, _) = done(&fake, &Load { accept_same: true, ..wanted }).await.unwrap();
    assert_eq!(ended, Ended::Done);
    assert_eq!(fake.taken("POST"), [format!("/{ID}/start")]);
}

#[tokio::test]
async fn a_seal_that_gives_up_is_told_with_its_reason() {
    let (fake, folder) = (Fake::start().await, Folder::new());
    fake.with(|world| world.seal_problem = Some("2 rows name a member again"));
    let wanted = small_load(&fake, &folder, rows(ROWS));
    let error = done(&fake, &wanted).await.unwrap_err();
    let told = error.to_string();
    assert!(
        told.starts_with("the campaign was not sealed: 2 rows name a member again\n"),
        "{told}"
    );
    assert!(told.contains("--receipt with a new place"), "{told}");
}

#[tokio::test]
async fn a_service_that_is_busy_is_asked_again() {
    let (fake, folder) = (Fake::start().await, Folder::new());
    let busy = ["POST ", "PUT ", "GET ", "POST /01ARZ3NDEKTSV4RRFFQ69G5FAV/seal"];
    fake.with(|world| world.faults.extend(busy.map(|start| (start, Fault::Busy))));
    let wanted = small_load(&fake, &folder, rows(ROWS));
    assert_eq!(done(&fake, &wanted).await.unwrap().0, Ended::Done);
    assert!(fake.with(|world| world.faults.is_empty()));
}

#[tokio::test]
async fn a_file_that_is_refused_as_a_whole_sends_nothing() {
    let (fake, folder) = (Fake::start().await, Folder::new());
    let cp949 = [b"member_id,amount,reason\na,1,".as_slice(), b"\xc3\xe2\xbc\xae\n"].concat();
    let unclosed = rows(ROWS) + "user-11,1,\"why\n";
    let cases = [
        (cp949, "line 2: The file looks like CP949"),
        (unclosed.into_bytes(), "line 12, reason: A quote is opened and not closed"),
        // Each problem of a header is told, the unknown name before the one that it leaves missing.
        (b"member_id,sum\n".to_vec(), "sent: line 1, sum: No such column"),
        (b"member_id,sum\n".to_vec(), "\n  line 1, reason: The column is not in the header"),
        (b"a;b\n".to_vec(), "sent: line 1, a;b: No such column"),
        (b"member_id,amount,reason\n".to_vec(), "The file has no rows"),
        (b"member_id,amount,reason\na,0,x\n".to_vec(), "has no row that can be paid"),
        (b"member_id,amount,reason\na,0,x\n".to_vec(), "\n  line 2, amount: The amount is zero"),
    ];
    for (text, why) in cases {
        let error = done(&fake, &small_load(&fake, &folder, text)).await.unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
    let missing = Load { file: folder.0.join("no.csv"), ..small_load(&fake, &folder, "") };
    let error = done(&fake, &missing).await.unwrap_err();
    assert!(matches!(error, CampaignError::File { .. }), "{error}");
    let stdin = Load { file: PathBuf::from("-"), ..missing };
    let error = done(&fake, &stdin).await.unwrap_err();
    assert!(error.is_wrong_use(), "{error}");
    assert_eq!(fake.taken("").len(), 0);
}

#[tokio::test]
async fn a_service_that_is_not_there_is_told_at_once_with_its_address() {
    let (fake, folder) = (Fake::start().await, Folder::new());
    // Port 9 of loopback: discard, which nothing serves.
    let away = Fake { url: "http://127.0.0.1:9".to_owned(), ..fake };
    let error = done(&away, &small_load(&away, &folder, rows(ROWS))).await.unwrap_err();
    let told = "cannot reach http://127.0.0.1:9; start `largesse up`, or name another address";
    assert!(error.to_string().starts_with(told), "{error}");
}
