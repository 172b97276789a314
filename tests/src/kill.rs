//! Kills work at an await, and polls two pieces of work in any order.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

/// Runs `work` until it waits for the `k`-th time (from 1), then drops it there, as a killed
/// process would. `None`: it was killed; `Some`: it ended before.
pub async fn kill_at<F: Future>(k: usize, work: F) -> Option<F::Output> {
    let mut work = Box::pin(work);
    let mut waits = 0_usize;
    std::future::poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => {
            waits += 1;
            if waits >= k { Poll::Ready(None) } else { Poll::Pending }
        }
    })
    .await
}

/// Runs two pieces of work by a schedule: `true` polls the first, `false` the second; when the
/// schedule is used up or one has ended, the rest runs on. Both outputs.
pub async fn interleave<A: Future, B: Future>(
    schedule: &[bool],
    first: A,
    second: B,
) -> (A::Output, B::Output) {
    let (mut first, mut second) = (Box::pin(first), Box::pin(second));
    let (mut a, mut b) = (None, None);
    for is_first in schedule {
        if *is_first && a.is_none() {
            a = step(first.as_mut()).await;
        } else if !is_first && b.is_none() {
            b = step(second.as_mut()).await;
        }
    }
    let a = match a {
        Some(output) => output,
        None => first.await,
    };
    let b = match b {
        Some(output) => output,
        None => second.await,
    };
    (a, b)
}

/// Polls once.
async fn step<F: Future>(mut work: Pin<&mut F>) -> Option<F::Output> {
    let polled = std::future::poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await;
    // Lets whatever it waits for come to pass.
    tokio::task::yield_now().await;
    polled
}
