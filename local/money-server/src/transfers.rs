//! The API: transfers.

use std::sync::Arc;

use axum::extract::{ConnectInfo, Path, State as Extract};
use axum::response::Response;
use axum::{Router, routing};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use utoipa::OpenApi;

use crate::answer::Answer;
use crate::books::{Asked, Books, Decision, Due, Taken};
use crate::faults::{Fault, Faults, Verb};
use crate::line::Line;
use crate::state::{Call, Shared, Through};
use crate::wire::{Order, Problem, Status, Transfer};

/// The header with the transfer's id.
const KEY: &str = "idempotency-key";
/// The longest id, in characters.
const ID_LEN_MAX: usize = 128;

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/transfers", routing::post(pay))
        .route("/transfers/{id}", routing::get(look_up))
        .route("/transfers/{id}/reversal", routing::post(reverse))
}

/// What the API is: docs/money-openapi.json.
#[must_use]
pub fn api() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Money API for Largesse",
        version = "1",
        description = "What Largesse needs of a service that moves money. docs/money.md says what \
                       each answer means. Every call may carry `Authorization: Bearer`.",
        license(name = "Apache-2.0"),
    ),
    paths(pay, look_up, reverse)
)]
struct Document;

fn is_id(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':' | b'.' | b'-');
    (1..=ID_LEN_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

/// Counts the call, lets it meet its fault, and does what is left to do.
async fn serve(
    shared: &Shared,
    line: &Line,
    call: Call<'_>,
    act: impl FnOnce(&mut Books, &Faults, Through) -> Answer,
) -> Response {
    let _under_way = shared.under_way();
    let (answer, fault, faults) = {
        let mut state = shared.lock();
        let state = &mut *state;
        let entered = shared.enter(call, state);
        let faults = state.faults.clone();
        match entered {
            Err(answer) => (answer, None, faults),
            // What is answered does not matter: it is never sent.
            Ok(Through { fault: fault @ Some(Fault::ResetBefore), .. }) => {
                (Answer::problem(StatusCode::BAD_GATEWAY, "reset", ""), fault, faults)
            }
            Ok(through) => (act(&mut state.books, &faults, through), through.fault, faults),
        }
    };
    answer.send(fault, &faults, line).await
}

fn malformed(detail: &str) -> Answer {
    Answer::problem(StatusCode::BAD_REQUEST, "invalid_request", detail)
}

/// Reads an order, which must carry the id of its header.
fn read_order(headers: &HeaderMap, body: &[u8]) -> Result<Order, Answer> {
    let order: Order = serde_json::from_slice(body)
        .map_err(|_| malformed("The body is no transfer in JSON; see the description."))?;
    if !is_id(&order.id) || order.amount == 0 || order.member.is_empty() {
        return Err(malformed("A transfer has an id, a member and an amount of at least 1."));
    }
    let key = headers.get(KEY).and_then(|key| key.to_str().ok());
    if key != Some(&order.id) {
        return Err(malformed("Idempotency-Key is the id of the transfer."));
    }
    Ok(order)
}

/// Pays a transfer, once for its id. A call with the same id and content again moves nothing more.
#[utoipa::path(
    post,
    path = "/transfers",
    operation_id = "pay",
    params(("Idempotency-Key" = String, Header, description = "The id of the transfer.")),
    request_body = Order,
    responses(
        (status = 201, description = "Paid, by this call.", body = Transfer),
        (status = 200, description = "Paid before, under the same id.", body = Transfer),
        (status = 202, description = "Accepted; it is paid or refused later.", body = Transfer),
        (status = 400, description = "The request is malformed. Nothing moved.", body = Problem),
        (status = 401, description = "The secret is missing or wrong. Nothing moved."),
        (status = 403, description = "The secret may not call this. Nothing moved."),
        (status = 409, description = "The id stands for other content.", body = Problem),
        (status = 422, description = "Refused. Nothing moved.", body = Problem),
        (status = 429, description = "Too many calls. Nothing moved.",
         headers(("Retry-After" = String, description = "Seconds, or an HTTP date."))),
        (status = 503, description = "The service does not work."),
    )
)]
async fn pay(
    Extract(shared): Extract<Arc<Shared>>,
    ConnectInfo(line): ConnectInfo<Line>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let order = read_order(&headers, &body);
    let id = order.as_ref().map_or("", |order| order.id.as_str());
    let call = Call { headers: &headers, id, verb: Verb::Pay };
    let (now_ms, seed) = (shared.now_ms(), shared.seed);
    let act = |books: &mut Books, faults: &Faults, through: Through| match &order {
        Err(answer) => answer.clone(),
        Ok(order) => {
            let decide = || decision(order, faults, through, now_ms, seed);
            let asked = books.pay(order, now_ms, decide);
            paid(books, order, asked, through.fault, now_ms)
        }
    };
    serve(&shared, &line, call, act).await
}

fn decision(order: &Order, faults: &Faults, through: Through, now_ms: u64, seed: u64) -> Decision {
    let code = || faults.refusal_code.clone();
    match through.fault {
        _ if faults.closed.contains(&order.member) => Decision::Refuse(code()),
        Some(Fault::Refuse) => Decision::Refuse(code()),
        Some(Fault::WrongAmount) => Decision::Pay(order.amount.saturating_add(1)),
        Some(Fault::Pend) => {
            let is_refusal = faults.verdict_is_refusal(seed, &order.id, through.nth);
            Decision::Pend(faults.verdict_after_ms.map(|after_ms| Due {
                at_ms: now_ms.saturating_add(after_ms),
                refusal: is_refusal.then(code),
            }))
        }
        _ => Decision::Pay(order.amount),
    }
}

fn paid(
    books: &mut Books,
    order: &Order,
    asked: Asked,
    fault: Option<Fault>,
    now_ms: u64,
) -> Answer {
    let status = match asked {
        Asked::Paid => StatusCode::CREATED,
        Asked::PaidBefore => StatusCode::OK,
        Asked::Pending => StatusCode::ACCEPTED,
        Asked::Refused(code) => {
            let detail = "The payment is refused.";
            return Answer::problem(StatusCode::UNPROCESSABLE_ENTITY, &code, detail);
        }
        Asked::OtherContent => {
            let detail = "The id stands for a transfer with other content.";
            return Answer::problem(StatusCode::CONFLICT, "other_content", detail);
        }
    };
    let mut transfer = books.look_up(&order.id, now_ms);
    if let (Some(transfer), Some(Fault::WrongMember)) = (&mut transfer, fault) {
        transfer.member.push('x');
    }
    Answer::new(status, &transfer)
}

/// Where a transfer stands.
#[utoipa::path(
    get,
    path = "/transfers/{id}",
    operation_id = "look_up",
    params(("id" = String, Path, description = "The id of the transfer.")),
    responses(
        (status = 200, description = "Where it stands.", body = Transfer),
        (status = 401, description = "The secret is missing or wrong."),
        (status = 403, description = "The secret may not call this."),
        (status = 404, description = "No such transfer: nothing moved under this id.", body = Problem),
        (status = 429, description = "Too many calls.",
         headers(("Retry-After" = String, description = "Seconds, or an HTTP date."))),
        (status = 503, description = "The service does not work."),
    )
)]
async fn look_up(
    Extract(shared): Extract<Arc<Shared>>,
    ConnectInfo(line): ConnectInfo<Line>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let call = Call { headers: &headers, id: &id, verb: Verb::LookUp };
    let now_ms = shared.now_ms();
    let act = |books: &mut Books, _: &Faults, _: Through| match books.look_up(&id, now_ms) {
        Some(transfer) => Answer::new(StatusCode::OK, &transfer),
        None => Answer::problem(StatusCode::NOT_FOUND, "not_found", "No such transfer."),
    };
    serve(&shared, &line, call, act).await
}

/// Takes a payment back from its member, whole or not at all, once.
#[utoipa::path(
    post,
    path = "/transfers/{id}/reversal",
    operation_id = "reverse",
    params(("id" = String, Path, description = "The id of the transfer.")),
    responses(
        (status = 201, description = "Reversed, by this call.", body = Transfer),
        (status = 200, description = "Reversed before.", body = Transfer),
        (status = 401, description = "The secret is missing or wrong. Nothing moved."),
        (status = 403, description = "The secret may not call this. Nothing moved."),
        (status = 404, description = "It was never paid.", body = Problem),
        (status = 409, body = Problem, description =
         "`shortfall`: the member has spent it, and `missing` says how much it lacks. `pending`: \
          the transfer is not decided. Nothing moved."),
        (status = 429, description = "Too many calls. Nothing moved.",
         headers(("Retry-After" = String, description = "Seconds, or an HTTP date."))),
        (status = 503, description = "The service does not work."),
    )
)]
async fn reverse(
    Extract(shared): Extract<Arc<Shared>>,
    ConnectInfo(line): ConnectInfo<Line>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let call = Call { headers: &headers, id: &id, verb: Verb::Reverse };
    let now_ms = shared.now_ms();
    let act = |books: &mut Books, _: &Faults, _: Through| {
        let status = match books.reverse(&id, now_ms) {
            Taken::Reversed => StatusCode::CREATED,
            Taken::ReversedBefore => StatusCode::OK,
            Taken::NeverPaid => {
                let detail = "The transfer was never paid.";
                return Answer::problem(StatusCode::NOT_FOUND, "never_paid", detail);
            }
            Taken::StillPending => {
                let detail = "The transfer is not decided.";
                return Answer::problem(StatusCode::CONFLICT, "pending", detail);
            }
            Taken::Shortfall(missing) => {
                let (code, detail) =
                    ("shortfall".to_owned(), "The member has spent it.".to_owned());
                let problem = Problem { code, detail, missing: Some(missing) };
                return Answer::new(StatusCode::CONFLICT, &problem);
            }
        };
        let transfer = books.look_up(&id, now_ms);
        debug_assert!(transfer.as_ref().is_some_and(|one| one.status == Status::Reversed));
        Answer::new(status, &transfer)
    };
    serve(&shared, &line, call, act).await
}
