//! The governor of money services: the shared rate and the circuit breaker, in table `edge`.
//!
//! A lease is one conditional write, without a read before it while permits are in demand: the TAT
//! is ahead of the wish, and the write adds the block to it. The old item that comes back with a
//! refused condition says what to try instead.
//!
//! # Guarantees
//! * No permit is leased twice: `workers_that_lease_at_once_share_no_permit`,
//!   `permits_of_a_lost_reply_are_leased_to_nobody`.
//! * A block costs one write unit: `a_million_permits_cost_four_thousand_write_units`.
//! * Of all workers one gets the probe: `one_of_sixteen_workers_gets_the_probe`.

mod codec;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use largesse_app::ports::{BreakerWritten, Breakers, Leased, Permits, PortResult, StoredBreaker};
use largesse_domain::breaker::Breaker;
use largesse_domain::id::ServiceId;
use largesse_domain::rate::{Block, Moment, Rate, RateState, Wish, gap_ns};

use self::codec::{
    BREAKER_NAMES, RATE, TAT, VERSION, breaker_values, rate_value, read_breaker, read_rate,
    read_tat,
};
use crate::errors::{contended, corrupt, port_error};
use crate::item::{Item, n};
use crate::keys;
use crate::store::Store;

/// How often a lease or a change of the rate is tried while others write. A lease that only adds to
/// the TAT is never in their way, so the second try nearly always succeeds.
const TRIES_MAX: usize = 8;

/// What a conditional write did: the attributes it wrote, or the item that it found.
type Sent = Result<Item, Option<Item>>;

async fn send(operation: &'static str, update: UpdateItemFluentBuilder) -> PortResult<Sent> {
    let sent = update
        .return_values(ReturnValue::UpdatedNew)
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .send()
        .await;
    let error = match sent {
        Ok(sent) => return Ok(Ok(sent.attributes.unwrap_or_default())),
        Err(error) => error,
    };
    match error.as_service_error() {
        Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
            Ok(Err(failed.item().filter(|item| !item.is_empty()).cloned()))
        }
        _ => Err(port_error(operation, error)),
    }
}

impl Store {
    fn update_edge(&self, key: Item) -> UpdateItemFluentBuilder {
        self.dynamo.update_item().table_name(&self.names.edge).set_key(Some(key))
    }

    /// Leases permits behind those that are leased, wherever these end within the wish.
    async fn lease_behind(
        &self,
        service: &ServiceId,
        rate: Rate,
        count: u32,
        wish: &Wish,
    ) -> PortResult<Result<Block, Option<Item>>> {
        let span = rate.span_ns(count);
        let last = wish.until.0.saturating_sub(rate.span_ns(count.saturating_sub(1)));
        let update = self
            .update_edge(keys::rate(service))
            .update_expression("SET #tat = #tat + :span")
            // The rate that the span was computed from. Not in the past: a permit before the wish
            // would be over when the reply arrives. Not beyond the wish: a permit that is not used
            // is lost to all.
            .condition_expression("#rate = :rate AND #tat >= :from AND #tat <= :last")
            .expression_attribute_names("#tat", TAT)
            .expression_attribute_names("#rate", RATE)
            .expression_attribute_values(":span", n(span))
            .expression_attribute_values(":rate", rate_value(rate))
            .expression_attribute_values(":from", n(wish.from.0))
            .expression_attribute_values(":last", n(last));
        Ok(match send("lease permits", update).await? {
            Ok(written) => {
                let end = read_tat(&written)?;
                let first = end.0.checked_sub(span).ok_or_else(|| corrupt("rate item"))?;
                Ok(Block { rate, first: Moment(first), count })
            }
            Err(found) => Err(found),
        })
    }

    /// Leases the block of a wish that begins where no permit is leased.
    async fn lease_anew(&self, service: &ServiceId, block: &Block) -> PortResult<Sent> {
        let update = self
            .update_edge(keys::rate(service))
            .update_expression("SET #tat = :end, #rate = :rate")
            // The first lease of all. Or: still the rate that the block was computed from, and still
            // no permit leased at or behind the block's first.
            .condition_expression("attribute_not_exists(pk) OR (#rate = :rate AND #tat < :first)")
            .expression_attribute_names("#tat", TAT)
            .expression_attribute_names("#rate", RATE)
            .expression_attribute_values(":end", n(block.end().0))
            .expression_attribute_values(":rate", rate_value(block.rate))
            .expression_attribute_values(":first", n(block.first.0));
        send("lease permits", update).await
    }
}

impl Store {
    /// The rate of a service as it is stored; `None` before its first lease. Strongly consistent.
    ///
    /// # Errors
    /// [`largesse_app::ports::PortError`].
    pub async fn rate(&self, service: &ServiceId) -> PortResult<Option<RateState>> {
        let got = self
            .dynamo
            .get_item()
            .table_name(&self.names.edge)
            .set_key(Some(keys::rate(service)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("read rate", error))?;
        got.item.map(|item| read_rate(&item)).transpose()
    }
}

impl Permits for Store {
    async fn lease(&self, service: &ServiceId, rate: Rate, wish: &Wish) -> PortResult<Leased> {
        // As if all before the wish were leased: the most common case, and no read is needed.
        let mut guess = RateState { rate, tat: wish.from };
        let mut is_behind = true;
        for _ in 0..TRIES_MAX {
            let block = match guess.lease(wish) {
                Ok(block) => block,
                Err(next) => return Ok(Leased::None { next }),
            };
            let found = if is_behind {
                match self.lease_behind(service, guess.rate, block.count, wish).await? {
                    Ok(leased) => return Ok(Leased::Block(leased)),
                    Err(found) => found,
                }
            } else {
                match self.lease_anew(service, &block).await? {
                    Ok(_) => return Ok(Leased::Block(block)),
                    Err(found) => found,
                }
            };
            (guess, is_behind) = match found {
                Some(item) => {
                    let state = read_rate(&item)?;
                    (state, state.tat >= wish.from)
                }
                None => (RateState { rate, tat: wish.from }, false),
            };
        }
        Err(contended("lease permits"))
    }

    async fn set_rate(&self, service: &ServiceId, rate: Rate) -> PortResult<()> {
        for _ in 0..TRIES_MAX {
            let seen = self.rate(service).await?;
            let update = self
                .update_edge(keys::rate(service))
                .expression_attribute_names("#tat", TAT)
                .expression_attribute_names("#rate", RATE)
                .expression_attribute_values(":new", rate_value(rate));
            let update = match seen {
                Some(old) if old.rate == rate => return Ok(()),
                Some(old) => update
                    .update_expression("SET #rate = :new, #tat = #tat + :gap")
                    // Still the rate whose last permit the gap was computed from.
                    .condition_expression("#rate = :old")
                    .expression_attribute_values(":old", rate_value(old.rate))
                    .expression_attribute_values(":gap", n(gap_ns(old.rate, rate))),
                None => update
                    .update_expression("SET #rate = :new, #tat = :zero")
                    // Still no lease: the TAT never falls.
                    .condition_expression("attribute_not_exists(pk)")
                    .expression_attribute_values(":zero", n(0)),
            };
            if send("set rate", update).await?.is_ok() {
                return Ok(());
            }
        }
        Err(contended("set rate"))
    }
}

impl Breakers for Store {
    async fn breaker(&self, service: &ServiceId) -> PortResult<StoredBreaker> {
        let got = self
            .dynamo
            .get_item()
            .table_name(&self.names.edge)
            .set_key(Some(keys::breaker(service)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("read breaker", error))?;
        got.item.map_or_else(|| Ok(StoredBreaker::default()), |item| read_breaker(&item))
    }

    async fn put_breaker(
        &self,
        service: &ServiceId,
        seen: StoredBreaker,
        breaker: Breaker,
    ) -> PortResult<BreakerWritten> {
        let wished = StoredBreaker { breaker, version: seen.version.saturating_add(1) };
        let mut update = self
            .update_edge(keys::breaker(service))
            .update_expression(
                "SET #version = :new, #state = :state, #until_ms = :until_ms, \
                 #openings = :openings, #probe = :probe",
            )
            .expression_attribute_names("#version", VERSION)
            .expression_attribute_values(":new", n(wished.version));
        for (name, value) in BREAKER_NAMES.into_iter().zip(breaker_values(breaker)) {
            update = update
                .expression_attribute_names(format!("#{name}"), name)
                .expression_attribute_values(format!(":{name}"), value);
        }
        let update = if seen.version == 0 {
            // No worker has written it: the first to open it does.
            update.condition_expression("attribute_not_exists(pk)")
        } else {
            // No worker has written it since it was read: of all that read it, one opens it, takes
            // the probe or reports.
            update
                .condition_expression("#version = :seen")
                .expression_attribute_values(":seen", n(seen.version))
        };
        match send("write breaker", update).await? {
            Ok(_) => Ok(BreakerWritten::Done(wished)),
            Err(found) => {
                let found =
                    found.map_or_else(|| Ok(StoredBreaker::default()), |i| read_breaker(&i))?;
                // Our own write, whose reply was lost: a probe has its own id.
                let is_ours = found == wished;
                Ok(if is_ours {
                    BreakerWritten::Done(found)
                } else {
                    BreakerWritten::Changed(found)
                })
            }
        }
    }
}
