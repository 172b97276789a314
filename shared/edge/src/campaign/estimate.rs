//! What a campaign will take: time and money.

/// Write units of the bookkeeping of a thousand rows: upload, seal, results and counters
/// (architecture.md 5.4: at most 0.3 for a row).
const BOOKKEEPING_PER_1000: u64 = 300;
/// Write units of a thousand payments in the ledger: wallet and transfer in one transaction
/// (docs/limits.md).
const PAYMENTS_PER_1000: u64 = 4_000;
/// What a thousand write units cost in millionths of a dollar: the list price of us-east-1 on demand
/// is 0.625 dollars for a million.
const MICRO_USD_PER_1000_UNITS: u64 = 625;

/// The seconds that the money service takes for so many rows at its rate, rounded up. `None` without
/// a rate.
#[must_use]
pub fn eta_s(rows: u64, per_s: Option<u64>) -> Option<u64> {
    per_s.filter(|per_s| *per_s > 0).map(|per_s| rows.div_ceil(per_s))
}

/// What the writes of so many rows cost at AWS in millionths of a dollar, rounded up. A money
/// service behind HTTP pays without a write of the ledger; what it costs itself is not known here.
#[must_use]
pub fn cost_micro_usd(rows: u64, is_http: bool) -> u64 {
    let payments_per_1000 = if is_http { 0 } else { PAYMENTS_PER_1000 };
    let units_per_1000 = BOOKKEEPING_PER_1000.saturating_add(payments_per_1000);
    let units = rows.saturating_mul(units_per_1000).div_ceil(1_000);
    units.saturating_mul(MICRO_USD_PER_1000_UNITS).div_ceil(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(1_000_000, Some(1_000), Some(1_000))]
    #[case(1_001, Some(1_000), Some(2))]
    #[case(1, Some(5_000), Some(1))]
    #[case(10, Some(0), None)]
    #[case(10, None, None)]
    fn the_time_of_a_campaign_follows_from_the_rate(
        #[case] rows: u64,
        #[case] per_s: Option<u64>,
        #[case] expected: Option<u64>,
    ) {
        assert_eq!(eta_s(rows, per_s), expected);
    }

    #[test]
    fn a_million_rows_cost_less_than_three_dollars_and_far_less_where_the_ledger_is_not_written() {
        assert_eq!(cost_micro_usd(1_000_000, false), 2_687_500);
        assert_eq!((cost_micro_usd(1, false), cost_micro_usd(0, false)), (4, 0));
        assert_eq!((cost_micro_usd(1_000_000, true), cost_micro_usd(1, true)), (187_500, 1));
    }
}
