//! The reference money server on its socket, and workers that pay through it.
//!
//! Sockets pass real time, so these tests do: their times are short, and no assertion is about how
//! long something took, only about what must not happen earlier.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use largesse::compose::WorldTime;
use largesse_app::money::governed::Governed;
use largesse_app::ports::{Clock, Money, Payment, PortResult, Reversal, Standing};
use largesse_aws::Store;
use largesse_domain::breaker::BreakerPolicy;
use largesse_domain::grant::Grant;
use largesse_domain::id::{GrantId, ServiceId};
use largesse_domain::rate::Rate;
use largesse_domain::time::Timestamp;
use largesse_money::{HttpMoney, Settings};
use largesse_money_server::{Faults, Report, Server};
use largesse_tests::Sandbox;
use tokio::sync::{oneshot, watch};

pub(crate) fn service() -> ServiceId {
    "money".parse().unwrap()
}

/// The server in a thread of its own, so that what it measures does not wait for the tests' tasks.
pub(crate) struct MoneyServer {
    server: Arc<Server>,
    clock: Arc<dyn Clock>,
    /// The thread ends when it is dropped.
    _stop: oneshot::Sender<()>,
}

impl MoneyServer {
    pub(crate) fn start(sandbox: &Sandbox, seed: u64, faults: Faults) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(WorldTime(sandbox.world.clock().clone()));
        let settings = largesse_money_server::Settings { seed, faults, ..Default::default() };
        let (stop, stopped) = oneshot::channel();
        let (started, server) = std::sync::mpsc::channel();
        let of_server = clock.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                started.send(Server::start(settings, of_server).await.unwrap()).unwrap();
                let _ = stopped.await;
            });
        });
        Self { server: Arc::new(server.recv().unwrap()), clock, _stop: stop }
    }

    pub(crate) fn set(&self, faults: Faults) {
        self.server.set_faults(faults).unwrap();
    }

    pub(crate) fn report(&self) -> Report {
        self.server.report()
    }

    /// An adapter as a worker has it; a call takes so long at most.
    pub(crate) fn adapter(&self, timeout_ms: u64) -> HttpMoney {
        let mut settings = Settings::new(self.server.url().parse().unwrap());
        (settings.timeout_ms, settings.concurrency_max) = (timeout_ms, 256);
        settings.looks_up = false;
        HttpMoney::new(settings, self.clock.clone()).unwrap()
    }

    /// A worker: its own connections, its own part of the rate, its own view of the breaker.
    pub(crate) fn worker(
        &self,
        probe: &Arc<Probe>,
        store: Arc<Store>,
        rate: Rate,
        policy: BreakerPolicy,
        timeout_ms: u64,
    ) -> Arc<Governed<Probed, Store>> {
        let inner = Probed { inner: self.adapter(timeout_ms), probe: probe.clone() };
        Arc::new(Governed::new(Arc::new(inner), store, service(), rate, policy))
    }
}

/// A payment as the probe saw it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) sent_at: Timestamp,
    pub(crate) answered_at: Timestamp,
    pub(crate) is_refused: bool,
}

/// What all workers send, in order for each grant.
pub(crate) struct Probe {
    clock: WorldTime,
    paid: Mutex<BTreeMap<GrantId, Vec<Seen>>>,
    /// How many payments were answered.
    pub(crate) count: watch::Sender<usize>,
}

impl Probe {
    pub(crate) fn new(sandbox: &Sandbox) -> Arc<Self> {
        let clock = WorldTime(sandbox.world.clock().clone());
        let (paid, count) = (Mutex::default(), watch::channel(0).0);
        Arc::new(Self { clock, paid, count })
    }

    /// What was sent for each grant since the last call.
    pub(crate) fn take(&self) -> BTreeMap<GrantId, Vec<Seen>> {
        std::mem::take(&mut self.paid.lock().unwrap())
    }
}

/// An adapter behind the probe.
pub(crate) struct Probed {
    inner: HttpMoney,
    probe: Arc<Probe>,
}

impl Money for Probed {
    fn must_look_up(&self) -> bool {
        self.inner.must_look_up()
    }

    async fn pay(&self, grants: &[Grant]) -> Vec<Payment> {
        let sent_at = self.probe.clock.now();
        let payments = self.inner.pay(grants).await;
        let answered_at = self.probe.clock.now();
        let mut paid = self.probe.paid.lock().unwrap();
        for (grant, payment) in grants.iter().zip(&payments) {
            let is_refused = matches!(payment, Payment::Refused(_));
            let seen = Seen { sent_at, answered_at, is_refused };
            paid.entry(grant.id).or_default().push(seen);
        }
        self.probe.count.send_modify(|count| *count += grants.len());
        payments
    }

    async fn lookup(&self, grants: &[Grant]) -> PortResult<Vec<Standing>> {
        self.inner.lookup(grants).await
    }

    async fn reverse(&self, grant: &Grant) -> PortResult<Reversal> {
        self.inner.reverse(grant).await
    }
}
