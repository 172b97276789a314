//! Attaches the functions behind streams, queues and schedules.

use std::sync::Arc;

use campaign_pay::Source;
use largesse_app::invocation::{self, Invocation};
use largesse_app::ports::Clock;
use largesse_app::settings::Variables;
use largesse_aws::Store;
use largesse_domain::time::Timestamp;
use largesse_emulator::{FunctionSpec, SqsBatchResponse, SqsEvent, World};
use largesse_money::MoneySettings;
use largesse_runtime::{RunError, STOP_MARGIN_MS};
use notify::webhook::{Address, Webhook};

use super::ComposeError;

/// Attaches a function to its streams, queues and schedules.
pub(super) fn attach(
    world: &World,
    store: &Arc<Store>,
    function: &FunctionSpec,
) -> Result<(), ComposeError> {
    let timeout_ms = timeout_ms(function);
    let until = move |store: &Store| Invocation::until(store.now().plus_ms(timeout_ms));
    match function.binary.as_str() {
        "outbox" => {
            for stream in &function.streams {
                let store = store.clone();
                world.on_stream(stream.clone(), move |event| {
                    let store = store.clone();
                    invocation::scope(until(&store), async move {
                        Ok(outbox::handle(&*store, event).await)
                    })
                })?;
            }
        }
        "grant-pay" => {
            let variables = Variables::new(|name| function.environment.get(name).cloned());
            let policy = grant_pay::settings::policy(&variables)?;
            let money = Arc::new(MoneySettings::read(&variables)?.service(store.clone())?);
            attach_queues(world, store, function, move |store, event| {
                let money = money.clone();
                async move { grant_pay::handle(&*money, &*store, event, policy).await }
            })?;
        }
        "campaign-seal" => {
            attach_queues(world, store, function, |store, event| async move {
                campaign_seal::handle(&*store, event).await
            })?;
        }
        "campaign-pay" => attach_campaign_pay(world, store, function, Source::Lane)?,
        "campaign-retry" => attach_campaign_pay(world, store, function, Source::Retries)?,
        "campaign-fanout" => {
            let variables = Variables::new(|name| function.environment.get(name).cloned());
            let lanes = campaign_fanout::settings::lanes(&variables)?;
            attach_queues(world, store, function, move |store, event| async move {
                campaign_fanout::handle(&*store, event, lanes).await
            })?;
        }
        "refund-batch" => {
            attach_schedules(world, store, function, |store, stop_at| async move {
                refund_batch::handle(&*store, stop_at).await
            });
        }
        "campaign-start" => {
            attach_schedules(world, store, function, |store, _| async move {
                campaign_start::handle(&*store).await
            });
        }
        "pool-sweep" => {
            attach_schedules(world, store, function, |store, stop_at| async move {
                pool_sweep::handle(&*store, stop_at).await
            });
        }
        "archive" => attach_archive(world, store, function)?,
        "reconcile" => {
            let variables = Variables::new(|name| function.environment.get(name).cloned());
            let hour = reconcile::settings::hour(&variables)?;
            attach_schedules(world, store, function, move |store, stop_at| async move {
                reconcile::handle(&*store, stop_at, hour).await
            });
        }
        unknown => return Err(ComposeError::UnknownFunction(unknown.to_owned())),
    }
    Ok(())
}

/// Attaches archive to its schedule.
fn attach_archive(
    world: &World,
    store: &Arc<Store>,
    function: &FunctionSpec,
) -> Result<(), ComposeError> {
    let variables = Variables::new(|name| function.environment.get(name).cloned());
    let policy = archive::settings::policy(&variables)?;
    attach_schedules(world, store, function, move |store, stop_at| async move {
        archive::handle(&*store, stop_at, policy).await
    });
    Ok(())
}

/// Attaches campaign-pay or campaign-retry to its queue.
fn attach_campaign_pay(
    world: &World,
    store: &Arc<Store>,
    function: &FunctionSpec,
    source: Source,
) -> Result<(), ComposeError> {
    let variables = Variables::new(|name| function.environment.get(name).cloned());
    let settings = campaign_pay::settings::pay_settings(&variables)?;
    let money = Arc::new(MoneySettings::read(&variables)?.service(store.clone())?);
    attach_queues(world, store, function, move |store, event| {
        let money = money.clone();
        async move { campaign_pay::handle(&*money, &*store, event, settings, source).await }
    })
}

/// Attaches notify to its queue.
pub(super) fn attach_notify(
    world: &World,
    store: &Arc<Store>,
    function: &FunctionSpec,
    address: Option<Address>,
) -> Result<(), ComposeError> {
    let variables = Variables::new(|name| function.environment.get(name).cloned());
    let link = notify::settings::link(&variables)?;
    let settings = address.map(|address| notify::webhook::Settings::new(address, link));
    let webhook = Arc::new(settings.map(Webhook::new).transpose()?);
    attach_queues(world, store, function, move |store, event| {
        let webhook = webhook.clone();
        async move { notify::handle(&*store, webhook.as_ref().as_ref(), event).await }
    })
}

/// Attaches a function to its queues: as deployed, an invocation ends at its timeout.
fn attach_queues<F, R>(
    world: &World,
    store: &Arc<Store>,
    function: &FunctionSpec,
    handle: F,
) -> Result<(), ComposeError>
where
    F: Fn(Arc<Store>, SqsEvent) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = SqsBatchResponse> + Send + 'static,
{
    let timeout_ms = timeout_ms(function);
    for queue in &function.queues {
        let (store, handle) = (store.clone(), handle.clone());
        world.on_queue(queue.clone(), move |event| {
            let until = Invocation::until(store.now().plus_ms(timeout_ms));
            let work = handle(store.clone(), event);
            invocation::scope(until, async move { Ok(work.await) })
        })?;
    }
    Ok(())
}

/// Attaches a function to its schedules: as deployed, a run stops shortly before its timeout.
fn attach_schedules<F, R, T>(world: &World, store: &Arc<Store>, function: &FunctionSpec, run: F)
where
    F: Fn(Arc<Store>, Timestamp) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<T, RunError>> + Send + 'static,
    T: Send + 'static,
{
    let timeout_ms = timeout_ms(function);
    for (name, every) in &function.schedules {
        let (store, run) = (store.clone(), run.clone());
        world.on_schedule(&schedule(function, name), *every, move |_| {
            let invocation = Invocation::until(store.now().plus_ms(timeout_ms));
            let work = run(store.clone(), invocation.deadline.minus_ms(STOP_MARGIN_MS));
            invocation::scope(invocation, async move { Ok(work.await.map(drop)?) })
        });
    }
}

fn timeout_ms(function: &FunctionSpec) -> u64 {
    u64::try_from(function.timeout.as_millis()).unwrap_or(u64::MAX)
}

/// A schedule's name: unique in the template.
fn schedule(function: &FunctionSpec, event: &str) -> String {
    format!("{}/{event}", function.binary)
}
