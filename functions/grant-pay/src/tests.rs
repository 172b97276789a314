use super::*;
use largesse_app::ports::{
    Event, FailedGrants, FrozenPool, GrantMessage, Payment, PortError, PortErrorKind, PortResult,
    Refusal, Reversal, Standing, Written,
};
use largesse_app::settings::Variables;
use largesse_aws::grant::message::write_body;
use largesse_domain::drop::Drop;
use largesse_domain::grant::{FailedGrant, Grant, GrantStatus, Reason};
use largesse_domain::id::{GrantId, PoolId, Ulid, UserId};
use largesse_domain::money::Amount;
use largesse_domain::pool::BucketId;
use largesse_domain::time::Timestamp;
use serde_json::json;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

mod no_drops;
mod slots;

const POOL: &str = "SPRAY#01ARZ3NDEKTSV4RRFFQ69G5FAV";

/// Pays every grant but those of `refuses`, and records every call.
#[derive(Default)]
struct Bank {
    refuses: Option<&'static str>,
    /// The pool that is frozen.
    frozen: Option<&'static str>,
    is_down: bool,
    /// Where members' grants stand, for a service that is looked up; `None` as the outcome: the
    /// look-up fails.
    standings: Option<HashMap<&'static str, Option<Standing>>>,
    looked_up: Mutex<Vec<String>>,
    calls: Mutex<Vec<Vec<String>>>,
    failed: Mutex<HashMap<UserId, FailedGrant>>,
    removed: Mutex<Vec<String>>,
    delayed: Mutex<Vec<(String, u32)>>,
    published: Mutex<u32>,
    dead: Mutex<Vec<String>>,
    /// The drop of the slots that are paid.
    drop: Option<Arc<Drop>>,
}

impl Money for Bank {
    async fn pay(&self, grants: &[Grant]) -> Vec<Payment> {
        let members = grants.iter().map(|grant| grant.member.to_string()).collect();
        self.calls.lock().unwrap().push(members);
        let pay = |grant: &Grant| {
            if self.is_down {
                let kind = PortErrorKind::Throttled;
                let cause = PortError { operation: "pay", kind, cause: None };
                Payment::NotNow { retry_after_ms: None, cause }
            } else if self.refuses == Some(grant.member.as_str()) {
                Payment::Refused(Refusal::WalletFull)
            } else {
                Payment::Paid
            }
        };
        grants.iter().map(pay).collect()
    }

    fn must_look_up(&self) -> bool {
        self.standings.is_some()
    }

    async fn lookup(&self, grants: &[Grant]) -> PortResult<Vec<Standing>> {
        let standings = self.standings.as_ref().expect("the ledger is not looked up");
        let kind = PortErrorKind::Unknown;
        let find = |grant: &Grant| {
            self.looked_up.lock().unwrap().push(grant.member.to_string());
            standings[grant.member.as_str()].ok_or(PortError {
                operation: "look up",
                kind,
                cause: None,
            })
        };
        grants.iter().map(find).collect()
    }

    async fn reverse(&self, _grant: &Grant) -> PortResult<Reversal> {
        panic!("a payment reverses nothing")
    }
}

impl Grants for Bank {
    async fn failed_grant(
        &self,
        _source: PoolId,
        member: &UserId,
    ) -> PortResult<Option<FailedGrant>> {
        Ok(self.failed.lock().unwrap().get(member).cloned())
    }

    async fn failed_grants(
        &self,
        _source: PoolId,
        _after: Option<String>,
        _limit: u32,
    ) -> PortResult<FailedGrants> {
        panic!("a payment lists nothing")
    }

    async fn put_failed(&self, failed: &FailedGrant, seen: u32) -> PortResult<Written> {
        let mut items = self.failed.lock().unwrap();
        let counted = items.get(&failed.grant.member).map_or(0, |failed| failed.attempts);
        if counted != seen {
            return Ok(Written::Changed);
        }
        items.insert(failed.grant.member.clone(), failed.clone());
        Ok(Written::Done)
    }

    async fn remove_failed(&self, paid: &Grant) -> PortResult<()> {
        self.removed.lock().unwrap().push(paid.member.to_string());
        Ok(())
    }
}

impl Freezes for Bank {
    async fn is_frozen(&self, pool: PoolId) -> PortResult<bool> {
        Ok(self.frozen.is_some_and(|frozen| pool.to_string() == frozen))
    }

    async fn frozen_pools(&self) -> PortResult<Vec<FrozenPool>> {
        panic!("a payment lists nothing")
    }

    async fn mark_frozen(&self, _frozen: &FrozenPool) -> PortResult<bool> {
        panic!("a payment freezes nothing")
    }

    async fn clear_frozen(&self, _pool: PoolId) -> PortResult<bool> {
        panic!("a payment lifts nothing")
    }

    async fn hold_bucket(&self, _bucket: BucketId, _is_held: bool) -> PortResult<()> {
        panic!("a payment holds nothing")
    }
}

impl Events for Bank {
    async fn publish(&self, _event: &Event) -> PortResult<()> {
        *self.published.lock().unwrap() += 1;
        Ok(())
    }
}

impl Deliveries for Bank {
    async fn delay(&self, receipt: &str, delay_s: u32) -> PortResult<()> {
        self.delayed.lock().unwrap().push((receipt.to_owned(), delay_s));
        Ok(())
    }

    async fn dead_letter(&self, given_up: &GrantMessage) -> PortResult<()> {
        self.dead.lock().unwrap().push(given_up.grant.member.to_string());
        Ok(())
    }
}

impl Clock for Bank {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(1_769_850_000_000)
    }
}

impl Rng for Bank {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0xff);
    }
}

fn grant_of(member: &str) -> Grant {
    let member: UserId = member.parse().unwrap();
    let source: PoolId = POOL.parse().unwrap();
    let at = Timestamp::from_ms(1_769_850_000_000);
    Grant {
        id: GrantId::of_draw(&source, &member, at),
        source,
        member,
        amount: Amount::new(5).unwrap(),
        reason: Reason::Share,
        funder: "sender".parse().unwrap(),
        memo: None,
    }
}

fn body_of(member: &str) -> String {
    write_body(&GrantMessage::first(grant_of(member))).unwrap()
}

/// The ids of the messages that come back; a message is named by its position.
async fn failures(bank: &Bank, messages: &[(&str, String)], receives: u32) -> Vec<String> {
    let message = |(position, (group, body)): (usize, &(&str, String))| {
        json!({
            "messageId": position.to_string(), "receiptHandle": format!("r{position}"),
            "body": body,
            "attributes": {
                "MessageGroupId": group, "ApproximateReceiveCount": receives.to_string(),
            },
        })
    };
    let records: Vec<_> = messages.iter().enumerate().map(message).collect();
    let event = serde_json::from_value(json!({ "Records": records })).unwrap();
    let response = handle(bank, bank, event, RetryPolicy::default()).await;
    response.batch_item_failures.into_iter().map(|f| f.item_identifier).collect()
}

fn batch(members: &[&'static str]) -> Vec<(&'static str, String)> {
    members.iter().map(|member| (*member, body_of(member))).collect()
}

#[tokio::test]
async fn a_batch_of_distinct_members_is_paid_together() {
    let bank = Bank::default();
    assert!(failures(&bank, &batch(&["a", "b", "c", "b"]), 1).await.is_empty());
    let calls = bank.calls.lock().unwrap();
    assert_eq!(*calls, [vec!["a", "b", "c"], vec!["b"]]);
    // The first delivery of a message cannot have failed before.
    assert!(bank.removed.lock().unwrap().is_empty());
}

#[tokio::test]
async fn after_a_failure_the_rest_of_its_group_waits() {
    let bank = Bank { refuses: Some("b"), ..Bank::default() };
    assert_eq!(failures(&bank, &batch(&["b", "a", "b"]), 1).await, ["0", "2"]);
    let delayed = bank.delayed.lock().unwrap();
    assert_eq!(*delayed, [("r0".to_owned(), 3), ("r2".to_owned(), 3)]);
}

#[tokio::test]
async fn a_frozen_pool_pays_nothing_and_others_go_on() {
    let other = "SPRAY#01ARZ3NDEKTSV4RRFFQ69G5FAW";
    let bank = Bank { frozen: Some(POOL), ..Bank::default() };
    let grant = Grant { source: other.parse().unwrap(), ..grant_of("b") };
    let mut messages = batch(&["a"]);
    messages.push(("b", write_body(&GrantMessage::first(grant)).unwrap()));
    assert_eq!(failures(&bank, &messages, 1).await, ["0"]);
    assert_eq!(*bank.calls.lock().unwrap(), [vec!["b"]]);
    // It counts nothing, and waits for an operator.
    assert!(bank.failed.lock().unwrap().is_empty());
    assert_eq!(*bank.delayed.lock().unwrap(), [("r0".to_owned(), 600)]);
}

#[tokio::test]
async fn other_groups_go_on() {
    let bank = Bank { refuses: Some("b"), ..Bank::default() };
    assert_eq!(failures(&bank, &batch(&["b", "c", "b", "d", "c"]), 1).await, ["0", "2"]);
    let paid: Vec<String> = bank.calls.lock().unwrap().concat();
    assert_eq!(paid, ["b", "c", "d", "c"]);
}

#[tokio::test]
async fn a_grant_that_is_given_up_holds_up_no_other() {
    let bank = Bank { refuses: Some("b"), ..Bank::default() };
    for _ in 0..3 {
        assert_eq!(failures(&bank, &batch(&["b"]), 1).await, ["0"]);
    }
    assert_eq!((*bank.published.lock().unwrap(), bank.dead.lock().unwrap().len()), (0, 0));
    // Two of one member: both are tried, both are given up, and nothing comes back.
    assert!(failures(&bank, &batch(&["b", "b"]), 4).await.is_empty());
    let failed = bank.failed.lock().unwrap()[&"b".parse().unwrap()].clone();
    assert_eq!((failed.status, failed.attempts), (GrantStatus::PermanentlyFailed, 4));
    assert_eq!(*bank.published.lock().unwrap(), 1);
    assert_eq!(*bank.dead.lock().unwrap(), ["b", "b"]);
}

#[tokio::test]
async fn a_payment_that_may_have_failed_before_leaves_no_item() {
    let bank = Bank::default();
    assert!(failures(&bank, &batch(&["a"]), 2).await.is_empty());
    assert_eq!(*bank.removed.lock().unwrap(), ["a"]);
}

#[tokio::test]
async fn a_failure_of_infrastructure_counts_nothing_and_waits_longer_each_time() {
    let bank = Bank { is_down: true, ..Bank::default() };
    for receives in [1, 2, 3, 9, 10, 400] {
        assert_eq!(failures(&bank, &batch(&["a"]), receives).await, ["0"]);
    }
    let delays: Vec<u32> = bank.delayed.lock().unwrap().iter().map(|(_, s)| *s).collect();
    assert_eq!(delays, [2, 2, 4, 256, 465, 465]);
    assert!(bank.failed.lock().unwrap().is_empty());
    assert_eq!((*bank.published.lock().unwrap(), bank.dead.lock().unwrap().len()), (0, 0));
}

#[tokio::test]
async fn the_money_service_is_not_asked_sooner_than_it_wishes() {
    let bank = Bank::default();
    assert_eq!(later_s(&bank, 1, Some(30_001)), 31);
    assert_eq!(later_s(&bank, 1, Some(u64::MAX)), LATER_S_MAX);
}

#[tokio::test]
async fn a_message_that_cannot_be_read_waits() {
    let bank = Bank::default();
    let newer = body_of("b").replace("\"version\":1", "\"version\":2");
    let messages = [("b", newer), ("a", body_of("a")), ("b", body_of("b"))];
    assert_eq!(failures(&bank, &messages, 1).await, ["0", "2"]);
    // At the queue's own pace: no delay is set.
    assert!(bank.delayed.lock().unwrap().is_empty());
    assert_eq!(*bank.calls.lock().unwrap(), [["a"]]);
    assert_eq!(failures(&bank, &[("x", "nonsense".to_owned())], 1).await, ["0"]);
}

#[tokio::test]
async fn what_may_have_been_sent_is_looked_up_first_and_never_sent_blindly() {
    let standings = [
        ("paid", Some(Standing::Paid)),
        ("voided", Some(Standing::Voided)),
        ("open", Some(Standing::NotPaid)),
        ("pending", Some(Standing::Unknown)),
        ("lost", None),
    ];
    let bank = Bank { standings: Some(standings.into()), ..Bank::default() };
    let members = standings.map(|(member, _)| member);
    assert_eq!(failures(&bank, &batch(&members), 2).await, ["4", "3"]);
    assert_eq!(*bank.calls.lock().unwrap(), [["open"]]);
    let mut removed = bank.removed.lock().unwrap().clone();
    removed.sort();
    assert_eq!(removed, ["open", "paid"]);
    assert!(bank.failed.lock().unwrap().is_empty(), "nothing counts");
    // The second of two messages of a member is looked up by its own receives.
    let mut looked_up = std::mem::take(&mut *bank.looked_up.lock().unwrap());
    looked_up.sort();
    assert_eq!(looked_up, ["lost", "open", "paid", "pending", "voided"]);
    // The first delivery of a first message was never sent.
    assert!(failures(&bank, &batch(&["pending"]), 1).await.is_empty());
    // An operator's retry was: its message is another one.
    let retry = GrantMessage {
        retry: Some(Ulid::from_parts(1, 1)),
        ..GrantMessage::first(grant_of("paid"))
    };
    assert!(failures(&bank, &[("paid", write_body(&retry).unwrap())], 1).await.is_empty());
    assert_eq!(*bank.looked_up.lock().unwrap(), ["paid"]);
    assert_eq!(bank.calls.lock().unwrap().concat(), ["open", "pending"]);
}

#[test]
fn the_policy_is_the_environments() {
    let variables = Variables::new(|name| match name {
        "GRANT_RETRIES_MAX" => Some("7".to_owned()),
        "GRANT_RETRY_DELAY_S" => Some("43200".to_owned()),
        _ => None,
    });
    let policy = settings::policy(&variables).unwrap();
    assert_eq!(policy, RetryPolicy { retries_max: 7, delay_s: 43_200 });
    // More than a queue can keep, and what is no number, are no policy.
    for value in ["43201", "x"] {
        let variables = Variables::new(|_| Some(value.to_owned()));
        assert!(settings::policy(&variables).is_err(), "{value}");
    }
}

/// A table that was restored may hold an item of an earlier grant of the same member and source.
#[tokio::test]
async fn an_item_of_another_grant_gives_up_none() {
    let bank = Bank { refuses: Some("a"), ..Bank::default() };
    let mut other = grant_of("a");
    other.id = GrantId::of_draw(&other.source, &other.member, Timestamp::from_ms(1));
    let item = FailedGrant {
        grant: other,
        status: GrantStatus::PermanentlyFailed,
        attempts: 4,
        failure: Refusal::WalletFull.to_string(),
        failed_at: Timestamp::from_ms(2),
    };
    bank.failed.lock().unwrap().insert(item.grant.member.clone(), item.clone());
    assert_eq!(failures(&bank, &[("a", body_of("a"))], 1).await.len(), 1, "it comes back");
    assert!(bank.dead.lock().unwrap().is_empty());
    assert_eq!(bank.failed.lock().unwrap().values().collect::<Vec<_>>(), [&item]);
}
