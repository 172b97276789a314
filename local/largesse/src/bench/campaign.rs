//! Campaigns: what a row costs, what a million rows take in one process, and how much of the limit of
//! a money service workers use.

pub mod share;
pub mod whole;

mod sent;
mod usage;

use std::sync::Arc;
use std::time::Duration;

use campaign_pay::Source;
use largesse_app::invocation::{self, Invocation};
use largesse_app::ports::{Clock, Money};
use largesse_app::settings::Variables;
use largesse_aws::Store;
use largesse_aws::production::SecureRng;
use largesse_emulator::{FunctionSpec, World};
use tokio::runtime::Handle;

use super::BenchError;
use crate::campaign::api::{Api, Pace};
use crate::compose::{self, ComposeError, Local};
use crate::demo::Stage;

/// The secret that signs cursors here.
const CURSOR_SECRET: &str = "a benchmark's cursors lead nowhere";
/// The functions that pay rows. The benchmark attaches them itself.
const PAYING: [(&str, Source); 2] =
    [("campaign-pay", Source::Lane), ("campaign-retry", Source::Retries)];
/// Who loads and starts.
const USER: &str = "operator";
/// How often a campaign is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A world in memory, and what it is measured with.
struct Lab {
    world: World,
    local: Local,
}

/// An environment of campaign-pay: its own ports, money service and time of the processor.
struct Worker<M> {
    money: Arc<M>,
    store: Arc<Store>,
    /// Where its work runs.
    handle: Handle,
    /// How many chunks it works on at once; `None`: as many as the template lets run.
    at_once: Option<usize>,
}

impl Lab {
    /// A world whose rows are paid by nobody, until a worker is attached.
    fn new() -> Result<Self, BenchError> {
        let world = World::memory(&compose::stack()?).map_err(ComposeError::from)?;
        let left_out = PAYING.map(|(name, _)| name);
        let store = Arc::new(compose::store(&world, SecureRng::from_system()?));
        let secret = CURSOR_SECRET;
        let local = compose::compose_without(world.clone(), store, secret, None, &left_out)?;
        Ok(Self { world, local })
    }

    /// The ports of another process.
    fn another_store(&self) -> Result<Arc<Store>, BenchError> {
        Ok(Arc::new(compose::store(&self.world, SecureRng::from_system()?)))
    }

    /// Has a worker pay chunks of the lanes, and those that come back.
    fn attach<M: Money + 'static>(&self, worker: &Worker<M>) -> Result<(), BenchError> {
        for (name, source) in PAYING {
            let function = self.function(name)?;
            let variables = Variables::new(|name| function.environment.get(name).cloned());
            let settings = campaign_pay::settings::pay_settings(&variables);
            let settings = settings.map_err(ComposeError::from)?;
            let timeout_ms = u64::try_from(function.timeout.as_millis()).unwrap_or(u64::MAX);
            for mut trigger in function.queues.clone() {
                trigger.concurrency_max = worker.at_once.unwrap_or(trigger.concurrency_max);
                let Worker { money, store, handle, .. } = worker;
                let (money, store, handle) = (money.clone(), store.clone(), handle.clone());
                let attached = self.world.on_queue(trigger, move |event| {
                    let (money, store) = (money.clone(), store.clone());
                    let work = handle.spawn(async move {
                        let until = Invocation::until(store.now().plus_ms(timeout_ms));
                        let paid = campaign_pay::handle(&*money, &*store, event, settings, source);
                        invocation::scope(until, paid).await
                    });
                    async { Ok(work.await?) }
                });
                attached.map_err(ComposeError::from)?;
            }
        }
        Ok(())
    }

    fn function(&self, name: &str) -> Result<FunctionSpec, BenchError> {
        let functions = &self.world.stack().functions;
        let found = functions.iter().find(|function| function.binary == name).cloned();
        found.ok_or_else(|| BenchError::Broken(format!("the template has no {name}")))
    }

    /// Serves its HTTP API and runs its functions.
    async fn start(self) -> Result<(World, Stage, Api), BenchError> {
        let stage = Stage::serve(self.local).await?;
        let pace = Pace { poll: LOOK_EVERY, ..Pace::PEOPLE };
        let api = Api::new(&stage.url, USER, pace)?;
        Ok((self.world, stage, api))
    }
}

/// A rate with one digit behind the point.
fn rate(count: f64, took: Duration) -> f64 {
    (count / took.as_secs_f64().max(1e-3) * 10.0).round() / 10.0
}

fn seconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 100.0).round() / 100.0
}
