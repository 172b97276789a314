//! Money is conserved: the books, read without the SDK.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue as Av;
use dynoxide::AttributeValue;
use largesse_aws::books;
use largesse_domain::audit::{Books, Totals, audit};
use largesse_emulator::World;

type Read = fn(&HashMap<String, Av>, &mut Books) -> largesse_app::ports::PortResult<()>;

/// The books as they stand.
#[must_use]
pub fn books(world: &World) -> Books {
    let mut books = Books::default();
    let tables: [(&str, Read); 4] = [
        ("ledger", books::read_ledger),
        ("pools", books::read_pools),
        ("grants", books::read_grants),
        ("products", books::read_products),
    ];
    for (table, read) in tables {
        for item in world.database().scan(&format!("largesse-{table}")).expect("a table") {
            let item = item.into_iter().map(|(name, value)| (name, attribute(value))).collect();
            read(&item, &mut books).expect("a readable item");
        }
    }
    for item in world.database().scan("largesse-reconcile").expect("a table") {
        let item = item.into_iter().map(|(name, value)| (name, attribute(value))).collect();
        books::read_reconcile(&item, &mut books).expect("a readable item");
    }
    books
}

/// Fails when a single won is not where it should be; says where the money is.
pub fn assert_conserved(world: &World) -> Totals {
    match audit(&books(world)) {
        Ok(totals) => totals,
        Err(found) => panic!("money is not conserved:\n{}", found.join("\n")),
    }
}

fn attribute(value: AttributeValue) -> Av {
    match value {
        AttributeValue::S(text) => Av::S(text),
        AttributeValue::N(digits) => Av::N(digits),
        AttributeValue::B(bytes) => Av::B(Blob::new(bytes)),
        AttributeValue::BOOL(flag) => Av::Bool(flag),
        AttributeValue::M(map) => {
            Av::M(map.into_iter().map(|(name, value)| (name, attribute(value))).collect())
        }
        AttributeValue::L(list) => Av::L(list.into_iter().map(attribute).collect()),
        AttributeValue::NULL(flag) => Av::Null(flag),
        AttributeValue::SS(texts) => Av::Ss(texts),
        AttributeValue::NS(numbers) => Av::Ns(numbers),
        AttributeValue::BS(blobs) => Av::Bs(blobs.into_iter().map(Blob::new).collect()),
    }
}
