//! A fault hook that runs work in the middle of a port's method: between its read and its write.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use largesse_emulator::{Call, Fault, FaultHook};
use largesse_tests::Sandbox;

/// Before which call the work runs: the n-th (from 1) of this operation on this table.
pub(crate) struct Before(pub(crate) usize, pub(crate) &'static str, pub(crate) &'static str);

struct Meanwhile {
    before: Before,
    seen: AtomicUsize,
    work: Mutex<Option<BoxFuture<'static, ()>>>,
}

impl FaultHook for Meanwhile {
    fn before<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Option<Fault>> {
        let Before(nth, operation, table) = self.before;
        let is_on = call.resources.iter().any(|resource| resource == table);
        if call.operation != operation || !is_on {
            return async { None }.boxed();
        }
        if self.seen.fetch_add(1, Ordering::Relaxed) + 1 != nth {
            return async { None }.boxed();
        }
        // The calls of the work itself are counted too, but come after the n-th.
        let work = self.work.lock().unwrap_or_else(PoisonError::into_inner).take();
        async {
            if let Some(work) = work {
                work.await;
            }
            None
        }
        .boxed()
    }
}

/// Runs `work` once: when that call has left the adapter, before it arrives.
pub(crate) fn meanwhile(
    sandbox: &Sandbox,
    before: Before,
    work: impl Future<Output = ()> + Send + 'static,
) {
    let work = Mutex::new(Some(work.boxed()));
    let meanwhile = Meanwhile { before, seen: AtomicUsize::new(0), work };
    sandbox.world.set_fault_hook(Some(Arc::new(meanwhile)));
}
