//! How wide the ids are that look like numbers.

use std::collections::BTreeMap;

use largesse_domain::id::UserId;

/// The number of ids that consist of digits, by their width. In one file of fixed width, an id of
/// another width is often one whose leading zeros a spreadsheet has removed. Nothing is refused for
/// it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdWidths(BTreeMap<usize, u64>);

impl IdWidths {
    /// The counts that [`IdWidths::counts`] gave.
    #[must_use]
    pub fn from_counts(counts: impl IntoIterator<Item = (usize, u64)>) -> Self {
        let mut widths = Self::default();
        counts.into_iter().for_each(|(width, count)| widths.add_many(width, count));
        widths
    }

    /// Counts an id.
    pub fn add(&mut self, member: &UserId) {
        let id = member.as_str();
        if id.bytes().all(|b| b.is_ascii_digit()) {
            self.add_many(id.len(), 1);
        }
    }

    /// Adds the counts of another part of the same campaign.
    pub fn merge(&mut self, other: &Self) {
        for (width, count) in &other.0 {
            self.add_many(*width, *count);
        }
    }

    fn add_many(&mut self, width: usize, more: u64) {
        let count = self.0.entry(width).or_default();
        *count = count.saturating_add(more);
    }

    /// How many ids of digits have each width, in characters; the narrowest first.
    pub fn counts(&self) -> impl Iterator<Item = (usize, u64)> {
        self.0.iter().map(|(width, count)| (*width, *count))
    }

    /// How many ids of digits have another width than most: the number to warn with, 0 for none.
    #[must_use]
    pub fn odd(&self) -> u64 {
        let most = self.0.values().max().copied().unwrap_or(0);
        self.0.values().fold(0_u64, |sum, count| sum.saturating_add(*count)).saturating_sub(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn widths(ids: &[&str]) -> IdWidths {
        let mut widths = IdWidths::default();
        ids.iter().for_each(|id| widths.add(&id.parse().unwrap()));
        widths
    }

    #[test]
    fn ids_of_digits_that_are_not_as_wide_as_most_are_counted() {
        assert_eq!(widths(&["00042", "00043", "44"]).odd(), 1);
        assert_eq!(widths(&["00042", "00043", "user-1", "x"]).odd(), 0);
        assert_eq!(widths(&[]).odd(), 0);
    }

    #[test]
    fn the_widths_of_two_parts_add_up() {
        let mut all = widths(&["00042"]);
        all.merge(&widths(&["44", "00045"]));
        assert_eq!(all.counts().collect::<Vec<_>>(), [(2, 1), (5, 2)]);
        assert_eq!(all.odd(), 1);
        assert_eq!(IdWidths::from_counts(all.counts()), all);
    }
}
