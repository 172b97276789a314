//! The resources of a deployment, read from the same `template.yaml` that is deployed.

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
    /// Bus rules whose targets are queues.
    pub rules: Vec<RuleSpec>,
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
    /// Its name; that of a FIFO queue ends in `.fifo`.
    pub name: String,
    /// Whether it is a FIFO queue.
    pub fifo: bool,
    /// The visibility timeout.
    pub visibility_ms: i64,
    /// The delay of new messages.
    pub delay_ms: i64,
    /// The retention period.
    pub retention_ms: i64,
    /// Whether SQS makes a missing deduplication id from the body.
    pub content_deduplication: bool,
    /// Whether deduplication ids count per group, not per queue.
    pub deduplication_per_group: bool,
    /// The dead-letter queue, if there is one.
    pub redrive: Option<Redrive>,
}

/// A queue's redrive policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redrive {
    /// The name of the dead-letter queue.
    pub queue: String,
    /// The number of receives after which a message is moved there.
    pub receives_max: u32,
}

/// A Lambda function.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FunctionSpec {
    /// Its logical id in the template.
    pub id: String,
    /// The binary it runs, which is also the name of its crate: `spray-claim`.
    pub binary: String,
    /// The timeout of one invocation.
    pub timeout: Duration,
    /// Its environment, resolved to local names and URLs. A dynamic reference
    /// (`{{resolve:secretsmanager:...}}`) stays as it is: the emulator has no secrets.
    pub environment: BTreeMap<String, String>,
    /// Its routes: `("POST", "/api/v2/sprays")`. `("ANY", "$default")` is the fall-back.
    pub routes: Vec<(String, String)>,
    /// Queues that trigger it.
    pub queues: Vec<QueueTrigger>,
    /// Streams that trigger it.
    pub streams: Vec<StreamTrigger>,
    /// Schedules that trigger it: the event's logical id and the interval.
    pub schedules: Vec<(String, Duration)>,
    /// Bus rules that trigger it.
    pub rules: Vec<RuleTrigger>,
    /// The permissions of its policy or its role. The emulator checks no permission; tests compare
    /// them with the recorded calls.
    pub permissions: Vec<Permission>,
}

/// One action on one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// The action, as IAM names it: `dynamodb:GetItem`.
    pub action: String,
    /// The local ARN, or the reference in the template for resources that the emulator lacks.
    pub resource: String,
    /// The items of a table, by a pattern of their partition keys (`dynamodb:LeadingKeys`):
    /// `KEY#*`. `None`: all.
    pub keys: Option<String>,
    /// The attribute of the items (`dynamodb:Attributes`). `None`: all.
    pub attribute: Option<String>,
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
    /// The timeout of one invocation.
    pub timeout: Duration,
}

/// An event source mapping from a table's stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamTrigger {
    /// The table's name.
    pub table: String,
    /// The function's logical id. It names the position that is kept across restarts.
    pub consumer: String,
    /// Records per invocation.
    pub batch_size: usize,
    /// A record must match one of these, if there are any.
    pub filters: Vec<Pattern>,
    /// The number of retries after which a record is discarded; `None`: no limit.
    pub retries_max: Option<u32>,
    /// The age after which a record is discarded, tried or not; `None`: no limit.
    pub record_age_max: Option<Duration>,
    /// The queue for reports of discarded records.
    pub on_failure: Option<String>,
    /// The timeout of one invocation.
    pub timeout: Duration,
}

/// A rule of an event bus.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleTrigger {
    /// The bus.
    pub bus: String,
    /// The pattern of its events; without one the rule matches all.
    pub pattern: Option<Pattern>,
    /// The timeout of one invocation.
    pub timeout: Duration,
}

/// A rule of an event bus that sends its events to queues.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSpec {
    /// The bus.
    pub bus: String,
    /// The pattern of its events; without one the rule matches all.
    pub pattern: Option<Pattern>,
    /// The names of the queues.
    pub queues: Vec<String>,
}

/// A template that the emulator cannot use.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// It is not YAML.
    #[error("the template is not YAML")]
    Yaml(#[source] saphyr::ScanError),
    /// It holds no document, or its document is not a mapping with `Resources`.
    #[error("the template has no Resources")]
    NoResources,
    /// An intrinsic function that is not supported, or an unknown name.
    #[error("{place}: cannot resolve {what}")]
    Unresolved {
        /// Where in the template.
        place: String,
        /// The intrinsic function.
        what: String,
    },
    /// A property is missing or has an unusable value.
    #[error("{place}: {property} is missing or has an unusable value")]
    Property {
        /// The logical id of the resource.
        place: String,
        /// The property.
        property: String,
    },
}

/// A template as JSON, with each tag in its long form: `!Ref x` is `{"Ref": x}`.
///
/// # Errors
/// When the text is not YAML.
pub fn template_json(text: &str) -> Result<Value, StackError> {
    resolve::read(text)
}

impl Stack {
    /// Reads a SAM template.
    ///
    /// # Errors
    /// When the text is not YAML, has an unknown reference, or lacks a needed property.
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
    /// The `CreateTable` request of this table.
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
    /// A queue with SQS's defaults: visibility timeout 30 s, retention 4 days. It is a FIFO queue
    /// when its name ends in `.fifo`.
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
