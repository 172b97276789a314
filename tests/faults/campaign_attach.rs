//! The functions of campaigns, attached to the queues and streams of a world.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use campaign_pay::Source;
use largesse_app::ports::Money;
use largesse_emulator::BoxError;
use largesse_tests::Sandbox;

use crate::campaign_scene::SETTINGS;

/// Kills one run of a function: the one that awaits for the n-th time, counted over all runs of the
/// function. The next runs go on, in processes of their own.
#[derive(Clone, Default)]
pub(crate) struct Kill {
    function: &'static str,
    left: Arc<AtomicUsize>,
}

impl Kill {
    pub(crate) fn at(function: &'static str, nth: usize) -> Self {
        Self { function, left: Arc::new(AtomicUsize::new(nth)) }
    }

    /// Whether the function awaited so often.
    pub(crate) fn has_struck(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }

    /// Runs `work` of a function; an error, as Lambda sees a dead function, when it is killed.
    async fn run<F: Future>(self, function: &str, work: F) -> Result<F::Output, BoxError> {
        if self.function != function {
            return Ok(work.await);
        }
        let mut work = Box::pin(work);
        let one_less = |left: usize| left.checked_sub(1);
        let output = std::future::poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => {
                match self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less) {
                    Ok(1) => Poll::Ready(None),
                    _ => Poll::Pending,
                }
            }
        });
        output.await.ok_or_else(|| "killed".into())
    }
}

/// Attaches the functions, none of which is killed.
pub(crate) fn attach<M: Money + 'static>(sandbox: &Sandbox, money: [&Arc<M>; 2], lanes: u32) {
    attach_killed(sandbox, money, lanes, &Kill::default());
}

/// Attaches outbox, campaign-seal, campaign-fanout, campaign-pay and campaign-retry. Each of the last
/// two pays through a money service of its own, as a process does.
pub(crate) fn attach_killed<M: Money + 'static>(
    sandbox: &Sandbox,
    [lane, retries]: [&Arc<M>; 2],
    lanes: u32,
    kill: &Kill,
) {
    attach_pay(sandbox, Source::Lane, lane, kill);
    attach_pay(sandbox, Source::Retries, retries, kill);
    let world = &sandbox.world;
    let queue = |name: &str| world.stack().function(name).unwrap().queues[0].clone();
    let (store, killed) = (sandbox.another_process(21), kill.clone());
    let attached = world.on_queue(queue("campaign-fanout"), move |event| {
        let store = store.clone();
        let work = async move { campaign_fanout::handle(&*store, event, lanes).await };
        killed.clone().run("campaign-fanout", work)
    });
    attached.unwrap();
    let (store, killed) = (sandbox.another_process(23), kill.clone());
    let attached = world.on_queue(queue("campaign-seal"), move |event| {
        let store = store.clone();
        let work = async move { campaign_seal::handle(&*store, event).await };
        killed.clone().run("campaign-seal", work)
    });
    attached.unwrap();
    let (store, killed) = (sandbox.another_process(22), kill.clone());
    for stream in world.stack().function("outbox").unwrap().streams.clone() {
        let (store, kill) = (store.clone(), killed.clone());
        let attached = world.on_stream(stream, move |event| {
            let store = store.clone();
            kill.clone().run("outbox", async move { outbox::handle(&*store, event).await })
        });
        attached.unwrap();
    }
}

fn attach_pay<M: Money + 'static>(sandbox: &Sandbox, source: Source, money: &Arc<M>, kill: &Kill) {
    let name = match source {
        Source::Lane => "campaign-pay",
        Source::Retries => "campaign-retry",
    };
    let world = &sandbox.world;
    let queue = world.stack().function(name).unwrap().queues[0].clone();
    let (store, money) = (sandbox.another_process(20), money.clone());
    let kill = kill.clone();
    let attached = world.on_queue(queue, move |event| {
        let (store, money) = (store.clone(), money.clone());
        kill.clone().run(name, async move {
            campaign_pay::handle(&*money, &*store, event, SETTINGS, source).await
        })
    });
    attached.unwrap();
}

/// Runs all that is attached. No function of these tests takes from the queue of notices.
pub(crate) async fn settle(sandbox: &Sandbox) {
    if let Err(unsettled) = sandbox.world.settle_with_time().await {
        let left = format!("{unsettled:?}");
        let is_done = |queue: &str| !left.contains(queue);
        assert!(is_done("campaign") && is_done("fanouts") && is_done("seals"), "{left}");
    }
}
