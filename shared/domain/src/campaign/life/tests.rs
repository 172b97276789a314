use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::campaign::{Part, PartNumber, Parts, Sum, Tally};

fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

fn hash(n: u8) -> Hash {
    Hash([n; 32])
}

fn sealed(n: u8) -> Sealed {
    let totals = Totals { rows: 2, amount: 30, ..Totals::default() };
    Sealed { hash: hash(n), totals }
}

const ONE: Sum = Sum { rows: 1, amount: 10 };
const TWO: Sum = Sum { rows: 1, amount: 20 };

/// One row paid, one failed.
fn settled() -> Counts {
    Counts { tally: Tally { success: ONE, failed: TWO, ..Tally::default() } }
}

fn taken_back() -> Counts {
    Counts { tally: Tally { reversed: ONE, failed: TWO, ..Tally::default() } }
}

fn start(n: u8) -> Action {
    Action::Start { hash: hash(n), forced: false }
}

fn approve(by: &str, n: u8) -> Action {
    Action::Approve { by: user(by), hash: hash(n) }
}

fn seal_done() -> Action {
    Action::Sealed { attempt: 1, sealed: sealed(1) }
}

/// The columns of the table. `QUEUED` is WAITING with a start.
const STATES: [&str; 10] = [
    "DRAFT",
    "SEALING",
    "WAITING",
    "QUEUED",
    "RUNNING",
    "COMPLETED",
    "FAILED",
    "STOPPED",
    "ROLLING_BACK",
    "ROLLED_BACK",
];

fn in_state(state: &str) -> Life {
    let mut life = Life::new(user("maker"), Approvals::One);
    let mut actions = vec![Action::Seal, seal_done(), approve("checker", 1), start(1)];
    actions.push(Action::Run { fence: 5 });
    let count = match state {
        "DRAFT" => 0,
        "SEALING" => 1,
        "WAITING" => 2,
        "QUEUED" => 4,
        _ => 5,
    };
    actions.truncate(count);
    match state {
        "COMPLETED" => actions.push(Action::End { fence: 5, counts: settled() }),
        "FAILED" => actions.push(Action::Fail { fence: 5 }),
        "STOPPED" | "ROLLING_BACK" | "ROLLED_BACK" => actions.push(Action::Stop),
        _ => {}
    }
    if state.starts_with("ROLL") {
        actions.push(Action::Rollback { fence: 6 });
    }
    if state == "ROLLED_BACK" {
        actions.push(Action::RolledBack { fence: 6, counts: taken_back() });
    }
    for action in actions {
        assert_eq!(life.apply(&action), Ok(Taken::Now), "{state}: {action:?}");
    }
    life
}

/// `-` is refused by the state, `=` already so, `!` refused for another reason.
#[rstest]
#[case(Action::AddPart, "DRAFT - - - - - - - - -")]
#[case(Action::Seal, "SEALING = = = - - - - - -")]
#[case(seal_done(), "- WAITING = = = = = = = =")]
#[case(Action::Sealed { attempt: 1, sealed: sealed(2) }, "- WAITING - - - - - - - -")]
#[case(Action::Sealed { attempt: 2, sealed: sealed(1) }, "- ! - - - - - - - -")]
#[case(Action::SealFailed { attempt: 1 }, "- DRAFT - - - - - - - -")]
#[case(Action::SealFailed { attempt: 0 }, "- ! - - - - - - - -")]
#[case(approve("checker", 1), "- - WAITING = - - - - - -")]
#[case(approve("maker", 1), "- - ! ! - - - - - -")]
#[case(approve("checker", 2), "- - ! ! - - - - - -")]
#[case(start(1), "- - ! = = - WAITING WAITING - -")]
#[case(start(2), "- - ! ! ! - ! ! - -")]
#[case(Action::Start { hash: hash(1), forced: true }, "- - ! WAITING = - WAITING WAITING - -")]
#[case(Action::Run { fence: 7 }, "- - - RUNNING - - - - - -")]
#[case(Action::Run { fence: 5 }, "- - - RUNNING = - - - - -")]
#[case(Action::Run { fence: 0 }, "- - - ! - - - - - -")]
#[case(Action::Stop, "- - - STOPPED STOPPED - - = - -")]
#[case(Action::End { fence: 5, counts: settled() }, "- - - - COMPLETED = - - - -")]
#[case(Action::End { fence: 4, counts: settled() }, "- - - - ! - - - - -")]
#[case(Action::Damaged { fence: 5 }, "- - - - RUNNING - - - - -")]
#[case(Action::Damaged { fence: 6 }, "- - - - ! - - - - -")]
#[case(Action::Fail { fence: 5 }, "- - - - FAILED - = - - -")]
#[case(Action::Fail { fence: 6 }, "- - - - ! - - - - -")]
#[case(Action::Retry { counts: settled() }, "- - - - - WAITING WAITING WAITING - -")]
#[case(Action::Rollback { fence: 6 }, "- - - - - ROLLING_BACK ROLLING_BACK ROLLING_BACK = -")]
#[case(Action::Rollback { fence: 5 }, "- - - - - ! ! ! - -")]
#[case(Action::RolledBack { fence: 6, counts: taken_back() }, "- - - - - - - - ROLLED_BACK =")]
#[case(Action::RolledBack { fence: 6, counts: settled() }, "- - - - - - - - ! =")]
#[case(Action::RolledBack { fence: 5, counts: taken_back() }, "- - - - - - - - ! -")]
fn every_action_in_every_state_is_as_the_table_says(#[case] action: Action, #[case] row: &str) {
    let expected: Vec<&str> = row.split(' ').collect();
    assert_eq!(expected.len(), STATES.len());
    for (state, expected) in STATES.into_iter().zip(expected) {
        let before = in_state(state);
        let mut life = before.clone();
        let told = life.apply(&action);
        let seen = match &told {
            Ok(Taken::Now) => life.state.as_str(),
            Ok(Taken::Already) => "=",
            Err(Refused::State(state)) if *state == before.state => "-",
            Err(_) => "!",
        };
        assert_eq!(seen, expected, "{state}: {told:?}");
        if told != Ok(Taken::Now) {
            assert_eq!(life, before, "{state}");
        }
    }
}

#[test]
fn a_refusal_carries_its_reason() {
    let refused = |state: &str, action: &Action| in_state(state).apply(action).unwrap_err();
    assert_eq!(refused("WAITING", &approve("maker", 1)), Refused::CreatorApproves);
    let other = Refused::OtherContent { sealed: hash(1) };
    assert_eq!(refused("WAITING", &approve("maker", 2)), other);
    assert_eq!(refused("WAITING", &start(2)), other);
    assert_eq!(refused("WAITING", &start(1)), Refused::ApprovalMissing);
    let stale = Action::Sealed { attempt: 0, sealed: sealed(1) };
    assert_eq!(refused("SEALING", &stale), Refused::SealAttempt { current: 1 });
    assert_eq!(refused("RUNNING", &Action::Fail { fence: 4 }), Refused::Fence { current: 5 });
    let nothing = Tally { success: Sum { rows: 2, amount: 30 }, ..Tally::default() };
    let retry = Action::Retry { counts: Counts { tally: nothing } };
    assert_eq!(refused("COMPLETED", &retry), Refused::NothingFailed);
    let mut free = Life { approvals: Approvals::Zero, ..in_state("WAITING") };
    assert_eq!(free.apply(&approve("checker", 1)), Err(Refused::ApprovalNotNeeded));
    assert_eq!(free.apply(&start(1)), Ok(Taken::Now));
}

#[rstest]
#[case(Tally { pending: ONE, failed: TWO, ..Tally::default() }, Refused::RowsOpen { rows: 1 })]
#[case(Tally { unknown: ONE, failed: TWO, ..Tally::default() }, Refused::RowsOpen { rows: 1 })]
#[case(Tally { success: ONE, ..Tally::default() }, Refused::CountsDiffer)]
#[case(Tally { success: ONE, failed: ONE, ..Tally::default() }, Refused::CountsDiffer)]
fn a_campaign_with_an_open_row_does_not_end(#[case] tally: Tally, #[case] refused: Refused) {
    let counts = Counts { tally };
    let ended = in_state("RUNNING").apply(&Action::End { fence: 5, counts });
    assert_eq!(ended, Err(refused.clone()));
    assert_eq!(in_state("STOPPED").apply(&Action::Retry { counts }), Err(refused));
}

#[test]
fn a_row_of_unknown_outcome_keeps_a_rollback_open() {
    let tally = Tally { unknown: ONE, failed: TWO, ..Tally::default() };
    let done = Action::RolledBack { fence: 6, counts: Counts { tally } };
    let told = in_state("ROLLING_BACK").apply(&done);
    assert_eq!(told, Err(Refused::RowsOpen { rows: 1 }));
    let tally = Tally { pending: ONE, shortfall: TWO, ..Tally::default() };
    let done = Action::RolledBack { fence: 6, counts: Counts { tally } };
    assert_eq!(in_state("ROLLING_BACK").apply(&done), Ok(Taken::Now));
}

#[test]
fn a_worker_of_an_earlier_start_pays_nothing() {
    let mut life = in_state("RUNNING");
    assert!(life.may_pay(5) && !life.may_reverse(5));
    for action in [Action::Stop, start(1)] {
        assert_eq!(life.apply(&action), Ok(Taken::Now));
        assert!(!life.may_pay(5));
    }
    // A second stop before the campaign runs again takes the start back.
    assert_eq!(life.apply(&Action::Stop), Ok(Taken::Now));
    assert_eq!(life.apply(&Action::Run { fence: 6 }), Err(Refused::State(State::Stopped)));
    for action in [start(1), Action::Run { fence: 7 }] {
        assert_eq!(life.apply(&action), Ok(Taken::Now));
    }
    assert!(life.may_pay(7) && !life.may_pay(5) && !life.may_pay(6));
    assert_eq!(life.apply(&Action::Fail { fence: 5 }), Err(Refused::Fence { current: 7 }));
    assert_eq!(life.apply(&Action::Stop), Ok(Taken::Now));
    assert_eq!(life.apply(&Action::Rollback { fence: 8 }), Ok(Taken::Now));
    assert!(life.may_reverse(8) && !life.may_pay(8) && !life.may_reverse(7));
}

#[test]
fn a_seal_that_was_given_up_cannot_end_a_later_one() {
    let mut life = in_state("SEALING");
    for action in [Action::SealFailed { attempt: 1 }, Action::AddPart, Action::Seal] {
        assert_eq!(life.apply(&action), Ok(Taken::Now));
    }
    assert_eq!(life.apply(&seal_done()), Err(Refused::SealAttempt { current: 2 }));
    let done = Action::Sealed { attempt: 2, sealed: sealed(1) };
    assert_eq!(life.apply(&done), Ok(Taken::Now));
}

fn any_counts() -> impl Strategy<Value = Counts> {
    prop_oneof![
        Just(settled()),
        Just(taken_back()),
        Just(Counts::sealed(sealed(1).totals)),
        Just(Counts { tally: Tally { unknown: ONE, success: TWO, ..Tally::default() } }),
    ]
}

fn any_action() -> impl Strategy<Value = Action> {
    let (n, fence, attempt) = (1..3_u8, 0..12_u64, 0..4_u32);
    prop_oneof![
        Just(Action::AddPart),
        Just(Action::Seal),
        (attempt.clone(), n.clone())
            .prop_map(|(attempt, n)| Action::Sealed { attempt, sealed: sealed(n) }),
        attempt.prop_map(|attempt| Action::SealFailed { attempt }),
        ("maker|checker", n.clone()).prop_map(|(by, n)| approve(&by, n)),
        (n, any::<bool>()).prop_map(|(n, forced)| Action::Start { hash: hash(n), forced }),
        fence.clone().prop_map(|fence| Action::Run { fence }),
        Just(Action::Stop),
        (fence.clone(), any_counts()).prop_map(|(fence, counts)| Action::End { fence, counts }),
        fence.clone().prop_map(|fence| Action::Damaged { fence }),
        fence.clone().prop_map(|fence| Action::Fail { fence }),
        any_counts().prop_map(|counts| Action::Retry { counts }),
        fence.clone().prop_map(|fence| Action::Rollback { fence }),
        (fence, any_counts()).prop_map(|(fence, counts)| Action::RolledBack { fence, counts }),
    ]
}

/// What holds for a campaign in every state.
fn check(life: &Life, approvals: Approvals) {
    let is_open = matches!(life.state, State::Draft | State::Sealing);
    assert_eq!(life.sealed.is_none(), is_open);
    assert!(life.queued.is_none() || life.state == State::Waiting);
    let never_ran = is_open || life.fence == 0;
    assert!(
        !never_ran
            || matches!(
                life.state,
                State::Draft | State::Sealing | State::Waiting | State::Stopped
            )
    );
    assert!(life.approval.as_ref().is_none_or(|approval| approval.by != life.creator));
    let has_started = life.fence > 0 || life.queued.is_some();
    assert!(!has_started || approvals == Approvals::Zero || life.approval.is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn any_sequence_of_actions_keeps_the_rules_of_a_life(
        from in prop::sample::select(STATES.to_vec()),
        actions in proptest::collection::vec(any_action(), 0..60),
    ) {
        let mut life = in_state(from);
        let mut parts = Parts::default();
        for (n, action) in (1..).zip(actions) {
            let (before, parts_before) = (life.clone(), parts);
            let told = life.apply(&action);
            if action == Action::AddPart && told.is_ok() {
                let number = PartNumber::new(n).unwrap();
                let part = Part { number, hash: hash(0), rows: 1, refused: 0, amount: 1 };
                parts.add(None, &part).unwrap();
            }
            check(&life, Approvals::One);
            prop_assert!(told == Ok(Taken::Now) || life == before);
            prop_assert!(life.fence >= before.fence && life.generation >= before.generation);
            // A campaign begins to run, or to roll back, under a number that no earlier one had.
            let begins = |state| life.state == state && before.state != state;
            let begins = begins(State::Running) || begins(State::RollingBack);
            prop_assert_eq!(begins, life.fence > before.fence);
            if before.sealed.is_some() {
                prop_assert_eq!(&life.sealed, &before.sealed);
                prop_assert_eq!(&parts, &parts_before);
            }
            if before.state == State::RolledBack {
                prop_assert_eq!(&life, &before);
            }
            // A new generation leaves no row open behind.
            if life.generation > before.generation {
                let Action::Retry { counts } = &action else { panic!("{action:?}") };
                prop_assert_eq!(counts.tally.open(), 0);
            }
        }
    }
}

#[test]
fn a_state_is_read_back_by_its_name() {
    for state in State::ALL {
        assert_eq!(State::from_name(state.as_str()), Some(state));
    }
    assert_eq!(State::from_name("waiting"), None);
}
