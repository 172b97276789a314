//! A world to measure in, and processes that share nothing but it.

use std::sync::Arc;

use aws_sdk_dynamodb::types::{AttributeValue as Av, ReturnConsumedCapacity};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use largesse_app::ports::{Clock, Ids, Room, Rooms};
use largesse_app::spray::create::{self, Create};
use largesse_app::wallet::deposit::{self, Deposit};
use largesse_aws::Store;
use largesse_aws::production::SecureRng;
use largesse_domain::id::{PoolId, RoomId, SprayId, TransferId, UserId};
use largesse_domain::money::Amount;
use largesse_domain::pool::bucket_count;
use largesse_domain::room::RoomName;
use largesse_domain::split::Split;
use largesse_domain::spray::{Spray, Terms};
use largesse_edge::cursor::CursorKey;
use largesse_edge::{EdgeConfig, kernel};
use largesse_emulator::World;
use serde_json::Value;
use tower::ServiceExt;
use uuid::Builder;

use super::BenchError;
use crate::compose::{self, ComposeError};

/// The secret that signs cursors here; no cursor is used.
const CURSOR_SECRET: &str = "a benchmark's cursors are never used";
/// How much of an answer is read.
const BODY_BYTES_MAX: usize = 1 << 20;
/// How long sprays are open, in seconds.
pub(super) const OPEN_S: u64 = 600;
/// Odd, so that every n gives other bits: 2^128 divided by the golden ratio.
pub(super) const SPREAD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
/// The number of the first sender among the members; the others have the numbers below it.
const SENDER: u32 = u32::MAX;

/// How member ids look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MemberIds {
    /// UUIDs: 36 characters.
    Uuid,
    /// The longest that the API takes: 64 characters.
    Long,
}

impl MemberIds {
    pub(super) const ALL: [Self; 2] = [Self::Uuid, Self::Long];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Uuid => "ids of 36 characters (UUID)",
            Self::Long => "ids of 64 characters",
        }
    }

    /// The n-th member; the same at every run.
    pub(super) fn member(self, n: u32) -> String {
        let uuid = |salt: u128| {
            let bits = (u128::from(n).wrapping_add(1)).wrapping_mul(SPREAD.wrapping_add(salt));
            Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
        };
        match self {
            Self::Uuid => uuid(0).to_string(),
            Self::Long => format!("{}{}", uuid(0).simple(), uuid(2).simple()),
        }
    }

    /// The n-th sender: no member of a room that claims.
    pub(super) fn sender(self, n: u32) -> String {
        self.member(SENDER.saturating_sub(n))
    }
}

/// A world in memory, with a store to prepare it.
pub(super) struct Lab {
    pub(super) world: World,
    pub(super) store: Arc<Store>,
    pub(super) ids: MemberIds,
    pub(super) sender: String,
}

/// An HTTP request.
pub(super) struct Ask<'a> {
    pub(super) method: &'a str,
    pub(super) path: String,
    pub(super) user: &'a str,
    pub(super) room: Option<RoomId>,
    pub(super) body: &'a str,
}

/// A process of the functions behind HTTP: its own caches, its own clients.
#[derive(Clone)]
pub(super) struct Process {
    router: Router,
    /// The `Idempotency-Key` of its requests that have a body.
    key: String,
}

impl Lab {
    pub(super) fn new(ids: MemberIds) -> Result<Self, BenchError> {
        let stack = compose::stack()?;
        let world = World::memory(&stack).map_err(ComposeError::from)?;
        let store = Arc::new(compose::store(&world, SecureRng::from_system()?));
        Ok(Self { world, store, ids, sender: ids.sender(0) })
    }

    /// Another store over the same world: the ports of another process.
    pub(super) fn another_store(&self) -> Result<Arc<Store>, BenchError> {
        Ok(Arc::new(compose::store(&self.world, SecureRng::from_system()?)))
    }

    /// Attaches the functions that no caller waits for; without it, nothing is paid.
    pub(super) fn attach(&self) -> Result<(), BenchError> {
        compose::compose(self.world.clone(), self.store.clone(), CURSOR_SECRET)?;
        Ok(())
    }

    /// A process that has just started. It authenticates no caller and has no limits.
    pub(super) fn process(&self) -> Result<Process, BenchError> {
        self.process_serving(open_edge()?)
    }

    /// A process that has just started, and serves requests as `edge` says.
    pub(super) fn process_serving(&self, edge: EdgeConfig) -> Result<Process, BenchError> {
        let (store, edge) = (self.another_store()?, Arc::new(edge));
        let functions = &self.world.stack().functions;
        let routes = functions.iter().filter_map(|f| compose::routes_of(f, &store, &edge));
        let router = kernel::wrap(routes.fold(Router::new(), Router::merge), store);
        Ok(Process { router, key: "once".to_owned() })
    }

    pub(super) fn member(&self, n: u32) -> String {
        self.ids.member(n)
    }

    pub(super) async fn deposit(&self, minor: u64) -> Result<(), BenchError> {
        self.deposit_to(&self.sender, minor).await
    }

    pub(super) async fn deposit_to(&self, user: &str, minor: u64) -> Result<(), BenchError> {
        let id = TransferId(self.store.ulid());
        let amount = Amount::new(minor).map_err(|error| BenchError::Broken(error.to_string()))?;
        let deposit = Deposit { id, user: user_id(user)?, amount, memo: None };
        let done = deposit::deposit(&*self.store, deposit).await;
        done.map(drop).map_err(|error| BenchError::Broken(error.to_string()))
    }

    /// A room of the sender and as many members.
    pub(super) async fn room(&self, members: u32) -> Result<RoomId, BenchError> {
        let id = RoomId(self.store.ulid());
        let name = RoomName::new("bench").map_err(|error| BenchError::Broken(error.to_string()))?;
        let sender = user_id(&self.sender)?;
        self.store.create_room(&Room { id, name }, &[sender], self.store.now()).await?;
        for n in 0..members {
            self.store.add_member(id, &user_id(&self.member(n))?, self.store.now()).await?;
        }
        Ok(id)
    }

    /// So many senders, each in the room and with that much money. A sender may have 1,000 live
    /// sprays.
    pub(super) async fn senders(
        &self,
        room: RoomId,
        count: u32,
        minor: u64,
    ) -> Result<Vec<String>, BenchError> {
        let senders: Vec<String> = (0..count).map(|n| self.ids.sender(n)).collect();
        for sender in &senders {
            self.store.add_member(room, &user_id(sender)?, self.store.now()).await?;
            self.deposit_to(sender, minor).await?;
        }
        Ok(senders)
    }

    /// Sprays one won to each, from a wallet that has it.
    pub(super) async fn spray(&self, room: RoomId, people: u32) -> Result<Spray, BenchError> {
        self.spray_by(room, &self.sender, people).await
    }

    /// As [`Lab::spray`], by another sender.
    pub(super) async fn spray_by(
        &self,
        room: RoomId,
        sender: &str,
        people: u32,
    ) -> Result<Spray, BenchError> {
        let people = u64::from(people);
        let terms = Terms::new(people, people, Split::Equal, OPEN_S);
        let terms = terms.map_err(|error| BenchError::Broken(error.to_string()))?;
        let id = SprayId(self.store.ulid());
        let request = Create { id, room, sender: user_id(sender)?, terms };
        let made = create::create(&*self.store, request).await;
        made.map_err(|error| BenchError::Broken(error.to_string()))
    }

    /// The write units of the largest bucket of a pool as it stands. A write whose condition fails
    /// costs as much, and the engine does not say it; so a write that changes nothing asks for it.
    pub(super) async fn full_units(&self, pool: PoolId, parts: u32) -> Result<f64, BenchError> {
        let client = aws_sdk_dynamodb::Client::new(&self.world.sdk_config());
        let mut most = 1.0_f64;
        for number in 0..bucket_count(parts) {
            let updated = client
                .update_item()
                .table_name(super::meter::POOLS)
                .key("pk", Av::S(format!("{pool}#{number}")))
                .update_expression("SET #size = #size")
                .expression_attribute_names("#size", "size")
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(|error| BenchError::Broken(format!("cannot weigh a bucket: {error}")))?;
            let capacity = updated.consumed_capacity();
            most = most.max(capacity.and_then(|used| used.capacity_units()).unwrap_or(1.0));
        }
        Ok(most)
    }
}

impl Process {
    pub(super) fn with_key(self, key: String) -> Self {
        Self { key, ..self }
    }

    /// Sends a request; gives status and body, whatever they are.
    pub(super) async fn send(&self, ask: &Ask<'_>) -> Result<(u16, Value), BenchError> {
        self.answer(self.request(ask)?).await
    }

    /// A request that is ready to be sent.
    pub(super) fn request(&self, ask: &Ask<'_>) -> Result<Request<Body>, BenchError> {
        let mut request = Request::builder()
            .method(ask.method)
            .uri(&ask.path)
            .header("x-user-id", ask.user)
            .header("content-type", "application/json");
        if let Some(room) = ask.room {
            request = request.header("x-room-id", room.to_string());
        }
        if !ask.body.is_empty() {
            request = request.header("idempotency-key", &self.key);
        }
        let request = request.body(Body::from(ask.body.to_owned()));
        request.map_err(|error| BenchError::Broken(error.to_string()))
    }

    /// The status and the body of the answer, whatever they are.
    pub(super) async fn answer(&self, request: Request<Body>) -> Result<(u16, Value), BenchError> {
        let response = match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), BODY_BYTES_MAX).await;
        let body = body.map_err(|error| BenchError::Broken(error.to_string()))?;
        Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }
}

/// Settings without authentication and without limits.
pub(super) fn open_edge() -> Result<EdgeConfig, BenchError> {
    let cursors = CursorKey::new(CURSOR_SECRET).ok_or(ComposeError::CursorSecret)?;
    Ok(EdgeConfig::open(cursors))
}

pub(super) fn user_id(name: &str) -> Result<UserId, BenchError> {
    name.parse().map_err(|_| BenchError::Broken(format!("{name} is no user")))
}

/// A claim.
pub(super) fn claim<'a>(spray: &Spray, user: &'a str) -> Ask<'a> {
    let path = format!("/api/v2/sprays/{}/claims", spray.token);
    Ask { method: "POST", path, user, room: Some(spray.room), body: "" }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn member_ids_are_distinct_and_as_long_as_they_say() {
        for (ids, len) in [(MemberIds::Uuid, 36), (MemberIds::Long, 64)] {
            let some: BTreeSet<String> = (0..5_000).map(|n| ids.member(n)).collect();
            assert_eq!(some.len(), 5_000);
            assert!(some.iter().all(|id| id.len() == len && id.parse::<UserId>().is_ok()));
            assert!(!some.contains(&ids.sender(0)));
        }
    }
}
