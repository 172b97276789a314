//! Parts are uploaded: each once, whole or not at all.

use std::sync::Arc;

use largesse_app::campaign::read;
use largesse_app::campaign::upload::{PART_ROWS_MAX, UploadError};
use largesse_app::ports::{CampaignRows, Campaigns, Upload};
use largesse_domain::campaign::{Duplicates, Hash, PartRefused, Parts, Refused, State};
use largesse_emulator::Service;
use largesse_input::Code;
use largesse_tests::Sandbox;
use largesse_tests::kill::kill_at;

use super::{begin_seal, campaign, csv, draft, members, number, put, put_by, seal, sealed_rows};

#[tokio::test(start_paused = true)]
async fn the_same_part_twice_is_one_part_with_one_answer() {
    let sandbox = Sandbox::new(1);
    let id = draft(&sandbox, Duplicates::First).await;
    let body = csv([("a", 5), ("b", 7)]) + "c,0\n\nd,1E+05\n";
    let first = put(&sandbox, id, 1, &body).await;
    assert!(!first.replayed);
    let report = &first.report;
    assert_eq!((report.rows, report.accepted, report.refused, report.blank), (4, 2, 2, 1));
    let codes: Vec<_> = report.problems.iter().map(|p| (p.line, p.code)).collect();
    assert_eq!(codes, [(4, Code::AmountZero), (6, Code::AmountScientific)]);
    sandbox.world.recorder().reset();
    let again = put(&sandbox, id, 1, &body).await;
    assert_eq!((again.part, &again.report, again.replayed), (first.part, report, true));
    let writes = sandbox.world.recorder().operation(Service::DynamoDb, "BatchWriteItem").calls;
    assert_eq!(writes, 0, "a repeat writes nothing");
    let parts = campaign(&sandbox, id).await.parts;
    assert_eq!(parts, Parts { count: 1, rows: 2, refused: 2, amount: 12 });
    // After the seal the first answer is still known, and nothing is added.
    seal(&sandbox, id).await;
    assert!(put(&sandbox, id, 1, &body).await.replayed);
    let other = put_by(&sandbox.store, id, 2, &csv([("z", 1)])).await;
    let Err(UploadError::Refused(Refused::State(State::Waiting))) = other else {
        panic!("{other:?}")
    };
}

#[tokio::test(start_paused = true)]
async fn another_content_under_a_number_is_refused() {
    let sandbox = Sandbox::new(2);
    let id = draft(&sandbox, Duplicates::First).await;
    let first = put(&sandbox, id, 1, &csv([("a", 5)])).await;
    let other = put_by(&sandbox.store, id, 1, &csv([("a", 6)])).await;
    let Err(UploadError::Part(PartRefused::OtherContent(earlier))) = other else {
        panic!("{other:?}")
    };
    assert_eq!(earlier, first.part);
    let sealed = seal(&sandbox, id).await;
    assert_eq!(sealed_rows(&sandbox, &sealed).await[0].amount.get(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_was_cut_off_leaves_nothing() {
    let sandbox = Sandbox::new(3);
    let id = draft(&sandbox, Duplicates::First).await;
    let body = members(0, 2_000) + "x,5,\"";
    sandbox.world.recorder().reset();
    // The quote is not closed, an unknown column, CP949, nothing at all.
    let cases: [(&[u8], Code); 4] = [
        (b"member_id,amount,reason\na,5,x\nb,6,\"cut", Code::QuoteUnclosed),
        (b"member_id,amount,note\na,5,x\n", Code::ColumnUnknown),
        (b"member_id,amount,reason\na,5,\xc3\xe2\xbc\xae\n", Code::EncodingCp949),
        (b"member_id,amount\n", Code::RowsNone),
    ];
    for (body, code) in cases {
        use largesse_app::campaign::upload::{UploadPart, upload};
        let by = largesse_tests::user("ann");
        let format = largesse_input::Format::Csv;
        let request = UploadPart { campaign: id, by: &by, number: number(1), format, body };
        let refused = upload(&*sandbox.store, request).await.unwrap_err();
        let UploadError::File(report) = refused else { panic!("{refused}") };
        assert_eq!(report.problems.last().unwrap().code, code);
    }
    assert!(put_by(&sandbox.store, id, 1, &body).await.is_err());
    let writes = sandbox.world.recorder().operation(Service::DynamoDb, "BatchWriteItem").calls;
    assert_eq!(writes, 0);
    assert_eq!(campaign(&sandbox, id).await.parts, Parts::default());
    // The number is free.
    assert!(!put(&sandbox, id, 1, &members(0, 2_000)).await.replayed);
}

#[tokio::test(start_paused = true)]
async fn a_part_of_more_rows_than_one_may_have_is_refused_whole() {
    let sandbox = Sandbox::new(4);
    let id = draft(&sandbox, Duplicates::First).await;
    let rows = usize::try_from(PART_ROWS_MAX).unwrap() + 1;
    let body = "member_id,amount\n".to_owned() + &"a,1\n".repeat(rows);
    let refused = put_by(&sandbox.store, id, 1, &body).await.unwrap_err();
    let UploadError::File(report) = refused else { panic!("{refused}") };
    assert_eq!(report.problems.last().unwrap().code, Code::RowsTooMany);
}

#[tokio::test(start_paused = true)]
async fn sixteen_parts_at_once_all_count() {
    let sandbox = Sandbox::new(5);
    let id = draft(&sandbox, Duplicates::First).await;
    let uploads = (1..=16).map(|part| {
        let store = sandbox.another_process(100 + u64::from(part));
        async move {
            let body = members(usize::try_from(part).unwrap() * 100, 50);
            // A caller tries again when others were always faster.
            loop {
                match put_by(&store, id, part, &body).await {
                    Err(UploadError::Busy) => {}
                    other => return other,
                }
            }
        }
    });
    for uploaded in futures::future::join_all(uploads).await {
        assert!(!uploaded.unwrap().replayed);
    }
    let parts = campaign(&sandbox, id).await.parts;
    assert_eq!((parts.count, parts.rows), (16, 800));
    let sealed = seal(&sandbox, id).await;
    assert_eq!(sealed_rows(&sandbox, &sealed).await.len(), 800);
}

#[tokio::test(start_paused = true)]
async fn one_part_uploaded_by_many_at_once_is_one_part() {
    let sandbox = Sandbox::new(6);
    let id = draft(&sandbox, Duplicates::First).await;
    let body = csv([("a", 5), ("b", 0)]);
    let stores: Vec<Arc<_>> = (0..8).map(|n| sandbox.another_process(100 + n)).collect();
    let uploads = stores.iter().map(|store| put_by(store, id, 1, &body));
    let done = futures::future::join_all(uploads).await;
    let done: Vec<_> = done.into_iter().map(Result::unwrap).collect();
    assert!(done.iter().all(|uploaded| uploaded.report == done[0].report));
    assert_eq!(campaign(&sandbox, id).await.parts.count, 1);
    let audit = read::audit(&*sandbox.store, id, 0, 100).await.unwrap().unwrap().rows;
    let actions: Vec<_> = audit.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["create", "part"]);
}

#[tokio::test(start_paused = true)]
async fn an_upload_killed_at_any_call_is_finished_by_its_repeat() {
    let (mut without, mut with) = (0, 0);
    for wait in 1..500 {
        let sandbox = Sandbox::new(7);
        let id = draft(&sandbox, Duplicates::First).await;
        let body = csv([("a", 5), ("b", 7)]) + "c,0\n";
        let killed = kill_at(wait, put_by(&sandbox.store, id, 1, &body)).await.is_none();
        let was_added = sandbox.store.part(id, number(1)).await.unwrap().is_some();
        let repeat = put(&sandbox, id, 1, &body).await;
        assert_eq!(repeat.replayed, was_added, "wait {wait}");
        assert_eq!(repeat.report.problems.len(), 1);
        let parts = campaign(&sandbox, id).await.parts;
        assert_eq!(parts, Parts { count: 1, rows: 2, refused: 1, amount: 12 });
        match (killed, was_added) {
            (true, false) => without += 1,
            (true, true) => with += 1,
            (false, _) => {
                assert!(without > 0 && with > 0, "{without} before the write, {with} after it");
                return;
            }
        }
    }
    panic!("an upload ends");
}

#[tokio::test(start_paused = true)]
async fn an_upload_to_no_campaign_or_to_one_that_is_sealed_is_refused_before_it_is_read() {
    let sandbox = Sandbox::new(8);
    let nowhere = largesse_domain::id::CampaignId(sandbox.id());
    let body = csv([("a", 5)]);
    let refused = put_by(&sandbox.store, nowhere, 1, &body).await;
    assert!(matches!(refused, Err(UploadError::NotFound)), "{refused:?}");
    let id = draft(&sandbox, Duplicates::First).await;
    put(&sandbox, id, 1, &body).await;
    begin_seal(&sandbox, id).await;
    // Not even its header is read.
    let refused = put_by(&sandbox.store, id, 2, "nonsense").await;
    let Err(UploadError::Refused(Refused::State(State::Sealing))) = refused else {
        panic!("{refused:?}")
    };
    let upload = Upload { campaign: id, number: number(2), hash: Hash::of(b"nonsense") };
    assert_eq!(sandbox.store.part_report(&upload).await.unwrap(), None);
}
