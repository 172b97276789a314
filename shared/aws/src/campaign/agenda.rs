//! The agenda as an item.

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::{PortResult, Versioned};
use largesse_domain::campaign::{Agenda, Candidate, Priority, Running};
use largesse_domain::id::CampaignId;

use super::codec::VERSION;
use crate::item::{Item, Reader, item, ms, n, s};
use crate::keys;

const WHAT: &str = "agenda item";
const SEALING: &str = "sealing";

/// The item of the agenda.
pub(super) fn agenda_item(agenda: &Agenda, version: u64) -> Item {
    let mut attributes = keys::agenda();
    attributes.extend(item([
        (VERSION, n(version)),
        ("fence", n(agenda.fence)),
        ("queued", Av::L(agenda.queued.iter().map(candidate_value).collect())),
        ("running", Av::L(agenda.running.iter().map(running_value).collect())),
        ("rolling_back", Av::L(agenda.rolling_back.iter().map(s).collect())),
        (SEALING, Av::L(agenda.sealing.iter().map(s).collect())),
    ]));
    attributes
}

fn candidate_value(candidate: &Candidate) -> Av {
    let mut value = item([
        ("campaign", s(candidate.id)),
        ("priority", n(candidate.priority.get())),
        ("forced", Av::Bool(candidate.forced)),
    ]);
    if let Some(at) = candidate.starts_at {
        value.insert("starts_ms".to_owned(), ms(at));
    }
    Av::M(value)
}

fn running_value(running: &Running) -> Av {
    Av::M(item([("campaign", s(running.id)), ("forced", Av::Bool(running.forced))]))
}

pub(super) fn read_agenda(item: &Item) -> PortResult<Versioned<Agenda>> {
    let reader = Reader { item, what: WHAT };
    let agenda = Agenda {
        fence: reader.number("fence")?,
        queued: list(&reader, "queued", |value| in_map(value, read_candidate))?,
        running: list(&reader, "running", |value| in_map(value, read_running))?,
        rolling_back: list(&reader, "rolling_back", read_id)?,
        // An older version wrote it without.
        sealing: reader
            .optional(SEALING, |reader, name| list(reader, name, read_id))?
            .unwrap_or_default(),
    };
    Ok(Versioned { value: agenda, version: reader.number(VERSION)?, trace: None })
}

fn list<T>(
    reader: &Reader<'_>,
    name: &str,
    read: impl Fn(&Av) -> PortResult<T>,
) -> PortResult<Vec<T>> {
    match reader.item.get(name) {
        Some(Av::L(values)) => values.iter().map(read).collect(),
        _ => Err(reader.corrupt()),
    }
}

fn read_id(value: &Av) -> PortResult<CampaignId> {
    let id = value.as_s().ok().and_then(|text| text.parse().ok());
    id.ok_or_else(|| crate::errors::corrupt(WHAT))
}

fn in_map<T>(value: &Av, read: impl Fn(&Reader<'_>) -> PortResult<T>) -> PortResult<T> {
    match value {
        Av::M(item) => read(&Reader { item, what: WHAT }),
        _ => Err(crate::errors::corrupt(WHAT)),
    }
}

fn read_candidate(reader: &Reader<'_>) -> PortResult<Candidate> {
    let priority = Priority::new(reader.number("priority")?);
    Ok(Candidate {
        id: reader.parse("campaign")?,
        starts_at: reader.optional("starts_ms", Reader::ms)?,
        priority: priority.ok_or_else(|| reader.corrupt())?,
        forced: reader.flag("forced")?,
    })
}

fn read_running(reader: &Reader<'_>) -> PortResult<Running> {
    Ok(Running { id: reader.parse("campaign")?, forced: reader.flag("forced")? })
}
