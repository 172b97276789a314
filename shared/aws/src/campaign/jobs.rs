//! The queues of what is to be done about a campaign: SQS standard.

use largesse_app::ports::{CampaignJob, CampaignJobs, PortResult};
use serde::{Deserialize, Serialize};

use crate::errors::{corrupt, port_error};
use crate::store::Store;

/// The version of the body that this code writes. A field that is added later does not change it,
/// since readers ignore fields that they do not know; a change that an older reader would get wrong
/// does.
const VERSION: u32 = 1;

/// The body of a message.
#[derive(Serialize, Deserialize)]
struct Body {
    version: u32,
    #[serde(flatten)]
    job: Job,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "snake_case")]
enum Job {
    Seal { campaign: String, attempt: u32 },
    Pay { campaign: String, fence: u64, from: u32 },
    Reverse { campaign: String, fence: u64, from: u32 },
}

/// A message that this code cannot read. It may be of a newer version, so it waits in the queue.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// A newer version wrote it.
    #[error("the message has version {0}, this code reads up to {VERSION}")]
    Newer(u32),
    /// It is no JSON object with the fields of a job.
    #[error("the message is no job")]
    Shape(#[source] serde_json::Error),
    /// The campaign is no id.
    #[error("the field campaign cannot be read")]
    Campaign,
}

/// Reads the body of a message.
///
/// # Errors
/// [`JobError`].
pub fn read_job(text: &str) -> Result<CampaignJob, JobError> {
    /// What every version has.
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let Versioned { version } = serde_json::from_str(text).map_err(JobError::Shape)?;
    if version > VERSION {
        return Err(JobError::Newer(version));
    }
    let Body { job, .. } = serde_json::from_str(text).map_err(JobError::Shape)?;
    let id = |text: String| text.parse().map_err(|_| JobError::Campaign);
    Ok(match job {
        Job::Seal { campaign, attempt } => CampaignJob::Seal { campaign: id(campaign)?, attempt },
        Job::Pay { campaign, fence, from } => {
            CampaignJob::Pay { campaign: id(campaign)?, fence, from }
        }
        Job::Reverse { campaign, fence, from } => {
            CampaignJob::Reverse { campaign: id(campaign)?, fence, from }
        }
    })
}

/// Writes the body of a message.
///
/// # Errors
/// Corrupt, never in practice: a job is always JSON.
pub fn write_job(job: &CampaignJob) -> PortResult<String> {
    let job = match *job {
        CampaignJob::Seal { campaign, attempt } => {
            Job::Seal { campaign: campaign.to_string(), attempt }
        }
        CampaignJob::Pay { campaign, fence, from } => {
            Job::Pay { campaign: campaign.to_string(), fence, from }
        }
        CampaignJob::Reverse { campaign, fence, from } => {
            Job::Reverse { campaign: campaign.to_string(), fence, from }
        }
    };
    serde_json::to_string(&Body { version: VERSION, job }).map_err(|_| corrupt("campaign job"))
}

impl CampaignJobs for Store {
    async fn send_job(&self, job: &CampaignJob) -> PortResult<()> {
        let queue_url = match job {
            CampaignJob::Seal { .. } => &self.names.queue_seals_url,
            CampaignJob::Pay { .. } | CampaignJob::Reverse { .. } => &self.names.queue_fanouts_url,
        };
        self.sqs
            .send_message()
            .queue_url(queue_url)
            .message_body(write_job(job)?)
            .send()
            .await
            .map(drop)
            .map_err(|error| port_error("send campaign job", error))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "these are tests")]
mod tests {
    use super::*;

    /// The bodies as version 1 writes them. Messages of this shape lie in queues: it never changes.
    const GOLDEN: [&str; 3] = [
        r#"{"version":1,"job":"seal","campaign":"01ARZ3NDEKTSV4RRFFQ69G5FAV","attempt":2}"#,
        r#"{"version":1,"job":"pay","campaign":"01ARZ3NDEKTSV4RRFFQ69G5FAV","fence":3,"from":0}"#,
        r#"{"version":1,"job":"reverse","campaign":"01ARZ3NDEKTSV4RRFFQ69G5FAV","fence":4,"from":5}"#,
    ];

    #[test]
    fn a_job_of_version_1_is_read_and_written_for_ever() {
        let campaign = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
        let jobs = [
            CampaignJob::Seal { campaign, attempt: 2 },
            CampaignJob::Pay { campaign, fence: 3, from: 0 },
            CampaignJob::Reverse { campaign, fence: 4, from: 5 },
        ];
        for (golden, job) in GOLDEN.into_iter().zip(jobs) {
            assert_eq!(write_job(&job).unwrap(), golden);
            assert_eq!(read_job(golden).unwrap(), job);
        }
        let last = CampaignJob::Pay { campaign, fence: u64::MAX, from: u32::MAX };
        assert_eq!(read_job(&write_job(&last).unwrap()).unwrap(), last);
    }

    #[test]
    fn a_field_that_a_later_version_adds_is_tolerated_and_a_newer_version_is_not_guessed() {
        let more = GOLDEN[1].replace("\"fence\"", "\"lanes\":8,\"fence\"");
        assert_eq!(read_job(&more).unwrap(), read_job(GOLDEN[1]).unwrap());
        let newer = GOLDEN[0].replace("\"version\":1", "\"version\":2");
        assert!(matches!(read_job(&newer), Err(JobError::Newer(2))));
        assert!(matches!(read_job(r#"{"version":2}"#), Err(JobError::Newer(2))));
    }

    #[test]
    fn a_body_that_is_no_job_says_why() {
        let other = GOLDEN[0].replace("seal", "sail");
        let without = GOLDEN[1].replace(",\"from\":0", "");
        for text in
            ["", "nonsense", "[]", r#"{"version":1}"#, r#"{"version":"1"}"#, &other, &without]
        {
            assert!(matches!(read_job(text), Err(JobError::Shape(_))), "{text}");
        }
        let lower = GOLDEN[2].replace("FAV", "fav");
        assert!(matches!(read_job(&lower), Err(JobError::Campaign)));
    }
}
