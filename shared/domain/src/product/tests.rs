use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::time::Window;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

fn limits(target: u64) -> Limits {
    Limits { target, ..Limits::default() }
}

fn try_terms(limits: Limits) -> Result<Terms, TermsError> {
    let window = Window { opens: at(1_000), closes: at(2_000) };
    Terms::new(Title::new("채권").unwrap(), window, "i".parse().unwrap(), limits)
}

fn product(limits: Limits) -> Product {
    let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    Product::new(id, "c".parse().unwrap(), try_terms(limits).unwrap())
}

fn request(amount: u64, now: i64) -> Request {
    Request { amount: Amount::new(amount).unwrap(), now: at(now), preferred: 0 }
}

fn shards(remaining: &[u64]) -> Vec<Shard> {
    let shard = |(number, remaining): (u32, &u64)| Shard {
        number,
        capacity: 100,
        remaining: *remaining,
        investors: 0,
        is_closed: false,
    };
    (0..).zip(remaining).map(shard).collect()
}

#[rstest]
#[case(limits(0), Some(TermsError::Target(crate::money::MoneyError::Zero)))]
#[case(Limits { min_investment: Some(0), ..limits(9) }, Some(TermsError::MinInvestment))]
#[case(Limits { min_investment: Some(9), ..limits(9) }, None)]
#[case(Limits { min_investment: Some(10), ..limits(9) }, Some(TermsError::MinInvestment))]
#[case(Limits { max_per_investor: Some(0), ..limits(9) }, Some(TermsError::MaxPerInvestor))]
#[case(Limits { max_per_investor: Some(1), ..limits(9) }, None)]
#[case(
    Limits { min_investment: Some(3), max_per_investor: Some(2), ..limits(9) },
    Some(TermsError::MaxPerInvestor)
)]
#[case(Limits { min_raise: Some(0), ..limits(9) }, Some(TermsError::MinRaise))]
#[case(Limits { min_raise: Some(9), ..limits(9) }, None)]
#[case(Limits { min_raise: Some(10), ..limits(9) }, Some(TermsError::MinRaise))]
#[case(
    Limits { min_raise: Some(10), min_investment: Some(10), ..limits(9) },
    Some(TermsError::MinInvestment)
)]
fn terms_are_checked_in_order(#[case] limits: Limits, #[case] refused: Option<TermsError>) {
    assert_eq!(try_terms(limits).err(), refused);
}

#[test]
fn a_window_has_a_moment_and_a_title_is_visible() {
    let terms = |opens, closes| {
        let window = Window { opens: at(opens), closes: at(closes) };
        Terms::new(Title::new("a").unwrap(), window, "i".parse().unwrap(), limits(1))
    };
    assert_eq!(terms(5, 5), Err(TermsError::Window));
    assert_eq!(terms(6, 5), Err(TermsError::Window));
    assert!(terms(5, 6).is_ok());
    assert!(Title::new(&"가".repeat(100)).is_ok());
    for text in ["", " ", "a\u{7}b", &"가".repeat(101)] {
        assert!(Title::new(text).is_err(), "{text}");
    }
}

#[rstest]
#[case(1, None, 1)]
#[case(15, None, 15)]
#[case(1_000, None, 16)]
#[case(1_000, Some(100), 10)]
#[case(1_000, Some(999), 1)]
fn small_targets_have_fewer_shards(
    #[case] target: u64,
    #[case] min_investment: Option<u64>,
    #[case] shards: u32,
) {
    let made = product(Limits { min_investment, ..limits(target) });
    assert_eq!((made.shards, made.first_shards().len()), (shards, shards as usize));
}

#[rstest]
#[case(&[60], 50, 999, 0, Err(Refusal::Ahead))]
#[case(&[60], 50, 1_000, 0, Ok(vec![Take { shard: 0, amount: 50 }]))]
#[case(&[60], 50, 1_999, 0, Ok(vec![Take { shard: 0, amount: 50 }]))]
#[case(&[60], 50, 2_000, 0, Err(Refusal::Over))]
#[case(&[0, 0], 50, 2_000, 0, Err(Refusal::Over))]
#[case(&[0, 0], 5, 1_000, 90, Err(Refusal::SoldOut))]
#[case(&[20, 30], 51, 1_000, 90, Err(Refusal::AboveRemaining { remaining: 50 }))]
#[case(&[4, 4], 9, 1_000, 0, Err(Refusal::AboveRemaining { remaining: 8 }))]
#[case(&[20, 30], 9, 1_000, 90, Err(Refusal::BelowMinimum { least: Amount::new(10).unwrap() }))]
#[case(&[20, 30], 10, 1_000, 91, Err(Refusal::AboveLimit {
    most: Amount::new(100).unwrap(), invested: 91,
}))]
#[case(&[20, 30], 10, 1_000, 90, Ok(vec![Take { shard: 0, amount: 10 }]))]
// The whole remainder is taken though it is below the minimum.
#[case(&[4, 5], 9, 1_000, 0, Ok(vec![
    Take { shard: 1, amount: 5 }, Take { shard: 0, amount: 4 },
]))]
#[case(&[20, 30], 25, 1_000, 0, Ok(vec![Take { shard: 1, amount: 25 }]))]
#[case(&[20, 30], 31, 1_000, 0, Ok(vec![
    Take { shard: 1, amount: 30 }, Take { shard: 0, amount: 1 },
]))]
fn refusals_come_in_the_order_of_precedence(
    #[case] remaining: &[u64],
    #[case] amount: u64,
    #[case] now: i64,
    #[case] total: u64,
    #[case] expected: Result<Vec<Take>, Refusal>,
) {
    let limits = Limits { min_investment: Some(10), max_per_investor: Some(100), ..limits(1_000) };
    let (terms, position) = (try_terms(limits).unwrap(), Position { count: 1, total });
    let decided = decide(&terms, &shards(remaining), position, request(amount, now));
    assert_eq!(decided, expected);
}

#[test]
fn a_settled_product_takes_nothing_whatever_the_clock_says() {
    let terms = try_terms(limits(100)).unwrap();
    let decided = |remaining: u64| {
        let mut shards = shards(&[remaining]);
        shards[0].is_closed = true;
        decide(&terms, &shards, Position::default(), request(1, 1_000))
    };
    assert_eq!(decided(5), Err(Refusal::Over));
    assert_eq!(decided(0), Err(Refusal::SoldOut));
}

#[rstest]
#[case(0, None, 2_000, Some((Outcome::PaidOut, 0)))]
#[case(0, Some(1), 2_000, Some((Outcome::Refunded, 0)))]
#[case(79, Some(80), 2_000, Some((Outcome::Refunding, 79)))]
#[case(80, Some(80), 2_000, Some((Outcome::PaidOut, 80)))]
#[case(80, Some(80), 1_999, None)]
#[case(99, None, 1_999, None)]
#[case(100, Some(100), 1_000, Some((Outcome::PaidOut, 100)))]
fn a_product_is_settled_once_it_is_over_or_sold_out(
    #[case] raised: u64,
    #[case] min_raise: Option<u64>,
    #[case] now: i64,
    #[case] expected: Option<(Outcome, u64)>,
) {
    let mut product = product(Limits { min_raise, ..limits(100) });
    let settled = product.settlement(&shards(&[100 - raised]), at(now));
    assert_eq!(settled.map(|settled| (settled.outcome, settled.raised)), expected);
    let paid = settled.and_then(|settled| product.payout(&settled));
    let pays = expected.is_some_and(|(outcome, raised)| outcome == Outcome::PaidOut && raised > 0);
    assert_eq!(paid.map(|order| order.amount.get()), pays.then_some(raised));
    product.settled = settled;
    if settled.is_some() {
        assert_eq!(product.settlement(&shards(&[100 - raised]), at(now)), None);
    }
}

#[rstest]
#[case(100, 999, "upcoming")]
#[case(100, 1_000, "recruiting")]
#[case(1, 1_999, "recruiting")]
#[case(0, 1_000, "sold_out")]
#[case(1, 2_000, "closed")]
#[case(0, 2_000, "sold_out")]
fn a_product_says_where_it_stands(#[case] remaining: u64, #[case] now: i64, #[case] state: &str) {
    let mut product = product(limits(100));
    assert_eq!(product.state(remaining, at(now)).as_str(), state);
    for (outcome, state) in Outcome::ALL.into_iter().zip(["paid_out", "refunding", "refunded"]) {
        product.settled = Some(Settled { outcome, raised: 1, investors: 1, at: at(now) });
        assert_eq!(product.state(remaining, at(now)).as_str(), state);
    }
}

proptest! {
    #[test]
    fn the_shards_hold_the_target_to_the_last_won(
        target in 1..=crate::money::AMOUNT_MAX,
        least in 1..=crate::money::AMOUNT_MAX,
    ) {
        let min_investment = Some(least.min(target));
        let shards = product(Limits { min_investment, ..limits(target) }).first_shards();
        let capacities: Vec<u64> = shards.iter().map(|shard| shard.capacity).collect();
        prop_assert_eq!(capacities.iter().sum::<u64>(), target);
        let (most, fewest) = (capacities.iter().max().unwrap(), capacities.iter().min().unwrap());
        prop_assert!(*fewest > 0 && most - fewest <= 1);
        prop_assert!(capacities.is_sorted_by(|a, b| a >= b));
    }

    #[test]
    fn an_amount_is_taken_exactly_when_the_shards_have_it(
        remaining in proptest::collection::vec(0..50_u64, 1..=16),
        amount in 1..900_u64,
        preferred in 0..16_u32,
    ) {
        let (shards, terms) = (shards(&remaining), try_terms(limits(1_000)).unwrap());
        let request = Request { preferred, ..request(amount, 1_000) };
        let sum: u64 = remaining.iter().sum();
        match decide(&terms, &shards, Position::default(), request) {
            Ok(takes) => {
                prop_assert_eq!(takes.iter().map(|take| take.amount).sum::<u64>(), amount);
                let mut numbers: Vec<u32> = takes.iter().map(|take| take.shard).collect();
                numbers.sort_unstable();
                numbers.dedup();
                prop_assert_eq!(numbers.len(), takes.len());
                for take in &takes {
                    prop_assert!(take.amount > 0);
                    prop_assert!(take.amount <= remaining[take.shard as usize]);
                }
                let one_has_it = remaining.iter().any(|has| *has >= amount);
                prop_assert_eq!(takes.len() == 1, one_has_it);
            }
            Err(Refusal::SoldOut) => prop_assert_eq!(sum, 0),
            Err(Refusal::AboveRemaining { remaining }) => {
                prop_assert!(remaining == sum && amount > sum);
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}

#[test]
fn a_refund_and_a_payout_have_ids_of_their_own_that_never_change() {
    let made = product(Limits { min_raise: Some(80), ..limits(100) });
    let investment = Investment {
        id: "01ARZ3NDEKTSV4RRFFQ69G5FAW".parse().unwrap(),
        product: made.id,
        investor: "a".parse().unwrap(),
        amount: Amount::new(7).unwrap(),
        position: Position { count: 1, total: 7 },
        remaining: 93,
        terms: made.terms.clone(),
        at: at(1_500),
        is_refunded: false,
    };
    let (paid, refund) = (investment.order(), investment.refund());
    assert_eq!(paid.id.to_string(), investment.id.to_string());
    assert_eq!(refund, Investment { is_refunded: true, ..investment.clone() }.refund());
    assert_eq!((refund.id.0.timestamp_ms(), refund.at), (2_000, at(2_000)));
    let settled = Settled { outcome: Outcome::PaidOut, raised: 90, investors: 2, at: at(3_000) };
    let payout = made.payout(&settled).unwrap();
    assert_eq!((payout.at, payout.wallet.as_str()), (at(2_000), "i"));
    assert_eq!(payout.id, made.payout(&Settled { at: at(9_000), ..settled }).unwrap().id);
    assert_ne!(payout.id, refund.id);
    let early = Product { sold_out: Some(at(1_200)), ..made };
    assert_eq!(early.payout(&settled).unwrap().at, at(1_200));
}
