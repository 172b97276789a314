//! A world to measure in, and processes that share nothing but it.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use largesse_app::ports::{Clock, Ids, Room, Rooms};
use largesse_app::spray::create::{self, Create};
use largesse_app::wallet::deposit::{self, Deposit};
use largesse_aws::Store;
use largesse_aws::production::SecureRng;
use largesse_domain::id::{RoomId, SprayId, TransferId, UserId};
use largesse_domain::money::Amount;
use largesse_domain::room::RoomName;
use largesse_domain::split::Split;
use largesse_domain::spray::{Spray, Terms};
use largesse_edge::cursor::CursorKey;
use largesse_edge::{EdgeConfig, kernel};
use largesse_emulator::World;
use serde_json::Value;
use tower::ServiceExt;

use super::BenchError;
use crate::compose::{self, ComposeError};

/// The secret that cursors are signed with here; what it signs is thrown away.
const CURSOR_SECRET: &str = "a benchmark's cursors are never used";
/// How much of an answer is read.
const BODY_BYTES_MAX: usize = 1 << 20;
/// How long sprays are open, in seconds.
pub(super) const OPEN_S: u64 = 600;
/// Who sprays.
pub(super) const GIVER: &str = "giver";

/// A world in memory, with a store to set scenes with.
pub(super) struct Lab {
    pub(super) world: World,
    pub(super) store: Arc<Store>,
}

/// What a request asks.
pub(super) struct Ask<'a> {
    pub(super) method: &'a str,
    pub(super) path: String,
    pub(super) user: &'a str,
    pub(super) room: Option<RoomId>,
    pub(super) body: &'a str,
}

/// A process of the functions behind HTTP: its own caches, its own clients.
#[derive(Clone)]
pub(super) struct Process(Router);

impl Lab {
    pub(super) fn new() -> Result<Self, BenchError> {
        let stack = compose::stack()?;
        let world = World::memory(&stack).map_err(ComposeError::from)?;
        let store = Arc::new(compose::store(&world, SecureRng::from_system()?));
        Ok(Self { world, store })
    }

    /// Attaches the functions that no caller waits for; without it, nothing is paid.
    pub(super) fn attach(&self) -> Result<(), BenchError> {
        compose::compose(self.world.clone(), self.store.clone(), CURSOR_SECRET)?;
        Ok(())
    }

    /// A process that has just started.
    pub(super) fn process(&self) -> Result<Process, BenchError> {
        let store = Arc::new(compose::store(&self.world, SecureRng::from_system()?));
        let cursors = CursorKey::new(CURSOR_SECRET).ok_or(ComposeError::CursorSecret)?;
        let edge = Arc::new(EdgeConfig::open(cursors));
        let functions = &self.world.stack().functions;
        let routes = functions.iter().filter_map(|f| compose::routes_of(f, &store, &edge));
        Ok(Process(kernel::wrap(routes.fold(Router::new(), Router::merge), store)))
    }

    pub(super) async fn deposit(&self, user: &str, minor: u64) -> Result<(), BenchError> {
        let id = TransferId(self.store.ulid());
        let amount = Amount::new(minor).map_err(|error| BenchError::Broken(error.to_string()))?;
        let deposit = Deposit { id, user: user_id(user)?, amount, memo: None };
        let done = deposit::deposit(&*self.store, deposit).await;
        done.map(drop).map_err(|error| BenchError::Broken(error.to_string()))
    }

    /// A room of the giver and as many members, named by [`member`].
    pub(super) async fn room(&self, members: u32) -> Result<RoomId, BenchError> {
        let id = RoomId(self.store.ulid());
        let name = RoomName::new("bench").map_err(|error| BenchError::Broken(error.to_string()))?;
        let giver = user_id(GIVER)?;
        self.store.create_room(&Room { id, name }, &[giver], self.store.now()).await?;
        for n in 0..members {
            self.store.add_member(id, &user_id(&member(n))?, self.store.now()).await?;
        }
        Ok(id)
    }

    /// Sprays one won to each, from a wallet that has it.
    pub(super) async fn spray(&self, room: RoomId, people: u32) -> Result<Spray, BenchError> {
        let people = u64::from(people);
        let terms = Terms::new(people, people, Split::Equal, OPEN_S);
        let terms = terms.map_err(|error| BenchError::Broken(error.to_string()))?;
        let id = SprayId(self.store.ulid());
        let wish = Create { id, room, sender: user_id(GIVER)?, terms };
        let made = create::create(&*self.store, wish).await;
        made.map_err(|error| BenchError::Broken(error.to_string()))
    }
}

impl Process {
    /// Sends a request; any answer is an answer.
    pub(super) async fn send(&self, ask: &Ask<'_>) -> Result<(u16, Value), BenchError> {
        let broken = |error: String| BenchError::Broken(error);
        let mut request = Request::builder()
            .method(ask.method)
            .uri(&ask.path)
            .header("x-user-id", ask.user)
            .header("content-type", "application/json");
        if let Some(room) = ask.room {
            request = request.header("x-room-id", room.to_string());
        }
        if !ask.body.is_empty() {
            request = request.header("idempotency-key", "once");
        }
        let request = request.body(Body::from(ask.body.to_owned()));
        let request = request.map_err(|error| broken(error.to_string()))?;
        let response = match self.0.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), BODY_BYTES_MAX).await;
        let body = body.map_err(|error| broken(error.to_string()))?;
        Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }
}

/// The n-th member.
pub(super) fn member(n: u32) -> String {
    format!("member-{n}")
}

pub(super) fn user_id(name: &str) -> Result<UserId, BenchError> {
    name.parse().map_err(|_| BenchError::Broken(format!("{name} is no user")))
}

/// A claim.
pub(super) fn claim<'a>(spray: &Spray, user: &'a str) -> Ask<'a> {
    let path = format!("/api/v2/sprays/{}/claims", spray.token);
    Ask { method: "POST", path, user, room: Some(spray.room), body: "" }
}
