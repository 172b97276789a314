//! Whether a thing is finished: it ended before the cutoff, it adds up, and no money of it moves any
//! more.
//!
//! A transfer is the proof of its payment. A thing that is not finished may still cause one, so
//! its transfers stay in the table, too: [`super::Pass::horizon`].

use std::collections::BTreeSet;

use largesse_domain::audit::Books;
use largesse_domain::campaign::{Counts, State};
use largesse_domain::grant::GrantStatus;
use largesse_domain::id::{CampaignId, PoolId, ProductId, TransferId};
use largesse_domain::product::Outcome;
use largesse_domain::time::Timestamp;

use super::Deps;
use crate::ports::{PortErrorKind, PortResult};
use crate::reconcile::{books_of, product_adds_up};

/// Where a thing stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is finished.
    Finished,
    /// It is gone: a run before has archived it.
    Gone,
    /// It stays, for this reason.
    Held(String),
}

impl Standing {
    fn held(why: impl Into<String>) -> Self {
        Self::Held(why.into())
    }
}

/// Decides about a thing that was made before the cutoff. What is frozen is refused later, by the
/// transaction that archives it.
///
/// # Errors
/// [`crate::ports::PortError`]: something cannot be read now. What is damaged stays.
pub(super) async fn standing<D: Deps>(
    deps: &D,
    pool: PoolId,
    cutoff: Timestamp,
) -> PortResult<Standing> {
    let standing = match pool {
        PoolId::Spray(_) | PoolId::Drop(_) => of_pool(deps, pool, cutoff).await,
        PoolId::Product(id) => of_product(deps, id, cutoff).await,
        PoolId::Campaign(id) => of_campaign(deps, id, cutoff).await,
        // Parts of a drop: no scan names them.
        PoolId::Waiting(_) | PoolId::Lots(_) => Ok(Standing::Gone),
    };
    match standing {
        Err(error) if error.kind == PortErrorKind::Corrupt => {
            Ok(Standing::held("an item of it cannot be read"))
        }
        standing => standing,
    }
}

/// When the remainder of a spray or a drop was returned; `Err` says why it was not.
async fn returned_at<D: Deps>(deps: &D, pool: PoolId) -> PortResult<Result<Timestamp, Standing>> {
    let (refund, is_refused) = match pool {
        PoolId::Spray(id) => match deps.spray(id).await? {
            Some(spray) => (spray.refund.map(|refund| refund.at), spray.refused.is_some()),
            None => return Ok(Err(Standing::Gone)),
        },
        PoolId::Drop(id) => match deps.drop_record(id).await? {
            Some(record) => (record.refund.map(|refund| refund.at), record.refused.is_some()),
            None => return Ok(Err(Standing::Gone)),
        },
        PoolId::Waiting(_) | PoolId::Lots(_) | PoolId::Campaign(_) | PoolId::Product(_) => {
            return Ok(Err(Standing::Gone));
        }
    };
    Ok(match refund {
        Some(at) => Ok(at),
        None if is_refused => Err(Standing::held("its refund is refused: the wallet is full")),
        None => Err(Standing::held("its remainder is not returned")),
    })
}

async fn of_pool<D: Deps>(deps: &D, pool: PoolId, cutoff: Timestamp) -> PortResult<Standing> {
    match returned_at(deps, pool).await? {
        Ok(at) if at < cutoff => {}
        Ok(_) => return Ok(Standing::held("it ended later than the age")),
        Err(standing) => return Ok(standing),
    }
    let books = match books_of(deps, pool).await? {
        Ok(books) => books,
        Err(_) => return Ok(Standing::held("it does not add up")),
    };
    Ok(all_paid(&books, cutoff).map_or_else(Standing::held, |()| Standing::Finished))
}

/// Every entry is paid or voided before the cutoff, and no grant is open. A payment that an operator
/// tried again may be as old as its entry and yet have been made today.
fn all_paid(books: &Books, cutoff: Timestamp) -> Result<(), &'static str> {
    let paid: BTreeSet<TransferId> = books.transfers.iter().map(|t| t.order.id).collect();
    let is_settled = |id: &TransferId| paid.contains(id) || books.voided.contains(id);
    if books.failed.iter().any(|failed| failed.status != GrantStatus::Voided) {
        return Err("a grant of it was refused, and neither paid nor voided since");
    }
    if books.grants().any(|grant| !is_settled(&grant.id.transfer())) {
        return Err("an entry of it is not paid");
    }
    let is_late = |posted: Option<Timestamp>| posted.is_some_and(|at| at >= cutoff);
    let is_paid_late = books.transfers.iter().any(|transfer| is_late(transfer.posted));
    if is_paid_late || books.failed.iter().any(|failed| failed.failed_at >= cutoff) {
        return Err("money of it moved later than the age");
    }
    Ok(())
}

async fn of_product<D: Deps>(deps: &D, id: ProductId, cutoff: Timestamp) -> PortResult<Standing> {
    let Some(product) = deps.product(id).await? else { return Ok(Standing::Gone) };
    match product.settled {
        None => return Ok(Standing::held("it is not settled")),
        Some(settled) if settled.outcome == Outcome::Refunding => {
            return Ok(Standing::held("its investments are not all refunded"));
        }
        Some(settled) if settled.at >= cutoff => {
            return Ok(Standing::held("it ended later than the age"));
        }
        Some(_) => {}
    }
    Ok(match product_adds_up(deps, id).await? {
        true => Standing::Finished,
        false => Standing::held("it does not add up"),
    })
}

/// A campaign ends with its last action: one that nothing was done with for so long is not started,
/// retried or rolled back any more once it is archived.
async fn of_campaign<D: Deps>(deps: &D, id: CampaignId, cutoff: Timestamp) -> PortResult<Standing> {
    let Some(seen) = deps.campaign(id).await? else { return Ok(Standing::Gone) };
    let campaign = seen.value;
    let life = &campaign.life;
    let at_work = matches!(life.state, State::Sealing | State::Running | State::RollingBack);
    if at_work || life.queued.is_some() {
        return Ok(Standing::held(format!("it is {}", life.state.as_str())));
    }
    let agenda = deps.agenda().await?.value;
    let on_agenda = agenda.queued.iter().any(|queued| queued.id == id)
        || agenda.running.iter().any(|running| running.id == id)
        || agenda.rolling_back.contains(&id)
        || agenda.sealing.contains(&id);
    if on_agenda {
        return Ok(Standing::held("it is on the agenda"));
    }
    let last = deps.audit_of(id, campaign.audit.seq.saturating_sub(1), 1).await?;
    let last = last.last().map(|entry| entry.at).max(campaign.ended_at);
    if last.is_none_or(|last| last >= cutoff) {
        return Ok(Standing::held("it ended later than the age"));
    }
    let counts = Counts::of_shards(&deps.counts(id).await?);
    match counts {
        // What became of a call is not known: the row may have been paid.
        Some(counts) if counts.tally.unknown.rows == 0 => Ok(Standing::Finished),
        Some(_) => Ok(Standing::held("the outcome of a row is not known")),
        None => Ok(Standing::held("its counters cannot be summed")),
    }
}
