//! A money service behind its rate and its breaker, over the store: any number of workers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use largesse_app::money::governed::Governed;
use largesse_app::ports::{
    Breakers, Clock, Money, Payment, PortError, PortErrorKind, PortResult, Reversal, Standing,
};
use largesse_aws::Store;
use largesse_domain::breaker::{Breaker, BreakerPolicy};
use largesse_domain::grant::{Grant, Reason};
use largesse_domain::id::{GrantId, PoolId, SprayId};
use largesse_emulator::{Fault, Faults, Matching, Service};
use largesse_tests::{Sandbox, amount, user};
use rstest::rstest;

use crate::governor::{rate, service};

/// How long the service takes, in milliseconds.
const CALL_MS: u64 = 150;
/// How many payments a worker makes at the same time.
const TASKS: usize = 600;

/// A money service that notes when it is called, by true time.
struct Bank {
    truth: Arc<Store>,
    calls: Mutex<Vec<i64>>,
    is_away: AtomicBool,
}

impl Bank {
    fn new(sandbox: &Sandbox) -> Arc<Self> {
        let (truth, calls) = (sandbox.store.clone(), Mutex::default());
        Arc::new(Self { truth, calls, is_away: AtomicBool::new(false) })
    }

    fn calls(&self) -> Vec<i64> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Money for Bank {
    async fn pay(&self, grants: &[Grant]) -> Vec<Payment> {
        assert_eq!(grants.len(), 1, "one grant for each permit");
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(self.truth.now().ms());
        tokio::time::sleep(Duration::from_millis(CALL_MS)).await;
        let (operation, kind) = ("pay", PortErrorKind::Unknown);
        let error = PortError { operation, kind, cause: None };
        let is_away = self.is_away.load(Ordering::Relaxed);
        vec![if is_away { Payment::Unknown(error) } else { Payment::Paid }]
    }

    async fn lookup(&self, grants: &[Grant]) -> PortResult<Vec<Standing>> {
        Ok(grants.iter().map(|_| Standing::Paid).collect())
    }

    async fn reverse(&self, _: &Grant) -> PortResult<Reversal> {
        Ok(Reversal::Reversed)
    }
}

fn governed(bank: &Arc<Bank>, store: Arc<Store>) -> Governed<Bank, Store> {
    Governed::new(bank.clone(), store, service(), rate(1_000), BreakerPolicy::default())
}

fn grant(sandbox: &Sandbox) -> Grant {
    let id = sandbox.id();
    Grant {
        id: GrantId(id),
        source: PoolId::Spray(SprayId(id)),
        member: user("m"),
        amount: amount(1),
        reason: Reason::Share,
        funder: user("s"),
        memo: None,
    }
}

/// The most calls in any second: each second that matters begins with a call.
fn most_in_a_second(calls: &[i64]) -> usize {
    let mut first = 0;
    let mut most = 0;
    for (last, at) in calls.iter().enumerate() {
        while at - calls[first] >= 1_000 {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most
}

/// Sixty seconds of always a payment to make. The workers' clocks differ by up to 8 ms, and each call
/// of the store takes 8 ms.
#[rstest]
#[case(1)]
#[case(4)]
#[case(16)]
#[tokio::test(start_paused = true)]
async fn workers_use_97_percent_of_the_limit_and_no_second_holds_more(#[case] workers: usize) {
    let sandbox = Sandbox::new(1);
    let slow = Fault::DelayRequest(Duration::from_millis(8));
    let slow = Faults::seeded(0).always(Matching::any().of(Service::DynamoDb), slow);
    sandbox.world.set_fault_hook(Some(Arc::new(slow)));
    let bank = Bank::new(&sandbox);
    let end = sandbox.store.now().plus_ms(61_000);
    let skews = [-4, 4, 0, -2, 3].into_iter().cycle();
    let governed: Vec<_> = (0..workers as u64)
        .zip(skews)
        .map(|(seed, skew_ms)| governed(&bank, sandbox.skewed_process(seed, skew_ms)))
        .collect();
    let grant = grant(&sandbox);
    let tasks = governed.iter().flat_map(|worker| (0..TASKS).map(move |_| worker));
    let run = async |worker: &Governed<Bank, Store>| {
        while sandbox.store.now() < end {
            let paid = worker.pay(std::slice::from_ref(&grant)).await;
            assert!(matches!(paid[..], [Payment::Paid]), "{paid:?}");
        }
    };
    join_all(tasks.map(run)).await;
    sandbox.world.set_fault_hook(None);
    let calls = bank.calls();
    let begin = calls[0];
    let used = calls.iter().filter(|at| *at - begin < 60_000).count();
    // Each costs one unit, a refused one too.
    let writes = sandbox.world.recorder().operation(Service::DynamoDb, "UpdateItem").calls;
    let most = most_in_a_second(&calls);
    println!(
        "{workers} workers: {used} calls in 60 s, at most {most} in a second, {writes} writes"
    );
    assert!(most <= 1_000, "{most} in a second");
    assert!(used >= 58_200, "{used} of 60,000");
    assert!(writes * 100 < calls.len() as u64, "{writes} writes for {} calls", calls.len());
}

#[tokio::test(start_paused = true)]
async fn the_breaker_is_read_once_a_second_and_written_only_when_it_changes() {
    let sandbox = Sandbox::new(2);
    let bank = Bank::new(&sandbox);
    let worker = governed(&bank, sandbox.another_process(3));
    let grants: Vec<Grant> = (0..20).map(|_| grant(&sandbox)).collect();
    sandbox.world.recorder().reset();
    let begin = sandbox.store.now();
    while sandbox.store.now().ms_since(begin) < 10_000 {
        worker.pay(&grants).await;
    }
    let count = |operation| sandbox.world.recorder().operation(Service::DynamoDb, operation).calls;
    assert!((8..=11).contains(&count("GetItem")), "{} reads in 10 s", count("GetItem"));
    // The only writes are leases.
    let mut keys = BTreeMap::new();
    for item in sandbox.world.database().scan("largesse-edge").unwrap() {
        let pk = serde_json::to_value(&item["pk"]).unwrap()["S"].to_string();
        *keys.entry(pk).or_insert(0) += 1;
    }
    assert_eq!(keys.into_iter().collect::<Vec<_>>(), [("\"RATE#bank\"".to_owned(), 1)]);
}

#[tokio::test(start_paused = true)]
async fn one_worker_opens_the_breaker_for_all_and_one_probe_of_all_closes_it() {
    let sandbox = Sandbox::new(3);
    let bank = Bank::new(&sandbox);
    let workers: Vec<_> =
        (0..4).map(|seed| governed(&bank, sandbox.another_process(seed))).collect();
    let grants: Vec<Grant> = (0..10).map(|_| grant(&sandbox)).collect();
    bank.is_away.store(true, Ordering::Relaxed);
    workers[0].pay(&grants).await;
    let opened = sandbox.store.breaker(&service()).await.unwrap();
    assert!(matches!(opened.breaker, Breaker::Open { openings: 1, .. }), "{opened:?}");
    // The others find it open, and call nothing.
    let called = bank.calls().len();
    for worker in &workers {
        let paid = worker.pay(&grants).await;
        assert!(paid.iter().all(|payment| matches!(payment, Payment::NotNow { .. })), "{paid:?}");
    }
    assert_eq!(bank.calls().len(), called);
    bank.is_away.store(false, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let paid = join_all(workers.iter().map(|worker| worker.pay(&grants))).await;
    let is_paid = |payment: &&Payment| matches!(payment, Payment::Paid);
    assert_eq!(paid.iter().flatten().filter(is_paid).count(), 1);
    assert_eq!(sandbox.store.breaker(&service()).await.unwrap().breaker, Breaker::Closed);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let paid = join_all(workers.iter().map(|worker| worker.pay(&grants))).await;
    assert_eq!(paid.iter().flatten().filter(is_paid).count(), 40);
}
