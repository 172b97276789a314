//! The pass of the archive: one item.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::archive::transfers::LedgerProgress;
use largesse_app::archive::{Counts, Held, Pass, Stage};
use largesse_app::ports::{ArchivePasses, PortResult, Versioned, Written};

use super::sets::{key_item, place_of};
use super::tombstone::{read_tombstone, tombstone_item};
use crate::errors::port_error;
use crate::item::{Item, Reader, item, ms, n, s};
use crate::keys;
use crate::reconcile::{place_value, read_list, read_place};
use crate::store::Store;

const VERSION: &str = "version";
const LEDGER: &str = "ledger";

fn pass_item(pass: &Pass, version: u64) -> Item {
    let Counts { things, items, held } = pass.counts;
    let mut stored = keys::archive_pass();
    let mut put = |name: &str, value| stored.insert(name.to_owned(), value);
    put(VERSION, n(version));
    put("pass_id", s(pass.id));
    put("began_ms", ms(pass.began));
    put("cutoff_ms", ms(pass.cutoff));
    put("stage", s(pass.stage.as_str()));
    let in_flight = pass.in_flight.iter().map(|one| Av::M(tombstone_item(one)));
    put("in_flight", Av::L(in_flight.collect()));
    let too_long = pass.too_long.iter().map(|pool| Av::M(item([("pool", s(pool))])));
    put("too_long", Av::L(too_long.collect()));
    put("things", n(things));
    put("items", n(items));
    put("held", n(held));
    put(LEDGER, Av::M(ledger_map(&pass.ledger)));
    if let Some(place) = &pass.place {
        put("place", Av::M(key_item(place)));
    }
    if let Some(Held { name, since, why }) = &pass.held {
        put("oldest", Av::M(item([("name", s(name)), ("since_ms", ms(*since)), ("why", s(why))])));
    }
    if let Some(ended) = pass.ended {
        put("ended_ms", ms(ended));
    }
    stored
}

fn ledger_map(progress: &LedgerProgress) -> Item {
    let LedgerProgress { places, objects, runs, transfers, rows, strays, damaged, left } = progress;
    item([
        ("places", Av::L(places.iter().map(place_value).collect())),
        ("objects", n(objects)),
        ("runs", n(runs)),
        ("transfers", n(transfers)),
        ("rows", n(rows)),
        ("strays", n(strays)),
        ("damaged", n(damaged)),
        ("left", Av::L(left.iter().map(|user| Av::M(item([("user", s(user))]))).collect())),
    ])
}

fn read_ledger(item: &Item) -> PortResult<LedgerProgress> {
    let reader = Reader { item, what: "progress of a pass" };
    Ok(LedgerProgress {
        places: read_list(&reader, "places", read_place)?,
        objects: reader.number("objects")?,
        runs: reader.number("runs")?,
        transfers: reader.number("transfers")?,
        rows: reader.number("rows")?,
        strays: reader.number("strays")?,
        damaged: reader.number("damaged")?,
        left: read_list(&reader, "left", |item| Reader { item, what: "wallet" }.parse("user"))?,
    })
}

fn read_held(reader: &Reader<'_>, name: &str) -> PortResult<Held> {
    let reader = Reader { item: reader.map(name)?, what: "oldest thing of a pass" };
    Ok(Held {
        name: reader.text("name")?.to_owned(),
        since: reader.ms("since_ms")?,
        why: reader.text("why")?.to_owned(),
    })
}

fn read_pass(item: &Item) -> PortResult<Pass> {
    let reader = Reader { item, what: "pass of the archive" };
    let stage = reader.text("stage")?;
    let stage = Stage::ALL.into_iter().find(|one| one.as_str() == stage);
    Ok(Pass {
        id: reader.parse("pass_id")?,
        began: reader.ms("began_ms")?,
        cutoff: reader.ms("cutoff_ms")?,
        stage: stage.ok_or_else(|| reader.corrupt())?,
        place: reader.optional("place", |reader, name| Ok(place_of(reader.map(name)?)))?,
        in_flight: read_list(&reader, "in_flight", read_tombstone)?,
        // A pass of an earlier version has none.
        too_long: reader
            .optional("too_long", |reader, name| {
                read_list(reader, name, |item| Reader { item, what: "thing" }.parse("pool"))
            })?
            .unwrap_or_default(),
        held: reader.optional("oldest", read_held)?,
        counts: Counts {
            things: reader.number("things")?,
            items: reader.number("items")?,
            held: reader.number("held")?,
        },
        ledger: read_ledger(reader.map(LEDGER)?)?,
        ended: reader.optional("ended_ms", Reader::ms)?,
    })
}

impl ArchivePasses for Store {
    async fn latest_archive_pass(&self) -> PortResult<Versioned<Option<Pass>>> {
        let got = self
            .dynamo
            .get_item()
            .table_name(&self.names.reconcile)
            .set_key(Some(keys::archive_pass()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("read pass of the archive", error))?;
        let Some(item) = got.item else { return Ok(Versioned::default()) };
        let version = Reader { item: &item, what: "pass of the archive" }.number(VERSION)?;
        Ok(Versioned { value: Some(read_pass(&item)?), version, trace: None })
    }

    async fn save_archive_pass(&self, pass: &Pass, seen_version: u64) -> PortResult<Written> {
        let put = self.dynamo.put_item().table_name(&self.names.reconcile);
        let put = if seen_version == 0 {
            // No run has begun the first pass.
            put.condition_expression("attribute_not_exists(pk)")
        } else {
            // Written as often as was read: a run that works on the same pass goes on alone.
            put.condition_expression("#version = :seen")
                .expression_attribute_names("#version", VERSION)
                .expression_attribute_values(":seen", n(seen_version))
        };
        let version = seen_version.saturating_add(1);
        match put.set_item(Some(pass_item(pass, version))).send().await {
            Ok(_) => Ok(Written::Done),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(Written::Changed),
                _ => Err(port_error("save pass of the archive", error)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use largesse_app::ports::{MemberRef, ScanKey, Tombstone};
    use largesse_app::reconcile::Place;
    use largesse_domain::id::{PoolId, Ulid};
    use largesse_domain::time::Timestamp;

    #[test]
    fn a_pass_of_the_archive_is_read_back_as_it_was_written() {
        let mut pass = Pass::new(Ulid::from_parts(5, 6), Timestamp::from_ms(9_000), 1_000);
        assert_eq!(read_pass(&pass_item(&pass, 1)).unwrap(), pass);
        let pool: PoolId = "SPRAY#01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
        let object = "things/pools/a/b.json.gz".to_owned();
        let part = MemberRef { object, offset: 1, length: 2, lines: 3, hash: [7; 32] };
        let key = ScanKey { pk: "a".to_owned(), sk: Some("b".to_owned()) };
        for stage in Stage::ALL {
            pass.stage = stage;
            pass.place = Some(key.clone());
            pass.in_flight =
                vec![Tombstone { pool, parts: vec![part.clone()], at: Timestamp::from_ms(1) }];
            pass.too_long = vec![pool];
            pass.held = Some(Held::of(pool, "why"));
            pass.counts = Counts { things: 1, items: 2, held: 3 };
            pass.ledger.places[1] = Place::Behind(key.clone());
            pass.ledger.places[2] = Place::End;
            (pass.ledger.objects, pass.ledger.runs, pass.ledger.transfers) = (4, 5, 6);
            (pass.ledger.rows, pass.ledger.strays, pass.ledger.damaged) = (7, 8, 9);
            pass.ledger.left = vec!["bob".parse().unwrap()];
            pass.ended = Some(Timestamp::from_ms(10));
            assert_eq!(read_pass(&pass_item(&pass, 1)).unwrap(), pass);
        }
        let mut later = pass_item(&pass, 1);
        later.insert("stage".to_owned(), s("another"));
        assert!(read_pass(&later).is_err());
    }
}
