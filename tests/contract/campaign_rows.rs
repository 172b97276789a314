//! The rows of campaigns: uploaded, staged, sealed in chunks, and read back.

mod function;
mod seals;
mod seals_broken;
mod store;
mod uploads;

use largesse_app::campaign::create::{CreateCampaign, create};
use largesse_app::campaign::duplicates::DuplicateList;
use largesse_app::campaign::seal::{PASS_CHUNKS, SealProgress, SealRun, run};
use largesse_app::campaign::upload::{UploadError, UploadPart, Uploaded, upload};
use largesse_app::campaign::{act, read};
use largesse_app::ports::{CampaignRows, Campaigns, ChunkSet, Clock};
use largesse_aws::Store;
use largesse_domain::campaign::{
    Approvals, Campaign, CampaignName, ChunkNumber, Duplicate, Duplicates, PartNumber, Priority,
    Row, Terms,
};
use largesse_domain::id::CampaignId;
use largesse_domain::ledger::Memo;
use largesse_input::Format;
use largesse_tests::{Sandbox, user};

/// The terms of a campaign with that policy.
fn terms(duplicates: Duplicates) -> Terms {
    Terms {
        name: CampaignName::new("Chuseok").unwrap(),
        default_reason: Memo::new("bonus").unwrap(),
        default_amount: None,
        starts_at: None,
        priority: Priority::default(),
        duplicates,
        approvals: Approvals::Zero,
    }
}

/// A campaign that takes parts.
pub(crate) async fn draft(sandbox: &Sandbox, duplicates: Duplicates) -> CampaignId {
    let id = CampaignId(sandbox.id());
    let request = CreateCampaign { id, creator: user("ann"), terms: terms(duplicates) };
    create(&*sandbox.store, request).await.unwrap();
    id
}

fn number(number: u32) -> PartNumber {
    PartNumber::new(number).unwrap()
}

/// A file of members and amounts.
fn csv<'a>(rows: impl IntoIterator<Item = (&'a str, u64)>) -> String {
    let row = |(member, amount): (&str, u64)| format!("{member},{amount}\n");
    std::iter::once("member_id,amount\n".to_owned()).chain(rows.into_iter().map(row)).collect()
}

/// A file of many members, `m{from}` and on, each with an amount of its own.
pub(crate) fn members(from: usize, count: usize) -> String {
    let row = |n: usize| format!("m{n},{}\n", n % 1_000 + 1);
    let rows = (from..from + count).map(row);
    std::iter::once("member_id,amount\n".to_owned()).chain(rows).collect()
}

/// Uploads a part by that process.
async fn put_by(
    store: &Store,
    id: CampaignId,
    part: u32,
    body: &str,
) -> Result<Uploaded, UploadError> {
    let (by, body) = (user("ann"), body.as_bytes());
    let number = number(part);
    upload(store, UploadPart { campaign: id, by: &by, number, format: Format::Csv, body }).await
}

/// Uploads a part that must be accepted.
pub(crate) async fn put(sandbox: &Sandbox, id: CampaignId, part: u32, body: &str) -> Uploaded {
    put_by(&sandbox.store, id, part, body).await.unwrap()
}

pub(crate) async fn campaign(sandbox: &Sandbox, id: CampaignId) -> Campaign {
    sandbox.store.campaign(id).await.unwrap().unwrap().value
}

/// Begins a seal; gives its number.
pub(crate) async fn begin_seal(sandbox: &Sandbox, id: CampaignId) -> u32 {
    let acted = act::seal(&*sandbox.store, id, &user("ann")).await.unwrap();
    acted.campaign.life.seal_attempt
}

/// A run with all the time it needs.
fn run_of(store: &Store, campaign: CampaignId, attempt: u32, pass_chunks: u32) -> SealRun {
    SealRun { campaign, attempt, pass_chunks, stop_at: store.now().plus_ms(3_600_000) }
}

/// Seals in one run, in passes of so many chunks.
pub(crate) async fn seal_in(sandbox: &Sandbox, id: CampaignId, pass_chunks: u32) -> SealProgress {
    let attempt = begin_seal(sandbox, id).await;
    let run_of = run_of(&sandbox.store, id, attempt, pass_chunks);
    run(&*sandbox.store, &run_of).await.unwrap()
}

/// Seals a campaign that must be sealed.
pub(crate) async fn seal(sandbox: &Sandbox, id: CampaignId) -> Campaign {
    let progress = seal_in(sandbox, id, PASS_CHUNKS).await;
    assert!(matches!(progress, SealProgress::Sealed(_)), "{progress:?}");
    campaign(sandbox, id).await
}

/// All rows of a sealed campaign, chunk by chunk. Each lies in the chunk of its member.
async fn sealed_rows(sandbox: &Sandbox, sealed: &Campaign) -> Vec<Row> {
    let (set, layout) = (ChunkSet::of(sealed).unwrap(), sealed.seal.unwrap().layout);
    let mut all = Vec::new();
    for chunk in (0..layout.chunks()).map(ChunkNumber) {
        let rows = sandbox.store.chunk(&set, chunk).await.unwrap().unwrap();
        assert!(rows.iter().all(|row| layout.chunk(&row.member) == chunk));
        assert!(rows.is_sorted_by(|a, b| a.member < b.member));
        all.extend(rows);
    }
    let pending = read::show(&*sandbox.store, sealed.id).await.unwrap().unwrap().counts.unwrap();
    let amount: u64 = all.iter().map(|row| row.amount.get()).sum();
    let rows = u64::try_from(all.len()).unwrap();
    assert_eq!((pending.tally.pending.rows, pending.tally.pending.amount), (rows, amount));
    all
}

/// All duplicates of a sealed campaign, read in pages of that size.
async fn listed(sandbox: &Sandbox, sealed: &Campaign, limit: u32) -> Vec<Duplicate> {
    let list = DuplicateList::of(&*sandbox.store, sealed).await.unwrap().unwrap();
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let mut page = list.page(&*sandbox.store, after, limit).await.unwrap();
        assert!(page.rows.len() <= usize::try_from(limit).unwrap());
        all.append(&mut page.rows);
        after = page.next;
        if after.is_none() {
            assert!(all.is_sorted_by(|a, b| a.place < b.place));
            return all;
        }
    }
}

/// What a duplicate is, for a comparison: part, line, member, and the first row's part and line.
fn shown(duplicate: &Duplicate) -> (u32, u64, String, u32, u64) {
    let Duplicate { place, row, first } = duplicate;
    let (part, first_part) = (place.part.get(), first.part.get());
    (part, place.line, row.member.to_string(), first_part, first.line)
}
