//! A campaign is paid by a money service over a socket, with faults, and proved by its books.
//!
//! # Guarantees
//! * Each row stands as the books say, whatever goes wrong on the way:
//!   `every_row_of_the_demonstration_is_paid_once_or_failed_as_the_books_say`.
//! * A proof that fails is an error and says why: `a_proof_that_fails_says_what_is_wrong`.

use std::time::Duration;

use largesse_domain::campaign::{Generation, RowKey};
use largesse_money_server::wire::{Status, Transfer};
use largesse_money_server::{Fault, Faults, Report, Server};

use super::claims::{self, Claim, line};
use super::{DemoError, Stage, started};
use crate::beside::MoneyBeside;
use crate::campaign::api::{Api, Pace};
use crate::campaign::trial::{self, Silent, Trial};
use crate::campaign::wire::{Campaign, Counts, Row};
use crate::campaign::{Output, Say};
use crate::plain::counted;
use crate::up::MoneyPlace;

/// Calls a second that the service takes: the demonstration of 100,000 rows ends within a minute.
const LIMIT_PER_S: u32 = 3_000;
/// Calls a second that it is sent. The service counts arrivals, and a busy machine may deliver a
/// call 50 ms late (docs/money.md, "Rate").
const RATE_PER_S: u32 = 2_850;
/// Of so many rows, one is of a member whose payments are always refused.
const CLOSED_EVERY: u32 = 20_000;
/// Thousandths of the payments that are refused, and paid when they are tried again.
const REFUSED: u16 = 10;
/// Thousandths of the calls that meet each of the other faults.
const OTHERS: u16 = 1;
/// Decides which calls meet which faults.
const SEED: u64 = 1;
/// How often a campaign is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Runs the demonstration and prints its proof.
///
/// # Errors
/// [`DemoError`], also when the books do not agree with the campaign.
pub async fn run(rows: u32) -> Result<(), DemoError> {
    let proof = play(rows, &Output).await?;
    match proof.broken() {
        broken if broken.is_empty() => Ok(()),
        broken => Err(DemoError::Broken(broken.join("; "))),
    }
}

/// The members whose payments are always refused: some, and at least one.
fn closed(rows: u32) -> Vec<String> {
    (1..=rows).step_by(usize::try_from(CLOSED_EVERY).unwrap_or(usize::MAX)).map(member).collect()
}

/// As `largesse campaign generate` names them.
fn member(number: u32) -> String {
    format!("user-{number:07}")
}

fn faults(rows: u32) -> Faults {
    let faults = Faults {
        limit_per_s: LIMIT_PER_S,
        refusal_code: "account_closed".to_owned(),
        closed: closed(rows).into_iter().collect(),
        ..Faults::default()
    };
    let faults = faults.with(Fault::Refuse, REFUSED).with(Fault::Stall, OTHERS);
    faults.with(Fault::ResetBefore, OTHERS).with(Fault::ResetAfter, OTHERS)
}

async fn play(rows: u32, out: &dyn Say) -> Result<Proof, DemoError> {
    let money = MoneyBeside::start(SEED, faults(rows)).await?;
    let place = MoneyPlace { url: money.server.url(), rate_per_s: RATE_PER_S };
    let stage = Stage::start_paying_by(&place).await?;
    let closed = counted(u64::try_from(closed(rows).len()).unwrap_or(0), "member", "members");
    say(out, &opening(rows, &closed, &place.url))?;
    let pace = Pace { poll: LOOK_EVERY, ..Pace::PEOPLE };
    let api = Api::new(&stage.url, "operator", pace)?;
    let file = Trial::generate(u64::from(rows))?;
    let campaign = file.load(&api, out, "demonstration", true).await?;
    let began = started();
    // What it advises at the end would find no stack any more.
    let campaign = trial::finish(&api, &Silent, &campaign).await?;
    let took = began.elapsed();
    let proof = Proof::read(&api, &campaign, &money.server, rows).await?;
    stage.stop().await;
    say(out, &proof.table(took))?;
    Ok(proof)
}

fn opening(rows: u32, closed: &str, url: &str) -> String {
    let rows = counted(rows.into(), "row", "rows");
    let (refused, others) = (per_cent(REFUSED), per_cent(OTHERS));
    format!(
        "A campaign of {rows}, paid by a money service on {url}. It takes\n\
         {LIMIT_PER_S} calls a second and is sent {RATE_PER_S}: a busy machine delivers some \
         late.\n\
         Faults: {refused} % of the payments are refused, and paid when they are tried again; \
         {others} % each\nare paid and answered too late, reset before they are paid, and reset \
         afterwards; {closed} refused\nfor good.\n"
    )
}

/// Thousandths in per cent.
fn per_cent(permille: u16) -> String {
    let (whole, tenth) = (permille.div_euclid(10), permille.rem_euclid(10));
    if tenth == 0 { whole.to_string() } else { format!("{whole}.{tenth}") }
}

fn say(out: &dyn Say, text: &str) -> Result<(), DemoError> {
    out.say(text).map_err(DemoError::Print)
}

/// The campaign and the books of the money service, side by side.
#[derive(Debug)]
struct Proof {
    state: &'static str,
    counts: Counts,
    amounts: Counts,
    books: Report,
    /// Rows that were read, and those that stand otherwise in the books.
    read: u64,
    differing: u64,
    /// The first of those.
    first: Option<String>,
    rows: u64,
    closed: u64,
}

impl Proof {
    async fn read(
        api: &Api,
        campaign: &Campaign,
        server: &Server,
        rows: u32,
    ) -> Result<Self, DemoError> {
        let books = server.report();
        let (mut read, mut differing, mut first) = (0_u64, 0_u64, None);
        trial::rows(api, &campaign.campaign_id, |row| {
            read = read.saturating_add(1);
            let transfer = id_of(&campaign.campaign_id, &row).and_then(|id| server.transfer(&id));
            if !agrees(&row, transfer.as_ref()) {
                differing = differing.saturating_add(1);
                first.get_or_insert_with(|| format!("{row:?} is {transfer:?} in the books"));
            }
        })
        .await?;
        Ok(Self {
            state: campaign.state.0.as_str(),
            counts: campaign.counts.unwrap_or_default(),
            amounts: campaign.amounts.unwrap_or_default(),
            books,
            read,
            differing,
            first,
            rows: u64::from(rows),
            closed: u64::try_from(closed(rows).len()).unwrap_or(u64::MAX),
        })
    }

    /// What must hold.
    fn claims(&self) -> Vec<Claim> {
        let (counts, books) = (&self.counts, &self.books);
        vec![
            ("rows of the campaign", counts.rows, self.rows),
            ("rows SUCCESS", counts.success, self.rows.saturating_sub(self.closed)),
            ("rows FAILED, of the refused members", counts.failed, self.closed),
            ("transfers in the books", books.transfers, self.rows),
            ("of these paid", books.paid, counts.success),
            ("of these refused", books.refused, counts.failed),
            ("won that were paid", books.paid_sum, self.amounts.success),
            ("rows compared with the books", self.read, self.rows),
            ("that stand otherwise there", self.differing, 0),
            ("paid twice", books.paid_twice, 0),
            ("calls with other content", books.duplicates, 0),
            ("paid with another amount", books.wrong_amounts, 0),
            ("calls above the limit", books.limit_violations, 0),
        ]
    }

    /// What does not hold.
    fn broken(&self) -> Vec<String> {
        let mut broken = claims::broken(&self.claims());
        if self.state != "COMPLETED" {
            broken.push(format!("the campaign is {}", self.state));
        }
        broken.extend(self.first.clone());
        broken
    }

    fn table(&self, took: Duration) -> String {
        let calls = u128::from(self.books.calls);
        let per_s = calls.saturating_mul(1_000).checked_div(took.as_millis().max(1)).unwrap_or(0);
        let mut lines = vec![String::new(), line("campaign", self.state.to_owned())];
        lines.extend(claims::lines(&self.claims()));
        let (refusals, peak) = (self.books.refusals, self.books.peak_per_s);
        lines.extend([
            String::new(),
            line("calls of the money service", format!("{calls}, {per_s} a second in the mean")),
            line("the most in any second", format!("{peak} of {LIMIT_PER_S}")),
            line("refusals", refusals.to_string()),
            line("from start to end", format!("{} ms", took.as_millis())),
        ]);
        if self.broken().is_empty() {
            let proof = "each member was paid once or refused for good: every row was compared \
                         with the books";
            lines.push(format!("  {proof}"));
        }
        lines.join("\n")
    }
}

/// The id of a row's transfer: the campaign is in its first generation.
fn id_of(campaign: &str, row: &Row) -> Option<String> {
    let (campaign, member) = (campaign.parse().ok()?, row.member_id.parse().ok()?);
    let generation = Generation::FIRST;
    Some(RowKey { campaign, member, generation }.grant().to_string())
}

/// Whether the books say of a row what the campaign says.
fn agrees(row: &Row, transfer: Option<&Transfer>) -> bool {
    let Some(transfer) = transfer else { return false };
    let is_same = transfer.member == row.member_id && transfer.amount == row.amount;
    is_same
        && match transfer.status {
            Status::Paid => row.status == "SUCCESS",
            Status::Refused => row.status == "FAILED",
            Status::Pending | Status::Reversed => false,
        }
}

#[cfg(test)]
mod tests;
