//! What happens to a member who is named more than once.
//!
//! Members are compared exactly, character by character: `42`, `0042` and `kim`, `Kim` are
//! different members. (A reader of files refuses blanks around a member.) Equal rows are
//! duplicates too: a campaign never pays a member twice.

use std::collections::BTreeMap;

use super::part::{Place, Row};
use crate::id::UserId;
use crate::ledger::Memo;
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

/// The rows of a member sum to more than one payment may have. The first row above it is named.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the rows of {} sum to more than {AMOUNT_MAX}", .0.row.member)]
pub struct SumTooLarge(pub Box<Duplicate>);

/// What is kept of a member's rows: the place and the reason of the first, and the amount.
#[derive(Clone, Debug)]
struct Kept {
    place: Place,
    amount: Amount,
    reason: Memo,
}

/// Folds rows by a policy, one after the other. It holds one row for each member, however many rows
/// name it. All rows of one member lie in one chunk, so a seal folds chunk by chunk.
#[derive(Clone, Debug)]
pub struct Fold {
    policy: Duplicates,
    kept: BTreeMap<UserId, Kept>,
}

impl Fold {
    /// A fold of no rows.
    #[must_use]
    pub const fn new(policy: Duplicates) -> Self {
        Self { policy, kept: BTreeMap::new() }
    }

    /// Takes the next row in the order (part, line), and gives it back if its member has one.
    ///
    /// # Errors
    /// [`SumTooLarge`]; the row is not added.
    pub fn take(&mut self, place: Place, row: Row) -> Result<Option<Duplicate>, SumTooLarge> {
        let Some(kept) = self.kept.get_mut(&row.member) else {
            let Row { member, amount, reason } = row;
            self.kept.insert(member, Kept { place, amount, reason });
            return Ok(None);
        };
        let duplicate = Duplicate { place, row, first: kept.place };
        if self.policy == Duplicates::Sum {
            let sum = kept.amount.get().checked_add(duplicate.row.amount.get());
            match sum.map(Amount::new) {
                Some(Ok(sum)) => kept.amount = sum,
                _ => return Err(SumTooLarge(Box::new(duplicate))),
            }
        }
        Ok(Some(duplicate))
    }

    /// How many rows it keeps.
    #[must_use]
    pub fn rows_kept(&self) -> usize {
        self.kept.len()
    }

    /// The rows to pay, one for each member, in the order of the members' bytes.
    #[must_use]
    pub fn into_rows(self) -> Vec<Row> {
        let row = |(member, Kept { amount, reason, .. })| Row { member, amount, reason };
        self.kept.into_iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::PartNumber;
    use proptest::prelude::*;

    fn row(part: u32, line: u64, member: &str, amount: u64) -> (Place, Row) {
        let place = Place { part: PartNumber::new(part).unwrap(), line };
        let reason = Memo::new(&format!("{part}/{line}")).unwrap();
        let amount = Amount::new(amount).unwrap();
        (place, Row { member: member.parse().unwrap(), amount, reason })
    }

    /// What is kept of rows, and what is given back.
    fn fold(
        policy: Duplicates,
        mut rows: Vec<(Place, Row)>,
    ) -> Result<(Vec<Row>, Vec<Duplicate>), SumTooLarge> {
        rows.sort_by_key(|(place, _)| *place);
        let (mut fold, mut duplicates) = (Fold::new(policy), Vec::new());
        for (place, row) in rows {
            duplicates.extend(fold.take(place, row)?);
        }
        let count = fold.rows_kept();
        let kept = fold.into_rows();
        assert_eq!(kept.len(), count);
        Ok((kept, duplicates))
    }

    #[test]
    fn members_are_compared_exactly() {
        let rows = ["42", "0042", "kim", "Kim", "KIM", "kim-", "kim_"];
        let rows: Vec<_> = (1..).zip(rows).map(|(line, m)| row(1, line, m, 5)).collect();
        let (kept, duplicates) = fold(Duplicates::Refuse, rows.clone()).unwrap();
        assert_eq!((kept.len(), duplicates.len()), (rows.len(), 0));
    }

    #[test]
    fn every_duplicate_is_given_back_with_the_place_of_the_first_row() {
        let rows =
            vec![row(2, 1, "a", 5), row(1, 9, "a", 6), row(1, 10, "b", 1), row(2, 2, "a", 6)];
        for policy in Duplicates::ALL {
            let (kept, duplicates) = fold(policy, rows.clone()).unwrap();
            let places: Vec<_> =
                duplicates.iter().map(|d| (d.place.part.get(), d.place.line)).collect();
            assert_eq!((kept.len(), places), (2, vec![(2, 1), (2, 2)]));
            assert!(duplicates.iter().all(|d| (d.first.part.get(), d.first.line) == (1, 9)));
        }
    }

    #[test]
    fn a_sum_above_the_largest_amount_is_refused() {
        let fits = vec![row(1, 1, "a", AMOUNT_MAX - 1), row(1, 2, "a", 1)];
        assert_eq!(fold(Duplicates::Sum, fits).unwrap().0[0].amount.get(), AMOUNT_MAX);
        let above = vec![row(1, 1, "a", AMOUNT_MAX), row(1, 2, "a", 1)];
        let refused = fold(Duplicates::Sum, above.clone()).unwrap_err();
        assert_eq!(refused.0.place.line, 2);
        assert_eq!(fold(Duplicates::First, above).unwrap().0.len(), 1);
    }

    proptest! {
        #[test]
        fn a_member_is_kept_once_and_every_other_row_is_listed(
            rows in proptest::collection::vec((1..4_u32, 0..8_u8, 1..100_u64), 0..60),
            sum in any::<bool>(),
        ) {
            let policy = if sum { Duplicates::Sum } else { Duplicates::First };
            let rows: Vec<_> = (1..).zip(rows)
                .map(|(line, (part, member, amount))| row(part, line, &member.to_string(), amount))
                .collect();
            let (kept, duplicates) = fold(policy, rows.clone()).unwrap();
            prop_assert_eq!(kept.len() + duplicates.len(), rows.len());
            for kept in &kept {
                let of_member = rows.iter().filter(|(_, row)| row.member == kept.member);
                let first = of_member.clone().min_by_key(|(place, _)| *place).unwrap();
                prop_assert_eq!(&kept.reason, &first.1.reason);
                let total: u64 = of_member.clone().map(|(_, row)| row.amount.get()).sum();
                let expected = if sum { total } else { first.1.amount.get() };
                prop_assert_eq!(kept.amount.get(), expected);
                let listed = duplicates.iter().filter(|d| d.row.member == kept.member);
                let listed: Vec<_> = listed.map(|d| (d.first, d.place)).collect();
                let mut others: Vec<_> = of_member.map(|(place, _)| (first.0, *place)).collect();
                others.sort_unstable();
                prop_assert_eq!(listed, others.split_off(1));
            }
            let members: Vec<_> = kept.iter().map(|row| &row.member).collect();
            prop_assert!(members.is_sorted_by(|a, b| a < b));
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
