//! Where the items of a thing are: sets of keys and partitions, each of one table.

use std::ops::Range;

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::{
    Campaigns, ChunkSet, DropReads, PortResult, Products, ScanKey, Sprays, Upload,
};
use largesse_domain::campaign::{ChunkNumber, LAYOUT_ROUNDS, Layout};
use largesse_domain::id::{CampaignId, DropId, PoolId, ProductId, SprayId};
use largesse_domain::pool::{BucketId, bucket_count};

use crate::errors::{corrupt, port_error};
use crate::item::{Item, item, s};
use crate::keys::{self, META, PK, SK};
use crate::store::Store;

/// Keys read for one member: a bucket has about 1 KB.
const KEYS_STEP: usize = 1_000;

/// Chunks read for one member, each with its rows and its result: the rows of a chunk have at most
/// 180 KB, and as text a third more, so fifty of them stay below what a member may have.
const CHUNKS_STEP: u32 = 50;

/// A table whose items are archived with a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Sprays,
    Drops,
    Pools,
    Grants,
    Products,
    Campaigns,
    CampaignRows,
}

impl Table {
    const ALL: [Self; 7] = [
        Self::Sprays,
        Self::Drops,
        Self::Pools,
        Self::Grants,
        Self::Products,
        Self::Campaigns,
        Self::CampaignRows,
    ];

    /// The name in names of objects.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Sprays => "sprays",
            Self::Drops => "drops",
            Self::Pools => "pools",
            Self::Grants => "grants",
            Self::Products => "products",
            Self::Campaigns => "campaigns",
            Self::CampaignRows => "campaign-rows",
        }
    }

    /// The table whose items an object holds, by its name: `things/<table>/...`.
    pub(super) fn of_object(name: &str) -> PortResult<Self> {
        let table = name.strip_prefix("things/").and_then(|rest| rest.split('/').next());
        let table = table.and_then(|text| Self::ALL.into_iter().find(|t| t.as_str() == text));
        table.ok_or_else(|| corrupt("name of an object"))
    }

    /// The name of the table itself.
    pub(super) fn name(self, store: &Store) -> &str {
        match self {
            Self::Sprays => &store.names.sprays,
            Self::Drops => &store.names.drops,
            Self::Pools => &store.names.pools,
            Self::Grants => &store.names.grants,
            Self::Products => &store.names.products,
            Self::Campaigns => &store.names.campaigns,
            Self::CampaignRows => &store.names.campaign_rows,
        }
    }

    /// Whether its items have a sort key.
    pub(super) const fn is_sorted(self) -> bool {
        match self {
            Self::Sprays | Self::Drops | Self::Pools => false,
            Self::Grants | Self::Products | Self::Campaigns | Self::CampaignRows => true,
        }
    }
}

/// Some items of a thing.
#[derive(Clone, Debug)]
pub(super) struct Set {
    pub(super) table: Table,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    /// Those of these keys that exist.
    Keys(Vec<Item>),
    /// The rows and results of those of these chunks that exist. Their keys are made when they are
    /// read: a campaign of a million rows has 140,000 for each seal that was given up.
    Chunks(ChunkSet, Range<u32>),
    /// All with this partition key, but for the thing itself, which is a set of its own.
    Partition(String),
}

impl Set {
    fn keys(table: Table, keys: impl Iterator<Item = Item>) -> Vec<Self> {
        let keys: Vec<Item> = keys.collect();
        let some = |keys: &[Item]| Self { table, what: What::Keys(keys.to_vec()) };
        keys.chunks(KEYS_STEP).map(some).collect()
    }

    fn chunks(set: ChunkSet, chunks: u32) -> impl Iterator<Item = Self> {
        let step = usize::try_from(CHUNKS_STEP).unwrap_or(usize::MAX);
        (0..chunks).step_by(step).map(move |first| {
            let end = first.saturating_add(CHUNKS_STEP).min(chunks);
            Self { table: Table::CampaignRows, what: What::Chunks(set, first..end) }
        })
    }

    const fn partition(table: Table, pk: String) -> Self {
        Self { table, what: What::Partition(pk) }
    }
}

fn buckets(pool: PoolId, numbers: Range<u32>) -> impl Iterator<Item = Item> {
    numbers.map(move |number| keys::bucket(BucketId { pool, number }))
}

impl Store {
    /// All sets of a thing, the thing itself first; none when it is gone.
    pub(super) async fn sets_of(&self, pool: PoolId) -> PortResult<Vec<Set>> {
        match pool {
            PoolId::Spray(id) => self.sets_of_spray(id).await,
            PoolId::Drop(id) => self.sets_of_drop(id).await,
            PoolId::Product(id) => self.sets_of_product(id).await,
            PoolId::Campaign(id) => self.sets_of_campaign(id).await,
            PoolId::Waiting(_) | PoolId::Lots(_) => Ok(Vec::new()),
        }
    }

    async fn sets_of_spray(&self, id: SprayId) -> PortResult<Vec<Set>> {
        let Some(spray) = self.spray(id).await? else { return Ok(Vec::new()) };
        let pool = spray.pool();
        let mut sets = Set::keys(Table::Sprays, std::iter::once(keys::spray(id)));
        sets.extend(Set::keys(Table::Pools, buckets(pool, 0..bucket_count(spray.recipients))));
        sets.push(Set::partition(Table::Grants, pool.to_string()));
        Ok(sets)
    }

    async fn sets_of_drop(&self, id: DropId) -> PortResult<Vec<Set>> {
        let Some(record) = self.drop_record(id).await? else { return Ok(Vec::new()) };
        let drop = record.drop;
        let slots = bucket_count(drop.slots);
        // Behind the slots' buckets stands one for each place that was promoted.
        let of_slots = buckets(drop.pool(), 0..slots.saturating_add(drop.waiting));
        let of_places = buckets(drop.list(), 0..bucket_count(drop.waiting));
        let of_lots = buckets(drop.lots(), 0..bucket_count(drop.lots_max()));
        let mut sets = Set::keys(Table::Drops, std::iter::once(keys::drop(id)));
        sets.extend(Set::keys(Table::Pools, of_slots.chain(of_places).chain(of_lots)));
        sets.push(Set::partition(Table::Grants, drop.pool().to_string()));
        Ok(sets)
    }

    async fn sets_of_product(&self, id: ProductId) -> PortResult<Vec<Set>> {
        let Some(product) = self.product(id).await? else { return Ok(Vec::new()) };
        let mut sets = Set::keys(Table::Products, std::iter::once(keys::product(id)));
        let shards = (0..product.shards).map(|number| keys::product_shard(id, number));
        sets.extend(Set::keys(Table::Products, shards));
        let parts = (0..product.shards).map(|part| keys::investments_pk(id, part));
        sets.extend(parts.map(|pk| Set::partition(Table::Products, pk)));
        Ok(sets)
    }

    async fn sets_of_campaign(&self, id: CampaignId) -> PortResult<Vec<Set>> {
        let Some(seen) = self.campaign(id).await? else { return Ok(Vec::new()) };
        let campaign = seen.value;
        let mut sets = Set::keys(Table::Campaigns, std::iter::once(keys::campaign(id)));
        sets.push(Set::partition(Table::Campaigns, keys::campaign_pk(id)));
        for part in self.parts(id).await? {
            let upload = Upload { campaign: id, number: part.number, hash: part.hash };
            sets.push(Set::partition(Table::CampaignRows, keys::upload_pk(&upload)));
        }
        for attempt in 1..=campaign.life.seal_attempt {
            let set = ChunkSet { campaign: id, attempt, round: 0 };
            sets.push(Set::partition(Table::CampaignRows, keys::seal_pk(&set)));
            // The seal that is done has no later round; one that was given up may have had each.
            let done = campaign.seal.filter(|_| attempt == campaign.life.seal_attempt);
            let rounds = done.map_or(LAYOUT_ROUNDS, |seal| seal.layout.round().saturating_add(1));
            for round in 0..rounds {
                // Rows are added between seals and never taken away, so an earlier one had no more
                // chunks.
                let layout = Layout::of_round(campaign.parts.rows, round);
                let chunks = layout.map_or(0, Layout::chunks);
                let set = ChunkSet { round, ..set };
                sets.extend(Set::chunks(set, chunks));
            }
        }
        Ok(sets)
    }

    /// A page of a set.
    pub(super) async fn items_in(
        &self,
        set: &Set,
        after: Option<ScanKey>,
    ) -> PortResult<(Vec<Item>, Option<ScanKey>)> {
        let table = set.table.name(self);
        match &set.what {
            What::Keys(keys) => {
                let items = self.batch_get("read items of a thing", table, keys.clone()).await?;
                Ok((items, None))
            }
            What::Chunks(set, chunks) => {
                let keys = chunks.clone().map(ChunkNumber).flat_map(|chunk| {
                    [keys::chunk_rows(set, chunk), keys::chunk_result(set, chunk)]
                });
                let items = self.batch_get("read chunks of a campaign", table, keys.collect());
                Ok((items.await?, None))
            }
            What::Partition(pk) => {
                let got = self
                    .dynamo
                    .query()
                    .table_name(table)
                    .key_condition_expression("#pk = :pk")
                    .expression_attribute_names("#pk", PK)
                    .expression_attribute_values(":pk", s(pk))
                    .set_exclusive_start_key(after.map(|key| key_item(&key)))
                    .consistent_read(true)
                    .send()
                    .await
                    .map_err(|error| port_error("read items of a thing", error))?;
                let next = got.last_evaluated_key.as_ref().map(place_of);
                let mut items = got.items.unwrap_or_default();
                items.retain(|item| item.get(SK).is_none_or(|sk| *sk != s(META)));
                Ok((items, next))
            }
        }
    }
}

pub(super) fn key_item(key: &ScanKey) -> Item {
    let mut found = item([(PK, s(&key.pk))]);
    found.extend(key.sk.iter().map(|sk| (SK.to_owned(), s(sk))));
    found
}

pub(super) fn place_of(item: &Item) -> ScanKey {
    let text = |name: &str| match item.get(name) {
        Some(Av::S(text)) => Some(text.clone()),
        _ => None,
    };
    ScanKey { pk: text(PK).unwrap_or_default(), sk: text(SK) }
}
