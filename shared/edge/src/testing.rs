//! Ports for tests of the edge: a clock that stands, ids that count, an idempotency store in
//! memory, and business ports that nobody may touch: a refused request must not get that far.

#![expect(clippy::panic, reason = "a touched port fails the test")]

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use http::{HeaderMap, Request, Response};
use largesse_app::page::Page;
use largesse_app::ports::{
    Begun, Clock, DueSpray, Event, Events, GrantQueue, GrantRef, Grants, HistoryFilter,
    Idempotency, Ids, MembersChanged, NotWon, Once, Pause, PayOutcome, Pools, PortResult, Recorded,
    RefundOutcome, Refunds, Rng, Room, Rooms, SprayNotMade, Sprays, StoredAnswer, Survey,
    Sweepable, TokenSpace, Wallets, Won,
};
use largesse_domain::grant::{Grant, GrantStatus};
use largesse_domain::id::{PoolId, RoomId, SprayId, Token, TransferId, Ulid, UserId};
use largesse_domain::ledger::{PostRefused, Transfer, TransferOrder, Wallet};
use largesse_domain::pool::{Draw, Drawn, Pool};
use largesse_domain::spray::{Spray, TokenEntry};
use largesse_domain::time::Timestamp;
use tower::ServiceExt;

use crate::call::Call;
use crate::config::EdgeConfig;
use crate::cursor::CursorKey;
use crate::meta::{Meta, Version};

/// When it always is: 2026-01-31T09:00:00Z.
pub const NOW_MS: i64 = 1_769_850_000_000;

/// What is known of one key.
#[derive(Clone, Debug)]
struct Record {
    payload: String,
    op: Ulid,
    leased: bool,
    answer: Option<StoredAnswer>,
}

/// Ports of which only time, ids, randomness and idempotency may be used.
#[derive(Debug, Default)]
pub struct Untouched {
    made: AtomicU64,
    records: Mutex<BTreeMap<String, Record>>,
}

/// Settings for tests.
#[must_use]
pub fn settings() -> EdgeConfig {
    EdgeConfig::open(CursorKey::from_bytes([7; 32]))
}

impl Untouched {
    /// How many keys are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.records.lock().map_or(0, |records| records.len())
    }

    /// Ends every lease without an answer, as a crash and the time after it do.
    pub fn lose_all_leases(&self) {
        if let Ok(mut records) = self.records.lock() {
            records.values_mut().for_each(|record| record.leased = false);
        }
    }

    fn record<T>(&self, key: &str, change: impl FnOnce(&mut Record) -> T) -> Option<T> {
        self.records.lock().ok()?.get_mut(key).map(change)
    }
}

/// A request as a handler sees it.
#[must_use]
pub fn call(method: &str, uri: &str, headers: &[(&str, &str)], body: &str) -> Call {
    let mut builder = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    let Ok(request) = builder.body(()) else { panic!("no such request") };
    let (parts, ()) = request.into_parts();
    let version = Version::of_path(parts.uri.path());
    Call::of_parts(parts, Meta { request_id: "req-1".to_owned(), version }, body.to_owned().into())
}

/// Sends a request through a router and reads the whole answer.
pub async fn send(
    router: Router,
    method: &str,
    uri: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, HeaderMap, String) {
    let mut builder = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    let Ok(request) = builder.body(Body::from(body.to_owned())) else { panic!("no such request") };
    let Ok(response): Result<Response<Body>, _> = router.oneshot(request).await;
    let (parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, usize::MAX).await else { panic!("no body") };
    (parts.status.as_u16(), parts.headers, String::from_utf8_lossy(&bytes).into_owned())
}

impl Clock for Untouched {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(NOW_MS)
    }
}

impl Ids for Untouched {
    fn ulid(&self) -> Ulid {
        let number = self.made.fetch_add(1, Ordering::SeqCst);
        Ulid::from_parts(NOW_MS.unsigned_abs(), u128::from(number))
    }
}

impl Rng for Untouched {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(9);
    }
}

impl Pause for Untouched {
    async fn pause_ms(&self, _ms: u64) {
        panic!("pause_ms was touched")
    }
}

impl Idempotency for Untouched {
    async fn begin(
        &self,
        key: &str,
        payload_hash: &str,
        op: Ulid,
        _now: Timestamp,
    ) -> PortResult<Begun> {
        let known = self.record(key, |record| {
            if record.payload != payload_hash {
                return Begun::OtherPayload;
            }
            if let Some(answer) = &record.answer {
                return Begun::Done(answer.clone());
            }
            if std::mem::replace(&mut record.leased, true) {
                return Begun::InFlight;
            }
            Begun::Resumed(record.op)
        });
        Ok(known.unwrap_or_else(|| {
            let payload = payload_hash.to_owned();
            if let Ok(mut records) = self.records.lock() {
                let record = Record { payload, op, leased: true, answer: None };
                records.insert(key.to_owned(), record);
            }
            Begun::Fresh(op)
        }))
    }

    async fn finish(&self, key: &str, _op: Ulid, answer: &StoredAnswer) -> PortResult<()> {
        self.record(key, |record| record.answer = Some(answer.clone()));
        Ok(())
    }

    async fn let_go(&self, key: &str, _op: Ulid) -> PortResult<()> {
        self.record(key, |record| record.leased = false);
        Ok(())
    }
}

macro_rules! untouchable {
    ($($port:ident { $(fn $name:ident($($arg:ident: $kind:ty),*) -> $answer:ty;)* })*) => {
        $(impl $port for Untouched {
            $(fn $name(
                &self,
                $($arg: $kind),*
            ) -> impl Future<Output = PortResult<$answer>> + Send {
                $(let _ = $arg;)*
                async { panic!(concat!(stringify!($name), " was touched")) }
            })*
        })*
    };
}

untouchable! {
    Rooms {
        fn create_room(room: &Room, members: &[UserId], now: Timestamp) -> ();
        fn room(id: RoomId) -> Option<Room>;
        fn is_member(room: RoomId, user: &UserId) -> bool;
        fn members(room: RoomId, after: Option<UserId>, limit: u32) -> Page<UserId, UserId>;
        fn add_member(room: RoomId, user: &UserId, now: Timestamp) -> MembersChanged;
        fn remove_member(room: RoomId, user: &UserId) -> MembersChanged;
    }
    Wallets {
        fn wallet(user: &UserId) -> Wallet;
        fn post(order: TransferOrder) -> Result<Once<Transfer>, PostRefused>;
        fn transfer(user: &UserId, id: TransferId) -> Option<Transfer>;
        fn history(
            user: &UserId, filter: &HistoryFilter, after: Option<TransferId>, limit: u32
        ) -> Page<Transfer, TransferId>;
    }
    Sprays {
        fn token_entry(token: Token) -> Option<TokenEntry>;
        fn create_spray(
            spray: &Spray, order: &TransferOrder
        ) -> Result<Once<Spray>, SprayNotMade>;
        fn spray(id: SprayId) -> Option<Spray>;
        fn sprays_by(
            sender: &UserId, after: Option<SprayId>, limit: u32
        ) -> Page<Spray, SprayId>;
    }
    TokenSpace {
        fn is_free(token: Token) -> bool;
        fn pop_hint(part: u32) -> Option<Token>;
        fn push_hint(part: u32, tokens: &[Token]) -> ();
        fn renew_hint(part: u32, tokens: &[Token]) -> ();
        fn survey(now: Timestamp) -> Survey;
        fn is_surveyed(now: Timestamp) -> bool;
        fn end_survey(until: Timestamp) -> ();
    }
    Refunds {
        fn due_sprays(
            shard: u32, now: Timestamp, after: Option<DueSpray>, limit: u32
        ) -> Page<DueSpray, DueSpray>;
        fn refund_spray(as_read: &Spray, remainder: u64, now: Timestamp) -> RefundOutcome;
    }
    Grants {
        fn grant(pool: PoolId, member: &UserId) -> Option<Grant>;
        fn record(grant: &Grant) -> Recorded;
        fn grants_of(pool: PoolId, after: Option<UserId>, limit: u32) -> Page<Grant, UserId>;
        fn note_outcome(grant: &Grant, outcome: &PayOutcome) -> GrantStatus;
    }
    GrantQueue {
        fn send(grants: &[GrantRef]) -> Vec<usize>;
        fn retry_in(receipt: &str, delay_s: u32) -> ();
    }
    Events {
        fn publish(event: &Event) -> ();
    }
}

impl Pools for Untouched {
    async fn draw(&self, _pool: PoolId, _draw: Draw) -> PortResult<Result<Won, NotWon>> {
        panic!("draw was touched")
    }

    async fn pool(&self, _pool: PoolId) -> PortResult<Option<Pool>> {
        panic!("pool was touched")
    }

    fn trim_later(&self, _pool: PoolId, _member: &UserId, _recorded: Drawn) {
        panic!("trim_later was touched")
    }

    fn take_turn_to_help(&self, _pool: PoolId) -> bool {
        panic!("take_turn_to_help was touched")
    }

    async fn trim(&self, _pool: PoolId, _recorded: &BTreeMap<UserId, Drawn>) -> PortResult<()> {
        panic!("trim was touched")
    }

    async fn sweepable(
        &self,
        _: u32,
        _: Timestamp,
        _: Option<Sweepable>,
        _: u32,
    ) -> PortResult<Page<Sweepable, Sweepable>> {
        panic!("sweepable was touched")
    }

    async fn swept(&self, _as_read: &Pool, _next: Option<Timestamp>) -> PortResult<()> {
        panic!("swept was touched")
    }

    async fn release(&self, _pool: PoolId, _member: &UserId, _pending: Drawn) -> PortResult<()> {
        panic!("release was touched")
    }
}
