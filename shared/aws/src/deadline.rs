//! No call to AWS outlives the invocation that made it.
//!
//! The SDK has no timeouts by default, and a function that is killed in the middle of a call cannot
//! even say so. The invocation's deadline is set around its work; an interceptor turns what is left
//! of it into the SDK's operation and attempt timeouts.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeSerializationInterceptorContextRef;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::timeout::TimeoutConfig;
use largesse_app::ports::Clock;
use largesse_domain::time::Timestamp;

tokio::task_local! {
    static DEADLINE: Timestamp;
}

/// The longest an operation may take, retries included, in milliseconds. Far above DynamoDB's usual
/// few milliseconds, below the 10 s that template.yaml gives a function behind HTTP.
const OPERATION_MS_MAX: u64 = 5_000;
/// How many attempts fit into an operation's time at least.
const ATTEMPTS_PER_OPERATION: u32 = 3;

/// Runs `work` with the moment by which everything in it must have answered.
pub async fn scope<F: Future>(deadline: Timestamp, work: F) -> F::Output {
    DEADLINE.scope(deadline, work).await
}

/// Sets the timeouts of each operation from what is left of the deadline.
#[derive(Clone)]
pub(crate) struct Timeouts {
    clock: Arc<dyn Clock>,
}

impl Timeouts {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock }
    }

    fn left_ms(&self) -> u64 {
        let left = DEADLINE.try_with(|deadline| deadline.ms_since(self.clock.now()));
        left.unwrap_or(OPERATION_MS_MAX).clamp(1, OPERATION_MS_MAX)
    }
}

impl std::fmt::Debug for Timeouts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Timeouts")
    }
}

impl Intercept for Timeouts {
    fn name(&self) -> &'static str {
        "Timeouts"
    }

    fn read_before_execution(
        &self,
        _context: &BeforeSerializationInterceptorContextRef<'_>,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = Duration::from_millis(self.left_ms());
        let attempt = operation.checked_div(ATTEMPTS_PER_OPERATION).unwrap_or(operation);
        let timeouts = TimeoutConfig::builder()
            .operation_timeout(operation)
            .operation_attempt_timeout(attempt)
            .build();
        cfg.interceptor_state().store_put(timeouts);
        Ok(())
    }
}
