//! Attaches the functions to the emulator as template.yaml wires them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use largesse_app::ports::Clock;
use largesse_app::settings::{SettingError, Variables};
use largesse_aws::production::SecureRng;
use largesse_aws::{Environment, Names, Store};
use largesse_domain::spray::LIVE_SPRAYS_MAX;
use largesse_domain::time::Timestamp;
use largesse_edge::config::Auth;
use largesse_edge::cursor::CursorKey;
use largesse_edge::{EdgeConfig, kernel};
use largesse_emulator::{FunctionSpec, Stack, StackError, World, WorldClock, WorldError};
use largesse_money::SetupError;
use notify::webhook::Address;

mod attach;

use attach::{attach, attach_notify};

/// The template that is deployed.
pub const TEMPLATE: &str = include_str!("../../../template.yaml");

/// Why the stack could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// The emulator cannot use the template.
    #[error("template.yaml")]
    Template(#[from] StackError),
    /// The emulator did not start.
    #[error(transparent)]
    World(#[from] WorldError),
    /// The template declares a function that this binary does not contain.
    #[error("template.yaml declares the function {0}, which this binary does not contain")]
    UnknownFunction(String),
    /// The template gives a function something else than it must have.
    #[error("template.yaml")]
    Setting(#[from] SettingError),
    /// The HTTP money service or the webhook cannot be called.
    #[error(transparent)]
    Client(#[from] SetupError),
    /// The cursor secret is too short.
    #[error("the cursor secret is too short")]
    CursorSecret,
}

/// The emulator's clock as the [`Clock`] port.
pub struct WorldTime(pub WorldClock);

impl Clock for WorldTime {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.0.now_ms())
    }
}

/// Everything, put together but not running: [`World::start`] starts the functions behind streams,
/// queues and schedules.
pub struct Local {
    /// The emulator.
    pub world: World,
    /// All ports, over the emulator.
    pub store: Arc<Store>,
    /// All routes, inside the kernel.
    pub router: Router,
    /// How callers are authenticated.
    pub auth: Auth,
}

/// The stack that the template declares.
///
/// # Errors
/// [`ComposeError::Template`].
pub fn stack() -> Result<Stack, ComposeError> {
    Ok(Stack::parse(TEMPLATE)?)
}

/// As [`stack`], with other values of environment variables for each function that has them.
///
/// # Errors
/// [`ComposeError::Template`].
pub fn stack_with(settings: &[(&str, String)]) -> Result<Stack, ComposeError> {
    let mut stack = stack()?;
    for function in &mut stack.functions {
        for (name, value) in settings {
            if let Some(given) = function.environment.get_mut(*name) {
                given.clone_from(value);
            }
        }
    }
    Ok(stack)
}

/// A store over the emulator, with the environment that the template gives the functions.
#[must_use]
pub fn store(world: &World, rng: SecureRng) -> Store {
    store_at(world, Arc::new(WorldTime(world.clock().clone())), rng)
}

/// As [`store`], with another clock.
#[must_use]
pub fn store_at(world: &World, clock: Arc<dyn Clock>, rng: SecureRng) -> Store {
    let variables: BTreeMap<String, String> =
        world.stack().functions.iter().flat_map(|f| f.environment.clone()).collect();
    let name = |variable: &str| variables.get(variable).cloned().unwrap_or_default();
    let names = Names {
        rooms: name("TABLE_ROOMS"),
        ledger: name("TABLE_LEDGER"),
        tokens: name("TABLE_TOKENS"),
        sprays: name("TABLE_SPRAYS"),
        pools: name("TABLE_POOLS"),
        drops: name("TABLE_DROPS"),
        grants: name("TABLE_GRANTS"),
        edge: name("TABLE_EDGE"),
        campaigns: name("TABLE_CAMPAIGNS"),
        campaign_rows: name("TABLE_CAMPAIGN_ROWS"),
        products: name("TABLE_PRODUCTS"),
        reconcile: name("TABLE_RECONCILE"),
        queue_grants_url: name("QUEUE_GRANTS_URL"),
        queue_grants_dlq_url: name("QUEUE_GRANTS_DLQ_URL"),
        queue_outbox_dlq_url: name("QUEUE_OUTBOX_DLQ_URL"),
        queue_campaigns_url: name("QUEUE_CAMPAIGNS_URL"),
        queue_campaign_retries_url: name("QUEUE_CAMPAIGN_RETRIES_URL"),
        queue_seals_url: name("QUEUE_SEALS_URL"),
        queue_fanouts_url: name("QUEUE_FANOUTS_URL"),
        queue_notify_url: name("QUEUE_NOTIFY_URL"),
        queue_notify_dlq_url: name("QUEUE_NOTIFY_DLQ_URL"),
        bus_events: name("BUS_EVENTS"),
        live_sprays_max: name("LIVE_SPRAYS_MAX").parse().unwrap_or(LIVE_SPRAYS_MAX),
    };
    // No request leaves the process, so none is signed. That saves a sixth of a claim's CPU time.
    let environment = Environment::of(clock, Arc::new(rng));
    let auth = Some(world.auth_scheme());
    Store::with_auth(&world.sdk_config(), names, environment, auth)
        .with_archive(Some(world.objects()))
}

/// Attaches every function of the template to the emulator. No webhook is told.
///
/// # Errors
/// [`ComposeError`].
pub fn compose(
    world: World,
    store: Arc<Store>,
    cursor_secret: &str,
) -> Result<Local, ComposeError> {
    compose_telling(world, store, cursor_secret, None)
}

/// As [`compose`], with a webhook that is told.
///
/// # Errors
/// [`ComposeError`].
pub fn compose_telling(
    world: World,
    store: Arc<Store>,
    cursor_secret: &str,
    webhook: Option<Address>,
) -> Result<Local, ComposeError> {
    compose_without(world, store, cursor_secret, webhook, &[])
}

/// As [`compose_telling`], and some functions behind queues are left to the caller to attach.
///
/// # Errors
/// [`ComposeError`].
pub fn compose_without(
    world: World,
    store: Arc<Store>,
    cursor_secret: &str,
    webhook: Option<Address>,
    left_out: &[&str],
) -> Result<Local, ComposeError> {
    let cursors = CursorKey::new(cursor_secret).ok_or(ComposeError::CursorSecret)?;
    compose_serving(world, store, &EdgeConfig::open(cursors), webhook, left_out)
}

/// As [`compose_without`], and requests are served as `edge` says: with or without authentication.
///
/// # Errors
/// [`ComposeError`].
pub fn compose_serving(
    world: World,
    store: Arc<Store>,
    edge: &EdgeConfig,
    webhook: Option<Address>,
    left_out: &[&str],
) -> Result<Local, ComposeError> {
    let mut router = Router::new();
    let functions = world.stack().functions.clone();
    let is_left_out = |function: &FunctionSpec| left_out.contains(&function.binary.as_str());
    for function in functions.into_iter().filter(|function| !is_left_out(function)) {
        let edge = Arc::new(edge_of(&function, edge)?);
        if let Some(routes) = routes_of(&function, &store, &edge) {
            router = router.merge(routes);
        } else if function.binary == "notify" {
            attach_notify(&world, &store, &function, webhook.clone())?;
        } else {
            attach(&world, &store, &function)?;
        }
    }
    let router = kernel::wrap(router, store.clone());
    Ok(Local { world, store, router, auth: edge.auth.clone() })
}

/// How a function serves requests: with what the template tells it about campaigns and limits.
///
/// # Errors
/// [`SettingError`].
pub fn edge_of(function: &FunctionSpec, edge: &EdgeConfig) -> Result<EdgeConfig, SettingError> {
    let variables = Variables::new(|name| function.environment.get(name).cloned());
    let mut edge = edge.clone().with_money(&variables)?.with_force_users(&variables)?;
    let reads = |name: &str| function.environment.contains_key(name);
    if reads("REQUESTS_MEMBER_PER_S") {
        edge = edge.with_requests(&variables)?;
    }
    if reads("TOKEN_MISSES_MEMBER_MAX") {
        edge = edge.with_misses(&variables)?;
    }
    if reads("CREATIONS_MEMBER_MAX") {
        edge = edge.with_creations(&variables)?;
    }
    Ok(edge)
}

/// The routes of a function behind HTTP; `None` for the others.
#[must_use]
pub fn routes_of(
    function: &FunctionSpec,
    store: &Arc<Store>,
    edge: &Arc<EdgeConfig>,
) -> Option<Router> {
    let (store, edge) = (store.clone(), edge.clone());
    match function.binary.as_str() {
        "spray-create" => Some(spray_create::router(store, edge)),
        "spray-claim" => Some(spray_claim::router(store, edge)),
        "drop-enter" => Some(drop_enter::router(store, edge)),
        "wallet" => Some(wallet::router(store, edge)),
        "query" => Some(query::router(store, edge)),
        "admin" => Some(admin::router(store, edge)),
        "product-invest" => Some(product_invest::router(store, edge)),
        "campaign-control" => Some(campaign_control::router(store, edge)),
        _ => None,
    }
}
