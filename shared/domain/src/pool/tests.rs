use proptest::prelude::*;

use super::*;
use crate::split::{Seed, Split};

fn user(n: u8) -> UserId {
    format!("u{n}").parse().unwrap()
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

fn pool(supply: Supply) -> Pool {
    Pool {
        id: "SPRAY#01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap(),
        status: PoolStatus::Open,
        window: Window { opens: at(100), closes: at(200) },
        supply,
        pending: BTreeMap::new(),
    }
}

fn shares(amount: u64, recipients: u32) -> Pool {
    pool(Supply::Shares {
        split: Split::Random,
        seed: Seed([7; 32]),
        amount: Amount::new(amount).unwrap(),
        numbers: Numbers::new(recipients),
    })
}

fn draw(member: u8, ms: i64) -> Draw {
    let attempt = Attempt::from_bits(u64::from(member));
    Draw { member: user(member), at: at(ms), attempt, ask: Ask::Next }
}

#[test]
fn the_window_decides_before_anything_else() {
    let mut p = shares(10, 1);
    assert_eq!(p.draw(&draw(1, 99)), Err(DrawRefused::Ahead));
    assert!(p.draw(&draw(1, 100)).is_ok());
    assert_eq!(p.draw(&draw(1, 200)), Err(DrawRefused::Over));
}

#[test]
fn a_pending_member_draws_no_more() {
    let mut p = shares(10, 1);
    let drawn = p.draw(&draw(1, 100)).unwrap();
    // Twice comes before exhausted.
    assert_eq!(p.draw(&draw(1, 150)), Err(DrawRefused::Already(drawn)));
    assert_eq!(p.draw(&draw(2, 150)), Err(DrawRefused::Exhausted));
}

#[test]
fn a_released_number_is_drawn_first() {
    let mut p = shares(10, 3);
    let first = p.draw(&draw(1, 100)).unwrap();
    p.draw(&draw(2, 100)).unwrap();
    assert!(p.release(&user(1), first));
    assert!(!p.release(&user(1), first), "a note is released once");
    assert_eq!(p.draw(&draw(3, 100)).unwrap().part, 0);
    assert_eq!(p.draw(&draw(4, 100)).unwrap().part, 2);
}

#[test]
fn a_late_trim_leaves_a_later_draw_alone() {
    let mut p = shares(10, 3);
    let first = p.draw(&draw(1, 100)).unwrap();
    assert!(p.trim(&user(1), first));
    let second = p.draw(&draw(1, 101)).unwrap();
    assert!(!p.trim(&user(1), first));
    assert_eq!(p.pending.get(&user(1)), Some(&second));
    assert_eq!(Pool::settlement(second, Some(first)), Settlement::Release);
    assert_eq!(Pool::settlement(second, Some(second)), Settlement::Trim);
    assert_eq!(Pool::settlement(second, None), Settlement::Record);
}

#[test]
fn a_crowded_pool_says_so_and_an_empty_one_says_exhausted() {
    let mut p = shares(1_000, 49);
    for member in 0..48 {
        p.draw(&draw(member, 100)).unwrap();
    }
    assert_eq!(p.draw(&draw(100, 100)), Err(DrawRefused::Crowded));
    let mut empty = shares(1_000, 48);
    for member in 0..48 {
        empty.draw(&draw(member, 100)).unwrap();
    }
    assert_eq!(empty.draw(&draw(100, 100)), Err(DrawRefused::Exhausted));
}

#[test]
fn a_pool_that_is_trimmed_is_not_exhausted_while_a_draw_may_be_given_back() {
    let mut p = shares(1_000, 49);
    let mut last = None;
    for member in 0..49 {
        let drawn = p.draw(&draw(member, 100)).unwrap();
        if let Some((member, drawn)) = last.replace((member, drawn)) {
            p.trim(&user(member), drawn);
        }
    }
    assert_eq!(p.draw(&draw(100, 100)), Err(DrawRefused::Unsettled));
    let (member, drawn) = last.unwrap();
    p.trim(&user(member), drawn);
    assert_eq!(p.draw(&draw(100, 100)), Err(DrawRefused::Exhausted));
}

#[test]
fn a_closed_pool_gives_nothing() {
    let mut p = shares(10, 2);
    let drawn = p.draw(&draw(1, 100)).unwrap();
    assert_eq!(p.close(at(199)), Err(CloseRefused::StillOpen));
    assert_eq!(p.close(at(200)), Err(CloseRefused::Pending));
    p.trim(&user(1), drawn);
    let worth = p.supply.worth(drawn.part).unwrap().get();
    assert_eq!(p.close(at(200)), Ok(10 - worth));
    assert_eq!(p.close(at(200)), Err(CloseRefused::Closed));
    // Even a clock that runs behind draws nothing.
    assert_eq!(p.draw(&draw(2, 150)), Err(DrawRefused::Over));
}

#[test]
fn an_amount_above_what_remains_is_refused_whole() {
    let mut p = pool(Supply::Amount { target: Amount::new(100).unwrap(), remaining: 100 });
    let ask = |n| Draw { ask: Ask::Amount(Amount::new(n).unwrap()), ..draw(1, 100) };
    let first = p.draw(&ask(60)).unwrap();
    let other = Draw { member: user(2), ..ask(41) };
    assert_eq!(p.draw(&other), Err(DrawRefused::Unsettled));
    p.trim(&user(1), first);
    assert_eq!(p.draw(&ask(41)), Err(DrawRefused::AboveRemaining { remaining: 40 }));
    let second = p.draw(&ask(40)).unwrap();
    p.trim(&user(1), second);
    assert_eq!(p.draw(&ask(1)), Err(DrawRefused::Exhausted));
}

#[test]
fn only_old_notes_are_stale() {
    let mut p = shares(10, 3);
    let drawn = p.draw(&draw(1, 100)).unwrap();
    assert!(!Pool::is_stale(drawn, at(100 + 59_999)));
    assert!(Pool::is_stale(drawn, at(100 + 60_000)));
}

#[derive(Clone, Debug)]
enum Step {
    Draw(u8),
    Settle(u8),
    Release(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..12_u8).prop_map(Step::Draw),
        (0..12_u8).prop_map(Step::Settle),
        (0..12_u8).prop_map(Step::Release),
    ];
    proptest::collection::vec(step, 0..60)
}

fn supplies() -> impl Strategy<Value = Supply> {
    let money = |n| Amount::new(n).unwrap();
    prop_oneof![
        (1..6_u32).prop_map(move |n| Supply::Shares {
            split: Split::Random,
            seed: Seed([3; 32]),
            amount: money(100),
            numbers: Numbers::new(n),
        }),
        (1..6_u32)
            .prop_map(move |n| Supply::Slots { amount_each: money(7), numbers: Numbers::new(n) }),
        Just(Supply::Amount { target: money(100), remaining: 100 }),
    ]
}

proptest! {
    #[test]
    fn what_was_put_in_is_drawn_or_left(supply in supplies(), steps in steps()) {
        let mut p = pool(supply);
        let mut out: BTreeMap<UserId, Drawn> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Draw(n) => {
                    let ask = match p.supply {
                        Supply::Amount { .. } => {
                            Ask::Amount(Amount::new(u64::from(n) + 1).unwrap())
                        }
                        _ => Ask::Next,
                    };
                    // A member with a record draws no more: the record is read before.
                    if out.contains_key(&user(n)) {
                        continue;
                    }
                    if let Ok(drawn) = p.draw(&Draw { ask, ..draw(n, 150) }) {
                        out.insert(user(n), drawn);
                    }
                }
                Step::Settle(n) => {
                    if let Some(drawn) = out.get(&user(n)) {
                        p.trim(&user(n), *drawn);
                    }
                }
                Step::Release(n) => {
                    if let Some(drawn) = out.get(&user(n)).copied()
                        && p.release(&user(n), drawn)
                    {
                        out.remove(&user(n));
                    }
                }
            }
            let drawn: u64 =
                out.values().map(|d| p.supply.worth(d.part).unwrap().get()).sum();
            prop_assert_eq!(p.supply.put_in(), drawn + p.supply.remainder());
        }
    }

    #[test]
    fn numbers_are_out_once_each(total in 1..6_u32, steps in steps()) {
        let mut p = pool(Supply::Slots {
            amount_each: Amount::new(7).unwrap(),
            numbers: Numbers::new(total),
        });
        let mut out: BTreeMap<UserId, Drawn> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Draw(n) | Step::Settle(n) => {
                    if let Ok(drawn) = p.draw(&draw(n, 150)) {
                        prop_assert!(out.values().all(|d| d.part != drawn.part));
                        prop_assert!(drawn.part < u64::from(total));
                        out.insert(user(n), drawn);
                    }
                }
                Step::Release(n) => {
                    if let Some(drawn) = out.remove(&user(n)) {
                        prop_assert!(p.release(&user(n), drawn));
                    }
                }
            }
            prop_assert!(out.len() <= total as usize);
        }
    }
}
