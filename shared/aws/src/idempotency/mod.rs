//! Idempotency keys: table `edge`.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use largesse_app::ports::{Begun, Idempotency, PortResult, Retention, StoredAnswer};
use largesse_domain::id::Ulid;
use largesse_domain::time::Timestamp;

use crate::errors::{corrupt, is_refused, port_error, unless_refused};
use crate::item::{Item, Reader, ms, n, s};
use crate::keys;
use crate::store::Store;

const RUNNING: &str = "RUNNING";
const DONE: &str = "DONE";

fn read_op(reader: &Reader<'_>) -> PortResult<Ulid> {
    Ulid::from_string(reader.text("op")?).map_err(|_| reader.corrupt())
}

impl Store {
    /// What the key stands for, by the item found under it.
    async fn begun(
        &self,
        key: &str,
        payload_hash: &str,
        op: Ulid,
        until: Timestamp,
        now: Timestamp,
        found: &Item,
    ) -> PortResult<Begun> {
        let reader = Reader { item: found, what: "idempotency item" };
        if reader.text("payload")? != payload_hash {
            return Ok(Begun::OtherPayload);
        }
        if reader.text("state")? == DONE {
            let (status, body) = (reader.number("answer")?, reader.text("body")?.to_owned());
            return Ok(Begun::Done(StoredAnswer { status, body }));
        }
        let earlier = read_op(&reader)?;
        if earlier == op {
            // Our own put, whose reply was lost.
            return Ok(Begun::Fresh(op));
        }
        let lease = reader.ms("lease_ms")?;
        if now < lease {
            return Ok(Begun::InFlight);
        }
        self.take_over(key, earlier, lease, until).await
    }

    async fn take_over(
        &self,
        key: &str,
        op: Ulid,
        lease: Timestamp,
        until: Timestamp,
    ) -> PortResult<Begun> {
        let taken = self
            .dynamo
            .update_item()
            .table_name(&self.names.edge)
            .set_key(Some(keys::idempotency(key)))
            .update_expression("SET lease_ms = :until")
            // Still that operation; not answered meanwhile; and no other request took it over: it
            // would have moved the lease.
            .condition_expression("op = :op AND #state = :running AND lease_ms = :lease")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":until", ms(until))
            .expression_attribute_values(":op", s(op))
            .expression_attribute_values(":running", s(RUNNING))
            .expression_attribute_values(":lease", ms(lease))
            .send()
            .await;
        match taken {
            Ok(_) => Ok(Begun::Resumed(op)),
            Err(error) if is_refused(&error) => Ok(Begun::InFlight),
            Err(error) => Err(port_error("take over request", error)),
        }
    }
}

impl Idempotency for Store {
    async fn begin(
        &self,
        key: &str,
        payload_hash: &str,
        op: Ulid,
        now: Timestamp,
        retention: Retention,
    ) -> PortResult<Begun> {
        let until = now.plus_ms(retention.kept_ms);
        let lease = now.plus_ms(retention.lease_ms);
        let mut item = keys::idempotency(key);
        let mut put = |name: &str, value| item.insert(name.to_owned(), value);
        put("payload", s(payload_hash));
        put("op", s(op));
        put("state", s(RUNNING));
        put("lease_ms", ms(lease));
        put("until_ms", ms(until));
        put("expires_at", n(until.ms_unsigned().div_euclid(1_000).saturating_add(1)));
        let sent = self
            .dynamo
            .put_item()
            .table_name(&self.names.edge)
            .set_item(Some(item))
            // The key is new, or its time is over by its own timestamp: TTL may
            // delete it days later.
            .condition_expression("attribute_not_exists(pk) OR until_ms <= :now")
            .expression_attribute_values(":now", ms(now))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match sent {
            Ok(_) => return Ok(Begun::Fresh(op)),
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                let found = failed.item().ok_or_else(|| corrupt("idempotency item"))?;
                self.begun(key, payload_hash, op, lease, now, found).await
            }
            _ => Err(port_error("begin request", error)),
        }
    }

    async fn finish(&self, key: &str, op: Ulid, answer: &StoredAnswer) -> PortResult<()> {
        let sent = self
            .dynamo
            .update_item()
            .table_name(&self.names.edge)
            .set_key(Some(keys::idempotency(key)))
            .update_expression("SET #state = :done, answer = :answer, body = :body")
            // Still this operation: the key may have run out and been used for another. And not
            // answered: a run that was taken over, or a repeat of this write, must not change what
            // callers may have been told.
            .condition_expression("op = :op AND #state = :running")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":running", s(RUNNING))
            .expression_attribute_values(":done", s(DONE))
            .expression_attribute_values(":answer", n(answer.status))
            .expression_attribute_values(":body", s(&answer.body))
            .expression_attribute_values(":op", s(op))
            .send()
            .await;
        unless_refused("keep answer", sent)
    }

    async fn release(&self, key: &str, op: Ulid) -> PortResult<()> {
        let sent = self
            .dynamo
            .update_item()
            .table_name(&self.names.edge)
            .set_key(Some(keys::idempotency(key)))
            .update_expression("SET lease_ms = :zero")
            // Still this operation, and not answered.
            .condition_expression("op = :op AND #state = :running")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":zero", n(0))
            .expression_attribute_values(":op", s(op))
            .expression_attribute_values(":running", s(RUNNING))
            .send()
            .await;
        unless_refused("release request", sent)
    }
}
