//! Old transfers, from the ledger into the archive.
//!
//! Only transfers with an id below the horizon are moved. A transfer in the table is the proof of a
//! payment, so the horizon is older than everything that can still be paid.
//!
//! # Order
//! The members of many wallets go into one object, which is put and read back. A run is recorded
//! when its member is there as it was written; from then on it stands for its transfers. Then its
//! rows are removed, each compared with what the archive holds. A process that is killed leaves an
//! object to which nothing refers, or rows that are in a run: the next run removes them first.
//!
//! # Guarantees
//! * A run that is killed at any call is finished by the next; nothing is lost or counted twice:
//!   `an_archive_that_is_killed_anywhere_loses_nothing_and_is_finished_by_the_next_run`.
//! * Nothing is removed whose object is damaged, cut or missing:
//!   `nothing_is_removed_whose_object_is_not_as_it_was_written`.
//! * A row that is not in its run stays: `a_row_that_is_not_in_its_run_stays`.
//! * A key that cannot be read is passed over:
//!   `a_key_that_names_no_wallet_is_passed_over_and_counted_and_others_go_on`.
//! * A round ends at its deadline, and the next ones go on:
//!   `rounds_that_stop_at_their_deadline_finish_the_ledger_together`.

use bytes::Bytes;
use futures::StreamExt;
use futures::future::join_all;
use largesse_domain::id::{Ulid, UserId};
use largesse_domain::time::Timestamp;

use super::Stop;
pub use super::progress::{LEFT_MAX, LedgerProgress};
use crate::ports::{
    Clock, Ids, Objects, OwnerRow, PackedRun, PortError, PortErrorKind, PortResult, Segment,
    StoredRun, TransferArchive, Written,
};
use crate::reconcile::{Place, SEGMENTS};

/// How long an object may be: it is in memory twice, as it is put and as it is read back. It is
/// full when it has that many bytes, and the member that fills it may be longer.
const OBJECT_LEN_MAX: usize = 4 << 20;
/// How many members an object has at most: as many wallets are worked on between two puts.
const MEMBERS_MAX: usize = 1_000;
/// Wallets that are read, recorded or removed side by side.
const CONCURRENCY: usize = 8;

/// What a round may archive, and how long it may work.
#[derive(Clone, Copy, Debug)]
pub struct Time {
    /// Transfers with ids below go.
    pub horizon: Timestamp,
    /// Work on no other wallet begins from then on.
    pub stop_at: Timestamp,
}

impl Time {
    fn is_over(self, clock: &impl Clock) -> bool {
        clock.now() >= self.stop_at
    }
}

/// Reads the next page of each segment, and archives and removes what is below the horizon in the
/// wallets on it. `pass` names the folder of the objects. Looks at the clock between two wallets.
/// [`Stop::Deadline`]: the same pages come again in the next round, which finds done what was done.
///
/// # Errors
/// [`PortError`]: something could not be read or written now. The round may be repeated with the
/// progress as it was before; what it did is found done.
pub async fn round<D>(
    deps: &D,
    pass: Ulid,
    time: Time,
    progress: &mut LedgerProgress,
) -> PortResult<Result<(), Stop>>
where
    D: TransferArchive + Objects + Ids + Clock,
{
    // Each round finds strays and damage again, so they count when their page is done with.
    let found = (progress.strays, progress.damaged);
    let (users, places) = next_pages(deps, time.horizon, progress).await?;
    // What an earlier run left, and then run after run.
    let mut left = remove(deps, time, users, progress).await?;
    while !left.is_late && !left.users.is_empty() {
        left = archive(deps, pass, time, left.users, progress).await?;
    }
    if left.is_late {
        (progress.strays, progress.damaged) = found;
        return Ok(Err(Stop::Deadline));
    }
    progress.places = places;
    Ok(Ok(()))
}

/// The wallets on the next page of each segment, and the places behind the pages.
async fn next_pages<D: TransferArchive>(
    deps: &D,
    horizon: Timestamp,
    progress: &mut LedgerProgress,
) -> PortResult<(Vec<UserId>, Vec<Place>)> {
    let numbered = (0..).zip(progress.places.clone()).filter(|(_, place)| *place != Place::End);
    let pages = numbered.map(async |(number, place)| {
        let after = match place {
            Place::Behind(key) => Some(key),
            Place::Start | Place::End => None,
        };
        let segment = Segment { number, total: SEGMENTS };
        (number, deps.archivable(segment, after, horizon).await)
    });
    let mut users = Vec::new();
    let mut places = progress.places.clone();
    for (number, page) in join_all(pages).await {
        let page = page?;
        for row in page.rows {
            match row {
                OwnerRow::Whole(user) => users.push(user),
                OwnerRow::Other => {}
                OwnerRow::Unreadable(_) => progress.pass_over(),
            }
        }
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        if let Some(place) = places.get_mut(index) {
            *place = page.next.map_or(Place::End, Place::Behind);
        }
    }
    Ok((users, places))
}

/// Wallets that there is more to do for.
#[derive(Default)]
struct Left {
    users: Vec<UserId>,
    /// Whether time was over before each wallet was worked on.
    is_late: bool,
}

impl Left {
    fn add(&mut self, more: Self) {
        self.users.extend(more.users);
        self.is_late |= more.is_late;
    }
}

/// Archives the next run of each wallet, several side by side. The work on a wallet is made when it
/// begins, so a page of thousands of wallets takes no memory for it. What is packed when time is over
/// is stored. Returns the wallets that have more.
async fn archive<D>(
    deps: &D,
    pass: Ulid,
    time: Time,
    users: Vec<UserId>,
    progress: &mut LedgerProgress,
) -> PortResult<Left>
where
    D: TransferArchive + Objects + Ids + Clock,
{
    let mut to_come = users.len();
    let begun = users.into_iter().take_while(|_| !time.is_over(deps));
    let packing = begun.map(|user| async move { (deps.pack_run(&user, time.horizon).await, user) });
    let mut packed = futures::stream::iter(packing).buffered(CONCURRENCY);
    let (mut object, mut len, mut left) = (Vec::new(), 0_usize, Left::default());
    while let Some((run, user)) = packed.next().await {
        to_come = to_come.saturating_sub(1);
        match run {
            Ok(Some(run)) => {
                len = len.saturating_add(run.bytes.len());
                object.push(run);
            }
            Ok(None) => {}
            Err(error) => progress.leave(&user, error)?,
        }
        if len >= OBJECT_LEN_MAX || object.len() >= MEMBERS_MAX {
            left.add(store(deps, pass, time, std::mem::take(&mut object), progress).await?);
            len = 0;
        }
    }
    left.add(store(deps, pass, time, object, progress).await?);
    left.is_late |= to_come > 0;
    Ok(left)
}

/// Puts runs into one object, reads it back, records each run, and removes its rows.
async fn store<D>(
    deps: &D,
    pass: Ulid,
    time: Time,
    runs: Vec<PackedRun>,
    progress: &mut LedgerProgress,
) -> PortResult<Left>
where
    D: TransferArchive + Objects + Ids + Clock,
{
    if runs.is_empty() {
        return Ok(Left::default());
    }
    let name = format!("transfers/{pass}/{}.json.gz", deps.ulid());
    let bytes: Vec<u8> = runs.iter().flat_map(|run| run.bytes.iter().copied()).collect();
    deps.put(&name, Bytes::from(bytes)).await?;
    progress.objects = progress.objects.saturating_add(1);
    let stored = read_back(deps, &name, &runs).await.inspect_err(|error| {
        if error.kind == PortErrorKind::Corrupt {
            // infra/alarms.yaml counts `archive.damaged`.
            tracing::error!(archive.damaged = 1, "an object of transfers is damaged");
        }
    })?;
    let recording: Vec<_> = runs
        .iter()
        .zip(&stored)
        .map(async |(run, stored)| deps.record_run(&run.user, run.latest, stored).await)
        .collect();
    let recorded: Vec<_> = futures::stream::iter(recording).buffered(CONCURRENCY).collect().await;
    let (mut done, mut more) = (Vec::new(), Vec::new());
    for (run, recorded) in runs.into_iter().zip(recorded) {
        // Another process has archived this wallet meanwhile.
        if recorded? == Written::Changed {
            continue;
        }
        progress.runs = progress.runs.saturating_add(1);
        progress.transfers = progress.transfers.saturating_add(run.run.transfers);
        if run.has_more {
            more.push(run.user.clone());
        }
        done.push(run.user);
    }
    let removed = remove(deps, time, done, progress).await?;
    more.retain(|user| removed.users.contains(user));
    Ok(Left { users: more, is_late: removed.is_late })
}

/// Where each run lies in the object, once every one was read back as it was written.
async fn read_back<D: TransferArchive + Objects>(
    deps: &D,
    name: &str,
    runs: &[PackedRun],
) -> PortResult<Vec<StoredRun>> {
    let damaged = || PortError::corrupt("archive: the object is not as it was written");
    let object = deps.get(name).await?.ok_or_else(damaged)?;
    let (mut offset, mut stored) = (0_usize, Vec::with_capacity(runs.len()));
    for run in runs {
        let end = offset.saturating_add(run.bytes.len());
        let at = run.at(name, u64::try_from(offset).unwrap_or(u64::MAX));
        deps.check_member(&at.member, object.get(offset..end).ok_or_else(damaged)?)?;
        stored.push(at);
        offset = end;
    }
    if object.len() == offset { Ok(stored) } else { Err(damaged()) }
}

/// Removes the rows of wallets that their runs stand for. Returns the wallets without one that
/// could not be read. Late, some wallets keep their rows: the next round begins with them.
async fn remove<D: TransferArchive + Clock>(
    deps: &D,
    time: Time,
    users: Vec<UserId>,
    progress: &mut LedgerProgress,
) -> PortResult<Left> {
    let mut to_come = users.len();
    let begun = users.into_iter().take_while(|_| !time.is_over(deps));
    let removing = begun.map(|user| async move { (deps.remove_archived(&user).await, user) });
    let mut removing = futures::stream::iter(removing).buffered(CONCURRENCY);
    let mut users = Vec::new();
    while let Some((removed, user)) = removing.next().await {
        to_come = to_come.saturating_sub(1);
        match removed {
            Ok(removed) => {
                if removed.strays > 0 {
                    let strays = removed.strays;
                    let why = "rows stay, since their run does not hold them as they are";
                    tracing::error!(archive.damaged = 1, strays, "{why}");
                    progress.name(&user);
                }
                progress.rows = progress.rows.saturating_add(removed.rows);
                progress.strays = progress.strays.saturating_add(removed.strays);
                users.push(user);
            }
            Err(error) => progress.leave(&user, error)?,
        }
    }
    Ok(Left { users, is_late: to_come > 0 })
}
