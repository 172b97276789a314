use super::*;
use proptest::prelude::*;
use rstest::rstest;

#[rstest]
#[case("a", true)]
#[case("Z9_-", true)]
#[case("", false)]
#[case("a b", false)]
#[case("a#b", false)]
#[case("é", false)]
#[case("a\0", false)]
fn a_user_id_has_one_alphabet(#[case] text: &str, #[case] fits: bool) {
    assert_eq!(text.parse::<UserId>().is_ok(), fits);
    assert!("x".repeat(64).parse::<UserId>().is_ok());
    assert!("x".repeat(65).parse::<UserId>().is_err());
}

#[rstest]
#[case("bank-2", true)]
#[case("", false)]
#[case("Bank", false)]
#[case("a#b", false)]
fn a_service_has_a_name_of_lower_case(#[case] text: &str, #[case] fits: bool) {
    assert_eq!(text.parse::<ServiceId>().is_ok(), fits);
    assert!("x".repeat(32).parse::<ServiceId>().is_ok());
    assert!("x".repeat(33).parse::<ServiceId>().is_err());
}

#[rstest]
#[case("01ARZ3NDEKTSV4RRFFQ69G5FAV", true)]
#[case("01arz3ndektsv4rrffq69g5fav", false)]
#[case("81ARZ3NDEKTSV4RRFFQ69G5FAV", false)]
#[case("01ARZ3NDEKTSV4RRFFQ69G5FA", false)]
#[case("OIARZ3NDEKTSV4RRFFQ69G5FAV", false)]
fn one_ulid_has_one_spelling(#[case] text: &str, #[case] fits: bool) {
    assert_eq!(text.parse::<SprayId>().is_ok(), fits);
}

#[rstest]
#[case("A0Z", true)]
#[case("a0z", false)]
#[case("AB", false)]
#[case("ABCD", false)]
#[case("AÉ", false)]
fn a_token_is_three_letters_or_digits(#[case] text: &str, #[case] fits: bool) {
    assert_eq!(text.parse::<Token>().is_ok(), fits);
}

proptest! {
    #[test]
    fn every_token_has_its_own_number(index in 0..TOKEN_COUNT) {
        let token = Token::from_index(index);
        prop_assert_eq!(token.index(), index);
        prop_assert_eq!(token.as_str().parse::<Token>(), Ok(token));
    }
}

#[rstest]
#[case("SPRAY#01ARZ3NDEKTSV4RRFFQ69G5FAV", true)]
#[case("CAMPAIGN#01ARZ3NDEKTSV4RRFFQ69G5FAV", true)]
#[case("PRODUCT#01ARZ3NDEKTSV4RRFFQ69G5FAV", true)]
#[case("DROP#01ARZ3NDEKTSV4RRFFQ69G5FAV", true)]
#[case("WAIT#01ARZ3NDEKTSV4RRFFQ69G5FAV", true)]
#[case("LOT#01ARZ3NDEKTSV4RRFFQ69G5FAV", true)]
#[case("OTHER#01ARZ3NDEKTSV4RRFFQ69G5FAV", false)]
#[case("CAMPAIGN#01ARZ3NDEKTSV4RRFFQ69G5FA", false)]
#[case("01ARZ3NDEKTSV4RRFFQ69G5FAV", false)]
fn the_account_that_pays_is_named_by_its_kind_and_id(#[case] text: &str, #[case] fits: bool) {
    let read = text.parse::<PoolId>();
    assert_eq!(
        read.map(|id| id.to_string()),
        if fits { Ok(text.to_owned()) } else { Err(IdError::Pool) }
    );
    assert!(read.is_err() || read.unwrap().ulid().to_string() == "01ARZ3NDEKTSV4RRFFQ69G5FAV");
}

#[test]
fn a_grant_is_named_by_its_pool_member_and_time_alone() {
    let pool: PoolId = "SPRAY#01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    let other: PoolId = "SPRAY#01ARZ3NDEKTSV4RRFFQ69G5FAW".parse().unwrap();
    let (a, b): (UserId, UserId) = ("a".parse().unwrap(), "b".parse().unwrap());
    let at = Timestamp::from_ms(1_700_000_000_000);
    let id = GrantId::of_draw(&pool, &a, at);
    assert_eq!(id, GrantId::of_draw(&pool, &a, at));
    assert_ne!(id, GrantId::of_draw(&pool, &b, at));
    assert_ne!(id, GrantId::of_draw(&other, &a, at));
    assert_eq!(id.0.timestamp_ms(), 1_700_000_000_000);
}
