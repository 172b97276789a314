//! What happens to a member who is named more than once.
//!
//! Members are compared exactly, character by character: `42`, `0042` and `kim`, `Kim` are
//! different members. (A reader of files refuses blanks around a member.) Equal rows are
//! duplicates too: a campaign never pays a member twice.

use std::collections::BTreeMap;

use super::part::{Place, Row};
use crate::id::UserId;
use crate::money::{AMOUNT_MAX, Amount};

/// The policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Duplicates {
    /// The first row of a member in the order (part, line) is kept, the others are left out.
    #[default]
    First,
    /// A campaign with a duplicate is not sealed.
    Refuse,
    /// The amounts are added. Reason and place are those of the first row.
    Sum,
}

impl Duplicates {
    const ALL: [Self; 3] = [Self::First, Self::Refuse, Self::Sum];

    /// The name on the wire and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Refuse => "refuse",
            Self::Sum => "sum",
        }
    }

    /// The policy of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.as_str() == name)
    }
}

/// A row whose member an earlier row names too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// Where it stood.
    pub place: Place,
    /// The row.
    pub row: Row,
    /// Where the member's first row stood.
    pub first: Place,
}

/// What the policy makes of some rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// The rows to pay, one for each member, in the order of the members' bytes.
    pub kept: Vec<(Place, Row)>,
    /// All other rows, in the order (part, line).
    pub duplicates: Vec<Duplicate>,
}

/// Why the policy refuses the rows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DuplicatesError {
    /// The policy is [`Duplicates::Refuse`], and there are duplicates. All of them are listed.
    #[error("{} rows name a member again", .0.len())]
    Refused(Vec<Duplicate>),
    /// The rows of a member sum to more than one payment may have. The first such row is named.
    #[error("the rows of {} sum to more than {AMOUNT_MAX}", .0.row.member)]
    SumTooLarge(Box<Duplicate>),
}

/// Folds rows by the policy. The rows may come in any order; their places decide. All rows of one
/// member lie in one chunk, so a seal folds chunk by chunk.
///
/// # Errors
/// [`DuplicatesError`].
pub fn fold(policy: Duplicates, rows: Vec<(Place, Row)>) -> Result<Folded, DuplicatesError> {
    let mut rows = rows;
    rows.sort_by_key(|(place, _)| *place);
    let mut kept: BTreeMap<UserId, (Place, Row)> = BTreeMap::new();
    let mut duplicates = Vec::new();
    for (place, row) in rows {
        let Some((first, earlier)) = kept.get_mut(&row.member) else {
            kept.insert(row.member.clone(), (place, row));
            continue;
        };
        let duplicate = Duplicate { place, row, first: *first };
        if policy == Duplicates::Sum {
            let sum = earlier.amount.get().checked_add(duplicate.row.amount.get());
            match sum.map(Amount::new) {
                Some(Ok(sum)) => earlier.amount = sum,
                _ => return Err(DuplicatesError::SumTooLarge(Box::new(duplicate))),
            }
        }
        duplicates.push(duplicate);
    }
    if policy == Duplicates::Refuse && !duplicates.is_empty() {
        return Err(DuplicatesError::Refused(duplicates));
    }
    Ok(Folded { kept: kept.into_values().collect(), duplicates })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::PartNumber;
    use crate::ledger::Memo;
    use proptest::prelude::*;

    fn row(part: u32, line: u64, member: &str, amount: u64) -> (Place, Row) {
        let place = Place { part: PartNumber::new(part).unwrap(), line };
        let reason = Memo::new(&format!("{part}/{line}")).unwrap();
        let amount = Amount::new(amount).unwrap();
        (place, Row { member: member.parse().unwrap(), amount, reason })
    }

    #[test]
    fn members_are_compared_exactly() {
        let rows = ["42", "0042", "kim", "Kim", "KIM", "kim-", "kim_"];
        let rows: Vec<_> = (1..).zip(rows).map(|(line, m)| row(1, line, m, 5)).collect();
        let folded = fold(Duplicates::Refuse, rows.clone()).unwrap();
        assert_eq!(folded.kept.len(), rows.len());
    }

    #[test]
    fn refuse_lists_every_duplicate_by_part_and_line() {
        let rows =
            vec![row(2, 1, "a", 5), row(1, 9, "a", 6), row(1, 10, "b", 1), row(2, 2, "a", 6)];
        let refused = fold(Duplicates::Refuse, rows).unwrap_err();
        let DuplicatesError::Refused(duplicates) = refused else { panic!("{refused}") };
        let places: Vec<_> =
            duplicates.iter().map(|d| (d.place.part.get(), d.place.line)).collect();
        assert_eq!(places, [(2, 1), (2, 2)]);
        assert!(duplicates.iter().all(|d| (d.first.part.get(), d.first.line) == (1, 9)));
    }

    #[test]
    fn a_sum_above_the_largest_amount_is_refused() {
        let fits = vec![row(1, 1, "a", AMOUNT_MAX - 1), row(1, 2, "a", 1)];
        assert_eq!(fold(Duplicates::Sum, fits).unwrap().kept[0].1.amount.get(), AMOUNT_MAX);
        let above = vec![row(1, 1, "a", AMOUNT_MAX), row(1, 2, "a", 1)];
        let refused = fold(Duplicates::Sum, above.clone()).unwrap_err();
        assert!(matches!(refused, DuplicatesError::SumTooLarge(d) if d.place.line == 2));
        assert_eq!(fold(Duplicates::First, above).unwrap().kept.len(), 1);
    }

    proptest! {
        #[test]
        fn a_member_is_kept_once_and_every_other_row_is_listed(
            rows in proptest::collection::vec((1..4_u32, 0..8_u8, 1..100_u64), 0..60),
            swaps in proptest::collection::vec((0..60_usize, 0..60_usize), 0..60),
            sum in any::<bool>(),
        ) {
            let policy = if sum { Duplicates::Sum } else { Duplicates::First };
            let rows: Vec<_> = (1..).zip(rows)
                .map(|(line, (part, member, amount))| row(part, line, &member.to_string(), amount))
                .collect();
            let mut shuffled = rows.clone();
            for (a, b) in swaps {
                if a < rows.len() && b < rows.len() {
                    shuffled.swap(a, b);
                }
            }
            let folded = fold(policy, shuffled).unwrap();
            prop_assert_eq!(folded.kept.len() + folded.duplicates.len(), rows.len());
            for (place, kept) in &folded.kept {
                let of_member = rows.iter().filter(|(_, row)| row.member == kept.member);
                let first = of_member.clone().min_by_key(|(place, _)| *place).unwrap();
                prop_assert_eq!(place, &first.0);
                prop_assert_eq!(&kept.reason, &first.1.reason);
                let total: u64 = of_member.map(|(_, row)| row.amount.get()).sum();
                let expected = if sum { total } else { first.1.amount.get() };
                prop_assert_eq!(kept.amount.get(), expected);
            }
            let mut members: Vec<_> = folded.kept.iter().map(|(_, row)| &row.member).collect();
            members.dedup();
            prop_assert_eq!(members.len(), folded.kept.len());
            prop_assert_eq!(fold(policy, rows).unwrap(), folded);
        }
    }

    #[test]
    fn a_policy_is_read_back_by_its_name() {
        for policy in Duplicates::ALL {
            assert_eq!(Duplicates::from_name(policy.as_str()), Some(policy));
        }
        assert_eq!(Duplicates::from_name("FIRST"), None);
    }
}
