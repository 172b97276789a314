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

use bytes::Bytes;
use futures::StreamExt;
use futures::future::join_all;
use largesse_domain::id::{Ulid, UserId};
use largesse_domain::time::Timestamp;

use crate::ports::{
    Ids, Objects, PackedRun, PortError, PortErrorKind, PortResult, Segment, StoredRun,
    TransferArchive, Written,
};
use crate::reconcile::{Place, SEGMENTS};

/// How long an object may be: it is in memory twice, as it is put and as it is read back. It is
/// full when it has that many bytes, and the member that fills it may be longer.
const OBJECT_LEN_MAX: usize = 4 << 20;
/// How many members an object has at most: as many wallets are worked on between two puts.
const MEMBERS_MAX: usize = 1_000;
/// How many wallets with strays or damage a pass names: an operator looks at the first ones.
pub const LEFT_MAX: usize = 100;
/// Wallets that are read, recorded or removed side by side.
const CONCURRENCY: usize = 8;

/// How far the scan has come, and what was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerProgress {
    /// How far each segment of the ledger has come: [`SEGMENTS`].
    pub places: Vec<Place>,
    /// Objects that were written.
    pub objects: u64,
    /// Runs that were recorded.
    pub runs: u64,
    /// Transfers in them.
    pub transfers: u64,
    /// Rows that were removed from the table, voided payments included.
    pub rows: u64,
    /// Rows that stay, since their run does not hold them as they are.
    pub strays: u64,
    /// Wallets that were left as they are, since a row or a run of them cannot be read.
    pub damaged: u64,
    /// The first [`LEFT_MAX`] wallets with strays or damage. No log names a member.
    pub left: Vec<UserId>,
}

impl Default for LedgerProgress {
    fn default() -> Self {
        let places = (0..SEGMENTS).map(|_| Place::Start).collect();
        Self {
            places,
            objects: 0,
            runs: 0,
            transfers: 0,
            rows: 0,
            strays: 0,
            damaged: 0,
            left: Vec::new(),
        }
    }
}

impl LedgerProgress {
    /// Whether all segments are at their end.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.places.iter().all(|place| *place == Place::End)
    }

    /// Leaves a wallet as it is that cannot be read; every other failure ends the round.
    fn leave(&mut self, user: &UserId, error: PortError) -> PortResult<()> {
        if error.kind != PortErrorKind::Corrupt {
            return Err(error);
        }
        tracing::error!(
            archive.damaged = 1,
            error.cause = error.causes(),
            "a wallet is not archived"
        );
        self.damaged = self.damaged.saturating_add(1);
        self.name(user);
        Ok(())
    }

    fn name(&mut self, user: &UserId) {
        if self.left.len() < LEFT_MAX && !self.left.contains(user) {
            self.left.push(user.clone());
        }
    }
}

/// Reads the next page of each segment, and archives and removes what is below the horizon in the
/// wallets on it. `pass` names the folder of the objects.
///
/// # Errors
/// [`PortError`]: something could not be read or written now. The round may be repeated with the
/// progress as it was before; what it did is found done.
pub async fn round<D>(
    deps: &D,
    pass: Ulid,
    horizon: Timestamp,
    progress: &mut LedgerProgress,
) -> PortResult<()>
where
    D: TransferArchive + Objects + Ids,
{
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
        users.extend(page.rows);
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        if let Some(place) = places.get_mut(index) {
            *place = page.next.map_or(Place::End, Place::Behind);
        }
    }
    // What an earlier run left, and then run after run.
    let mut users = remove(deps, users, progress).await?;
    while !users.is_empty() {
        users = archive(deps, pass, horizon, users, progress).await?;
    }
    progress.places = places;
    Ok(())
}

/// Archives the next run of each wallet. Returns the wallets that have more.
async fn archive<D>(
    deps: &D,
    pass: Ulid,
    horizon: Timestamp,
    users: Vec<UserId>,
    progress: &mut LedgerProgress,
) -> PortResult<Vec<UserId>>
where
    D: TransferArchive + Objects + Ids,
{
    let packing: Vec<_> =
        users.into_iter().map(async |user| (deps.pack_run(&user, horizon).await, user)).collect();
    let mut packed = futures::stream::iter(packing).buffered(CONCURRENCY);
    let (mut object, mut len, mut more) = (Vec::new(), 0_usize, Vec::new());
    while let Some((run, user)) = packed.next().await {
        match run {
            Ok(Some(run)) => {
                len = len.saturating_add(run.bytes.len());
                object.push(run);
            }
            Ok(None) => {}
            Err(error) => progress.leave(&user, error)?,
        }
        if len >= OBJECT_LEN_MAX || object.len() >= MEMBERS_MAX {
            more.extend(store(deps, pass, std::mem::take(&mut object), progress).await?);
            len = 0;
        }
    }
    more.extend(store(deps, pass, object, progress).await?);
    Ok(more)
}

/// Puts runs into one object, reads it back, records each run, and removes its rows.
async fn store<D>(
    deps: &D,
    pass: Ulid,
    runs: Vec<PackedRun>,
    progress: &mut LedgerProgress,
) -> PortResult<Vec<UserId>>
where
    D: TransferArchive + Objects + Ids,
{
    if runs.is_empty() {
        return Ok(Vec::new());
    }
    let name = format!("transfers/{pass}/{}.json.gz", deps.ulid());
    let bytes: Vec<u8> = runs.iter().flat_map(|run| run.bytes.iter().copied()).collect();
    deps.put(&name, Bytes::from(bytes)).await?;
    progress.objects = progress.objects.saturating_add(1);
    let stored = read_back(deps, &name, &runs).await?;
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
    let removed = remove(deps, done, progress).await?;
    more.retain(|user| removed.contains(user));
    Ok(more)
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
/// could not be read.
async fn remove<D: TransferArchive>(
    deps: &D,
    users: Vec<UserId>,
    progress: &mut LedgerProgress,
) -> PortResult<Vec<UserId>> {
    let removing: Vec<_> =
        users.into_iter().map(async |user| (deps.remove_archived(&user).await, user)).collect();
    let mut removing = futures::stream::iter(removing).buffered(CONCURRENCY);
    let mut users = Vec::new();
    while let Some((removed, user)) = removing.next().await {
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
    Ok(users)
}
