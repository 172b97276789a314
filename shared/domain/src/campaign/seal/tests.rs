use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::campaign::{
    Approvals, CampaignName, Duplicates, Fold, Part, PartNumber, Place, Priority,
};
use crate::ledger::Memo;

fn row(member: &str, amount: u64, reason: &str) -> Row {
    let amount = Amount::new(amount).unwrap();
    Row { member: member.parse().unwrap(), amount, reason: Memo::new(reason).unwrap() }
}

fn terms() -> Terms {
    Terms {
        name: CampaignName::new("추석").unwrap(),
        default_reason: Memo::new("보상").unwrap(),
        default_amount: None,
        starts_at: None,
        priority: Priority::default(),
        duplicates: Duplicates::First,
        approvals: Approvals::Zero,
    }
}

/// Seals rows as the store does: laid out, folded chunk by chunk, hashed.
fn sealed(rows: &[(Place, Row)], policy: Duplicates) -> (Hash, Totals) {
    let layout = Layout::new(u64::try_from(rows.len()).unwrap()).unwrap();
    let mut chunks: BTreeMap<_, Vec<(Place, Row)>> = BTreeMap::new();
    for (place, row) in rows {
        chunks.entry(layout.chunk(&row.member).0).or_default().push((*place, row.clone()));
    }
    let mut totals = Totals::default();
    let mut hashes = Vec::new();
    for chunk in 0..layout.chunks() {
        let mut rows = chunks.remove(&chunk).unwrap_or_default();
        rows.sort_by_key(|(place, _)| *place);
        let mut fold = Fold::new(policy);
        let again = rows
            .into_iter()
            .filter(|(place, row)| fold.take(*place, row.clone()).unwrap().is_some());
        let duplicates = u64::try_from(again.count()).unwrap();
        let kept = fold.into_rows();
        hashes.push(chunk_hash(&kept));
        let of_chunk = kept.iter().try_fold(Totals::default(), |sum, row| sum.plus(row.amount));
        totals = totals.merge(Totals { duplicates, ..of_chunk.unwrap() }).unwrap();
    }
    (content_hash(&terms(), rows_hash(layout, &hashes), totals), totals)
}

proptest! {
    #[test]
    fn the_cut_into_parts_does_not_change_the_hash(
        members in proptest::collection::vec(0..400_u32, 1..300),
        cuts in proptest::collection::vec(1..100_u64, 1..5),
        sum in any::<bool>(),
    ) {
        let policy = if sum { Duplicates::Sum } else { Duplicates::First };
        let rows = members.iter().zip(1..).map(|(m, n)| row(&m.to_string(), n, "x"));
        let whole = rows.clone().zip(1..).map(|(row, line)| {
            (Place { part: PartNumber::new(1).unwrap(), line }, row)
        });
        let mut places = Vec::new();
        for (part, len) in (1..).zip(cuts.iter().cycle()) {
            places.extend((1..=*len).map(|line| Place { part: PartNumber::new(part).unwrap(), line }));
            if places.len() >= members.len() {
                break;
            }
        }
        let cut: Vec<_> = places.into_iter().zip(rows).collect();
        let whole: Vec<_> = whole.collect();
        let (hash, totals) = sealed(&whole, policy);
        prop_assert_eq!(sealed(&cut, policy), (hash, totals));
        let different = u64::try_from(members.iter().collect::<BTreeSet<_>>().len()).unwrap();
        prop_assert_eq!(totals.rows, different);
        prop_assert_eq!(totals.rows + totals.duplicates, u64::try_from(members.len()).unwrap());
    }
}

#[test]
fn the_hash_covers_everything() {
    let base = [row("a", 1, "x"), row("b", 2, "y")];
    let layout = Layout::new(2).unwrap();
    let of_rows = |rows: &[Row]| rows_hash(layout, &[chunk_hash(rows)]);
    let (rows, totals) = (of_rows(&base), Totals { rows: 2, amount: 3, ..Totals::default() });
    let with = |change: &dyn Fn(&mut Terms)| {
        let mut changed = terms();
        change(&mut changed);
        content_hash(&changed, rows, totals)
    };
    let other = |rows: &[Row]| content_hash(&terms(), of_rows(rows), totals);
    let amount = |n| Some(Amount::new(n).unwrap());
    let at = |ms| Some(Timestamp::from_ms(ms));
    let counted = |totals| content_hash(&terms(), rows, totals);
    let hashes = [
        with(&|_| {}),
        with(&|t| t.name = CampaignName::new("설").unwrap()),
        with(&|t| t.default_reason = Memo::new("상").unwrap()),
        with(&|t| t.default_amount = amount(1)),
        with(&|t| t.starts_at = at(0)),
        with(&|t| t.starts_at = at(1)),
        with(&|t| t.priority = Priority::new(1).unwrap()),
        with(&|t| t.duplicates = Duplicates::Sum),
        with(&|t| t.approvals = Approvals::One),
        other(&base[..1]),
        other(&[row("a", 2, "x"), row("b", 1, "y")]),
        other(&[row("a", 1, "y"), row("b", 2, "x")]),
        other(&[row("c", 1, "x"), row("b", 2, "y")]),
        counted(Totals { duplicates: 1, ..totals }),
        counted(Totals { refused: 1, ..totals }),
    ];
    let different: BTreeSet<_> = hashes.iter().collect();
    assert_eq!(different.len(), hashes.len());
    assert_eq!(other(&[row("b", 2, "y"), row("a", 1, "x")]), hashes[0]);
}

#[test]
fn a_seal_that_lost_or_repeated_a_row_is_refused() {
    let mut parts = Parts::default();
    assert_eq!(Totals::default().check(&parts), Err(SealError::Empty));
    let number = PartNumber::new(1).unwrap();
    let hash = Hash::of(b"");
    parts.add(None, &Part { number, hash, rows: 3, refused: 7, amount: 6 }).unwrap();
    let totals = Totals { rows: 2, amount: 5, duplicates: 1, refused: 7 };
    assert_eq!(totals.check(&parts), Ok(()));
    for (rows, chunks) in [(1, 2), (3, 4), (0, 1)] {
        let refused = SealError::RowsDiffer { parts: 3, chunks };
        assert_eq!(Totals { rows, ..totals }.check(&parts), Err(refused));
    }
}

#[test]
fn a_campaign_pays_no_more_than_its_maximum() {
    let full = Totals { amount: CAMPAIGN_AMOUNT_MAX - 1, ..Totals::default() };
    let one = Amount::new(1).unwrap();
    let two = Amount::new(2).unwrap();
    assert_eq!(full.plus(one).unwrap().amount, CAMPAIGN_AMOUNT_MAX);
    assert_eq!(full.plus(two), Err(SealError::AmountTooLarge));
    assert_eq!(full.merge(full), Err(SealError::AmountTooLarge));
}
