//! SQS's JSON operations: requests to calls of the model, results to replies.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::message::{Message, Sending};
use super::queue::Queue;
use super::shapes::{Batch, Entry, Receipt, Receive, Request, Send};
use super::{Sqs, SqsError, change_visibility};
use crate::names;

/// Entries per batch request and messages per receive, as SQS limits both.
const BATCH_MAX: usize = 10;
/// Bytes of a message, and of all messages of a batch together, as SQS limits both.
const BYTES_MAX: usize = 1_048_576;
/// Characters of a group or deduplication id, as SQS limits both.
const ID_CHARS_MAX: usize = 128;
/// Seconds of the longest visibility timeout: 12 hours.
const VISIBILITY_S_MAX: i64 = 43_200;

impl Sqs {
    /// Runs one operation and gives the JSON of its reply.
    pub(crate) fn call(&self, operation: &str, body: &[u8]) -> Result<Vec<u8>, SqsError> {
        let answer = match operation {
            "SendMessage" => {
                let Request { queue_url, rest } = parse::<Request<Send>>(body)?;
                self.with(&queue_url, |queue, now_ms| send(queue, now_ms, rest))?
            }
            "SendMessageBatch" => {
                let request: Request<Batch<Send>> = parse(body)?;
                let bytes = |entry: &Entry<Send>| entry.rest.message_body.len();
                if request.rest.entries.iter().map(bytes).sum::<usize>() > BYTES_MAX {
                    return Err(SqsError::batch_too_long());
                }
                self.batch(request, send)?
            }
            "ReceiveMessage" => self.receive_some(&parse(body)?)?,
            "DeleteMessage" => {
                let Request { queue_url, rest } = parse::<Request<Receipt>>(body)?;
                self.with(&queue_url, |queue, now_ms| delete(queue, now_ms, rest))?
            }
            "DeleteMessageBatch" => self.batch(parse(body)?, delete)?,
            "ChangeMessageVisibility" => {
                let Request { queue_url, rest } = parse::<Request<Receipt>>(body)?;
                self.with(&queue_url, |queue, now_ms| change(queue, now_ms, rest))?
            }
            "ChangeMessageVisibilityBatch" => self.batch(parse(body)?, change)?,
            "GetQueueUrl" => self.queue_url(&parse(body)?)?,
            "GetQueueAttributes" => self.attributes(&parse::<Request<Value>>(body)?)?,
            "PurgeQueue" => {
                let request: Request<Value> = parse(body)?;
                self.with(&request.queue_url, |queue, now_ms| {
                    queue.purge(now_ms);
                    Ok(json!({}))
                })?
            }
            "StartMessageMoveTask" => {
                let request: Value = parse(body)?;
                let source = request["SourceArn"].as_str();
                let source = source.ok_or_else(|| SqsError::missing("SourceArn"))?;
                self.redrive(source, request["DestinationArn"].as_str())?;
                json!({ "TaskHandle": source })
            }
            other => return Err(SqsError::unsupported(other)),
        };
        serde_json::to_vec(&answer).map_err(|error| SqsError::internal(&error.to_string()))
    }

    /// Runs `act` for each entry, under one lock and with one write to disk. Entries succeed and
    /// fail one by one; only a malformed batch fails as a whole.
    fn batch<T>(
        &self,
        request: Request<Batch<T>>,
        act: impl Fn(&mut Queue, i64, T) -> Result<Value, SqsError>,
    ) -> Result<Value, SqsError> {
        let entries = request.rest.entries;
        if entries.is_empty() {
            return Err(SqsError::empty_batch());
        }
        if entries.len() > BATCH_MAX {
            return Err(SqsError::too_many_entries());
        }
        let mut ids = BTreeSet::new();
        if let Some(entry) = entries.iter().find(|entry| !ids.insert(entry.id.as_str())) {
            return Err(SqsError::ids_not_distinct(&entry.id));
        }
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        self.with(&request.queue_url, |queue, now_ms| {
            for Entry { id, rest } in entries {
                match act(queue, now_ms, rest) {
                    Ok(mut done) => {
                        done["Id"] = Value::String(id);
                        successful.push(done);
                    }
                    Err(error) => failed.push(json!({
                        "Id": id, "Code": error.code, "Message": error.message,
                        "SenderFault": error.is_senders(),
                    })),
                }
            }
            Ok(())
        })?;
        Ok(json!({ "Successful": successful, "Failed": failed }))
    }

    fn receive_some(&self, request: &Request<Receive>) -> Result<Value, SqsError> {
        let wanted = &request.rest;
        let max = wanted.max_number_of_messages.unwrap_or(1);
        if !(1..=BATCH_MAX).contains(&max) {
            return Err(SqsError::invalid("MaxNumberOfMessages must be between 1 and 10."));
        }
        let visibility_ms = wanted.visibility_timeout.map(visibility_ms).transpose()?;
        let given = self.receive(&request.queue_url, max, visibility_ms)?;
        let messages: Vec<Value> = given
            .iter()
            .map(|message| {
                let mut attributes = system_attributes(message);
                let is_wanted = |name: &str| {
                    wanted.attribute_names.contains(name)
                        || wanted.message_system_attribute_names.contains(name)
                };
                attributes.retain(|name, _| is_wanted("All") || is_wanted(name));
                let mut shown = json!({
                    "MessageId": message.id,
                    "ReceiptHandle": message.receipt(),
                    "MD5OfBody": format!("{:x}", md5::compute(&message.body)),
                    "Body": message.body,
                });
                if !attributes.is_empty() {
                    shown["Attributes"] = Value::Object(attributes);
                }
                if !wanted.message_attribute_names.is_empty() && message.attributes.is_object() {
                    shown["MessageAttributes"] = message.attributes.clone();
                }
                shown
            })
            .collect();
        Ok(if messages.is_empty() { json!({}) } else { json!({ "Messages": messages }) })
    }

    fn queue_url(&self, request: &Value) -> Result<Value, SqsError> {
        let name = request["QueueName"].as_str().ok_or_else(|| SqsError::missing("QueueName"))?;
        self.name_of(name).map(|name| json!({ "QueueUrl": names::queue_url(&name) }))
    }

    fn attributes(&self, request: &Request<Value>) -> Result<Value, SqsError> {
        let wanted = request.rest["AttributeNames"].as_array().cloned().unwrap_or_default();
        self.with(&request.queue_url, |queue, now_ms| {
            queue.tick(now_ms);
            queue.expire(now_ms);
            let (visible, in_flight, delayed) = queue.counts();
            let spec = &queue.spec;
            let mut all = Map::new();
            let mut add = |name: &str, value: String| all.insert(name.to_owned(), json!(value));
            add("ApproximateNumberOfMessages", visible.to_string());
            add("ApproximateNumberOfMessagesNotVisible", in_flight.to_string());
            add("ApproximateNumberOfMessagesDelayed", delayed.to_string());
            add("QueueArn", names::queue_arn(&spec.name));
            add("VisibilityTimeout", (spec.visibility_ms / 1_000).to_string());
            add("FifoQueue", spec.fifo.to_string());
            if let Some(redrive) = &spec.redrive {
                let policy = json!({
                    "deadLetterTargetArn": names::queue_arn(&redrive.queue),
                    "maxReceiveCount": redrive.receives_max,
                });
                add("RedrivePolicy", policy.to_string());
            }
            all.retain(|name, _| wanted.iter().any(|one| one == "All" || one == name.as_str()));
            Ok(json!({ "Attributes": all }))
        })
    }
}

/// The system attributes of a message, as receivers and Lambda functions get them.
pub(crate) fn system_attributes(message: &Message) -> Map<String, Value> {
    let mut all = Map::new();
    let mut add = |name: &str, value: String| all.insert(name.to_owned(), json!(value));
    add("ApproximateReceiveCount", message.receive_count.to_string());
    add("ApproximateFirstReceiveTimestamp", message.first_received_ms.to_string());
    add("SentTimestamp", message.sent_ms.to_string());
    add("SenderId", names::ACCOUNT.to_owned());
    if !message.deduplication.is_empty() {
        add("SequenceNumber", sequence_number(message.sequence));
        add("MessageGroupId", message.group.clone());
        add("MessageDeduplicationId", message.deduplication.clone());
    }
    if let Some(header) = &message.trace_header {
        add("AWSTraceHeader", header.clone());
    }
    if let Some(arn) = &message.source_arn {
        add("DeadLetterQueueSourceArn", arn.clone());
    }
    all
}

fn send(queue: &mut Queue, now_ms: i64, send: Send) -> Result<Value, SqsError> {
    let spec = &queue.spec;
    if send.message_body.is_empty() || send.message_body.len() > BYTES_MAX {
        return Err(SqsError::invalid("The message must have 1 to 1048576 bytes."));
    }
    let md5 = format!("{:x}", md5::compute(&send.message_body));
    let deduplication = match send.message_deduplication_id {
        _ if !spec.fifo => String::new(),
        Some(id) => id,
        None if spec.content_deduplication => hex::encode(Sha256::digest(&send.message_body)),
        None => {
            return Err(SqsError::invalid(
                "The queue should either have ContentBasedDeduplication enabled or \
                 MessageDeduplicationId provided explicitly",
            ));
        }
    };
    if spec.fifo && send.delay_seconds.is_some_and(|delay| delay != 0) {
        return Err(SqsError::invalid(
            "Value for parameter DelaySeconds is invalid. Reason: The request include \
             parameter that is not valid for this queue type.",
        ));
    }
    if spec.fifo && send.message_group_id.is_none() {
        return Err(SqsError::missing("MessageGroupId"));
    }
    let too_long = |id: &str| id.chars().count() > ID_CHARS_MAX;
    if too_long(&deduplication) || send.message_group_id.as_deref().is_some_and(too_long) {
        return Err(SqsError::invalid("Group and deduplication ids have at most 128 characters."));
    }
    let fifo = spec.fifo;
    let trace = &send.message_system_attributes["AWSTraceHeader"]["StringValue"];
    let sending = Sending {
        group: send.message_group_id.filter(|_| fifo),
        deduplication,
        delay_ms: send.delay_seconds.map(|delay| delay.saturating_mul(1_000)),
        trace_header: trace.as_str().map(ToOwned::to_owned),
        attributes: send.message_attributes,
        body: send.message_body,
    };
    let sent = queue.send(sending, now_ms);
    let mut reply = json!({ "MessageId": sent.id, "MD5OfMessageBody": md5 });
    if fifo {
        reply["SequenceNumber"] = Value::String(sequence_number(sent.sequence));
    }
    Ok(reply)
}

fn delete(queue: &mut Queue, now_ms: i64, receipt: Receipt) -> Result<Value, SqsError> {
    let handle = &receipt.receipt_handle;
    queue.delete(handle, now_ms).map_err(|bad| SqsError::bad_receipt(handle, bad))?;
    Ok(json!({}))
}

fn change(queue: &mut Queue, now_ms: i64, receipt: Receipt) -> Result<Value, SqsError> {
    let seconds =
        receipt.visibility_timeout.ok_or_else(|| SqsError::missing("VisibilityTimeout"))?;
    change_visibility(queue, now_ms, &receipt.receipt_handle, visibility_ms(seconds)?)?;
    Ok(json!({}))
}

fn sequence_number(sequence: u64) -> String {
    format!("{sequence:020}")
}

fn visibility_ms(seconds: i64) -> Result<i64, SqsError> {
    if !(0..=VISIBILITY_S_MAX).contains(&seconds) {
        return Err(SqsError::invalid("VisibilityTimeout must be between 0 and 43200."));
    }
    Ok(seconds.saturating_mul(1_000))
}

fn parse<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, SqsError> {
    serde_json::from_slice(body).map_err(|error| SqsError::invalid(&error.to_string()))
}
