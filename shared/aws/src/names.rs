//! The names of what template.yaml deploys.

use largesse_app::settings::{SettingError, Variables};

/// The names that a process works with. A function is given those that its policy lets it use; the
/// others stay empty, and AWS refuses a call to them.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Table of rooms and members: `TABLE_ROOMS`.
    pub rooms: String,
    /// Table of wallets and transfers: `TABLE_LEDGER`.
    pub ledger: String,
    /// Table of tokens: `TABLE_TOKENS`.
    pub tokens: String,
    /// Table of sprays and of how many each sender has: `TABLE_SPRAYS`.
    pub sprays: String,
    /// Table of buckets: `TABLE_POOLS`.
    pub pools: String,
    /// Table of drops: `TABLE_DROPS`.
    pub drops: String,
    /// Table of grants that were refused: `TABLE_GRANTS`.
    pub grants: String,
    /// Table of idempotency keys: `TABLE_EDGE`.
    pub edge: String,
    /// Table of campaigns, their parts, counters and audit: `TABLE_CAMPAIGNS`.
    pub campaigns: String,
    /// Table of the rows of campaigns and what became of them: `TABLE_CAMPAIGN_ROWS`.
    pub campaign_rows: String,
    /// Table of products, their capacity and investments: `TABLE_PRODUCTS`.
    pub products: String,
    /// Table of the proof of the ledger, and of pools that are frozen: `TABLE_RECONCILE`.
    pub reconcile: String,
    /// Queue of grants to pay, by URL: `QUEUE_GRANTS_URL`.
    pub queue_grants_url: String,
    /// Dead-letter queue of grants, by URL: `QUEUE_GRANTS_DLQ_URL`.
    pub queue_grants_dlq_url: String,
    /// Dead-letter queue of the outbox, by URL: `QUEUE_OUTBOX_DLQ_URL`.
    pub queue_outbox_dlq_url: String,
    /// Queue of campaigns to seal, by URL: `QUEUE_SEALS_URL`.
    pub queue_seals_url: String,
    /// Queue of the chunks of campaigns, in lanes, by URL: `QUEUE_CAMPAIGNS_URL`.
    pub queue_campaigns_url: String,
    /// Queue of chunks that come back later, by URL: `QUEUE_CAMPAIGN_RETRIES_URL`.
    pub queue_campaign_retries_url: String,
    /// Queue of campaigns to pay or to reverse, by URL: `QUEUE_FANOUTS_URL`.
    pub queue_fanouts_url: String,
    /// Queue of notices, by URL: `QUEUE_NOTIFY_URL`.
    pub queue_notify_url: String,
    /// Dead-letter queue of notices, by URL: `QUEUE_NOTIFY_DLQ_URL`.
    pub queue_notify_dlq_url: String,
    /// Event bus: `BUS_EVENTS`.
    pub bus_events: String,
    /// How many live sprays a member may have: `LIVE_SPRAYS_MAX`.
    pub live_sprays_max: u32,
}

/// The name of a table, as DynamoDB accepts it (Amazon DynamoDB Developer Guide, "Naming rules").
///
/// # Errors
/// [`SettingError`].
pub fn table(variables: &Variables<'_>, name: &'static str) -> Result<String, SettingError> {
    let expected = "the name of a table: 3 to 255 of A-Z a-z 0-9 _ - .";
    variables.required(name, expected, |text| {
        let is_known = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
        ((3..=255).contains(&text.len()) && text.bytes().all(is_known)).then(|| text.to_owned())
    })
}

/// The URL of a queue.
///
/// # Errors
/// [`SettingError`].
pub fn queue(variables: &Variables<'_>, name: &'static str) -> Result<String, SettingError> {
    variables.required(name, "the URL of a queue", url)
}

/// The name of an event bus, as EventBridge accepts it (Amazon EventBridge API Reference,
/// `CreateEventBus`).
///
/// # Errors
/// [`SettingError`].
pub fn bus(variables: &Variables<'_>, name: &'static str) -> Result<String, SettingError> {
    let expected = "the name of an event bus: 1 to 256 of A-Z a-z 0-9 _ - . /";
    variables.required(name, expected, |text| {
        let is_known = |b: u8| b.is_ascii_alphanumeric() || b"_-./".contains(&b);
        (text.len() <= 256 && text.bytes().all(is_known)).then(|| text.to_owned())
    })
}

/// A URL with a host. The SDK has the last word.
pub(crate) fn url(text: &str) -> Option<String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let is_url = !rest.is_empty() && !rest.starts_with('/') && !text.contains(char::is_whitespace);
    is_url.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_aws_would_not_accept_is_malformed() {
        type Read = fn(&Variables<'_>, &'static str) -> Result<String, SettingError>;
        let cases: [(Read, &[&str], &[&str]); 3] = [
            (table, &["abc", "my_Table-1.x"], &["ab", "a b c", "a/b/c", "\u{ac00}\u{ac00}"]),
            (queue, &["https://sqs/1/q", "http://127.0.0.1:1/q"], &["q", "https://", "http:///q"]),
            (bus, &["b", "largesse-events"], &["a b", "a:b"]),
        ];
        for (read, good, bad) in cases {
            let read = |text: &str| read(&Variables::new(|_| Some(text.to_owned())), "NAME");
            for text in good {
                assert_eq!(read(text).as_deref(), Ok(*text));
            }
            for text in bad {
                assert!(read(text).is_err(), "{text}");
            }
        }
        let long = |n| table(&Variables::new(|_| Some("a".repeat(n))), "NAME");
        assert!(long(255).is_ok() && long(256).is_err());
    }
}
