//! Tombstones, and the members of objects as attributes.

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::{MemberRef, PortResult, Tombstone};
use largesse_domain::id::PoolId;

use crate::item::{Item, Reader, ms, s};
use crate::keys::{self, ARCHIVED, PK};

const PARTS: &str = "parts";
const ARCHIVED_MS: &str = "archived_ms";

/// A member as one text: a tombstone may have a thousand.
fn part_text(part: &MemberRef) -> Av {
    let MemberRef { object, offset, length, lines, hash } = part;
    s(format!("{object} {offset} {length} {lines} {}", hex::encode(hash)))
}

fn read_part(text: &str) -> Option<MemberRef> {
    let mut words = text.split(' ');
    let object = words.next()?.to_owned();
    let mut number = || words.next()?.parse::<u64>().ok();
    let (offset, length, lines) = (number()?, number()?, number()?);
    let hash = hex::decode(words.next()?).ok()?.try_into().ok()?;
    words.next().is_none().then_some(MemberRef { object, offset, length, lines, hash })
}

pub(super) fn parts_value(parts: &[MemberRef]) -> Av {
    Av::L(parts.iter().map(part_text).collect())
}

pub(super) fn read_parts(reader: &Reader<'_>) -> PortResult<Vec<MemberRef>> {
    let Some(Av::L(list)) = reader.item.get(PARTS) else { return Err(reader.corrupt()) };
    let part = |value: &Av| match value {
        Av::S(text) => read_part(text).ok_or_else(|| reader.corrupt()),
        _ => Err(reader.corrupt()),
    };
    list.iter().map(part).collect()
}

pub(super) fn tombstone_item(tombstone: &Tombstone) -> Item {
    let mut item = keys::tombstone(tombstone.pool);
    item.insert(PARTS.to_owned(), parts_value(&tombstone.parts));
    item.insert(ARCHIVED_MS.to_owned(), ms(tombstone.at));
    item
}

pub(crate) fn read_tombstone(item: &Item) -> PortResult<Tombstone> {
    let reader = Reader { item, what: "tombstone item" };
    let pool: PoolId = reader.parse_after(PK, ARCHIVED)?;
    Ok(Tombstone { pool, parts: read_parts(&reader)?, at: reader.ms(ARCHIVED_MS)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use largesse_domain::time::Timestamp;

    #[test]
    fn a_tombstone_is_read_back_as_it_was_written() {
        let part = |n: u64| MemberRef {
            object: format!("things/pools/a/{n}.json.gz"),
            offset: n,
            length: 2,
            lines: 3,
            hash: [171; 32],
        };
        let pool = "SPRAY#01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
        let (parts, at) = (vec![part(0), part(u64::MAX)], Timestamp::from_ms(7));
        let tombstone = Tombstone { pool, parts, at };
        let mut item = tombstone_item(&tombstone);
        assert_eq!(read_tombstone(&item).unwrap(), tombstone);
        for text in ["", "a 1 2 3", "a 1 2 3 h more", "a 1 2 x h"] {
            item.insert(PARTS.to_owned(), Av::L(vec![s(text)]));
            assert!(read_tombstone(&item).is_err(), "{text}");
        }
    }
}
