//! A campaign and its parts as items.

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::{PortResult, Versioned};
use largesse_app::trace::TraceId;
use largesse_domain::campaign::{
    Approval, Approvals, AuditHead, Campaign, CampaignName, Duplicates, Generation, Hash, Layout,
    Life, Part, PartNumber, Parts, Priority, Queued, Seal, Sealed, State, Terms, Totals,
};
use largesse_domain::id::CampaignId;
use largesse_domain::ledger::Memo;

use crate::item::{Item, Reader, item, ms, n, s};
use crate::keys;

/// How often an item was written.
pub(super) const VERSION: &str = "version";

/// The trace of the last request of a member.
const TRACE: &str = "trace";

/// The values of `queued`.
const QUEUED: &str = "plain";
const QUEUED_FORCED: &str = "forced";

fn put_some(item: &mut Item, name: &str, value: Option<Av>) {
    if let Some(value) = value {
        item.insert(name.to_owned(), value);
    }
}

/// The item of a campaign: it is in the index by time.
pub(super) fn campaign_item(campaign: &Campaign, version: u64, trace: Option<TraceId>) -> Item {
    let mut attributes = keys::by_time(campaign.id);
    attributes.extend(item([
        (VERSION, n(version)),
        ("audit_seq", n(campaign.audit.seq)),
        ("audit_hash", s(campaign.audit.hash)),
        ("parts", n(campaign.parts.count)),
        ("parts_rows", n(campaign.parts.rows)),
        ("parts_refused", n(campaign.parts.refused)),
        ("parts_amount", n(campaign.parts.amount)),
    ]));
    put_some(&mut attributes, TRACE, trace.map(s));
    put_some(&mut attributes, "problem", campaign.problem.as_ref().map(s));
    put_some(&mut attributes, "started_ms", campaign.started_at.map(ms));
    put_some(&mut attributes, "ended_ms", campaign.ended_at.map(ms));
    put_terms(&mut attributes, &campaign.terms);
    put_life(&mut attributes, &campaign.life);
    if let Some(seal) = campaign.seal {
        attributes.extend(item([
            ("layout_rows", n(seal.layout.rows())),
            ("layout_round", n(seal.layout.round())),
            ("rows_hash", s(seal.rows)),
            ("sealed_ms", ms(seal.at)),
            ("widths_differ", Av::Bool(seal.widths_differ)),
        ]));
        put_some(&mut attributes, "same_as", seal.same_as.map(s));
    }
    attributes
}

fn put_terms(attributes: &mut Item, terms: &Terms) {
    attributes.extend(item([
        ("name", s(terms.name.as_str())),
        ("default_reason", s(terms.default_reason.as_str())),
        ("priority", n(terms.priority.get())),
        ("duplicates", s(terms.duplicates.as_str())),
        ("approvals", n(terms.approvals.count())),
    ]));
    put_some(attributes, "default_amount", terms.default_amount.map(n));
    put_some(attributes, "starts_ms", terms.starts_at.map(ms));
}

fn put_life(attributes: &mut Item, life: &Life) {
    attributes.extend(item([
        ("creator", s(&life.creator)),
        ("state", s(life.state.as_str())),
        ("seal_attempt", n(life.seal_attempt)),
        ("fence", n(life.fence)),
        ("generation", n(life.generation.get())),
    ]));
    if let Some(Sealed { hash, totals }) = life.sealed {
        attributes.extend(item([
            ("content_hash", s(hash)),
            ("sealed_rows", n(totals.rows)),
            ("sealed_amount", n(totals.amount)),
            ("sealed_duplicates", n(totals.duplicates)),
            ("sealed_refused", n(totals.refused)),
        ]));
    }
    put_some(attributes, "approver", life.approval.as_ref().map(|approval| s(&approval.by)));
    let queued = life.queued.map(|Queued { forced }| if forced { QUEUED_FORCED } else { QUEUED });
    put_some(attributes, "queued", queued.map(s));
}

pub(super) fn read_campaign(item: &Item) -> PortResult<Versioned<Campaign>> {
    let reader = Reader { item, what: "campaign item" };
    let terms = read_terms(&reader)?;
    let campaign = Campaign {
        id: reader.parse(keys::CAMPAIGN_ID)?,
        life: read_life(&reader, terms.approvals)?,
        terms,
        parts: Parts {
            count: reader.number("parts")?,
            rows: reader.number("parts_rows")?,
            refused: reader.number("parts_refused")?,
            amount: reader.number("parts_amount")?,
        },
        seal: reader.optional("rows_hash", read_seal)?,
        problem: reader.optional("problem", |r, name| Ok(r.text(name)?.to_owned()))?,
        started_at: reader.optional("started_ms", Reader::ms)?,
        ended_at: reader.optional("ended_ms", Reader::ms)?,
        audit: AuditHead { seq: reader.number("audit_seq")?, hash: reader.parse("audit_hash")? },
    };
    // A trace only helps to find lines of the log: one that cannot be read stops no campaign.
    let trace = item.get(TRACE).and_then(|value| value.as_s().ok());
    let trace = trace.and_then(|digits| TraceId::of_hex(digits));
    Ok(Versioned { value: campaign, version: reader.number(VERSION)?, trace })
}

fn read_terms(reader: &Reader<'_>) -> PortResult<Terms> {
    let corrupt = || reader.corrupt();
    Ok(Terms {
        name: CampaignName::new(reader.text("name")?).map_err(|_| corrupt())?,
        default_reason: Memo::new(reader.text("default_reason")?).map_err(|_| corrupt())?,
        default_amount: reader.optional("default_amount", Reader::amount)?,
        starts_at: reader.optional("starts_ms", Reader::ms)?,
        priority: Priority::new(reader.number("priority")?).ok_or_else(corrupt)?,
        duplicates: Duplicates::from_name(reader.text("duplicates")?).ok_or_else(corrupt)?,
        approvals: Approvals::from_count(reader.number("approvals")?).ok_or_else(corrupt)?,
    })
}

fn read_life(reader: &Reader<'_>, approvals: Approvals) -> PortResult<Life> {
    let corrupt = || reader.corrupt();
    Ok(Life {
        creator: reader.parse("creator")?,
        approvals,
        state: State::from_name(reader.text("state")?).ok_or_else(corrupt)?,
        seal_attempt: reader.number("seal_attempt")?,
        sealed: reader.optional("content_hash", |r, name| {
            let totals = Totals {
                rows: r.number("sealed_rows")?,
                amount: r.number("sealed_amount")?,
                duplicates: r.number("sealed_duplicates")?,
                refused: r.number("sealed_refused")?,
            };
            Ok(Sealed { hash: r.parse(name)?, totals })
        })?,
        approval: reader.optional("approver", |r, name| Ok(Approval { by: r.parse(name)? }))?,
        queued: reader.optional("queued", |r, name| match r.text(name)? {
            QUEUED => Ok(Queued { forced: false }),
            QUEUED_FORCED => Ok(Queued { forced: true }),
            _ => Err(r.corrupt()),
        })?,
        fence: reader.number("fence")?,
        generation: Generation::new(reader.number("generation")?).ok_or_else(corrupt)?,
    })
}

fn read_seal(reader: &Reader<'_>, rows_hash: &str) -> PortResult<Seal> {
    let layout = Layout::of_round(reader.number("layout_rows")?, reader.number("layout_round")?);
    Ok(Seal {
        layout: layout.ok_or_else(|| reader.corrupt())?,
        rows: reader.parse(rows_hash)?,
        at: reader.ms("sealed_ms")?,
        same_as: reader.optional("same_as", Reader::parse)?,
        widths_differ: reader.flag("widths_differ")?,
    })
}

/// The item of a part.
pub(super) fn part_item(id: CampaignId, part: &Part) -> Item {
    let mut attributes = keys::campaign_part(id, part.number);
    attributes.extend(item([
        ("number", n(part.number.get())),
        ("hash", s(part.hash)),
        ("rows", n(part.rows)),
        ("refused", n(part.refused)),
        ("amount", n(part.amount)),
    ]));
    attributes
}

pub(super) fn read_part(item: &Item) -> PortResult<Part> {
    let reader = Reader { item, what: "part item" };
    let number = PartNumber::new(reader.number("number")?).ok_or_else(|| reader.corrupt())?;
    Ok(Part {
        number,
        hash: reader.parse::<Hash>("hash")?,
        rows: reader.number("rows")?,
        refused: reader.number("refused")?,
        amount: reader.number("amount")?,
    })
}
