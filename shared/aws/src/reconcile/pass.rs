//! The pass that reconcile works on: one item.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::{Passes, PortResult, ScanKey, Versioned, Written};
use largesse_app::reconcile::{Counts, Pass, Place, Stage};
use largesse_domain::audit::{Finding, Flow};

use crate::errors::port_error;
use crate::item::{Item, Reader, item, ms, n, s};
use crate::keys;
use crate::store::Store;

use super::stats;

const VERSION: &str = "version";

pub(crate) fn place_value(place: &Place) -> Av {
    Av::M(match place {
        Place::Start => item([("at", s("start"))]),
        Place::End => item([("at", s("end"))]),
        Place::Behind(ScanKey { pk, sk }) => {
            let mut key = item([("at", s("behind")), ("pk", s(pk))]);
            key.extend(sk.iter().map(|sk| ("sk".to_owned(), s(sk))));
            key
        }
    })
}

pub(crate) fn read_place(item: &Item) -> PortResult<Place> {
    let reader = Reader { item, what: "place of a pass" };
    let text = |reader: &Reader<'_>, name: &str| Ok(reader.text(name)?.to_owned());
    match reader.text("at")? {
        "start" => Ok(Place::Start),
        "end" => Ok(Place::End),
        "behind" => {
            let (pk, sk) = (text(&reader, "pk")?, reader.optional("sk", text)?);
            Ok(Place::Behind(ScanKey { pk, sk }))
        }
        _ => Err(reader.corrupt()),
    }
}

fn pass_item(pass: &Pass, version: u64) -> Item {
    let Flow { wallets, transfers, issued, taken_back, .. } = pass.flow;
    let Flow { into_pools, out_of_pools, balances, held, .. } = pass.flow;
    let Counts { pools, products, moving } = pass.counts;
    let finding = |finding: &Finding| {
        Av::M(item([("subject", s(&finding.subject)), ("what", s(&finding.what))]))
    };
    let mut stored = keys::reconcile_pass();
    let mut put = |name: &str, value| stored.insert(name.to_owned(), value);
    put(VERSION, n(version));
    put("began_ms", ms(pass.began));
    put("stage", s(pass.stage.as_str()));
    put("places", Av::L(pass.places.iter().map(place_value).collect()));
    put("wallets", n(wallets));
    put("transfers", n(transfers));
    put("issued", n(issued));
    put("taken_back", n(taken_back));
    put("into_pools", n(into_pools));
    put("out_of_pools", n(out_of_pools));
    put("balances", n(balances));
    put("held", n(held));
    put("pools", n(pools));
    put("products", n(products));
    put("moving", n(moving));
    put("findings", Av::L(pass.findings.iter().map(finding).collect()));
    put("found", n(pass.found));
    put(stats::CELLS, stats::pack(&pass.stats));
    if let Some(packed) = stats::pack_latencies(&pass.stats) {
        put(stats::LATENCIES, packed);
    }
    if let Some(ended) = pass.ended {
        put("ended_ms", ms(ended));
    }
    stored
}

pub(crate) fn read_list<T>(
    reader: &Reader<'_>,
    name: &str,
    read: impl Fn(&Item) -> PortResult<T>,
) -> PortResult<Vec<T>> {
    let Some(Av::L(list)) = reader.item.get(name) else { return Err(reader.corrupt()) };
    let one = |value: &Av| match value {
        Av::M(map) => read(map),
        _ => Err(reader.corrupt()),
    };
    list.iter().map(one).collect()
}

fn read_pass(item: &Item) -> PortResult<Pass> {
    let reader = Reader { item, what: "pass of reconcile" };
    let stage = reader.text("stage")?;
    let stage = Stage::ALL.into_iter().find(|one| one.as_str() == stage);
    let finding = |item: &Item| {
        let reader = Reader { item, what: "finding of reconcile" };
        Ok(Finding { subject: reader.parse("subject")?, what: reader.text("what")?.to_owned() })
    };
    Ok(Pass {
        began: reader.ms("began_ms")?,
        stage: stage.ok_or_else(|| reader.corrupt())?,
        places: read_list(&reader, "places", read_place)?,
        flow: Flow {
            wallets: reader.number("wallets")?,
            transfers: reader.number("transfers")?,
            issued: reader.number("issued")?,
            taken_back: reader.number("taken_back")?,
            into_pools: reader.number("into_pools")?,
            out_of_pools: reader.number("out_of_pools")?,
            balances: reader.number("balances")?,
            held: reader.number("held")?,
        },
        counts: Counts {
            pools: reader.number("pools")?,
            products: reader.number("products")?,
            moving: reader.number("moving")?,
        },
        findings: read_list(&reader, "findings", finding)?,
        found: reader.number("found")?,
        stats: stats::read(&reader)?,
        ended: reader.optional("ended_ms", Reader::ms)?,
    })
}

impl Passes for Store {
    async fn latest_pass(&self) -> PortResult<Versioned<Option<Pass>>> {
        let got = self
            .dynamo
            .get_item()
            .table_name(&self.names.reconcile)
            .set_key(Some(keys::reconcile_pass()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("read pass", error))?;
        let Some(item) = got.item else { return Ok(Versioned::default()) };
        let version = Reader { item: &item, what: "pass of reconcile" }.number(VERSION)?;
        Ok(Versioned { value: Some(read_pass(&item)?), version, trace: None })
    }

    async fn save_pass(&self, pass: &Pass, seen_version: u64) -> PortResult<Written> {
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
                _ => Err(port_error("save pass", error)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use largesse_domain::audit::Subject;
    use largesse_domain::time::Timestamp;

    #[test]
    fn a_pass_is_read_back_as_it_was_written() {
        let mut pass = Pass::new(Timestamp::from_ms(7));
        assert_eq!(read_pass(&pass_item(&pass, 1)).unwrap(), pass);
        pass.stage = Stage::Pools;
        pass.places[0] = Place::Behind(ScanKey { pk: "a".to_owned(), sk: Some("b".to_owned()) });
        pass.places[1] = Place::Behind(ScanKey { pk: "a".to_owned(), sk: None });
        pass.places[2] = Place::End;
        pass.flow = Flow {
            wallets: 1,
            transfers: 2,
            issued: u128::from(u64::MAX) * 1_000,
            taken_back: 4,
            into_pools: 5,
            out_of_pools: 6,
            balances: 7,
            held: 8,
        };
        pass.counts = Counts { pools: 9, products: 10, moving: 11 };
        let cell = largesse_domain::stats::Cell { made: 1, ..Default::default() };
        pass.stats.add(Timestamp::from_ms(7), largesse_domain::stats::Feature::Drop, cell);
        pass.findings = vec![Finding { subject: Subject::Totals, what: "x".to_owned() }];
        (pass.found, pass.ended) = (1, Some(Timestamp::from_ms(9)));
        assert_eq!(read_pass(&pass_item(&pass, 1)).unwrap(), pass);
        let mut later = pass_item(&pass, 1);
        later.insert("stage".to_owned(), s("another"));
        assert!(read_pass(&later).is_err());
    }
}
