//! Taking dead letters out of their queue to look at them, and putting them back.

use std::collections::BTreeMap;

use aws_sdk_sqs::types::QueueAttributeName;
use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, MessageSystemAttributeName};

use super::{DlqError, failed};

/// Messages of one receive, and entries of one batch (SQS API reference).
const BATCH_MAX: usize = 10;
/// Letters that are looked at in one go.
const LETTERS_MAX: usize = 10_000;
/// How long nobody else sees what is being looked at. Every look gives it back when it ends; this
/// is for one that is killed. A redrive that outlasts it may meet another, and both pay once.
const HIDDEN_S: i32 = 60;
/// How long to wait for letters: SQS asks all of its servers only when it may wait.
const WAIT_S: i32 = 1;

/// A dead letter.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Its id in SQS.
    pub id: String,
    /// What it says.
    pub body: String,
    /// What SQS says about it.
    pub attributes: BTreeMap<String, String>,
    receipt: String,
}

/// One queue of dead letters.
pub(super) struct Letters {
    sqs: aws_sdk_sqs::Client,
    url: String,
}

impl Letters {
    pub(super) const fn new(sqs: aws_sdk_sqs::Client, url: String) -> Self {
        Self { sqs, url }
    }

    /// Takes every letter that can be seen, the oldest of each member first, and hides it from
    /// others.
    pub(super) async fn take(&self) -> Result<Vec<Letter>, DlqError> {
        let mut letters = Vec::new();
        while letters.len() < LETTERS_MAX {
            let got = self
                .sqs
                .receive_message()
                .queue_url(&self.url)
                .max_number_of_messages(i32::try_from(BATCH_MAX).unwrap_or(1))
                .visibility_timeout(HIDDEN_S)
                .wait_time_seconds(WAIT_S)
                .message_system_attribute_names(MessageSystemAttributeName::All)
                .send()
                .await
                .map_err(|error| failed("cannot read dead letters", error))?;
            let messages = got.messages.unwrap_or_default();
            if messages.is_empty() {
                break;
            }
            letters.extend(messages.into_iter().map(|message| {
                let attributes = message.attributes.unwrap_or_default();
                let named = |(name, value): (MessageSystemAttributeName, String)| {
                    (name.as_str().to_owned(), value)
                };
                Letter {
                    id: message.message_id.unwrap_or_default(),
                    body: message.body.unwrap_or_default(),
                    attributes: attributes.into_iter().map(named).collect(),
                    receipt: message.receipt_handle.unwrap_or_default(),
                }
            }));
        }
        Ok(letters)
    }

    /// Shows letters to others again. One whose time is over shows by itself.
    pub(super) async fn put_back(&self, letters: &[Letter]) -> Result<(), DlqError> {
        for some in letters.chunks(BATCH_MAX) {
            let entries: Result<Vec<_>, _> = some
                .iter()
                .enumerate()
                .map(|(position, letter)| {
                    ChangeMessageVisibilityBatchRequestEntry::builder()
                        .id(position.to_string())
                        .receipt_handle(&letter.receipt)
                        .visibility_timeout(0)
                        .build()
                })
                .collect();
            let entries = entries.map_err(|error| DlqError::Sqs {
                what: "cannot put back dead letters".to_owned(),
                source: Box::new(error),
            })?;
            let request = self.sqs.change_message_visibility_batch().queue_url(&self.url);
            let sent = request.set_entries(Some(entries)).send().await;
            sent.map_err(|error| failed("cannot put back dead letters", error))?;
        }
        Ok(())
    }

    /// How many letters there are besides so many that were taken.
    pub(super) async fn others(&self, taken: usize) -> Result<u64, DlqError> {
        use QueueAttributeName::{
            ApproximateNumberOfMessages as Visible, ApproximateNumberOfMessagesNotVisible as Hidden,
        };
        let request = self.sqs.get_queue_attributes().queue_url(&self.url);
        let got = request.attribute_names(Visible).attribute_names(Hidden).send().await;
        let got = got.map_err(|error| failed("cannot count dead letters", error))?;
        let attributes = got.attributes.unwrap_or_default();
        let number = |name| attributes.get(&name).and_then(|text| text.parse::<u64>().ok());
        let all = number(Visible).unwrap_or(0).saturating_add(number(Hidden).unwrap_or(0));
        Ok(all.saturating_sub(u64::try_from(taken).unwrap_or(u64::MAX)))
    }

    pub(super) async fn delete(&self, letter: &Letter) -> Result<(), DlqError> {
        let request = self.sqs.delete_message().queue_url(&self.url);
        let sent = request.receipt_handle(&letter.receipt).send().await;
        sent.map(drop).map_err(|error| failed("cannot delete a dead letter", error))
    }
}
