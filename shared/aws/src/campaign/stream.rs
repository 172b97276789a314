//! Records of the stream of table `campaigns`: what an audit entry sets in motion.

use std::collections::HashMap;
use std::str::FromStr;

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::{CampaignEnded, CampaignJob, Event, PortResult};
use largesse_domain::campaign::CampaignName;
use largesse_domain::id::{CampaignId, UserId};
use largesse_domain::time::Timestamp;
use serde_dynamo::AttributeValue as StreamValue;

use crate::image::item_of;
use crate::item::{Item, Reader};
use crate::keys::{PK, SK};

/// What stands before a campaign's id in a partition key.
const CAMPAIGN: &str = "CAMPAIGN#";
/// What stands before an audit entry's number in a sort key.
const AUDIT: &str = "AUDIT#";
/// The digits of that number, so that the entries sort by it.
const SEQ_DIGITS: usize = 10;

/// What follows from an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// Work in the background.
    Job(CampaignJob),
    /// An event on the bus.
    Event(Event),
    /// Nothing. Later versions add actions, so one that this code does not know has no consequence.
    Nothing,
}

/// Whether the key of a record is that of an audit entry.
#[must_use]
pub fn is_audit(keys: &HashMap<String, StreamValue>) -> bool {
    matches!(keys.get(SK), Some(StreamValue::S(key)) if key.starts_with(AUDIT))
}

/// What follows from the action of a new audit entry.
///
/// # Errors
/// Corrupt, when the entry cannot be read.
pub fn consequence(image: HashMap<String, StreamValue>) -> PortResult<Consequence> {
    let item = item_of(image);
    let reader = Reader { item: &item, what: "audit item" };
    let campaign: CampaignId = reader.parse_after(PK, CAMPAIGN)?;
    let seq: String = reader.parse_after(SK, AUDIT)?;
    if seq.len() != SEQ_DIGITS || !seq.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(reader.corrupt());
    }
    let at = reader.ms("at_ms")?;
    reader.optional("by", Reader::parse::<UserId>)?;
    let none = Item::new();
    let details = reader.optional("details", |reader, name| reader.map(name).cloned())?;
    let details = Details(Reader { item: details.as_ref().unwrap_or(&none), what: "audit item" });
    if !details.0.item.values().all(Av::is_s) {
        return Err(reader.corrupt());
    }
    let ended = || details.ended(campaign, at);
    Ok(match reader.text("action")? {
        "seal" => {
            Consequence::Job(CampaignJob::Seal { campaign, attempt: details.parse("attempt")? })
        }
        "run" => {
            let fence = details.parse("fence")?;
            Consequence::Job(CampaignJob::Pay { campaign, fence, from: 0 })
        }
        "rollback" => {
            let fence = details.parse("fence")?;
            Consequence::Job(CampaignJob::Reverse { campaign, fence, from: 0 })
        }
        "end" => Consequence::Event(Event::CampaignCompleted(ended()?)),
        "fail" => Consequence::Event(Event::CampaignFailed(ended()?)),
        "stop" => Consequence::Event(Event::CampaignStopped(ended()?)),
        "rolled_back" => Consequence::Event(Event::CampaignRolledBack(ended()?)),
        _ => Consequence::Nothing,
    })
}

/// The details of an entry: texts by their names.
struct Details<'a>(Reader<'a>);

impl Details<'_> {
    fn parse<T: FromStr>(&self, name: &str) -> PortResult<T> {
        self.0.parse(name)
    }

    fn words(&self, name: &str) -> PortResult<Option<String>> {
        self.0.optional(name, |reader, name| reader.text(name).map(str::to_owned))
    }

    fn ended(&self, campaign: CampaignId, at: Timestamp) -> PortResult<CampaignEnded> {
        let name = CampaignName::new(self.0.text("name")?).map_err(|_| self.0.corrupt())?;
        let started = self.0.optional("started_ms", Reader::parse::<i64>)?;
        Ok(CampaignEnded {
            campaign,
            name,
            at,
            rows: self.parse("rows")?,
            success: self.parse("success")?,
            failed: self.parse("failed")?,
            amount_success: self.parse("amount_success")?,
            amount_failed: self.parse("amount_failed")?,
            duration_ms: started.map(|ms| at.ms_since(Timestamp::from_ms(ms))),
            memo: self.words("memo")?,
            failure: self.words("failure")?,
        })
    }
}
