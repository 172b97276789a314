//! What the world consists of, read from the same `template.yaml` that is deployed.

mod functions;
mod policy;
mod resolve;
mod template;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::pattern::Pattern;

/// A deployment: its tables, queues, buses and functions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stack {
    /// Tables, in the template's order.
    pub tables: Vec<TableSpec>,
    /// Queues, in the template's order.
    pub queues: Vec<QueueSpec>,
    /// Names of event buses besides `default`.
    pub buses: Vec<String>,
    /// Functions, in the template's order.
    pub functions: Vec<FunctionSpec>,
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableSpec {
    /// Its name.
    pub name: String,
    /// `(attribute, "HASH" or "RANGE")`.
    pub keys: Vec<(String, String)>,
    /// `(attribute, "S", "N" or "B")` of every attribute in a key.
    pub attributes: Vec<(String, String)>,
    /// Global secondary indexes, each as `CreateTable` takes it.
    pub indexes: Vec<Value>,
    /// The attribute that holds the expiry time, in epoch seconds.
    pub ttl_attribute: Option<String>,
    /// The view of the stream, if there is one: `NEW_IMAGE`, `NEW_AND_OLD_IMAGES`, ...
    pub stream_view: Option<String>,
}

/// A queue.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueueSpec {
    /// Its name, with `.fifo` when it is one.
    pub name: String,
    /// Whether it keeps order within groups and deduplicates.
    pub fifo: bool,
    /// How long a received message stays invisible.
    pub visibility_ms: i64,
    /// How long a message is held back after it was sent.
    pub delay_ms: i64,
    /// How long a message is kept at all.
    pub retention_ms: i64,
    /// Whether a missing deduplication id is made from the body.
    pub content_deduplication: bool,
    /// Whether deduplication ids count per group instead of per queue.
    pub deduplication_per_group: bool,
    /// Where messages go that were received too often.
    pub redrive: Option<Redrive>,
}

/// A queue's way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redrive {
    /// The name of the dead-letter queue.
    pub queue: String,
    /// How often a message is received before it goes there.
    pub receives_max: u32,
}

/// A Lambda function.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FunctionSpec {
    /// Its logical id in the template.
    pub id: String,
    /// The binary it runs, which is also the name of its crate: `spray-claim`.
    pub binary: String,
    /// How long one invocation may take.
    pub timeout: Duration,
    /// Its environment, resolved to local names and URLs. A dynamic reference
    /// (`{{resolve:secretsmanager:...}}`) stays as it is: a secret has no local counterpart.
    pub environment: BTreeMap<String, String>,
    /// Its routes: `("POST", "/api/v2/sprays")`. `("ANY", "$default")` takes what no other takes.
    pub routes: Vec<(String, String)>,
    /// Queues that trigger it.
    pub queues: Vec<QueueTrigger>,
    /// Streams that trigger it.
    pub streams: Vec<StreamTrigger>,
    /// Schedules that trigger it: the event's logical id and the interval.
    pub schedules: Vec<(String, Duration)>,
    /// Bus rules that trigger it.
    pub rules: Vec<RuleTrigger>,
    /// What its policy, or the role that is written out for it, allows. The world allows
    /// everything; tests compare.
    pub permissions: Vec<Permission>,
}

/// One action on one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// The action, as IAM names it: `dynamodb:GetItem`.
    pub action: String,
    /// The ARN of the resource here; its place in the template when it has no local counterpart.
    pub resource: String,
}

/// An event source mapping from a queue.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueTrigger {
    /// The queue's name.
    pub queue: String,
    /// Messages per invocation.
    pub batch_size: usize,
    /// Invocations at the same time.
    pub concurrency_max: usize,
    /// How long one invocation may take before it counts as failed.
    pub timeout: Duration,
}

/// An event source mapping from a table's stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamTrigger {
    /// The table's name.
    pub table: String,
    /// Names the position that is kept across restarts; the function's logical id.
    pub consumer: String,
    /// Records per invocation.
    pub batch_size: usize,
    /// A record passes when it matches any of these, or when there are none.
    pub filters: Vec<Pattern>,
    /// How often a failed record is tried again before it is given up; `None`: for ever.
    pub retries_max: Option<u32>,
    /// How old a record may be to be handed over, also for the first time; `None`: any age.
    pub record_age_max: Option<Duration>,
    /// The queue that is told what was given up.
    pub on_failure: Option<String>,
    /// How long one invocation may take before it counts as failed.
    pub timeout: Duration,
}

/// A rule of an event bus.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleTrigger {
    /// The bus.
    pub bus: String,
    /// Which events it takes; all when there is none.
    pub pattern: Option<Pattern>,
    /// How long one invocation may take before it counts as failed.
    pub timeout: Duration,
}

/// A template that the world cannot be built from.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// It is not YAML.
    #[error("the template is not YAML")]
    Yaml(#[source] saphyr::ScanError),
    /// It holds no document, or its document is not a mapping with `Resources`.
    #[error("the template has no Resources")]
    NoResources,
    /// An intrinsic function that is not understood, or that names nothing.
    #[error("{place}: cannot resolve {what}")]
    Unresolved {
        /// Where in the template.
        place: String,
        /// The intrinsic function as it stands there.
        what: String,
    },
    /// A property is missing or has a value that does not make sense.
    #[error("{place}: {property} is missing or makes no sense")]
    Property {
        /// The logical id of the resource.
        place: String,
        /// The property.
        property: String,
    },
}

impl Stack {
    /// Reads a SAM template.
    ///
    /// # Errors
    /// When the text is not YAML, refers to what is not there, or lacks what the world needs.
    pub fn parse(template: &str) -> Result<Self, StackError> {
        template::parse(template)
    }

    /// The function that runs `binary`.
    #[must_use]
    pub fn function(&self, binary: &str) -> Option<&FunctionSpec> {
        self.functions.iter().find(|function| function.binary == binary)
    }

    /// The table named `name`.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&TableSpec> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// The queue named `name`.
    #[must_use]
    pub fn queue(&self, name: &str) -> Option<&QueueSpec> {
        self.queues.iter().find(|queue| queue.name == name)
    }
}

impl TableSpec {
    /// The `CreateTable` request that makes this table.
    pub(crate) fn create_request(&self) -> Value {
        let keys = self.keys.iter();
        let attributes = self.attributes.iter();
        let mut request = json!({
            "TableName": self.name,
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": keys
                .map(|(name, kind)| json!({ "AttributeName": name, "KeyType": kind }))
                .collect::<Vec<_>>(),
            "AttributeDefinitions": attributes
                .map(|(name, kind)| json!({ "AttributeName": name, "AttributeType": kind }))
                .collect::<Vec<_>>(),
        });
        if !self.indexes.is_empty() {
            request["GlobalSecondaryIndexes"] = json!(self.indexes);
        }
        if let Some(view) = &self.stream_view {
            let stream = json!({ "StreamEnabled": true, "StreamViewType": view });
            request["StreamSpecification"] = stream;
        }
        request
    }
}

impl QueueSpec {
    /// A queue with the service's defaults: visible after 30 s, kept for 4 days. FIFO when its name
    /// ends in `.fifo`.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            fifo: name.to_ascii_lowercase().ends_with(".fifo"),
            visibility_ms: 30_000,
            retention_ms: 4 * 24 * 3_600 * 1_000,
            ..Self::default()
        }
    }
}
