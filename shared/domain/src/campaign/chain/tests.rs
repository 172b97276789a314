use proptest::prelude::*;

use super::*;

fn campaign() -> CampaignId {
    "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap()
}

fn entries(count: u64) -> Vec<AuditEntry> {
    let mut entries: Vec<AuditEntry> = Vec::new();
    for n in 0..count {
        let by = if n % 3 == 2 { Actor::System } else { Actor::Member("kim".parse().unwrap()) };
        let details = (0..n % 3).map(|i| (format!("k{i}"), format!("v{n}"))).collect();
        let at = Timestamp::from_ms(i64::try_from(n).unwrap() * 1_000);
        let next = AuditEntry::next(
            campaign(),
            entries.last().map(AuditEntry::head),
            at,
            by,
            "part",
            details,
        );
        entries.push(next.unwrap());
    }
    entries
}

fn head(entries: &[AuditEntry]) -> Option<AuditHead> {
    entries.last().map(AuditEntry::head)
}

/// Changes one field of an entry, and says which.
fn changed(entry: &AuditEntry, field: u8, rehash: bool) -> AuditEntry {
    let mut entry = entry.clone();
    match field {
        0 => entry.seq += 1,
        1 => entry.at = entry.at.plus_ms(1),
        2 => {
            entry.by = match entry.by {
                Actor::System => Actor::Member("lee".parse().unwrap()),
                Actor::Member(_) => Actor::System,
            };
        }
        3 => entry.action.push('s'),
        4 => {
            entry.details.insert("memo".to_owned(), String::new());
        }
        5 => entry.previous.0[31] ^= 1,
        _ => entry.hash.0[0] ^= 128,
    }
    if rehash {
        entry.hash = entry.computed();
    }
    entry
}

proptest! {
    /// With `rehash` the forger computes the hash of the changed entry anew: then the next entry,
    /// or the known head, gives the change away.
    #[test]
    fn any_change_to_the_audit_is_found(
        count in 2..12_u64,
        at in any::<prop::sample::Index>(),
        field in 0..7_u8,
        rehash in any::<bool>(),
        how in 0..4_u8,
    ) {
        let written = entries(count);
        let head = head(&written);
        prop_assert_eq!(verify(campaign(), &written, head), Ok(()));
        let i = at.index(written.len());
        let mut forged = written.clone();
        match how {
            0 => forged[i] = changed(&written[i], field, rehash && field < 6),
            1 => {
                forged.remove(i);
            }
            2 => forged.swap(i, (i + 1) % written.len()),
            _ => forged.insert(i, written[i].clone()),
        }
        let found = verify(campaign(), &forged, head).unwrap_err();
        // The first entry that differs is named, or the next one, which no longer follows it.
        let first = (0..).position(|n: usize| forged.get(n) != written.get(n)).unwrap();
        let seq = usize::try_from(found.seq).unwrap();
        prop_assert!(seq == first + 1 || seq == first + 2, "{:?} for {}", found, first);
    }

    #[test]
    fn an_audit_that_was_cut_off_is_found_when_the_head_is_known(
        count in 1..12_u64,
        left in any::<prop::sample::Index>(),
    ) {
        let written = entries(count);
        let left = left.index(written.len());
        let cut = &written[..left];
        prop_assert_eq!(verify(campaign(), cut, None), Ok(()));
        let found = verify(campaign(), cut, head(&written)).unwrap_err();
        let missing = u64::try_from(left).unwrap() + 1;
        prop_assert_eq!(found, AuditBroken { seq: missing, what: Broken::Head });
    }
}

#[test]
fn each_field_is_covered_by_the_hash() {
    let written = entries(3);
    for field in [1, 2, 3, 4] {
        let mut forged = written.clone();
        forged[1] = changed(&written[1], field, false);
        let found = verify(campaign(), &forged, None);
        assert_eq!(found, Err(AuditBroken { seq: 2, what: Broken::Hash }), "{field}");
        forged[1] = changed(&written[1], field, true);
        let found = verify(campaign(), &forged, None);
        assert_eq!(found, Err(AuditBroken { seq: 3, what: Broken::Previous }), "{field}");
    }
}

#[test]
fn the_audit_of_another_campaign_is_no_audit_of_this_one() {
    let other = "01ARZ3NDEKTSV4RRFFQ69G5FAW".parse().unwrap();
    let found = verify(other, &entries(2), None);
    assert_eq!(found, Err(AuditBroken { seq: 1, what: Broken::Previous }));
}
