//! A server, an adapter, and grants.

use std::sync::Arc;
use std::time::SystemTime;

use largesse_app::ports::{Clock, Money, Payment, Refusal};
use largesse_domain::grant::{Grant, Reason};
use largesse_domain::id::{GrantId, PoolId, UserId};
use largesse_domain::money::Amount;
use largesse_domain::time::Timestamp;
use largesse_money::{HttpMoney, Secret, Settings};
use largesse_money_server::{Fault, Faults, Server, Verb};

/// The machine's clock.
pub(crate) struct RealClock;

impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "sockets pass real time")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Timestamp::from_ms(i64::try_from(since.as_millis()).unwrap())
    }
}

/// A clock that stands still.
pub(crate) struct Stopped(pub(crate) i64);

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.0)
    }
}

pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) money: HttpMoney,
}

/// Long enough for a machine with much else to do: only what waits for it takes so long.
const PATIENT_MS: u64 = 20_000;
/// Where the server stalls, the adapter is to give up on it; its next call is to be answered.
pub(crate) const IMPATIENT_MS: u64 = 1_000;

pub(crate) fn settings(server: &Server) -> Settings {
    let mut settings = Settings::new(server.url().parse().unwrap());
    settings.timeout_ms = PATIENT_MS;
    settings
}

pub(crate) fn adapter(settings: Settings) -> HttpMoney {
    HttpMoney::new(settings, Arc::new(RealClock)).unwrap()
}

pub(crate) async fn serving(settings: largesse_money_server::Settings) -> Server {
    Server::start(settings, Arc::new(RealClock)).await.unwrap()
}

pub(crate) async fn scene(faults: Faults) -> Scene {
    let settings_of_server = largesse_money_server::Settings { faults, ..Default::default() };
    let server = serving(settings_of_server).await;
    let money = adapter(settings(&server));
    Scene { server, money }
}

/// The fault meets every payment, and no other call.
pub(crate) fn at_every_payment(fault: Fault) -> Faults {
    Faults { only: Some(Verb::Pay), ..Faults::default().with(fault, 1_000) }
}

pub(crate) fn secret(text: &str) -> Option<Secret> {
    Some(Secret::new(text).unwrap())
}

/// The `n`-th member's grant of `n + 1`.
pub(crate) fn grant(n: u64) -> Grant {
    let source: PoolId = "SPRAY#01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    let member: UserId = format!("m{n}").parse().unwrap();
    Grant {
        id: GrantId::of_draw(&source, &member, Timestamp::from_ms(1_769_850_000_000)),
        source,
        member,
        amount: Amount::new(n + 1).unwrap(),
        reason: Reason::Share,
        funder: "f".parse().unwrap(),
        memo: None,
    }
}

/// One word for a payment.
pub(crate) fn word(payment: &Payment) -> &'static str {
    match payment {
        Payment::Paid => "paid",
        Payment::AlreadyPaid => "before",
        Payment::Voided => "voided",
        Payment::Refused(Refusal::WalletFull) => "full",
        Payment::Refused(Refusal::Service(_)) => "refused",
        Payment::NotNow { .. } => "later",
        Payment::Unknown(_) | Payment::Pending => "unknown",
    }
}

impl Scene {
    pub(crate) async fn pay(&self, grant: &Grant) -> Payment {
        self.money.pay(std::slice::from_ref(grant)).await.remove(0)
    }

    /// What the `n`-th grant's payment comes to.
    pub(crate) async fn paid(&self, n: u64) -> &'static str {
        word(&self.pay(&grant(n)).await)
    }

    pub(crate) fn set(&self, faults: Faults) {
        self.server.set_faults(faults).unwrap();
    }

    /// Calls, payments and what was paid.
    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        let report = self.server.report();
        (report.calls, report.paid, report.paid_sum)
    }
}
