//! Region, account and the names made from them.

/// The region of the local stack. A real one, because the SDK derives endpoints from it.
pub const REGION: &str = "ap-northeast-2";
/// The account of the local stack.
pub const ACCOUNT: &str = "000000000000";
/// What `AWS::StackName` resolves to, so that every local resource has one predictable name.
pub const STACK_NAME: &str = "largesse";

/// The URL of a queue. The connector reads its last part; there is no server.
#[must_use]
pub fn queue_url(queue: &str) -> String {
    format!("https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{queue}")
}

/// The ARN of a queue.
#[must_use]
pub fn queue_arn(queue: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}")
}

/// The ARN of a table.
#[must_use]
pub fn table_arn(table: &str) -> String {
    format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table}")
}

/// The ARN of a table's stream. The label is fixed: a local table has one stream.
#[must_use]
pub fn stream_arn(table: &str) -> String {
    format!("{}/stream/2026-01-01T00:00:00.000", table_arn(table))
}

/// The ARN of an event bus.
#[must_use]
pub fn bus_arn(bus: &str) -> String {
    format!("arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{bus}")
}

/// The last part of a queue URL, a bus ARN or a table ARN: the name. A plain name stays as it is.
#[must_use]
pub(crate) fn last_part(name_or_path: &str) -> &str {
    name_or_path.rsplit(['/', ':']).next().unwrap_or(name_or_path)
}
