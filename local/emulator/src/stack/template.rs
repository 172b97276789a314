//! Resources of a template: tables, queues, buses, rules.

use serde_json::{Map, Value, json};

use super::functions;
use super::resolve::{Names, environment_and_timeout, missing, read};
use super::{QueueSpec, Redrive, RuleSpec, Stack, StackError, TableSpec};
use crate::names;
use crate::pattern::Pattern;

/// The types whose names the emulator uses.
const KNOWN_TYPES: [&str; 3] = ["AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::Events::EventBus"];

pub(super) fn parse(text: &str) -> Result<Stack, StackError> {
    let template = read(text)?;
    let resources = template["Resources"].as_object().ok_or(StackError::NoResources)?;
    let known = names_of(&template, resources)?;
    let globals = known.resolve(&template["Globals"]["Function"], "Globals").or_else(|_| {
        // Globals may refer to resources that the emulator does not have, such as a log group.
        known.resolve(&environment_and_timeout(&template["Globals"]["Function"]), "Globals")
    })?;
    let mut stack = Stack::default();
    for (id, resource) in resources {
        let properties = &resource["Properties"];
        match kind(resource) {
            "AWS::DynamoDB::Table" => {
                stack.tables.push(table(id, &known.resolve(properties, id)?)?)
            }
            "AWS::SQS::Queue" => stack.queues.push(queue(id, &known.resolve(properties, id)?)?),
            "AWS::Events::EventBus" => stack.buses.push(name_of(id, resource, &known)?),
            "AWS::Events::Rule" => stack.rules.push(rule(id, &known.resolve(properties, id)?)?),
            "AWS::Serverless::Function" => {
                stack
                    .functions
                    .push(functions::function(id, resource, resources, &globals, &known)?);
            }
            _ => {}
        }
    }
    let is_there = |name: &String| stack.queues.iter().any(|queue| queue.name == *name);
    let has_no_target = |queue: &&QueueSpec| {
        queue.redrive.as_ref().is_some_and(|redrive| !is_there(&redrive.queue))
    };
    if let Some(queue) = stack.queues.iter().find(has_no_target) {
        return Err(missing(&queue.name, "RedrivePolicy.deadLetterTargetArn"));
    }
    let targets = stack.rules.iter().flat_map(|rule| &rule.queues);
    if let Some(target) = targets.into_iter().find(|target| !is_there(target)) {
        return Err(missing(target, "Targets.Arn (a queue)"));
    }
    Ok(stack)
}

/// The values of all references in the template.
fn names_of(template: &Value, resources: &Map<String, Value>) -> Result<Names, StackError> {
    let mut known = Names::default();
    if let Some(parameters) = template["Parameters"].as_object() {
        for (name, parameter) in parameters {
            known.refs.insert(name.clone(), parameter["Default"].clone());
        }
    }
    for (id, resource) in resources {
        let name = match kind(resource) {
            known_type if KNOWN_TYPES.contains(&known_type) => name_of(id, resource, &known)?,
            // Names of buckets are lower case. The emulator has no objects: who reads them is given a
            // store of its own.
            "AWS::S3::Bucket" => format!("{}-{}", names::STACK_NAME, id.to_ascii_lowercase()),
            // Functions, and resources that the emulator does not have, keep their logical id.
            _ => id.clone(),
        };
        let mut attribute = |key: &str, value: String| {
            known.attributes.insert(format!("{id}.{key}"), value);
        };
        let reference = match kind(resource) {
            "AWS::DynamoDB::Table" => {
                attribute("Arn", names::table_arn(&name));
                attribute("StreamArn", names::stream_arn(&name));
                name
            }
            "AWS::SQS::Queue" => {
                attribute("Arn", names::queue_arn(&name));
                attribute("QueueName", name.clone());
                attribute("QueueUrl", names::queue_url(&name));
                names::queue_url(&name)
            }
            "AWS::S3::Bucket" => {
                attribute("Arn", format!("arn:aws:s3:::{name}"));
                name
            }
            "AWS::Events::EventBus" => {
                attribute("Arn", names::bus_arn(&name));
                attribute("Name", name.clone());
                name
            }
            _ => name,
        };
        known.refs.insert(id.clone(), json!(reference));
    }
    Ok(known)
}

fn kind(resource: &Value) -> &str {
    resource["Type"].as_str().unwrap_or_default()
}

/// The name of a resource, or its logical id when it has no name.
fn name_of(id: &str, resource: &Value, known: &Names) -> Result<String, StackError> {
    let property = match kind(resource) {
        "AWS::DynamoDB::Table" => "TableName",
        "AWS::SQS::Queue" => "QueueName",
        _ => "Name",
    };
    let name = known.resolve(&resource["Properties"][property], id)?;
    Ok(name.as_str().unwrap_or(id).to_owned())
}

fn table(id: &str, properties: &Value) -> Result<TableSpec, StackError> {
    let pairs = |property: &str, value: &str| -> Result<Vec<(String, String)>, StackError> {
        let members = properties[property].as_array().ok_or_else(|| missing(id, property))?;
        let pair = |member: &Value| {
            let text = |key: &str| member[key].as_str().map(ToOwned::to_owned);
            text("AttributeName").zip(text(value)).ok_or_else(|| missing(id, property))
        };
        members.iter().map(pair).collect()
    };
    let ttl = &properties["TimeToLiveSpecification"];
    let has_ttl = ttl["Enabled"].as_bool().unwrap_or(false);
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    Ok(TableSpec {
        name: text(&properties["TableName"]).unwrap_or_else(|| id.to_owned()),
        keys: pairs("KeySchema", "KeyType")?,
        attributes: pairs("AttributeDefinitions", "AttributeType")?,
        indexes: properties["GlobalSecondaryIndexes"].as_array().cloned().unwrap_or_default(),
        ttl_attribute: text(&ttl["AttributeName"]).filter(|_| has_ttl),
        stream_view: text(&properties["StreamSpecification"]["StreamViewType"]),
    })
}

fn queue(id: &str, properties: &Value) -> Result<QueueSpec, StackError> {
    let mut queue = QueueSpec::named(properties["QueueName"].as_str().unwrap_or(id));
    let is = |property: &str| properties[property].as_bool().unwrap_or(false);
    queue.fifo = is("FifoQueue");
    queue.content_deduplication = is("ContentBasedDeduplication");
    queue.deduplication_per_group = properties["DeduplicationScope"] == "messageGroup";
    let millis = |property: &str, or_else: i64| {
        properties[property].as_i64().map_or(or_else, |seconds| seconds.saturating_mul(1_000))
    };
    queue.visibility_ms = millis("VisibilityTimeout", queue.visibility_ms);
    queue.delay_ms = millis("DelaySeconds", 0);
    queue.retention_ms = millis("MessageRetentionPeriod", queue.retention_ms);
    let policy = &properties["RedrivePolicy"];
    if policy.is_object() {
        let arn = policy["deadLetterTargetArn"].as_str();
        let max = policy["maxReceiveCount"].as_u64().and_then(|max| u32::try_from(max).ok());
        let (arn, receives_max) = arn.zip(max).ok_or_else(|| missing(id, "RedrivePolicy"))?;
        queue.redrive = Some(Redrive { queue: names::last_part(arn).to_owned(), receives_max });
    }
    Ok(queue)
}

/// A rule whose targets are queues, which receive the whole event: no other targets, no input
/// transformers. (Functions have their rules among their events.)
fn rule(id: &str, properties: &Value) -> Result<RuleSpec, StackError> {
    let pattern = Some(&properties["EventPattern"]).filter(|pattern| !pattern.is_null());
    let pattern = pattern.map(|pattern| Pattern::from_value(pattern.clone())).transpose();
    let targets = properties["Targets"].as_array().ok_or_else(|| missing(id, "Targets"))?;
    let queue = |target: &Value| {
        let members = target.as_object()?;
        let is_whole =
            members.keys().all(|key| ["Arn", "Id", "DeadLetterConfig"].contains(&&**key));
        let arn = members.get("Arn")?.as_str().filter(|_| is_whole)?;
        Some(names::last_part(arn).to_owned())
    };
    let queues = targets.iter().map(|target| queue(target).ok_or_else(|| missing(id, "Targets")));
    Ok(RuleSpec {
        bus: properties["EventBusName"].as_str().map_or("default", names::last_part).into(),
        pattern: pattern.map_err(|_| missing(id, "EventPattern"))?,
        queues: queues.collect::<Result<_, _>>()?,
    })
}
