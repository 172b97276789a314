//! Dispatch of `DynamoDB`'s operations to the engine.

use dynoxide::DynoxideError;
use dynoxide::actions::vector_lifecycle::VectorIndexLifecycle;
use dynoxide::actions::{
    batch_get_item, batch_write_item, create_table, delete_item, describe_table,
    describe_time_to_live, get_item, list_tables, put_item, query, scan, transact_get_items,
    transact_write_items, update_item, update_time_to_live,
};
use dynoxide::types::ConsumedCapacity;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::tokens::{ContentHash, Known};
use super::{Database, at_once};
use crate::recorder::Units;

/// A successful reply: its JSON, and the consumed capacity.
#[derive(Debug)]
pub(crate) struct Success {
    pub(crate) body: Vec<u8>,
    pub(crate) units: Vec<Units>,
}

/// The two shapes in which replies report consumed capacity.
trait Consumed {
    fn each(&self) -> &[ConsumedCapacity];
}

impl Consumed for Option<ConsumedCapacity> {
    fn each(&self) -> &[ConsumedCapacity] {
        self.as_slice()
    }
}

impl Consumed for Option<Vec<ConsumedCapacity>> {
    fn each(&self) -> &[ConsumedCapacity] {
        self.as_deref().unwrap_or_default()
    }
}

/// Runs an action that reports no capacity.
macro_rules! plain {
    ($database:expr, $body:expr, $action:ident) => {{
        let request = parse($body)?;
        let response = at_once($action::execute(&*$database.lock(), request))?;
        Ok(Success { body: write(&response)?, units: Vec::new() })
    }};
}

/// Runs an action that reports capacity. When the recorder measures, the report is requested for it
/// and removed from the reply again.
macro_rules! metered {
    ($database:expr, $body:expr, $measure:expr, $write:expr, $action:ident :: $Request:ident) => {{
        let mut request: $action::$Request = parse($body)?;
        let is_wanted = request.return_consumed_capacity.is_some();
        if $measure && !is_wanted {
            request.return_consumed_capacity = Some("TOTAL".to_owned());
        }
        let mut response = at_once($action::execute(&*$database.lock(), request))?;
        let units = units(&response.consumed_capacity, $write);
        if !is_wanted {
            response.consumed_capacity = None;
        }
        Ok(Success { body: write(&response)?, units })
    }};
}

impl Database {
    /// Runs one operation. With `measure`, every result has its units.
    pub(crate) fn call(
        &self,
        operation: &str,
        body: &[u8],
        measure: bool,
    ) -> Result<Success, DynoxideError> {
        match operation {
            "GetItem" => metered!(self, body, measure, false, get_item::GetItemRequest),
            "PutItem" => metered!(self, body, measure, true, put_item::PutItemRequest),
            "UpdateItem" => metered!(self, body, measure, true, update_item::UpdateItemRequest),
            "DeleteItem" => metered!(self, body, measure, true, delete_item::DeleteItemRequest),
            "Query" => metered!(self, body, measure, false, query::QueryRequest),
            "Scan" => metered!(self, body, measure, false, scan::ScanRequest),
            "BatchGetItem" => {
                metered!(self, body, measure, false, batch_get_item::BatchGetItemRequest)
            }
            "BatchWriteItem" => {
                metered!(self, body, measure, true, batch_write_item::BatchWriteItemRequest)
            }
            "TransactGetItems" => {
                metered!(self, body, measure, false, transact_get_items::TransactGetItemsRequest)
            }
            "TransactWriteItems" => self.transact_write(body, measure),
            "CreateTable" => plain!(self, body, create_table),
            "DescribeTable" => {
                let request = parse(body)?;
                // The life cycle is that of vector indexes, which no table has.
                let none = VectorIndexLifecycle::new();
                let response = at_once(describe_table::execute(&*self.lock(), request, &none))?;
                Ok(Success { body: write(&response)?, units: Vec::new() })
            }
            "ListTables" => plain!(self, body, list_tables),
            "UpdateTimeToLive" => plain!(self, body, update_time_to_live),
            "DescribeTimeToLive" => plain!(self, body, describe_time_to_live),
            other => Err(DynoxideError::ValidationException(format!(
                "The emulated DynamoDB does not support {other}."
            ))),
        }
    }

    /// A transaction under a known token gives the first reply again and does nothing.
    fn transact_write(&self, body: &[u8], measure: bool) -> Result<Success, DynoxideError> {
        let tokened: Tokened = parse(body)?;
        let Some(token) = tokened.token else { return self.transact_write_once(body, measure) };
        let ContentHash(content) = tokened.content;
        let (mut tokens, now_ms) = self.tokens.lock();
        match tokens.look_up(&token, content, now_ms) {
            Known::Done(body) => return Ok(Success { body, units: Vec::new() }),
            Known::Mismatch => {
                return Err(DynoxideError::IdempotentParameterMismatchException(
                    "The request uses the same client token as a previous, but non-identical \
                     request. Do not reuse a client token with different requests, unless the \
                     requests are identical"
                        .to_owned(),
                ));
            }
            Known::New => {}
        }
        let answer = self.transact_write_once(body, measure)?;
        tokens.remember(&token, content, &answer.body, now_ms);
        Ok(answer)
    }

    fn transact_write_once(&self, body: &[u8], measure: bool) -> Result<Success, DynoxideError> {
        let mut request: transact_write_items::TransactWriteItemsRequest = parse(body)?;
        // This crate's own tokens take the place of the engine's.
        request.client_request_token = None;
        let is_wanted = request.return_consumed_capacity.is_some();
        if measure && !is_wanted {
            request.return_consumed_capacity = Some("TOTAL".to_owned());
        }
        let mut response = at_once(transact_write_items::execute(&*self.lock(), request))?;
        let units = units(&response.consumed_capacity, true);
        if !is_wanted {
            response.consumed_capacity = None;
        }
        Ok(Success { body: write(&response)?, units })
    }
}

/// The parts of a transaction that its token is about.
#[derive(Deserialize)]
struct Tokened {
    #[serde(rename = "ClientRequestToken")]
    token: Option<String>,
    #[serde(rename = "TransactItems", default)]
    content: ContentHash,
}

fn units(consumed: &impl Consumed, is_write: bool) -> Vec<Units> {
    let unit = |one: &ConsumedCapacity| Units {
        table: one.table_name.clone(),
        read: if is_write { 0.0 } else { one.capacity_units },
        write: if is_write { one.capacity_units } else { 0.0 },
    };
    consumed.each().iter().map(unit).collect()
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, DynoxideError> {
    serde_json::from_slice(body).map_err(|error| refused(&error))
}

/// The text of the engine's parse errors says which AWS error they are.
fn refused(error: &serde_json::Error) -> DynoxideError {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or(&text);
    for mark in ["VALIDATION_REQUEST:", "VALIDATION_AS_READ:", "VALIDATION:"] {
        if let Some(message) = text.strip_prefix(mark) {
            return DynoxideError::ValidationException(message.to_owned());
        }
    }
    if text.contains("missing field") || text.contains("AttributeValue") {
        return DynoxideError::ValidationException(text.to_owned());
    }
    DynoxideError::SerializationException(text.to_owned())
}

fn write(response: &impl Serialize) -> Result<Vec<u8>, DynoxideError> {
    serde_json::to_vec(response)
        .map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}
