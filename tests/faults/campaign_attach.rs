//! The functions of campaigns, attached to the queues and streams of a world.

use std::sync::Arc;

use campaign_pay::Source;
use largesse_app::ports::Money;
use largesse_tests::Sandbox;

use crate::campaign_scene::SETTINGS;

/// Attaches outbox, campaign-fanout, campaign-pay and campaign-retry; each of the last two pays
/// through a money service of its own, as a process does.
pub(crate) fn attach<M: Money + 'static>(
    sandbox: &Sandbox,
    [lane, retries]: [&Arc<M>; 2],
    lanes: u32,
) {
    attach_pay(sandbox, "campaign-pay", Source::Lane, lane);
    attach_pay(sandbox, "campaign-retry", Source::Retries, retries);
    let world = &sandbox.world;
    let queue = world.stack().function("campaign-fanout").unwrap().queues[0].clone();
    let store = sandbox.another_process(21);
    let attached = world.on_queue(queue, move |event| {
        let store = store.clone();
        async move { Ok(campaign_fanout::handle(&*store, event, lanes).await) }
    });
    attached.unwrap();
    let store = sandbox.another_process(22);
    for stream in world.stack().function("outbox").unwrap().streams.clone() {
        let store = store.clone();
        let attached = world.on_stream(stream, move |event| {
            let store = store.clone();
            async move { Ok(outbox::handle(&*store, event).await) }
        });
        attached.unwrap();
    }
}

fn attach_pay<M: Money + 'static>(sandbox: &Sandbox, name: &str, source: Source, money: &Arc<M>) {
    let world = &sandbox.world;
    let queue = world.stack().function(name).unwrap().queues[0].clone();
    let (store, money) = (sandbox.another_process(20), money.clone());
    let attached = world.on_queue(queue, move |event| {
        let (store, money) = (store.clone(), money.clone());
        async move { Ok(campaign_pay::handle(&*money, &*store, event, SETTINGS, source).await) }
    });
    attached.unwrap();
}

/// Runs all that is attached. No function of these tests takes from the queues of seals and notices.
pub(crate) async fn settle(sandbox: &Sandbox) {
    if let Err(unsettled) = sandbox.world.settle_with_time().await {
        let left = format!("{unsettled:?}");
        assert!(!left.contains("campaign") && !left.contains("fanouts"), "{left}");
    }
}
