//! The functions of a template, and their triggers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::policy;
use super::resolve::{Names, environment_and_timeout, missing, plain};
use super::{FunctionSpec, QueueTrigger, RuleTrigger, StackError, StreamTrigger};
use crate::names;
use crate::pattern::Pattern;

/// Lambda's defaults: seconds of an invocation, messages and records of a batch.
const TIMEOUT_S: u64 = 3;
const QUEUE_BATCH: usize = 10;
const STREAM_BATCH: usize = 100;
/// The concurrency where the template sets none. Lambda scales to 1,000; one machine gains nothing
/// from more than this.
const CONCURRENCY: usize = 100;

pub(super) fn function(
    id: &str,
    resource: &Value,
    resources: &Map<String, Value>,
    globals: &Value,
    known: &Names,
) -> Result<FunctionSpec, StackError> {
    let properties = &resource["Properties"];
    let own = known.resolve(&environment_and_timeout(properties), id)?;
    let mut environment = BTreeMap::new();
    for source in [globals, &own] {
        if let Some(variables) = source["Environment"]["Variables"].as_object() {
            let pair = |(name, value): (&String, &Value)| (name.clone(), plain(value));
            environment.extend(variables.iter().map(pair));
        }
    }
    let seconds = own["Timeout"].as_u64().or_else(|| globals["Timeout"].as_u64());
    let timeout = Duration::from_secs(seconds.unwrap_or(TIMEOUT_S));
    let mut function = FunctionSpec {
        id: id.to_owned(),
        binary: binary(id, resource)?,
        timeout,
        environment,
        permissions: policy::of(id, properties, resources, known)?,
        ..FunctionSpec::default()
    };
    if let Some(events) = properties["Events"].as_object() {
        for (event_id, event) in events {
            trigger(&mut function, event_id, event, known)?;
        }
    }
    Ok(function)
}

/// The binary's name: as stated for the build, or the name of the code folder.
fn binary(id: &str, resource: &Value) -> Result<String, StackError> {
    let stated = resource["Metadata"]["BuildProperties"]["Binary"].as_str();
    let folder = resource["Properties"]["CodeUri"].as_str();
    let folder = folder.map(|path| names::last_part(path.trim_end_matches('/')));
    stated
        .or(folder)
        .filter(|name| !name.is_empty() && *name != ".")
        .map(ToOwned::to_owned)
        .ok_or_else(|| missing(id, "Metadata.BuildProperties.Binary"))
}

fn trigger(
    function: &mut FunctionSpec,
    event_id: &str,
    event: &Value,
    known: &Names,
) -> Result<(), StackError> {
    let place = format!("{}.{event_id}", function.id);
    let raw = &event["Properties"];
    match event["Type"].as_str().unwrap_or_default() {
        "HttpApi" | "Api" => {
            let text = |key: &str, or_else: &str| raw[key].as_str().unwrap_or(or_else).to_owned();
            let method = text("Method", "ANY").to_ascii_uppercase();
            function.routes.push((method, text("Path", "$default")));
        }
        "SQS" => {
            let properties = known.resolve(raw, &place)?;
            function.queues.push(QueueTrigger {
                queue: last(&properties["Queue"], &place, "Queue")?,
                batch_size: count(&properties["BatchSize"]).unwrap_or(QUEUE_BATCH),
                concurrency_max: count(&properties["ScalingConfig"]["MaximumConcurrency"])
                    .unwrap_or(CONCURRENCY),
                timeout: function.timeout,
            });
        }
        "DynamoDB" => {
            let properties = known.resolve(raw, &place)?;
            function.streams.push(stream(function, &properties, &place)?);
        }
        "Schedule" | "ScheduleV2" => {
            let properties = known.resolve(raw, &place)?;
            let rate = properties["ScheduleExpression"].as_str();
            let rate = rate.or_else(|| properties["Schedule"].as_str()).and_then(interval);
            let rate = rate.ok_or_else(|| missing(&place, "Schedule (as a rate)"))?;
            function.schedules.push((event_id.to_owned(), rate));
        }
        "EventBridgeRule" | "CloudWatchEvent" => {
            let properties = known.resolve(raw, &place)?;
            let pattern = Some(&properties["Pattern"]).filter(|pattern| !pattern.is_null());
            let pattern = pattern.map(|pattern| Pattern::from_value(pattern.clone()));
            function.rules.push(RuleTrigger {
                bus: properties["EventBusName"].as_str().map_or("default", names::last_part).into(),
                pattern: pattern.transpose().map_err(|_| missing(&place, "Pattern"))?,
                timeout: function.timeout,
            });
        }
        _ => return Err(missing(&place, "Type")),
    }
    Ok(())
}

fn stream(
    function: &FunctionSpec,
    properties: &Value,
    place: &str,
) -> Result<StreamTrigger, StackError> {
    let arn = properties["Stream"].as_str().ok_or_else(|| missing(place, "Stream"))?;
    let table = arn.split("table/").nth(1).and_then(|rest| rest.split('/').next());
    let filters = properties["FilterCriteria"]["Filters"].as_array();
    let filter = |filter: &Value| {
        let pattern = filter["Pattern"].as_str().map(Pattern::parse);
        pattern.and_then(Result::ok).ok_or_else(|| missing(place, "FilterCriteria"))
    };
    let destination = &properties["DestinationConfig"]["OnFailure"]["Destination"];
    Ok(StreamTrigger {
        table: table.ok_or_else(|| missing(place, "Stream"))?.to_owned(),
        consumer: function.id.clone(),
        batch_size: count(&properties["BatchSize"]).unwrap_or(STREAM_BATCH),
        filters: filters.into_iter().flatten().map(filter).collect::<Result<_, _>>()?,
        // -1 and a missing value both mean no limit.
        retries_max: properties["MaximumRetryAttempts"]
            .as_u64()
            .and_then(|max| u32::try_from(max).ok()),
        record_age_max: properties["MaximumRecordAgeInSeconds"].as_u64().map(Duration::from_secs),
        on_failure: destination.as_str().map(|arn| names::last_part(arn).to_owned()),
        timeout: function.timeout,
    })
}

fn last(value: &Value, place: &str, property: &str) -> Result<String, StackError> {
    let text = value.as_str().ok_or_else(|| missing(place, property))?;
    Ok(names::last_part(text).to_owned())
}

fn count(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|count| usize::try_from(count).ok()).filter(|count| *count > 0)
}

/// The interval of `rate(5 minutes)`. Cron expressions are not supported.
fn interval(expression: &str) -> Option<Duration> {
    let inner = expression.trim().strip_prefix("rate(")?.strip_suffix(')')?;
    let (number, unit) = inner.trim().split_once(' ')?;
    let seconds: u64 = match unit.trim().trim_end_matches('s') {
        "minute" => 60,
        "hour" => 3_600,
        "day" => 86_400,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
}
