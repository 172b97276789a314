//! What all handlers share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use largesse_app::ports::Clock;

use crate::answer::Answer;
use crate::books::Books;
use crate::faults::{Fault, Faults, RetryAfter, Verb};
use crate::rate::{Admission, Rate};
use crate::report::Report;

/// What changes.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) books: Books,
    pub(crate) faults: Faults,
    outage_until_ms: u64,
    rate: Rate,
    pub(crate) calls: u64,
    under_way: u64,
    peak_at_once: u64,
    /// How often each call was made on each transfer.
    made: HashMap<(Verb, String), u64>,
}

pub(crate) struct Shared {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
    pub(crate) seed: u64,
    secret: Option<String>,
}

/// A call of the API.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) headers: &'a HeaderMap,
    pub(crate) id: &'a str,
    pub(crate) verb: Verb,
}

/// A call that comes through to the books.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Through {
    pub(crate) fault: Option<Fault>,
    /// How often the same call was made before.
    pub(crate) nth: u64,
}

impl Shared {
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        seed: u64,
        secret: Option<String>,
        faults: Faults,
    ) -> Self {
        let shared = Self { state: Mutex::default(), clock, seed, secret };
        shared.set_faults(faults);
        shared
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.now().ms_unsigned()
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        let until = self.now_ms().saturating_add(faults.outage_ms);
        let mut state = self.lock();
        state.outage_until_ms = until;
        state.faults = faults;
    }

    pub(crate) fn report(&self) -> Report {
        let now_ms = self.now_ms();
        let mut state = self.lock();
        Report {
            calls: state.calls,
            limit_violations: state.rate.violations,
            peak_per_s: state.rate.peak_per_s,
            peak_at_once: state.peak_at_once,
            ..state.books.report(now_ms)
        }
    }

    /// Counts a call as under way until the value is dropped, whether it was answered or given up.
    pub(crate) fn under_way(&self) -> UnderWay<'_> {
        let mut state = self.lock();
        state.under_way = state.under_way.saturating_add(1);
        state.peak_at_once = state.peak_at_once.max(state.under_way);
        UnderWay(self)
    }

    /// Counts a call, and lets it through or answers it.
    pub(crate) fn enter(&self, call: Call<'_>, state: &mut State) -> Result<Through, Answer> {
        let now_ms = self.now_ms();
        let number = state.calls;
        state.calls = state.calls.saturating_add(1);
        let limit = state.faults.limit_per_s;
        if let Admission::Above { wait_ms } = state.rate.arrive(now_ms, limit) {
            return Err(throttled(state.faults.retry_after, now_ms, wait_ms));
        }
        if now_ms < state.outage_until_ms {
            return Err(down(StatusCode::SERVICE_UNAVAILABLE));
        }
        if state.faults.is_in_burst(self.seed, number) {
            let statuses = [500, 502, 503].map(|n| StatusCode::from_u16(n).unwrap_or_default());
            let turn = usize::try_from(number.rem_euclid(3)).unwrap_or(0);
            return Err(down(statuses.get(turn).copied().unwrap_or_default()));
        }
        if !self.is_known(call.headers) {
            let detail = "The bearer secret is missing or wrong.";
            return Err(Answer::problem(StatusCode::UNAUTHORIZED, "unauthorized", detail));
        }
        let made = state.made.entry((call.verb, call.id.to_owned())).or_default();
        let nth = *made;
        *made = made.saturating_add(1);
        let fault = state.faults.meet(self.seed, call.verb, call.id, nth);
        match fault {
            Some(Fault::Throttle) => Err(throttled(state.faults.retry_after, now_ms, 1_000)),
            Some(Fault::Fail) => Err(down(StatusCode::SERVICE_UNAVAILABLE)),
            Some(Fault::Deny) => {
                let detail = "This secret may not call this.";
                Err(Answer::problem(StatusCode::FORBIDDEN, "forbidden", detail))
            }
            _ => Ok(Through { fault, nth }),
        }
    }

    fn is_known(&self, headers: &HeaderMap) -> bool {
        let Some(secret) = &self.secret else { return true };
        let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        given.and_then(|text| text.strip_prefix("Bearer ")) == Some(secret)
    }
}

/// A call that is under way.
pub(crate) struct UnderWay<'a>(&'a Shared);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.under_way = state.under_way.saturating_sub(1);
    }
}

fn down(status: StatusCode) -> Answer {
    Answer::problem(status, "unavailable", "The service does not work at the moment.")
}

fn throttled(form: RetryAfter, now_ms: u64, wait_ms: u64) -> Answer {
    let when = match form {
        RetryAfter::Seconds => Some(wait_ms.div_ceil(1_000).to_string()),
        RetryAfter::Date => {
            // A date has whole seconds; the next one is not too early.
            let at_s = now_ms.saturating_add(wait_ms).div_ceil(1_000);
            let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(at_s));
            at.map(httpdate::fmt_http_date)
        }
        RetryAfter::None => None,
    };
    let detail = "Too many calls in one second.";
    let answer = Answer::problem(StatusCode::TOO_MANY_REQUESTS, "too_many_calls", detail);
    answer.retry_after(when)
}
