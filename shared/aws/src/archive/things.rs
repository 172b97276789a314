//! Finished things: read as they are stored, packed, replaced by their tombstones, removed.

use aws_sdk_dynamodb::types::{ConditionCheck, Delete, Put, TransactWriteItem};
use largesse_app::ports::{
    ItemsKey, MemberRef, Objects, OwnerRow, Packed, PortResult, Replaced, ScanKey, Scanned,
    ThingKind, Things, Tombstone, Tombstones,
};
use largesse_domain::id::PoolId;

use super::sets::{Set, Table, key_item, place_of};
use super::tombstone::{read_tombstone, tombstone_item};
use super::{MemberWriter, PackedMember, read_member};
use crate::errors::{TransactError, corrupt, port_error};
use crate::item::{Item, Reader};
use crate::keys::{self, PK, SK};
use crate::store::Store;
use crate::wallet::request_token;

/// Things looked at in one scan: each may become a member of an object and a line of the pass.
const SCAN_STEP: i32 = 100;

/// The thing that an item of its main table is.
fn owner_row(kind: ThingKind, item: &Item) -> OwnerRow<PoolId> {
    let reader = Reader { item, what: "item of a thing" };
    let pk = reader.text(PK).unwrap_or_default();
    let is_main = match kind {
        // The counters of senders lie beside the sprays.
        ThingKind::Spray => !pk.starts_with(keys::SENDER_PREFIX),
        ThingKind::Drop => true,
        ThingKind::Product | ThingKind::Campaign => {
            reader.text(SK).is_ok_and(|sk| sk == keys::META)
        }
    };
    if !is_main {
        return OwnerRow::Other;
    }
    let is_of_kind = |pool: &PoolId| {
        matches!(
            (kind, pool),
            (ThingKind::Spray, PoolId::Spray(_))
                | (ThingKind::Drop, PoolId::Drop(_))
                | (ThingKind::Product, PoolId::Product(_))
                | (ThingKind::Campaign, PoolId::Campaign(_))
        )
    };
    match pk.parse::<PoolId>().ok().filter(is_of_kind) {
        Some(pool) => OwnerRow::Whole(pool),
        None => OwnerRow::Unreadable(pk.to_owned()),
    }
}

impl Store {
    /// The items of a member, checked by count and hash.
    async fn items_in_part(&self, part: &MemberRef) -> PortResult<Vec<Item>> {
        self.member_of(part).await?.ok_or_else(|| corrupt("read a member of an object"))
    }

    /// `None` when it is not there, or does not hold what the part says.
    async fn member_of(&self, part: &MemberRef) -> PortResult<Option<Vec<Item>>> {
        let bytes = self.range(&part.object, part.range()).await?;
        Ok(bytes.and_then(|bytes| read_member(&bytes, part).ok()))
    }

    /// Takes the thing itself away. Its condition: each attribute is as it was archived, so nothing
    /// has happened to the thing since.
    fn deletion(&self, table: Table, main: &Item) -> PortResult<TransactWriteItem> {
        let is_key = |name: &str| name == PK || (table.is_sorted() && name == SK);
        let (mut delete, mut clauses) =
            (Delete::builder().table_name(table.name(self)), Vec::new());
        for (number, (name, value)) in (0_u32..).zip(main) {
            if is_key(name) {
                delete = delete.key(name, value.clone());
                continue;
            }
            clauses.push(format!("#a{number} = :a{number}"));
            delete = delete
                .expression_attribute_names(format!("#a{number}"), name)
                .expression_attribute_values(format!(":a{number}"), value.clone());
        }
        let delete = delete.condition_expression(clauses.join(" AND "));
        let delete = delete.build().map_err(|_| corrupt("deletion of a thing"))?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    /// Its condition: the thing has no tombstone. It matters where a thing was put back beside its
    /// tombstone by hand after the tombstone was read; a run's own tombstone takes the thing away.
    fn marking_archived(&self, tombstone: &Tombstone) -> PortResult<TransactWriteItem> {
        let put = Put::builder()
            .table_name(&self.names.reconcile)
            .set_item(Some(tombstone_item(tombstone)))
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .map_err(|_| corrupt("tombstone item"))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Its condition: the thing is not frozen. What is frozen is looked at by an operator.
    fn unfrozen(&self, pool: PoolId) -> PortResult<TransactWriteItem> {
        let check = ConditionCheck::builder()
            .table_name(&self.names.reconcile)
            .set_key(Some(keys::frozen(pool)))
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .map_err(|_| corrupt("check of a frozen pool"))?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }
}

/// Where the items of one thing are.
#[derive(Debug)]
pub struct Sets(Vec<Set>);

impl Things for Store {
    type Sets = Sets;

    async fn scan_things(
        &self,
        kind: ThingKind,
        after: Option<ScanKey>,
    ) -> PortResult<Scanned<OwnerRow<PoolId>>> {
        let scan = self.dynamo.scan();
        let scan = match kind {
            ThingKind::Spray => scan.table_name(&self.names.sprays).limit(SCAN_STEP),
            ThingKind::Drop => scan.table_name(&self.names.drops).limit(SCAN_STEP),
            // Most items are no products and no campaigns: 1 MB of them holds few.
            ThingKind::Product => scan.table_name(&self.names.products),
            ThingKind::Campaign => scan.table_name(&self.names.campaigns),
        };
        let scan = match kind {
            ThingKind::Spray | ThingKind::Drop => {
                scan.projection_expression("#pk").expression_attribute_names("#pk", PK)
            }
            ThingKind::Product | ThingKind::Campaign => scan
                .projection_expression("#pk, #sk")
                .expression_attribute_names("#pk", PK)
                .expression_attribute_names("#sk", SK),
        };
        let got = scan
            .consistent_read(true)
            .set_exclusive_start_key(after.map(|key| key_item(&key)))
            .send()
            .await
            .map_err(|error| port_error("scan things", error))?;
        let rows = got.items.unwrap_or_default();
        let rows = rows.iter().map(|item| owner_row(kind, item)).collect();
        Ok(Scanned { rows, next: got.last_evaluated_key.as_ref().map(place_of) })
    }

    async fn sets(&self, pool: PoolId) -> PortResult<Sets> {
        Ok(Sets(self.sets_of(pool).await?))
    }

    async fn pack(
        &self,
        sets: &Sets,
        after: Option<ItemsKey>,
    ) -> PortResult<(Option<Packed>, Option<ItemsKey>)> {
        let Sets(sets) = sets;
        let ItemsKey { set: number, after } = after.unwrap_or(ItemsKey { set: 0, after: None });
        let at = |number: u32| sets.get(usize::try_from(number).unwrap_or(usize::MAX));
        let Some(set) = at(number) else { return Ok((None, None)) };
        let (items, next) = self.items_in(set, after).await?;
        let behind = match next {
            Some(key) => Some(ItemsKey { set: number, after: Some(key) }),
            None => {
                let set = number.saturating_add(1);
                at(set).map(|_| ItemsKey { set, after: None })
            }
        };
        if items.is_empty() {
            // The thing itself: it was there a moment ago.
            return if number == 0 { Err(corrupt("thing is gone")) } else { Ok((None, behind)) };
        }
        let mut writer = MemberWriter::new();
        items.iter().try_for_each(|item| writer.push(item))?;
        let PackedMember { bytes, lines, hash } = writer.finish()?;
        Ok((Some(Packed { table: set.table.as_str(), bytes, lines, hash }), behind))
    }

    async fn is_stored(&self, part: &MemberRef) -> PortResult<bool> {
        Ok(self.member_of(part).await?.is_some())
    }

    async fn put_tombstone(&self, tombstone: &Tombstone) -> PortResult<Replaced> {
        let pool = tombstone.pool;
        let known = |found: Option<Tombstone>| match found {
            Some(found) if found.parts == tombstone.parts => Some(Replaced::Done),
            Some(_) => Some(Replaced::Changed),
            None => None,
        };
        // A run before may have done it.
        if let Some(known) = known(self.tombstone(pool).await?) {
            return Ok(known);
        }
        let first = tombstone.parts.first().ok_or_else(|| corrupt("tombstone without parts"))?;
        let items = self.items_in_part(first).await?;
        let main = items.first().ok_or_else(|| corrupt("member without items"))?;
        let actions = vec![
            self.marking_archived(tombstone)?,
            self.deletion(Table::of_object(&first.object)?, main)?,
            self.unfrozen(pool)?,
        ];
        let token = request_token(&["archive", &pool.to_string(), &first.object]);
        match self.transact("archive a thing", token, actions).await {
            Ok(()) => Ok(Replaced::Done),
            Err(TransactError::Port(error)) => Err(error),
            // Its own repeat after a lost reply, or something has happened to the thing.
            Err(TransactError::Refused(_)) => {
                Ok(known(self.tombstone(pool).await?).unwrap_or(Replaced::Changed))
            }
        }
    }

    async fn remove_items(&self, part: &MemberRef) -> PortResult<()> {
        let table = Table::of_object(&part.object)?;
        let items = self.items_in_part(part).await?;
        let key = |item: &Item| -> PortResult<Item> {
            let names = if table.is_sorted() { &[PK, SK][..] } else { &[PK][..] };
            let of = |name: &&str| Some(((*name).to_owned(), item.get(*name)?.clone()));
            let key: Option<Item> = names.iter().map(of).collect();
            key.ok_or_else(|| corrupt("key of an archived item"))
        };
        let keys = items.iter().map(key).collect::<PortResult<Vec<_>>>()?;
        self.batch_delete("remove archived items", table.name(self), keys).await
    }
}

impl Tombstones for Store {
    async fn tombstone(&self, pool: PoolId) -> PortResult<Option<Tombstone>> {
        let got = self
            .dynamo
            .get_item()
            .table_name(&self.names.reconcile)
            .set_key(Some(keys::tombstone(pool)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("read tombstone", error))?;
        got.item.map(|item| read_tombstone(&item)).transpose()
    }
}
