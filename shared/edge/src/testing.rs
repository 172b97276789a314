//! The fixture of the edge's own tests: virtual time, ids that count up, and an idempotency store
//! in memory. Tests of whole requests use the real store (`tests/src/http.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use http::{HeaderMap, Request};
use largesse_app::ports::{
    Begun, Clock, Idempotency, Ids, Keys, Nonce, Pause, PortResult, Retention, StoredAnswer,
};
use largesse_domain::id::{KeyId, Ulid};
use largesse_domain::key::KeyRecord;
use largesse_domain::time::Timestamp;
use tower::ServiceExt;

use crate::call::Call;
use crate::meta::{Meta, Version};

/// The fixed time of the clock: 2026-01-31T09:00:00Z.
pub(crate) const NOW_MS: i64 = 1_769_850_000_000;

/// The idempotency record of one key.
#[derive(Clone, Debug)]
struct Record {
    payload: String,
    op: Ulid,
    leased: bool,
    answer: Option<StoredAnswer>,
}

/// Time, ids, idempotency and API keys.
#[derive(Debug, Default)]
pub(crate) struct Fixture {
    made: AtomicU64,
    records: Mutex<BTreeMap<String, Record>>,
    keys: Mutex<BTreeMap<KeyId, KeyRecord>>,
    nonces: Mutex<BTreeSet<String>>,
}

impl Fixture {
    /// The number of keys that have a record.
    pub(crate) fn remembered(&self) -> usize {
        self.records.lock().unwrap().len()
    }

    /// Ends every lease without an answer, as a crash and the time after it do.
    pub(crate) fn lose_all_leases(&self) {
        self.records.lock().unwrap().values_mut().for_each(|record| record.leased = false);
    }

    /// Stores an API key.
    pub(crate) fn put_key(&self, key: KeyRecord) {
        self.keys.lock().unwrap().insert(key.id, key);
    }

    /// An API key as it is stored.
    pub(crate) fn stored_key(&self, id: KeyId) -> KeyRecord {
        self.keys.lock().unwrap()[&id].clone()
    }

    /// How many nonces were taken.
    pub(crate) fn nonces(&self) -> usize {
        self.nonces.lock().unwrap().len()
    }

    fn record(&self, key: &str, change: impl FnOnce(&mut Record)) {
        self.records.lock().unwrap().get_mut(key).map(change);
    }
}

fn request(method: &str, uri: &str, headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let builder = Request::builder().method(method).uri(uri);
    let builder =
        headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
    builder.body(Body::from(body.to_owned())).unwrap()
}

/// A request as a handler sees it.
pub(crate) fn call(method: &str, uri: &str, headers: &[(&str, &str)], body: &str) -> Call {
    let (parts, _) = request(method, uri, headers, "").into_parts();
    let version = Version::of_path(parts.uri.path());
    Call::of_parts(parts, Meta { request_id: "req-1".to_owned(), version }, body.to_owned().into())
}

/// Sends a request through a router and reads the whole answer.
pub(crate) async fn send(
    router: Router,
    method: &str,
    uri: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, HeaderMap, String) {
    let response = router.oneshot(request(method, uri, headers, body)).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap();
    (parts.status.as_u16(), parts.headers, String::from_utf8(bytes.to_vec()).unwrap())
}

impl Clock for Fixture {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(NOW_MS)
    }
}

impl Ids for Fixture {
    fn ulid(&self) -> Ulid {
        let number = self.made.fetch_add(1, Ordering::SeqCst);
        Ulid::from_parts(NOW_MS.unsigned_abs(), u128::from(number))
    }
}

impl Pause for Fixture {
    /// Takes virtual time: the tests that wait run with tokio's clock paused.
    async fn pause_ms(&self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

impl Keys for Fixture {
    async fn key(&self, id: KeyId) -> PortResult<Option<KeyRecord>> {
        Ok(self.keys.lock().unwrap().get(&id).cloned())
    }

    async fn touch_key(&self, id: KeyId, now: Timestamp) -> PortResult<()> {
        if let Some(key) = self.keys.lock().unwrap().get_mut(&id) {
            key.last_used = Some(now);
        }
        Ok(())
    }

    async fn take_nonce(
        &self,
        nonce: Nonce<'_>,
        _now: Timestamp,
        _until: Timestamp,
    ) -> PortResult<bool> {
        let name = format!("{} {}", nonce.key, nonce.text);
        Ok(self.nonces.lock().unwrap().insert(name))
    }
}

impl Idempotency for Fixture {
    async fn begin(
        &self,
        key: &str,
        payload_hash: &str,
        op: Ulid,
        _now: Timestamp,
        _retention: Retention,
    ) -> PortResult<Begun> {
        let mut records = self.records.lock().unwrap();
        let Some(record) = records.get_mut(key) else {
            let payload = payload_hash.to_owned();
            let record = Record { payload, op, leased: true, answer: None };
            records.insert(key.to_owned(), record);
            return Ok(Begun::Fresh(op));
        };
        if record.payload != payload_hash {
            return Ok(Begun::OtherPayload);
        }
        if let Some(answer) = &record.answer {
            return Ok(Begun::Done(answer.clone()));
        }
        if std::mem::replace(&mut record.leased, true) {
            return Ok(Begun::InFlight);
        }
        Ok(Begun::Resumed(record.op))
    }

    async fn finish(&self, key: &str, _op: Ulid, answer: &StoredAnswer) -> PortResult<()> {
        self.record(key, |record| record.answer = Some(answer.clone()));
        Ok(())
    }

    async fn release(&self, key: &str, _op: Ulid) -> PortResult<()> {
        self.record(key, |record| record.leased = false);
        Ok(())
    }
}
