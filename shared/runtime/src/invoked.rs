//! From Lambda's context to an invocation.

use lambda_runtime::Context;
use largesse_app::invocation::Invocation;
use largesse_domain::time::Timestamp;

/// The time kept back from Lambda's deadline, in which the function can still answer that its work
/// did not end in time.
const DEADLINE_MARGIN_MS: u64 = 200;

/// The invocation of a context: its deadline less the margin, and its request id.
pub(crate) fn invocation_of(context: Context) -> Invocation {
    let deadline_ms = i64::try_from(context.deadline).unwrap_or(i64::MAX);
    let deadline = Timestamp::from_ms(deadline_ms).minus_ms(DEADLINE_MARGIN_MS);
    Invocation { request_id: Some(context.request_id), ..Invocation::until(deadline) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invocation_ends_before_lambda_kills_it() {
        let mut context = Context::default();
        context.deadline = 1_769_850_000_000;
        context.request_id = "r-1".to_owned();
        let invocation = invocation_of(context);
        assert_eq!(invocation.deadline.ms(), 1_769_849_999_800);
        assert_eq!(invocation.request_id.as_deref(), Some("r-1"));
    }
}
