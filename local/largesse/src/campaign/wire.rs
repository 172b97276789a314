//! What the HTTP API answers about campaigns. A field that is not read here is not named here, so a
//! newer service does not trouble an older command.

use largesse_domain::campaign::{Actor, AuditEntry, AuditHead, Hash};
use serde::{Deserialize, Deserializer};

/// Where a campaign stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State(pub largesse_domain::campaign::State);

impl<'de> Deserialize<'de> for State {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        let state = largesse_domain::campaign::State::from_name(&name);
        state.map(Self).ok_or_else(|| serde::de::Error::custom(format!("no such state: {name}")))
    }
}

/// A campaign.
#[derive(Clone, Debug, Deserialize)]
pub struct Campaign {
    /// Its id.
    pub campaign_id: String,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub state: State,
    /// Who made it.
    pub creator: String,
    /// When.
    pub created_at: String,
    /// What its creator decided.
    pub terms: Terms,
    /// What was uploaded.
    pub parts: Parts,
    /// What the seal fixed.
    pub sealed: Option<Sealed>,
    /// Who approved it.
    pub approval: Option<Approval>,
    /// The start that waits.
    pub queued: Option<Queued>,
    /// The rows by where they stand; absent before the seal, and in lists.
    pub counts: Option<Counts>,
    /// Their amounts.
    pub amounts: Option<Counts>,
    /// When the last run began.
    pub started_at: Option<String>,
    /// When the last run or rollback ended.
    pub ended_at: Option<String>,
    /// Why the last seal was refused, or which fault ended it.
    pub problem: Option<String>,
    /// Where its audit ends.
    pub audit: Option<Head>,
}

/// The terms of a campaign.
#[derive(Clone, Debug, Deserialize)]
pub struct Terms {
    /// The reason of a row that has none.
    pub default_reason: String,
    /// The amount of a row that has none.
    pub default_amount: Option<u64>,
    /// Nothing is paid earlier.
    pub starts_at: Option<String>,
    /// Which runs first of those due at the same time.
    pub priority: u8,
    /// What happens to a member who is named twice.
    pub duplicates: String,
    /// How many other members approve it.
    pub approvals: u8,
}

/// What the parts hold together.
#[derive(Clone, Debug, Deserialize)]
pub struct Parts {
    /// How many there are.
    pub count: u32,
    /// Their accepted rows.
    pub rows: u64,
    /// Their refused rows.
    pub refused: u64,
}

/// What the seal fixed.
#[derive(Clone, Debug, Deserialize)]
pub struct Sealed {
    /// Rows that are paid.
    pub rows: u64,
    /// What they sum to.
    pub amount: u64,
    /// Rows that name a member again.
    pub duplicates: u64,
    /// Rows that were left out.
    pub refused: u64,
    /// The hash that approve and start name.
    pub content_hash: String,
    /// The seconds that the payments will take.
    pub eta_s: Option<u64>,
    /// What the writes cost, in millionths of a US dollar.
    pub cost: u64,
    /// What to look at before the start.
    pub warnings: Vec<Warning>,
}

/// Something to look at before the start.
#[derive(Clone, Debug, Deserialize)]
pub struct Warning {
    /// For programs.
    pub code: String,
    /// For people.
    pub detail: String,
    /// The other campaign, if it is about one.
    pub campaign_id: Option<String>,
}

/// Who approved.
#[derive(Clone, Debug, Deserialize)]
pub struct Approval {
    /// The approver.
    pub by: String,
}

/// A start that waits.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Queued {
    /// Whether it runs beside other campaigns.
    pub forced: bool,
}

/// Rows, or amounts, by where the rows stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Counts {
    /// All.
    pub rows: u64,
    /// To be sent.
    pub pending: u64,
    /// Sent, and not known.
    pub processing: u64,
    /// Paid.
    pub success: u64,
    /// Refused for the last time.
    pub failed: u64,
    /// Taken back.
    pub reversed: u64,
    /// Paid and not taken back whole.
    #[serde(default)]
    pub shortfall: u64,
}

/// Where an audit ends.
#[derive(Clone, Debug, Deserialize)]
pub struct Head {
    /// The number of the last entry.
    pub seq: u64,
    /// Its hash.
    pub hash: String,
}

impl Head {
    /// The head; `None` when the hash is none.
    #[must_use]
    pub fn read(&self) -> Option<AuditHead> {
        Some(AuditHead { seq: self.seq, hash: self.hash.parse().ok()? })
    }
}

/// An entry of the audit.
#[derive(Clone, Debug, Deserialize)]
pub struct Entry {
    /// Its place.
    pub seq: u64,
    /// When.
    pub at: String,
    /// Who; nothing for the system.
    pub by: Option<String>,
    /// What was done.
    pub action: String,
    /// With what.
    #[serde(default)]
    pub details: std::collections::BTreeMap<String, String>,
    /// The hash of the entry before.
    pub previous: String,
    /// Its own.
    pub hash: String,
}

impl Entry {
    /// The entry as it was hashed; `None` when a field cannot be what was hashed.
    #[must_use]
    pub fn read(&self) -> Option<AuditEntry> {
        let by = match &self.by {
            Some(user) => Actor::Member(user.parse().ok()?),
            None => Actor::System,
        };
        let (previous, hash) = (self.previous.parse().ok()?, self.hash.parse::<Hash>().ok()?);
        let at = largesse_edge::time::parse(&self.at)?;
        let (action, details) = (self.action.clone(), self.details.clone());
        Some(AuditEntry { seq: self.seq, at, by, action, details, previous, hash })
    }
}

/// What a rollback would do.
#[derive(Clone, Debug, Deserialize)]
pub struct Preview {
    /// How many payments it would take back.
    pub rows: u64,
    /// What they sum to.
    pub amount: u64,
    /// What it could not take back; absent when that is not known.
    pub shortfall: Option<Shortfall>,
    /// Why it is not known.
    pub shortfall_unknown: Option<String>,
}

/// What a rollback could not take back.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Shortfall {
    /// How many payments.
    pub rows: u64,
    /// What they sum to.
    pub amount: u64,
    /// What their wallets lack.
    pub missing: u64,
    /// Of how many rows the wallets were read.
    pub sampled_rows: u64,
}

/// The answer to a part.
#[derive(Clone, Debug, Deserialize)]
pub struct PartReply {
    /// Its rows.
    pub rows: u64,
    /// Those that are kept.
    pub accepted: u64,
    /// Those that are left out.
    pub refused: u64,
}

/// A part that was uploaded.
#[derive(Clone, Debug, Deserialize)]
pub struct Uploaded {
    /// Its number.
    pub part: u32,
    /// Its rows that are kept.
    pub accepted: u64,
    /// Its rows that are left out.
    pub refused: u64,
    /// SHA-256 of its bytes.
    pub hash: String,
}

/// A row.
#[derive(Clone, Debug, Deserialize)]
pub struct Row {
    /// Who is paid.
    pub member_id: String,
    /// How much.
    pub amount: u64,
    /// What for.
    pub reason: String,
    /// Where it stands.
    pub status: String,
    /// How often it was refused.
    pub attempts: u64,
    /// Why it failed.
    pub failure: Option<String>,
    /// What the member's wallet lacked, of a payment that was not taken back.
    pub missing: Option<u64>,
}

/// What is wrong with one field or row.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Detail {
    /// The physical line of the part.
    pub line: Option<u64>,
    /// The field.
    #[serde(default)]
    pub field: Option<String>,
    /// The column.
    pub column: Option<String>,
    /// For programs.
    #[serde(default)]
    pub code: String,
    /// For people.
    #[serde(default)]
    pub detail: String,
}

/// A refusal: RFC 9457.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// For programs.
    pub code: String,
    /// What went wrong.
    pub title: String,
    /// And why.
    pub detail: String,
    /// What is wrong with single fields or rows.
    pub errors: Vec<Detail>,
}

impl Problem {
    /// A problem from a body; the body is the detail when it is none.
    #[must_use]
    pub fn read(body: &str) -> Self {
        let other = || Self { detail: body.chars().take(200).collect(), ..Self::default() };
        serde_json::from_str(body).unwrap_or_else(|_| other())
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let says_no_more = self.detail.eq_ignore_ascii_case(&self.title);
        let detail = if says_no_more { "" } else { &self.detail };
        let texts = [self.code.as_str(), &self.title, detail];
        let texts: Vec<&str> = texts.into_iter().filter(|text| !text.is_empty()).collect();
        f.write_str(&texts.join(": "))?;
        for error in self.errors.iter().take(3) {
            let field = error.field.as_deref().or(error.column.as_deref()).unwrap_or_default();
            let place = error.line.map_or_else(|| field.to_owned(), |line| format!("line {line}"));
            write!(f, "; {place}: {}", error.detail)?;
        }
        Ok(())
    }
}
