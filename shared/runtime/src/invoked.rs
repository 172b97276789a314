//! From Lambda's context to an invocation, and what is told of it.

use std::future::Future;

use lambda_runtime::Context;
use largesse_app::invocation::{self, Invocation};
use largesse_app::trace::TraceId;
use largesse_app::usage;
use largesse_domain::time::Timestamp;

use crate::emf;

/// The time kept back from Lambda's deadline, in which the function can still answer that its work
/// did not end in time.
const DEADLINE_MARGIN_MS: u64 = 200;

/// The invocation of a context: its deadline less the margin, its request id, and its trace.
pub(crate) fn invocation_of(context: &Context) -> Invocation {
    let deadline_ms = i64::try_from(context.deadline).unwrap_or(i64::MAX);
    let deadline = Timestamp::from_ms(deadline_ms).minus_ms(DEADLINE_MARGIN_MS);
    let trace = context.xray_trace_id.as_deref().and_then(TraceId::of_xray);
    let request_id = Some(context.request_id.clone());
    Invocation { request_id, trace, ..Invocation::until(deadline) }
}

/// Runs the work of an invocation, and writes the metrics of what it did.
pub(crate) async fn invoked<F: Future>(context: Context, work: F) -> F::Output {
    emf::start(&context.env_config.function_name);
    let output = invocation::scope(invocation_of(&context), work).await;
    // Before Lambda hears the answer: it may freeze the process then.
    emf::write();
    output
}

/// Runs the work of an event that is no request, and logs what it used. (The kernel logs a line of each
/// request.)
pub(crate) async fn logged<F: Future>(work: F) -> F::Output {
    let (output, used) = usage::counted(work).await;
    tracing::info!(
        request.id = invocation::request_id(),
        trace.id = invocation::trace().map(|trace| trace.to_string()),
        dynamo.calls = used.calls,
        dynamo.read_units = used.read.to_string(),
        dynamo.write_units = used.write.to_string(),
        "the invocation has ended"
    );
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invocation_ends_before_lambda_kills_it() {
        let mut context = Context::default();
        context.deadline = 1_769_850_000_000;
        context.request_id = "r-1".to_owned();
        let trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1";
        context.xray_trace_id = Some(trace.to_owned());
        let invocation = invocation_of(&context);
        assert_eq!(invocation.deadline.ms(), 1_769_849_999_800);
        assert_eq!(invocation.request_id.as_deref(), Some("r-1"));
        assert_eq!(invocation.trace, TraceId::of_xray(trace));
    }
}
