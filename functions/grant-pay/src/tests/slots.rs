//! Slots of drops, paid by a service that does not know which of them were passed on.

use super::*;
use largesse_domain::drop::{DropName, Terms};
use largesse_domain::id::DropId;
use largesse_domain::time::Window;

const ID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

fn slot_of(member: &str) -> Grant {
    let source: PoolId = format!("DROP#{ID}").parse().unwrap();
    let at = Timestamp::from_ms(1_769_850_000_000);
    let id = GrantId::of_draw(&source, &member.parse().unwrap(), at);
    Grant { id, source, reason: Reason::Slot, ..grant_of(member) }
}

/// A bank whose service is looked up, and in which the slot of `a` has such an item.
fn bank(status: GrantStatus) -> Bank {
    let window = Window { opens: Timestamp::from_ms(0), closes: Timestamp::from_ms(60_000) };
    let terms = Terms::new(DropName::new("d").unwrap(), 1, 5, window, Some(0)).unwrap();
    let drop =
        Drop::new(DropId(ID.parse().unwrap()), "f".parse().unwrap(), terms, || panic!("no lots"));
    let standings = HashMap::from([("a", Some(Standing::NotPaid))]);
    let bank = Bank { standings: Some(standings), drop: Some(Arc::new(drop)), ..Bank::default() };
    let item = FailedGrant {
        grant: slot_of("a"),
        status,
        attempts: 4,
        failure: Refusal::WalletFull.to_string(),
        failed_at: Timestamp::from_ms(2),
    };
    bank.failed.lock().unwrap().insert(item.grant.member.clone(), item);
    bank
}

async fn deliver(bank: &Bank, receives: u32) -> Vec<String> {
    let body = write_body(&GrantMessage::first(slot_of("a"))).unwrap();
    failures(bank, &[("a", body)], receives).await
}

/// The first delivery may be a late copy of the grant's first message.
#[tokio::test]
async fn a_slot_that_was_given_up_or_passed_on_is_sent_to_no_service_that_does_not_know_it() {
    for receives in [1, 2] {
        for (status, dead) in [(GrantStatus::Voided, 0), (GrantStatus::PermanentlyFailed, 1)] {
            let bank = bank(status);
            assert_eq!(deliver(&bank, receives).await, [""; 0], "{status:?}");
            assert!(bank.calls.lock().unwrap().concat().is_empty(), "nothing was sent");
            assert_eq!(bank.dead.lock().unwrap().len(), dead, "{status:?}");
            let items = bank.failed.lock().unwrap();
            assert_eq!(items[&"a".parse().unwrap()].status, status, "nothing has changed");
        }
        // An operator has sent it again.
        let bank = bank(GrantStatus::Failed);
        assert_eq!(deliver(&bank, receives).await, [""; 0]);
        assert_eq!(*bank.calls.lock().unwrap(), [["a"]]);
    }
}

/// The ledger knows what is voided, so a payment costs no read before it.
#[tokio::test]
async fn a_slot_that_the_ledger_pays_is_sent_at_once() {
    let bank = Bank { standings: None, ..bank(GrantStatus::Voided) };
    assert_eq!(deliver(&bank, 1).await, [""; 0]);
    assert_eq!(*bank.calls.lock().unwrap(), [["a"]]);
}
