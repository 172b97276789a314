//! An entry of an audit as an item.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::PortResult;
use largesse_domain::campaign::{Actor, AuditEntry};
use largesse_domain::id::CampaignId;

use crate::item::{Item, Reader, item, ms, s};
use crate::keys::{self, AUDIT, SK};

/// The item of an entry. `by` is absent when Largesse itself acted.
pub(super) fn audit_item(id: CampaignId, entry: &AuditEntry) -> Item {
    let mut attributes = keys::audit(id, entry.seq);
    let details = entry.details.iter().map(|(name, value)| (name.clone(), s(value)));
    attributes.extend(item([
        ("action", s(&entry.action)),
        ("at_ms", ms(entry.at)),
        ("details", Av::M(details.collect())),
        ("previous", s(entry.previous)),
        ("hash", s(entry.hash)),
    ]));
    if let Actor::Member(user) = &entry.by {
        attributes.insert("by".to_owned(), s(user));
    }
    attributes
}

pub(super) fn read_audit(item: &Item) -> PortResult<AuditEntry> {
    let reader = Reader { item, what: "audit item" };
    let by = reader.optional("by", Reader::parse)?;
    let detail = |(name, value): (&String, &Av)| {
        let value = value.as_s().map_err(|_| reader.corrupt())?;
        Ok((name.clone(), value.clone()))
    };
    Ok(AuditEntry {
        seq: reader.parse_after(SK, AUDIT)?,
        at: reader.ms("at_ms")?,
        by: by.map_or(Actor::System, Actor::Member),
        action: reader.text("action")?.to_owned(),
        details: reader
            .map("details")?
            .iter()
            .map(detail)
            .collect::<PortResult<BTreeMap<_, _>>>()?,
        previous: reader.parse("previous")?,
        hash: reader.parse("hash")?,
    })
}
