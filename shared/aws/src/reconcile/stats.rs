//! Daily figures: an item for each day of UTC.

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::{DailyStats, PortResult};
use largesse_domain::stats::{Cell, Feature, Latencies, Stats};
use largesse_domain::time::Timestamp;

use crate::blob::{Packer, Unpacker, unpack};
use crate::errors::port_error;
use crate::item::{Item, Reader, ms};
use crate::keys;
use crate::store::Store;

/// The attribute with the cells.
pub(super) const CELLS: &str = "cells";
const COMPLETE: &str = "complete_ms";
/// The attribute with the latencies of the cells, absent where there are none. It is apart from the
/// cells, so that a version that does not know it still reads these.
pub(super) const LATENCIES: &str = "latencies";
/// The version of what is packed.
const VERSION: u8 = 1;

/// The cells as one attribute: for each its number, its feature and its eight figures.
pub(super) fn pack(stats: &Stats) -> Av {
    let mut packer = Packer::default();
    packer.count(stats.cells().count());
    let mut before = 0;
    for (number, feature, cell) in stats.cells() {
        // Numbers rise, so their differences are short.
        packer.int(number.saturating_sub(before));
        before = number;
        packer.int(position(feature));
        let Cell { made, made_amount, drawn, paid, paid_amount, failed, .. } = *cell;
        let Cell { returned, returned_amount, .. } = *cell;
        for figure in
            [made, made_amount, drawn, paid, paid_amount, failed, returned, returned_amount]
        {
            packer.int(figure);
        }
    }
    packer.pack(VERSION)
}

/// The latencies as one attribute: for each cell its number, its feature, and the buckets that hold
/// something with their counts.
pub(super) fn pack_latencies(stats: &Stats) -> Option<Av> {
    let cells = || stats.cells().filter(|(.., cell)| cell.latencies != Latencies::default());
    let mut packer = Packer::default();
    packer.count(cells().count());
    let mut before = 0;
    for (number, feature, cell) in cells() {
        packer.int(number.saturating_sub(before));
        before = number;
        packer.int(position(feature));
        packer.count(cell.latencies.buckets().count());
        for (bucket, count) in cell.latencies.buckets() {
            packer.count(bucket);
            packer.int(u64::from(count));
        }
    }
    cells().next().map(|_| packer.pack(VERSION))
}

fn add_latencies(stats: &mut Stats, reader: &Reader<'_>) -> PortResult<()> {
    let bytes = unpack(reader, LATENCIES, VERSION)?;
    let mut unpacker = Unpacker::new(&bytes, "latencies of a day");
    let (count, mut number) = (unpacker.count()?, 0_u64);
    for _ in 0..count {
        number = number.saturating_add(unpacker.int()?);
        let feature = Feature::ALL.get(unpacker.number::<usize>()?).copied();
        let feature = feature.ok_or_else(|| unpacker.corrupt())?;
        let mut latencies = Latencies::default();
        for _ in 0..unpacker.count()? {
            latencies.add(unpacker.number()?, unpacker.number()?);
        }
        stats.add_cell(number, feature, Cell { latencies, ..Cell::default() });
    }
    unpacker.end()
}

fn position(feature: Feature) -> u64 {
    let place = Feature::ALL.iter().position(|one| *one == feature);
    place.and_then(|place| u64::try_from(place).ok()).unwrap_or(0)
}

pub(super) fn read(reader: &Reader<'_>) -> PortResult<Stats> {
    let bytes = unpack(reader, CELLS, VERSION)?;
    let mut unpacker = Unpacker::new(&bytes, "figures of a day");
    let mut stats = Stats::default();
    let (count, mut number) = (unpacker.count()?, 0_u64);
    for _ in 0..count {
        number = number.saturating_add(unpacker.int()?);
        let feature = Feature::ALL.get(unpacker.number::<usize>()?).copied();
        let feature = feature.ok_or_else(|| unpacker.corrupt())?;
        let mut next = || unpacker.int();
        let cell = Cell {
            made: next()?,
            made_amount: next()?,
            drawn: next()?,
            paid: next()?,
            paid_amount: next()?,
            failed: next()?,
            returned: next()?,
            returned_amount: next()?,
            latencies: Latencies::default(),
        };
        stats.add_cell(number, feature, cell);
    }
    unpacker.end()?;
    if reader.item.contains_key(LATENCIES) {
        add_latencies(&mut stats, reader)?;
    }
    Ok(stats)
}

impl DailyStats for Store {
    async fn daily_stats(&self, days: &[Timestamp]) -> PortResult<(Option<Timestamp>, Stats)> {
        let keys = days.iter().map(|day| keys::stats_day(*day));
        let keys = keys.chain([keys::stats_complete()]).collect();
        let items = self.batch_get("read figures", &self.names.reconcile, keys).await?;
        let (mut complete, mut stats) = (None, Stats::default());
        for item in &items {
            let reader = Reader { item, what: "figures of a day" };
            if item.contains_key(COMPLETE) {
                complete = Some(reader.ms(COMPLETE)?);
            } else {
                stats.merge(&read(&reader)?);
            }
        }
        Ok((complete, stats))
    }

    async fn put_stats(
        &self,
        days: &[Timestamp],
        stats: &Stats,
        complete_until: Timestamp,
    ) -> PortResult<()> {
        // No condition: of two runs on one pass both have counted the same.
        let day = |day: &Timestamp| {
            let (mut item, stats) = (keys::stats_day(*day), stats.day(*day));
            item.insert(CELLS.to_owned(), pack(&stats));
            item.extend(pack_latencies(&stats).map(|packed| (LATENCIES.to_owned(), packed)));
            item
        };
        let items = days.iter().map(day);
        self.batch_put("write figures", &self.names.reconcile, items).await?;
        // Last: what it says is there.
        let mut complete: Item = keys::stats_complete();
        complete.insert(COMPLETE.to_owned(), ms(complete_until));
        self.dynamo
            .put_item()
            .table_name(&self.names.reconcile)
            .set_item(Some(complete))
            .send()
            .await
            .map(drop)
            .map_err(|error| port_error("write figures", error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{PK, SK};

    fn read_back(item: &Item) -> PortResult<Stats> {
        read(&Reader { item, what: "test" })
    }

    #[test]
    fn figures_are_read_back_as_they_were_written() {
        let mut stats = Stats::default();
        let cell = Cell {
            made: 1,
            made_amount: u64::MAX,
            drawn: 3,
            paid: 4,
            paid_amount: 5,
            failed: 6,
            returned: 7,
            returned_amount: 8,
            latencies: Latencies::of(0).plus(&Latencies::of(2_000)).plus(&Latencies::of(u64::MAX)),
        };
        for (n, feature) in (0_i64..).zip(Feature::ALL) {
            stats.add(Timestamp::from_ms(1_767_225_600_000 + n * 900_000), feature, cell);
            stats.add(Timestamp::from_ms(1_767_225_600_000), feature, cell);
        }
        let mut item = keys::stats_day(Timestamp::from_ms(0));
        item.insert(CELLS.to_owned(), pack(&stats));
        item.insert(LATENCIES.to_owned(), pack_latencies(&stats).unwrap());
        assert_eq!(read_back(&item).unwrap(), stats);
        assert_eq!(item[PK].as_s().unwrap(), "STATS");
        assert_eq!(item[SK].as_s().unwrap(), "DAY#0000000000000");
        // What a version without latencies wrote.
        item.remove(LATENCIES);
        let mut without = Stats::default();
        for (number, feature, cell) in stats.cells() {
            let latencies = Latencies::default();
            without.add_cell(number, feature, Cell { latencies, ..*cell });
        }
        assert_eq!(read_back(&item).unwrap(), without);
        assert_eq!(pack_latencies(&without), None);
        item.remove(CELLS);
        assert!(read_back(&item).is_err());
    }
}
