use super::*;
use rstest::rstest;

#[rstest]
#[case(0, 1, 10, Some(TermsError::Amount(MoneyError::Zero)))]
#[case(1_000_000_000_001, 1, 10, Some(TermsError::Amount(MoneyError::TooLarge)))]
#[case(10, 0, 10, Some(TermsError::Recipients))]
#[case(10_000, 1_001, 10, Some(TermsError::Recipients))]
#[case(u64::MAX, u64::MAX, 10, Some(TermsError::Amount(MoneyError::TooLarge)))]
#[case(9, 10, 10, Some(TermsError::AmountBelowRecipients))]
#[case(10, 10, 9, Some(TermsError::ExpiresIn))]
#[case(10, 10, 604_801, Some(TermsError::ExpiresIn))]
#[case(10, 10, 10, None)]
#[case(1_000, 1_000, 604_800, None)]
fn a_spray_keeps_its_limits(
    #[case] amount: u64,
    #[case] recipients: u64,
    #[case] expires_in_s: u64,
    #[case] error: Option<TermsError>,
) {
    assert_eq!(Terms::new(amount, recipients, Split::Random, expires_in_s).err(), error);
}

fn room(n: u8) -> RoomId {
    format!("01ARZ3NDEKTSV4RRFFQ69G5FA{n}").parse().unwrap()
}

fn entry() -> TokenEntry {
    TokenEntry {
        token: "ABC".parse().unwrap(),
        spray: "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap(),
        room: room(1),
        sender: "sender".parse().unwrap(),
        window: Window { opens: Timestamp::from_ms(0), closes: Timestamp::from_ms(100) },
        recipients: 2,
        refunded: false,
    }
}

/// Each case breaks one rule more, from the last in order to the first.
#[rstest]
#[case(true, 1, "other", 99, Ok(()))]
#[case(true, 1, "other", 100, Err(ClaimBarred::WindowOver))]
#[case(true, 1, "sender", 100, Err(ClaimBarred::OwnSpray))]
#[case(true, 2, "sender", 100, Err(ClaimBarred::NoSuchToken))]
#[case(false, 2, "sender", 100, Err(ClaimBarred::NotAMember))]
fn refusals_come_in_their_order(
    #[case] is_member: bool,
    #[case] in_room: u8,
    #[case] member: &str,
    #[case] now: i64,
    #[case] expected: Result<(), ClaimBarred>,
) {
    let now = Timestamp::from_ms(now);
    let member = member.parse().unwrap();
    let answer = may_claim(is_member, Some(&entry()), room(in_room), &member, now);
    assert_eq!(answer.map(|_| ()), expected);
    let unknown = may_claim(true, None, room(1), &member, now);
    assert_eq!(unknown, Err(ClaimBarred::NoSuchToken));
}

#[rstest]
#[case(false, 100, false)]
#[case(true, 99, false)]
#[case(true, 100, true)]
fn a_token_is_reused_only_when_over_and_refunded(
    #[case] refunded: bool,
    #[case] now: i64,
    #[case] reusable: bool,
) {
    let entry = TokenEntry { refunded, ..entry() };
    assert_eq!(entry.is_reusable(Timestamp::from_ms(now)), reusable);
}

#[test]
fn the_buckets_of_a_spray_hold_its_shares() {
    for (split, recipients) in [(Split::Random, 40), (Split::Equal, 40), (Split::Equal, 16)] {
        let terms = Terms::new(1_003, recipients, split, 10).unwrap();
        let (e, now) = (entry(), Timestamp::from_ms(5));
        let spray = Spray::new(e.spray, e.token, e.room, e.sender, &terms, Seed([7; 32]), now);
        let buckets = spray.buckets();
        let sizes: Vec<u32> = buckets.iter().map(|bucket| bucket.size).collect();
        assert_eq!(sizes.iter().sum::<u32>(), u32::try_from(recipients).unwrap());
        assert!(sizes.iter().rev().skip(1).all(|size| *size == BUCKET_PARTS));
        let amounts = buckets.iter().flat_map(|b| (0..b.size).map(|i| b.amount(i)));
        let amounts: Vec<u64> = amounts.map(|amount| amount.unwrap().get()).collect();
        assert_eq!(amounts, spray.cut().shares());
        assert!(buckets.iter().all(|b| b.funder == spray.sender && b.check().is_ok()));
    }
}

#[test]
fn only_the_sender_reads_for_seven_days() {
    let terms = Terms::new(10, 2, Split::Equal, 10).unwrap();
    let now = Timestamp::from_ms(1_000);
    let e = entry();
    let spray = Spray::new(e.spray, e.token, e.room, e.sender, &terms, Seed([1; 32]), now);
    assert!(spray.is_readable(now.plus_ms(READABLE_MS - 1)));
    assert!(!spray.is_readable(now.plus_ms(READABLE_MS)));
    assert_eq!(spray.revealed_seed(now.plus_ms(9_999)), None);
    assert_eq!(spray.revealed_seed(now.plus_ms(10_000)), Some(&Seed([1; 32])));
}

#[test]
fn the_rest_is_returned_under_one_id() {
    let terms = Terms::new(10, 2, Split::Equal, 10).unwrap();
    let (e, now) = (entry(), Timestamp::from_ms(1_000));
    let spray = Spray::new(e.spray, e.token, e.room, e.sender, &terms, Seed([1; 32]), now);
    let [five, ten] = [5, 10].map(|rest| spray.refund_order(rest).unwrap());
    assert_eq!((five.id, five.at), (ten.id, ten.at));
    assert_eq!((five.amount.get(), ten.amount.get()), (5, 10));
    assert_eq!(spray.refund_order(0), None);
}
