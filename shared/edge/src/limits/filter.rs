//! The filter: how often a member and an owner may come to this process. It reads nothing and writes
//! nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use largesse_app::ports::Clock;
use largesse_domain::id::UserId;
use largesse_domain::rate::Moment;
use largesse_domain::throttle::{Admission, Throttle};

use super::{Limits, Standing, owner_of_request, seconds};
use crate::config::EdgeConfig;
use crate::error::ApiError;
use crate::extract::{USER_HEADER, header_once};

/// How many seconds' worth of requests may come at once.
pub(super) const BURST_S: u32 = 2;
/// How many members, and how many owners, one process counts: some 100 bytes each.
pub(super) const CALLERS_MAX: usize = 10_000;

/// What each caller of one kind has left.
#[derive(Debug)]
pub(super) struct Callers {
    throttle: Throttle,
    states: Mutex<HashMap<String, Moment>>,
}

impl Callers {
    pub(super) fn new(per_s: u32) -> Self {
        let throttle = Throttle::new(per_s, per_s.saturating_mul(BURST_S));
        Self { throttle, states: Mutex::default() }
    }

    /// Decides on a request of a caller.
    pub(super) fn admit(&self, caller: &str, now: Moment) -> Admission {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = states.get_mut(caller) {
            let admission = self.throttle.admit(*state, now);
            *state = admission.state;
            return admission;
        }
        if states.len() >= CALLERS_MAX {
            // Whose whole burst is back is as one who has not come.
            states.retain(|_, state| *state > now);
            // Many callers that come often: to look through all of them at each request would cost
            // more than to begin anew. The budgets do not forget.
            if states.len() > CALLERS_MAX.div_euclid(2) {
                states.clear();
            }
        }
        let admission = self.throttle.admit(Moment(0), now);
        states.insert(caller.to_owned(), admission.state);
        admission
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.states.lock().unwrap().len()
    }

    fn refuse(&self, policy: &'static str, wait_ns: u64) -> ApiError {
        let ms = |ns: u64| ns.div_ceil(1_000_000);
        let standing = Standing {
            policy,
            quota: self.throttle.burst(),
            window_s: seconds(ms(self.throttle.refill_ns())),
            left: 0,
            reset_s: seconds(ms(wait_ns)),
        };
        ApiError::too_many("Too many requests.", standing)
    }
}

/// The filter of one process, or of one function of the local stack.
struct Filter<D> {
    clock: Arc<D>,
    members: Callers,
    owners: Callers,
}

impl<D: Clock> Filter<D> {
    /// The owner's limit comes first: it is the wider one, and holds whatever members a caller names.
    fn admit(&self, owner: &str, member: Option<&str>) -> Result<(), ApiError> {
        let now = Moment::of(self.clock.now());
        let admission = self.owners.admit(owner, now);
        if !admission.is_admitted() {
            return Err(self.owners.refuse("requests-owner", admission.wait_ns));
        }
        let Some(member) = member else { return Ok(()) };
        let admission = self.members.admit(member, now);
        if admission.is_admitted() {
            Ok(())
        } else {
            Err(self.members.refuse("requests-member", admission.wait_ns))
        }
    }
}

/// Puts the filter in front of a function's routes. Its place is inside the kernel, which renders the
/// refusal, and inside what authenticates, which knows the owner.
pub fn filtered<D>(router: Router, clock: Arc<D>, edge: &EdgeConfig) -> Router
where
    D: Clock + 'static,
{
    let Limits { member_per_s, owner_per_s, .. } = edge.limits;
    let (members, owners) = (Callers::new(member_per_s), Callers::new(owner_per_s));
    let filter = Arc::new(Filter { clock, members, owners });
    router.route_layer(from_fn_with_state(filter, before::<D>))
}

async fn before<D>(State(filter): State<Arc<Filter<D>>>, request: Request, next: Next) -> Response
where
    D: Clock + 'static,
{
    // What is no user id is refused by the handler, and is not kept here.
    let member = header_once(request.headers(), USER_HEADER).ok();
    let member = member.filter(|text| text.parse::<UserId>().is_ok());
    match filter.admit(owner_of_request(&request), member) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}
