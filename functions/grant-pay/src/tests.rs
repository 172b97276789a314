use super::*;
use largesse_app::page::Page;
use largesse_app::ports::{
    Event, GrantRef, HistoryFilter, Once, PayOutcome, PortError, PortErrorKind, PortResult,
    Recorded,
};
use largesse_domain::grant::{Grant, GrantStatus};
use largesse_domain::id::{PoolId, TransferId, UserId};
use largesse_domain::ledger::{PostRefused, Transfer, TransferOrder, Wallet};
use largesse_domain::money::Amount;
use largesse_domain::pool::{Attempt, Drawn};
use largesse_domain::time::Timestamp;
use serde_json::json;
use std::sync::Mutex;

const POOL: &str = "SPRAY#01ARZ3NDEKTSV4RRFFQ69G5FAV";

/// Pays everybody but `refuses`; notes what was asked of it.
#[derive(Default)]
struct Bank {
    refuses: Option<&'static str>,
    is_down: bool,
    attempts: u32,
    paid: Mutex<Vec<String>>,
    postponed: Mutex<Vec<(String, u32)>>,
    published: Mutex<u32>,
}

fn grant_of(member: &UserId, attempts: u32) -> Grant {
    let at = Timestamp::from_ms(1_769_850_000_000);
    let drawn = Drawn { part: 0, at, attempt: Attempt::from_bits(1) };
    let sender = "sender".parse().unwrap();
    let amount = Amount::new(5).unwrap();
    let grant = Grant::of_draw(POOL.parse().unwrap(), member.clone(), drawn, amount, sender);
    Grant { attempts, ..grant }
}

impl Grants for Bank {
    async fn grant(&self, _pool: PoolId, member: &UserId) -> PortResult<Option<Grant>> {
        let unreadable = (member.as_str() == "garbled").then_some(PortErrorKind::Corrupt);
        if let Some(kind) = unreadable.or(self.is_down.then_some(PortErrorKind::Unknown)) {
            return Err(PortError { operation: "grant", kind, cause: None });
        }
        Ok((member.as_str() != "nobody").then(|| grant_of(member, self.attempts)))
    }

    async fn record(&self, _grant: &Grant) -> PortResult<Recorded> {
        panic!("paying records nothing")
    }

    async fn grants_of(
        &self,
        _pool: PoolId,
        _after: Option<UserId>,
        _limit: u32,
    ) -> PortResult<Page<Grant, UserId>> {
        panic!("paying lists nothing")
    }

    async fn note_outcome(&self, _: &Grant, outcome: &PayOutcome) -> PortResult<GrantStatus> {
        Ok(match outcome {
            PayOutcome::Paid => GrantStatus::Success,
            PayOutcome::NotPaid { status, .. } => *status,
        })
    }
}

impl Wallets for Bank {
    async fn wallet(&self, _user: &UserId) -> PortResult<Wallet> {
        panic!("paying reads no wallet")
    }

    async fn post(&self, order: TransferOrder) -> PortResult<Result<Once<Transfer>, PostRefused>> {
        if self.refuses == Some(order.wallet.as_str()) {
            return Ok(Err(PostRefused::TooFull));
        }
        self.paid.lock().unwrap().push(order.wallet.to_string());
        Ok(Wallet::empty(order.wallet.clone()).post(order).map(Once::Now))
    }

    async fn transfer(&self, _user: &UserId, _id: TransferId) -> PortResult<Option<Transfer>> {
        Ok(None)
    }

    async fn history(
        &self,
        _user: &UserId,
        _filter: &HistoryFilter,
        _after: Option<TransferId>,
        _limit: u32,
    ) -> PortResult<Page<Transfer, TransferId>> {
        panic!("paying reads no history")
    }
}

impl Events for Bank {
    async fn publish(&self, _event: &Event) -> PortResult<()> {
        *self.published.lock().unwrap() += 1;
        Ok(())
    }
}

impl GrantQueue for Bank {
    async fn send(&self, _grants: &[GrantRef]) -> PortResult<Vec<usize>> {
        panic!("paying sends nothing")
    }

    async fn retry_in(&self, receipt: &str, delay_s: u32) -> PortResult<()> {
        self.postponed.lock().unwrap().push((receipt.to_owned(), delay_s));
        Ok(())
    }
}

/// Messages `(group, body)`, named by their positions; the group stands in for the member.
async fn failures(bank: &Bank, messages: &[(&str, Option<&str>)]) -> Vec<String> {
    let records: Vec<_> = messages
        .iter()
        .enumerate()
        .map(|(position, (group, body))| {
            let grant_id = grant_of(&group.parse().unwrap(), 0).id.to_string();
            let named = json!({ "source": POOL, "member": group, "grant_id": grant_id });
            json!({
                "messageId": position.to_string(), "receiptHandle": format!("r{position}"),
                "body": body.map_or_else(|| named.to_string(), str::to_owned),
                "attributes": { "MessageGroupId": group }, "messageAttributes": {},
            })
        })
        .collect();
    let event = serde_json::from_value(json!({ "Records": records })).unwrap();
    let response = handle(bank, event, RetryPolicy::default()).await;
    response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect()
}

fn postponed(bank: &Bank) -> Vec<(String, u32)> {
    bank.postponed.lock().unwrap().clone()
}

#[tokio::test]
async fn after_a_failure_the_rest_of_its_group_waits() {
    let bank = Bank { refuses: Some("ann"), ..Bank::default() };
    let batch = [("ann", None), ("bob", None), ("ann", None)];
    assert_eq!(failures(&bank, &batch).await, ["0", "2"]);
    assert_eq!(postponed(&bank), [("r0".to_owned(), 3), ("r2".to_owned(), 3)]);
}

#[tokio::test]
async fn other_groups_go_on() {
    let bank = Bank { refuses: Some("ann"), ..Bank::default() };
    let batch = [("ann", None), ("bob", None), ("eve", None)];
    assert_eq!(failures(&bank, &batch).await, ["0"]);
    assert_eq!(*bank.paid.lock().unwrap(), ["bob", "eve"]);
}

#[tokio::test]
async fn what_is_given_up_holds_up_nobody() {
    let bank = Bank { refuses: Some("ann"), attempts: 3, ..Bank::default() };
    assert_eq!(failures(&bank, &[("ann", None), ("ann", None)]).await, ["0", "1"]);
    assert_eq!(*bank.published.lock().unwrap(), 2, "both were tried");
    assert_eq!(postponed(&bank), [("r0".to_owned(), 0), ("r1".to_owned(), 0)]);
}

#[tokio::test]
async fn a_message_nobody_can_pay_is_reported() {
    let bank = Bank::default();
    let other = r#"{"source":"x","member":"ann","grant_id":"x"}"#;
    let batch = [("ann", Some("{")), ("bob", Some(other)), ("nobody", None), ("ann", None)];
    let mut failed = failures(&bank, &batch).await;
    failed.sort();
    assert_eq!(failed, ["0", "1", "2"]);
    assert_eq!(*bank.paid.lock().unwrap(), ["ann"]);
}

#[tokio::test]
async fn a_grant_that_cannot_be_read_goes_to_the_dead_letters_at_once() {
    // Its member's other grants do not wait, lest they use up their receives untried.
    let bank = Bank::default();
    let batch = [("garbled", None), ("garbled", Some("{")), ("ann", None)];
    assert_eq!(failures(&bank, &batch).await, ["0", "1"]);
    assert_eq!(postponed(&bank), [("r0".to_owned(), 0), ("r1".to_owned(), 0)]);
    assert_eq!(*bank.paid.lock().unwrap(), ["ann"]);
}

#[tokio::test]
async fn an_outage_is_waited_out_with_the_queues_own_delay() {
    let bank = Bank { is_down: true, ..Bank::default() };
    assert_eq!(failures(&bank, &[("ann", None), ("ann", None)]).await, ["0", "1"]);
    assert!(postponed(&bank).is_empty());
}

#[test]
fn the_policy_comes_from_the_environment() {
    let policy = policy_from(|name| (name == "GRANT_RETRIES_MAX").then(|| "5".to_owned()));
    assert_eq!(policy, RetryPolicy { retries_max: 5, delay_s: 3 });
    assert_eq!(policy_from(|_| Some("-1".to_owned())), RetryPolicy::default());
}
