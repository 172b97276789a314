//! One round of group commit: the draws that wait are written together, and what no longer fits is
//! decided in arrival order against the head that the refusal returned.

use std::sync::Arc;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use largesse_app::ports::{NotWon, PortError, PortResult, Won};
use largesse_domain::id::{PoolId, UserId};
use largesse_domain::money::Amount;
use largesse_domain::pool::{Draw, Drawn, Pool, Supply};

use super::expression::Write;
use super::head;
use crate::errors::{contended, port_error};
use crate::keys;
use crate::store::Store;

/// How often a batch is written anew after the head turned out different. Each time either somebody
/// is answered or another process got ahead.
const WRITES_MAX: usize = 16;

/// What a write came to.
enum Written {
    /// It held; the head after it.
    Held(Pool),
    /// It did not; the head as it stands, if there is one.
    Refused(Option<Pool>),
}

/// Draws that are decided together.
pub(crate) struct Batch<'a> {
    pub(crate) store: &'a Store,
    pub(crate) pool: PoolId,
    /// How many released numbers the head was last seen with.
    pub(crate) free_known: usize,
    /// Notes to trim on the way.
    pub(crate) trims: Vec<(UserId, Drawn)>,
    /// The shares, computed once.
    pub(crate) worth: &'a (dyn Fn(&Supply, u64) -> Option<Amount> + Sync),
}

/// An answer for each draw, in order, and the last head that was seen.
pub(crate) struct Decided {
    pub(crate) answers: Vec<PortResult<Result<Won, NotWon>>>,
    pub(crate) head: Option<Arc<Pool>>,
}

impl Batch<'_> {
    /// Decides all of them.
    pub(crate) async fn decide(&mut self, draws: &[Draw]) -> Decided {
        let mut answers: Vec<Option<PortResult<Result<Won, NotWon>>>> = Vec::new();
        answers.resize_with(draws.len(), || None);
        let mut last = None;
        for _ in 0..WRITES_MAX {
            let open: Vec<usize> = unanswered(&answers);
            let batch: Vec<Draw> = open.iter().filter_map(|i| draws.get(*i).cloned()).collect();
            if batch.is_empty() {
                break;
            }
            match self.write(&batch).await {
                Err(error) => {
                    fill(&mut answers, &open, |_| Err(error.clone()));
                    break;
                }
                Ok(Written::Refused(None)) => {
                    fill(&mut answers, &open, |_| Ok(Err(NotWon::NoSuchPool)));
                    break;
                }
                Ok(Written::Held(pool)) => {
                    fill(&mut answers, &open, |i| self.won(&pool, draws.get(i)).map(Ok));
                    last = Some(Arc::new(pool));
                }
                Ok(Written::Refused(Some(pool))) => {
                    self.refuse(&pool, draws, &open, &mut answers);
                    self.learn(&pool);
                    last = Some(Arc::new(pool));
                }
            }
        }
        let give_up = || Err::<Result<Won, NotWon>, PortError>(contended("draw"));
        let answers = answers.into_iter().map(|answer| answer.unwrap_or_else(give_up)).collect();
        Decided { answers, head: last }
    }

    /// What the next write should go by.
    fn learn(&mut self, pool: &Pool) {
        self.free_known = match &pool.supply {
            Supply::Shares { numbers, .. } | Supply::Slots { numbers, .. } => numbers.free.len(),
            Supply::Amount { .. } => 0,
        };
        // A note that is another draw's now must not be trimmed.
        self.trims.retain(|(member, drawn)| {
            pool.pending.get(member).is_none_or(|pending| pending == drawn)
        });
    }

    fn won(&self, pool: &Pool, draw: Option<&Draw>) -> PortResult<Won> {
        let drawn = draw.and_then(|draw| pool.pending.get(&draw.member)).copied();
        // The write held, so the note is there.
        let drawn = drawn.ok_or_else(PortError::unreadable_part)?;
        Won::of(drawn, |part| (self.worth)(&pool.supply, part))
    }

    /// Answers whoever the head as it stands refuses, in arrival order; the others are written
    /// again.
    fn refuse(
        &self,
        pool: &Pool,
        draws: &[Draw],
        open: &[usize],
        answers: &mut [Option<PortResult<Result<Won, NotWon>>>],
    ) {
        let mut as_if = pool.clone();
        for (member, drawn) in &self.trims {
            as_if.trim(member, *drawn);
        }
        for i in open {
            let Some(draw) = draws.get(*i) else { continue };
            // The note of this member counts although it is to be trimmed: they have drawn.
            let noted = pool.pending.get(&draw.member);
            let refused = match noted {
                Some(_) => pool.decide(draw).err(),
                None => as_if.draw(draw).err(),
            };
            if let (Some(refused), Some(answer)) = (refused, answers.get_mut(*i)) {
                let worth = |part| (self.worth)(&pool.supply, part);
                *answer = Some(NotWon::of(&refused, worth).map(Err));
            }
        }
    }

    async fn write(&self, draws: &[Draw]) -> PortResult<Written> {
        let write = Write::new(draws, &self.trims, self.free_known);
        let sent = self
            .store
            .dynamo
            .update_item()
            .table_name(&self.store.names.pools)
            .set_key(Some(keys::pool(self.pool)))
            .update_expression(write.update)
            .condition_expression(write.condition)
            .set_expression_attribute_names(Some(write.names))
            .set_expression_attribute_values(Some(write.values))
            // Winner and loser have their answer in this one call.
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match sent {
            Ok(output) => {
                let item = output.attributes.unwrap_or_default();
                return head::read(&item).map(Written::Held);
            }
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                let head = failed.item().filter(|item| !item.is_empty());
                Ok(Written::Refused(head.map(head::read).transpose()?))
            }
            _ => Err(port_error("draw", error)),
        }
    }
}

fn unanswered<T>(answers: &[Option<T>]) -> Vec<usize> {
    answers.iter().enumerate().filter(|(_, a)| a.is_none()).map(|(i, _)| i).collect()
}

fn fill<T>(answers: &mut [Option<T>], open: &[usize], answer: impl Fn(usize) -> T) {
    for i in open {
        if let Some(slot) = answers.get_mut(*i) {
            *slot = Some(answer(*i));
        }
    }
}
