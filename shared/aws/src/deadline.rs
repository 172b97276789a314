//! No call to AWS outlives the invocation that made it.
//!
//! The SDK has no timeouts by default, and a function that Lambda kills during a call leaves no
//! log line. The interceptor here reads the deadline of the current invocation and sets the time
//! that is left as the SDK's operation and attempt timeouts.

use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeSerializationInterceptorContextRef;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::timeout::TimeoutConfig;
use largesse_app::invocation;
use largesse_app::ports::Clock;

/// The longest time of an operation, retries included, in milliseconds. DynamoDB usually answers in
/// a few milliseconds; template.yaml gives a function behind HTTP 10 s.
const OPERATION_MS_MAX: u64 = 5_000;
/// How many attempts fit into the time of one operation, at least.
const ATTEMPTS_PER_OPERATION: u32 = 3;

/// Sets the timeouts of each operation to the time that is left until the deadline.
#[derive(Clone)]
pub(crate) struct Timeouts {
    clock: Arc<dyn Clock>,
}

impl Timeouts {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock }
    }

    fn left_ms(&self) -> u64 {
        let left = invocation::deadline().map(|deadline| deadline.ms_since(self.clock.now()));
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
