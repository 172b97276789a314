//! `largesse archive`: how far the archive is, what it holds of a thing, and whether it is whole. It
//! writes nothing.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use clap::{Args, Subcommand};
use largesse_app::archive::Pass;
use largesse_app::ports::{
    ArchivePasses, MemberRef, PortError, PortErrorKind, PortResult, ScanKey, Things, Tombstone,
    Tombstones,
};
use largesse_app::settings::Variables;
use largesse_aws::archive::ObjectStore;
use largesse_aws::{Store, production};
use largesse_domain::id::{PoolId, TransferId, Ulid, UserId};
use largesse_edge::time;
use object_store::local::LocalFileSystem;
use serde_json::{Value, json};

use crate::dlq::DlqError;
use crate::dlq::command::Where;
use crate::verify;

/// Where the objects are.
#[derive(Clone, Debug, Args)]
pub struct Objects {
    /// The bucket of the archive [default: ARCHIVE_BUCKET of the environment].
    #[arg(long, value_name = "NAME", global = true)]
    bucket: Option<String>,
    /// A folder in place of the bucket: `archive` in the folder that `largesse up --data` names.
    #[arg(long, value_name = "DIR", global = true, conflicts_with = "bucket")]
    objects: Option<PathBuf>,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Action {
    /// Show the latest pass, its horizon, and what holds it back.
    Status,
    /// Print the archived items of a thing, or a transfer, one line of JSON each.
    Get {
        /// The thing, as SPRAY#01ARZ3NDEKTSV4RRFFQ69G5FAV, or the wallet, as WALLET#bob.
        name: Name,
        /// The id of a transfer, after a wallet; without it, all of the wallet's runs.
        transfer: Option<TransferId>,
    },
    /// Read every member that the tables name, and compare its count of lines and its hash.
    Verify,
}

/// What is in the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// A spray, a drop, a product or a campaign.
    Thing(PoolId),
    /// The old transfers of a wallet.
    Wallet(UserId),
}

/// A text that names nothing that is archived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("SPRAY#, DROP#, PRODUCT# or CAMPAIGN# and an id, or WALLET# and a user")]
pub struct NoName;

impl FromStr for Name {
    type Err = NoName;

    fn from_str(text: &str) -> Result<Self, NoName> {
        match text.strip_prefix("WALLET#") {
            Some(user) => user.parse().map(Self::Wallet).map_err(|_| NoName),
            None => text.parse().map(Self::Thing).map_err(|_| NoName),
        }
    }
}

/// What a command prints, and whether all is well.
pub struct Said {
    /// The text.
    pub text: String,
    /// Whether nothing is missing.
    pub is_sound: bool,
}

/// Does it.
///
/// # Errors
/// [`DlqError`], as of the other commands of an operator.
pub async fn run(action: Action, place: &Where, objects: &Objects) -> Result<Said, DlqError> {
    let store = verify::store(place)?;
    let done = match action {
        Action::Status => status(&store, place.json).await,
        Action::Get { name, transfer } => {
            let store = store.with_archive(objects.open()?);
            match name {
                Name::Thing(thing) => get(&store, thing).await,
                Name::Wallet(user) => get_transfers(&store, &user, transfer).await,
            }
        }
        Action::Verify => whole(&store.with_archive(objects.open()?), place.json).await,
    };
    verify::at(place, done)
}

impl Objects {
    fn open(&self) -> Result<Option<Arc<dyn ObjectStore>>, DlqError> {
        if let Some(folder) = &self.objects {
            return Ok(Some(local(folder)?));
        }
        let lookup = |name: &str| match (name, &self.bucket) {
            ("ARCHIVE_BUCKET", Some(bucket)) => Some(bucket.clone()),
            _ => std::env::var(name).ok(),
        };
        Ok(production::archive(&Variables::new(lookup))?)
    }
}

fn local(folder: &Path) -> Result<Arc<dyn ObjectStore>, DlqError> {
    let opened = LocalFileSystem::new_with_prefix(folder);
    let away = |error| PortError {
        operation: "open the folder of objects",
        kind: PortErrorKind::Rejected,
        cause: Some(Arc::new(error)),
    };
    Ok(Arc::new(opened.map_err(away)?))
}

/// Says where the latest pass stands.
///
/// # Errors
/// [`PortError`].
pub async fn status(store: &Store, is_json: bool) -> PortResult<Said> {
    let pass = store.latest_archive_pass().await?.value;
    let text = match &pass {
        _ if is_json => pass.as_ref().map_or(Value::Null, json_of).to_string(),
        None => "no pass has begun".to_owned(),
        Some(pass) => text_of(pass),
    };
    Ok(Said { text, is_sound: true })
}

fn text_of(pass: &Pass) -> String {
    let counts = pass.counts;
    let state = match pass.ended {
        Some(ended) => format!("ended {}", time::format(ended)),
        None => format!("at work on: {}", pass.stage.as_str()),
    };
    let held = pass.held.as_ref().map_or_else(
        || "nothing: the age".to_owned(),
        |held| format!("{}, made {}: {}", held.name, time::format(held.since), held.why),
    );
    let mut text = format!(
        "begun        {}\n{state}\narchived     {} things with {} items, {} transfers\n\
         older things {} stay\n\
         horizon      {}\nheld back by {held}",
        time::format(pass.began),
        counts.things,
        counts.items,
        pass.ledger.transfers,
        counts.held,
        time::format(pass.horizon()),
    );
    for user in &pass.ledger.left {
        text.push_str(&format!("\nwallet {user} has rows that cannot be archived as they are"));
    }
    text
}

fn json_of(pass: &Pass) -> Value {
    let held = pass.held.as_ref().map(
        |held| json!({ "name": held.name, "made": time::format(held.since), "why": held.why }),
    );
    json!({
        "begun": time::format(pass.began),
        "ended": pass.ended.map(time::format),
        "stage": pass.stage.as_str(),
        "things": pass.counts.things,
        "items": pass.counts.items,
        "held": pass.counts.held,
        "transfers": pass.ledger.transfers,
        "horizon": time::format(pass.horizon()),
        "oldest": held,
        "left": pass.ledger.left.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// The lines of a thing.
///
/// # Errors
/// [`PortError`]; corrupt when a member is missing or damaged.
pub async fn get(store: &Store, thing: PoolId) -> PortResult<Said> {
    let Some(tombstone) = store.tombstone(thing).await? else {
        return Ok(Said { text: format!("{thing} is not in the archive"), is_sound: false });
    };
    let mut lines = Vec::new();
    for part in &tombstone.parts {
        lines.extend(store.lines_of(part).await?);
    }
    Ok(Said { text: lines.join("\n"), is_sound: true })
}

/// The lines of a wallet's archived transfers, or of one of them.
///
/// # Errors
/// [`PortError`]; corrupt when a member is missing or damaged.
pub async fn get_transfers(
    store: &Store,
    user: &UserId,
    transfer: Option<TransferId>,
) -> PortResult<Said> {
    let mut lines = Vec::new();
    let mut from = Some(transfer.unwrap_or(TransferId(Ulid::from_parts(0, 0))));
    while let Some(id) = from.take() {
        let Some((member, last)) = store.member_from(user, id).await? else { break };
        let found = store.lines_of(&member).await?.into_iter();
        match transfer {
            Some(id) => lines.extend(found.filter(|line| line.contains(&format!("\"TX#{id}\"")))),
            None => {
                lines.extend(found);
                from = last.0.0.checked_add(1).map(|next| TransferId(next.into()));
            }
        }
    }
    if lines.is_empty() {
        let text = "nothing of this name is in the archive".to_owned();
        return Ok(Said { text, is_sound: false });
    }
    Ok(Said { text: lines.join("\n"), is_sound: true })
}

/// Reads all members of all things, and of all runs of transfers.
///
/// # Errors
/// [`PortError`].
pub async fn whole(store: &Store, is_json: bool) -> PortResult<Said> {
    let (mut things, mut members, mut lines) = (0_u64, 0_u64, 0_u64);
    let mut damaged: Vec<(String, MemberRef)> = Vec::new();
    let mut after: Option<ScanKey> = None;
    loop {
        let page = store.scan_tombstones(after.take()).await?;
        for Tombstone { pool, parts, .. } in page.rows {
            things = things.saturating_add(1);
            for part in parts {
                members = members.saturating_add(1);
                lines = lines.saturating_add(part.lines);
                if !store.is_stored(&part).await? {
                    damaged.push((pool.to_string(), part));
                }
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let (mut runs, mut after) = (0_u64, None);
    loop {
        let page = store.scan_runs(after.take()).await?;
        for member in page.rows {
            runs = runs.saturating_add(1);
            lines = lines.saturating_add(member.lines);
            if !store.is_stored(&member).await? {
                damaged.push(("transfers".to_owned(), member));
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let is_sound = damaged.is_empty();
    if is_json {
        let named = damaged
            .iter()
            .map(|(of, part)| json!({ "of": of, "object": part.object, "offset": part.offset }));
        let found = json!({
            "things": things, "members": members, "runs": runs, "lines": lines,
            "damaged": named.collect::<Vec<_>>(),
        });
        return Ok(Said { text: found.to_string(), is_sound });
    }
    let mut text =
        format!("{things} things in {members} members, {runs} runs of transfers, {lines} lines");
    text.push_str(if is_sound { ": all are there and whole" } else { "; missing or damaged:" });
    for (of, MemberRef { object, offset, .. }) in &damaged {
        text.push_str(&format!("\n  {of}: {object} at {offset}"));
    }
    Ok(Said { text, is_sound })
}
