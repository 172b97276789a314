//! The pools of drops: what was passed on, and to whom.

use std::collections::{BTreeMap, BTreeSet};

use super::{Books, Flows};
use crate::id::{DropId, PoolId, TransferId, UserId};
use crate::pool::{Bucket, PoolKind};

/// Whether the buckets are those of a drop that was never made: its creation ended between the buckets
/// and the transaction that pays for them. No member sees it, and it holds no money.
pub(super) fn is_never_made(pool: PoolId, buckets: &[&Bucket], flows: &Flows) -> bool {
    matches!(pool, PoolId::Drop(_))
        && flows.put_in == 0
        && buckets.iter().all(|bucket| bucket.taken == 0)
}

/// The members of a slot, in any order, and what each of them was to be paid under.
type Owners<'a> = BTreeMap<u64, Vec<(&'a UserId, TransferId)>>;

/// A slot has one owner whose payment is not voided, at most. Each promotion stands in the list of the
/// same drop too, and the other way round.
pub(super) fn audit_promotions(books: &Books, found: &mut Vec<String>) {
    let mut marks: BTreeMap<DropId, BTreeMap<&UserId, u64>> = BTreeMap::new();
    for bucket in &books.buckets {
        if let PoolId::Waiting(id) = bucket.id.pool {
            marks.entry(id).or_default().extend(bucket.promoted.iter().map(|(m, slot)| (m, *slot)));
        }
    }
    let mut owners: BTreeMap<DropId, Owners<'_>> = BTreeMap::new();
    let mut promoted: BTreeMap<DropId, BTreeSet<&UserId>> = BTreeMap::new();
    for bucket in &books.buckets {
        let PoolId::Drop(id) = bucket.id.pool else { continue };
        for (member, entry) in &bucket.draws {
            let Some(grant) = bucket.grant(member, *entry) else { continue };
            let slot = if bucket.kind == PoolKind::Promotion {
                promoted.entry(id).or_default().insert(member);
                marks.get(&id).and_then(|marks| marks.get(member)).copied()
            } else {
                Some(bucket.part(entry.index))
            };
            match slot {
                Some(slot) => {
                    let of_slot = owners.entry(id).or_default().entry(slot).or_default();
                    of_slot.push((member, grant.id.transfer()));
                }
                None => found.push(format!("DROP#{id}: {member} was promoted without a place")),
            }
        }
    }
    for (id, owners) in &owners {
        for (slot, owners) in owners {
            let live = owners.iter().filter(|(_, payment)| !books.voided.contains(payment));
            if live.count() > 1 {
                found.push(format!("DROP#{id}: slot {slot} has {} owners", owners.len()));
            }
        }
    }
    for (id, marks) in &marks {
        let with_bucket = promoted.get(id);
        for member in marks.keys() {
            if !with_bucket.is_some_and(|members| members.contains(member)) {
                found.push(format!("DROP#{id}: the promotion of {member} has no entry"));
            }
        }
    }
}
