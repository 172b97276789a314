//! The marks of the watch over the work of campaigns, and how much waits in their queues.
//!
//! # Guarantees
//! * A message counts in each queue of the work, wherever in it it is:
//!   `a_message_in_any_queue_and_in_any_place_is_work_that_waits`.

use aws_sdk_sqs::types::QueueAttributeName;
use largesse_app::ports::{Backlog, CampaignJob, CampaignMarks, Mark, PortResult};
use largesse_domain::id::CampaignId;

use crate::errors::{corrupt, port_error};
use crate::item::{Item, Reader, ms, n, s};
use crate::keys;
use crate::store::Store;

const STANDS: &str = "stands";
const SINCE: &str = "since_ms";
const RESENDS: &str = "resends";

/// Where a message of a queue can be (Amazon SQS API Reference, `GetQueueAttributes`).
const PLACES: [QueueAttributeName; 3] = [
    QueueAttributeName::ApproximateNumberOfMessages,
    QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
    QueueAttributeName::ApproximateNumberOfMessagesDelayed,
];

fn mark_item(id: CampaignId, mark: &Mark) -> Item {
    let mut item = keys::campaign_mark(id);
    let mut put = |name: &str, value| item.insert(name.to_owned(), value);
    put(STANDS, s(&mark.stands));
    put(SINCE, ms(mark.since));
    put(RESENDS, n(mark.resends));
    item
}

fn read_mark(item: &Item) -> PortResult<Mark> {
    let reader = Reader { item, what: "mark of a campaign" };
    let stands = reader.text(STANDS)?.to_owned();
    Ok(Mark { stands, since: reader.ms(SINCE)?, resends: reader.number(RESENDS)? })
}

impl CampaignMarks for Store {
    async fn mark(&self, id: CampaignId) -> PortResult<Option<Mark>> {
        let item = self.read_campaigns_item("read mark", keys::campaign_mark(id)).await?;
        item.map(|item| read_mark(&item)).transpose()
    }

    async fn put_mark(&self, id: CampaignId, mark: &Mark) -> PortResult<()> {
        self.dynamo
            .put_item()
            .table_name(&self.names.campaigns)
            .set_item(Some(mark_item(id, mark)))
            .send()
            .await
            .map(drop)
            .map_err(|error| port_error("write mark", error))
    }
}

impl Store {
    async fn messages_in(&self, queue_url: &str) -> PortResult<u64> {
        let operation = "count messages";
        let got = self
            .sqs
            .get_queue_attributes()
            .queue_url(queue_url)
            .set_attribute_names(Some(PLACES.to_vec()))
            .send()
            .await
            .map_err(|error| port_error(operation, error))?;
        let attributes = got.attributes.unwrap_or_default();
        PLACES.iter().try_fold(0_u64, |sum, place| {
            let count = attributes.get(place).and_then(|count| count.parse().ok());
            Ok(sum.saturating_add(count.ok_or_else(|| corrupt(operation))?))
        })
    }
}

impl Backlog for Store {
    async fn backlog(&self, job: &CampaignJob) -> PortResult<u64> {
        let names = &self.names;
        let lanes = [
            &names.queue_fanouts_url,
            &names.queue_campaigns_url,
            &names.queue_campaign_retries_url,
        ];
        let queues = match job {
            CampaignJob::Seal { .. } => &[&names.queue_seals_url][..],
            CampaignJob::Pay { .. } | CampaignJob::Reverse { .. } => &lanes,
        };
        let mut sum = 0_u64;
        for queue in queues {
            sum = sum.saturating_add(self.messages_in(queue).await?);
        }
        Ok(sum)
    }
}
