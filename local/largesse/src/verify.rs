//! `largesse verify ledger`: proves by hand what reconcile proves every day. It writes nothing.
//! `largesse verify frozen` and `unfreeze`: the pools that reconcile has frozen.

use std::sync::Arc;

use largesse_app::ports::{Clock, Freezes, PortResult};
use largesse_app::reconcile::freeze::unfreeze;
use largesse_app::reconcile::{FINDINGS_MAX, Pass, Walk};
use largesse_aws::production::SystemClock;
use largesse_aws::{Environment, Names, Store};
use largesse_domain::id::PoolId;
use largesse_edge::time;
use serde_json::{Value, json};

use crate::dlq::command::Where;
use crate::dlq::{DlqError, config, rng};
use crate::plain;

/// What a proof came to: its text, and whether everything adds up.
pub struct Proved {
    /// What is to be printed.
    pub text: String,
    /// Whether nothing was found.
    pub is_sound: bool,
}

/// The store of a deployment, by the names that template.yaml gives its tables.
pub(crate) fn store(place: &Where) -> Result<Store, DlqError> {
    let config = config(place.endpoint())?;
    let table = |name: &str| format!("{}-{name}", place.stack);
    let names = Names {
        ledger: table("ledger"),
        pools: table("pools"),
        sprays: table("sprays"),
        drops: table("drops"),
        products: table("products"),
        grants: table("grants"),
        reconcile: table("reconcile"),
        ..Names::default()
    };
    Ok(Store::new(&config, names, Environment::of(Arc::new(SystemClock), rng()?)))
}

/// Proves the ledger of a running deployment.
///
/// # Errors
/// [`DlqError`], as of the other commands of an operator.
pub async fn ledger(place: &Where) -> Result<Proved, DlqError> {
    let store = store(place)?;
    let pass = at(place, prove(&store).await)?;
    let text = if place.json { json_of(&pass).to_string() } else { text_of(&pass) };
    Ok(Proved { text, is_sound: pass.found == 0 })
}

pub(crate) fn at<T>(place: &Where, done: PortResult<T>) -> Result<T, DlqError> {
    done.map_err(|error| match place.endpoint() {
        Some(endpoint) => DlqError::from(error).at(endpoint),
        None => error.into(),
    })
}

/// Lists the pools that are frozen.
///
/// # Errors
/// [`DlqError`].
pub async fn frozen(place: &Where) -> Result<String, DlqError> {
    let pools = at(place, store(place)?.frozen_pools().await)?;
    if place.json {
        let pools = pools.iter().map(|frozen| {
            let since = time::format(frozen.since);
            json!({ "pool": frozen.pool.to_string(), "since": since, "why": frozen.why })
        });
        return Ok(Value::Array(pools.collect()).to_string());
    }
    if pools.is_empty() {
        return Ok("no pool is frozen".to_owned());
    }
    let lines = pools.iter().map(|frozen| {
        format!("{}  since {}: {}", frozen.pool, time::format(frozen.since), frozen.why)
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// Lifts the freeze of a pool.
///
/// # Errors
/// [`DlqError`].
pub async fn lift(place: &Where, pool: PoolId) -> Result<String, DlqError> {
    let was_frozen = at(place, unfreeze(&store(place)?, pool).await)?;
    if place.json {
        return Ok(json!({ "was_frozen": was_frozen }).to_string());
    }
    let said = if was_frozen { "is no longer frozen" } else { "was not frozen" };
    Ok(format!("{pool} {said}"))
}

/// One pass from its start to its end.
///
/// # Errors
/// [`largesse_app::ports::PortError`]: something cannot be read; nothing is proved.
pub async fn prove(store: &Store) -> PortResult<Pass> {
    let mut walk = Walk::new(Pass::new(store.now()));
    while !walk.is_over() {
        walk.round(store).await?;
    }
    Ok(walk.pass().clone())
}

fn text_of(pass: &Pass) -> String {
    let (flow, counts) = (pass.flow, pass.counts);
    let escrows = flow.escrows().map_or_else(|| "less than nothing".to_owned(), |n| n.to_string());
    let issued = flow.issued.saturating_sub(flow.taken_back);
    let mut text = plain::pairs(&[
        ("wallets", flow.wallets.to_string()),
        ("transfers", flow.transfers.to_string()),
        ("sprays and drops", counts.pools.to_string()),
        ("products", counts.products.to_string()),
        ("issued", issued.to_string()),
        ("in wallets", flow.balances.to_string()),
        ("held", flow.held.to_string()),
        ("in escrows", escrows),
    ]);
    if counts.moving > 0 {
        let moving = plain::counted(counts.moving, "product", "products");
        text.push_str(&format!(
            "\n{moving} took investments during each read: the sums lie within their bounds"
        ));
    }
    match pass.found {
        0 => text.push_str("\neverything adds up"),
        found => {
            let found = plain::counted(found, "thing does", "things do");
            text.push_str(&format!("\n{found} not add up:"));
            for finding in &pass.findings {
                text.push_str(&format!("\n  {}: {}", finding.subject, finding.what));
            }
            if usize::try_from(pass.found).unwrap_or(usize::MAX) > FINDINGS_MAX {
                text.push_str(&format!("\n  these are the first {FINDINGS_MAX}"));
            }
        }
    }
    text
}

fn json_of(pass: &Pass) -> Value {
    let (flow, counts) = (pass.flow, pass.counts);
    // A sum may be larger than the integers that every JSON reader keeps exact.
    let sum = |sum: u128| sum.to_string();
    let findings = pass.findings.iter();
    let findings = findings.map(|f| json!({ "subject": f.subject.to_string(), "what": f.what }));
    json!({
        "wallets": flow.wallets,
        "transfers": flow.transfers,
        "pools": counts.pools,
        "products": counts.products,
        "moving": counts.moving,
        "issued": sum(flow.issued.saturating_sub(flow.taken_back)),
        "in_wallets": sum(flow.balances),
        "held": sum(flow.held),
        "in_escrows": flow.escrows().map(sum),
        "found": pass.found,
        "findings": findings.collect::<Vec<_>>(),
    })
}
