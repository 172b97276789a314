//! Each part by itself: what the middleware does for a request, one after another.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use largesse_app::budget::Limit;
use largesse_app::budget::create::{self, CreationLimits};
use largesse_app::budget::miss::{self, Misses};
use largesse_app::key::check;
use largesse_app::ports::{Budgets, Clock, Ids, Keys};
use largesse_aws::Store;
use largesse_domain::id::{RoomId, UserId};
use largesse_edge::auth::signature::{Parts, Signatures, sign, signed_text};
use largesse_edge::limits::filtered;
use tower::ServiceExt;

use super::super::lab::{open_edge, user_id};
use super::super::meter::{self, Count, summary};
use super::super::report::{Cell, Table};
use super::super::{BenchError, broken, started};
use super::scene::{OWNER, Scene};
use super::{TIMED_MAX, Times, cells};

/// The largest body of most routes.
const BODY_LEN: usize = 64 * 1024;
/// How far apart uses of a key are that are all written.
const HOUR_MS: u64 = 3_600_001;

/// Measures each part.
///
/// # Errors
/// [`BenchError`].
pub(super) async fn measure(scene: &Scene) -> Result<Table, BenchError> {
    let mut rows = key_rows(scene).await?;
    rows.extend(limit_rows(scene).await?);
    Ok(Table {
        name: "auth_parts",
        title: "Auth: what knowing and limiting a caller takes, part by part".to_owned(),
        columns: super::COLUMNS.to_vec(),
        rows,
        notes: vec![
            "key, signature, nonce: AUTH=signed; a request waits for key and nonce one after the \
             other"
                .to_owned(),
            "limits: both modes. A request whose token its process knows reads none; a claim reads \
             them side by side with the token"
                .to_owned(),
            "the signature takes no call: its text is hashed with the body, and compared in constant \
             time"
                .to_owned(),
        ],
    })
}

type Rows = Vec<(String, Vec<Cell>)>;

async fn key_rows(scene: &Scene) -> Result<Rows, BenchError> {
    let (key, lab) = (&scene.key, &scene.lab);
    let text = scene.text.clone();
    let known = lab.another_store()?;
    let used_from = lab.store.now();
    let checked = async |store: Arc<Store>| {
        check::key(&*store, &text, None, store.now()).await.map(drop).map_err(broken)
    };
    let fresh = |_| lab.another_store();
    let mut rows = vec![row(scene, "key, first of a process", fresh, checked).await?];
    checked(known.clone()).await?;
    let same = |_| Ok(known.clone());
    rows.push(row(scene, "key, known to the process", same, checked).await?);
    // Each an hour after the one before, so that all are written.
    let moment = |number: u32| Ok(used_from.plus_ms(HOUR_MS.saturating_mul(u64::from(number))));
    let touch = async |at| Ok(known.touch_key(key.id, at).await?);
    rows.push(row(scene, "key, its use, once an hour", moment, touch).await?);
    for (name, len) in [("signature, no body", 0), ("signature, body of 64 KiB", BODY_LEN)] {
        let body = vec![b'a'; len];
        let signed = signed_text(&parts(&body));
        let signatures = Signatures::parse(&sign(&scene.secrets.secret_of(key.id), &signed));
        let signatures = signatures.ok_or_else(|| BenchError::Broken("no signature".to_owned()))?;
        let verify = async |()| {
            let is_good = scene.secrets.verify(key.id, &signatures, &signed_text(&parts(&body)));
            is_good.then_some(()).ok_or_else(|| BenchError::Broken("it is refused".to_owned()))
        };
        rows.push(row(scene, name, |_| Ok(()), verify).await?);
    }
    let nonce = |_| Ok(lab.store.ulid().to_string());
    let take = async |nonce: String| {
        let is_first = check::is_first(&*known, key, &nonce, known.now()).await?;
        is_first.then_some(()).ok_or_else(|| BenchError::Broken("a nonce came twice".to_owned()))
    };
    rows.push(row(scene, "nonce", nonce, take).await?);
    Ok(rows)
}

/// A claim, as it is signed.
const fn parts(body: &[u8]) -> Parts<'_> {
    Parts {
        method: "POST",
        path: "/api/v2/sprays/abc/claims",
        query: "",
        timestamp: "1700000000",
        nonce: "01K9Z3NDEKTSV4RRFFQ69G5FAV",
        user: "8f14e45f-ceea-467f-a9d6-9b1a3b0a4d11",
        room: "01K9Z3NDEKTSV4RRFFQ69G5FAV",
        body,
    }
}

async fn limit_rows(scene: &Scene) -> Result<Rows, BenchError> {
    let lab = &scene.lab;
    let member = |number: u32| user_id(&lab.member(number));
    let bare = Router::new().route("/", get(async || ()));
    let behind = filtered(bare.clone(), lab.store.clone(), &open_edge()?);
    let mut rows = Vec::new();
    for (name, router) in
        [("a route that does nothing", bare), ("limits: the same behind the filter", behind)]
    {
        let request = |number: u32| {
            let request = Request::get("/").header("x-user-id", lab.member(number));
            let request = request.body(Body::empty()).map_err(broken)?;
            Ok((router.clone(), request))
        };
        let route = async |(router, request): (Router, Request<Body>)| {
            let Ok(answer) = router.oneshot(request).await;
            let is_good = answer.status().is_success();
            is_good.then_some(()).ok_or_else(|| BenchError::Broken("it is refused".to_owned()))
        };
        rows.push(row(scene, name, request, route).await?);
    }
    let misses = Misses { owner: OWNER.to_owned(), ..Misses::NONE };
    let room = RoomId(lab.store.ulid());
    let budgets = |number: u32| Ok(misses.budgets(&member(number)?, Some(room)));
    let read = async |limits: Vec<Limit>| {
        let ids: Vec<_> = limits.into_iter().map(|limit| limit.id).collect();
        Ok(lab.store.used(&ids, lab.store.now()).await.map(drop)?)
    };
    rows.push(row(scene, "limits: missed tokens, read", budgets, read).await?);
    let own = |number: u32| Ok(budgets(number)?.into_iter().take(1).collect());
    rows.push(row(scene, "limits: missed tokens, the member's alone, read", own, read).await?);
    let count = async |limits: Vec<Limit>| {
        Ok(miss::count(&*lab.store, &limits, lab.store.now()).await.map(drop)?)
    };
    rows.push(row(scene, "limits: a missed token, counted", budgets, count).await?);
    let create = async |(store, member): (Arc<Store>, UserId)| {
        let left = create::admit(&*store, OWNER, &member, CreationLimits::NONE).await?;
        left.map(drop).map_err(broken)
    };
    let fresh = |number: u32| Ok((lab.another_store()?, member(number)?));
    rows.push(row(scene, "limits: a creation, first of a process", fresh, create).await?);
    let same = |number: u32| Ok((lab.store.clone(), member(number)?));
    rows.push(row(scene, "limits: a creation, one of many", same, create).await?);
    Ok(rows)
}

/// Counts and times what `operation` does. What it needs is prepared before.
async fn row<T>(
    scene: &Scene,
    name: &str,
    prepare: impl Fn(u32) -> Result<T, BenchError>,
    operation: impl AsyncFn(T) -> Result<(), BenchError>,
) -> Result<(String, Vec<Cell>), BenchError> {
    let mut times = Times::of(1)?;
    for number in 0..TIMED_MAX {
        let prepared = prepare(number)?;
        let began = started();
        let done = operation(prepared).await;
        times.record(0, began.elapsed());
        done?;
    }
    let mut counts: Vec<Count> = Vec::new();
    for number in 0..super::COUNTED {
        let prepared = prepare(TIMED_MAX.saturating_add(number))?;
        let (done, count) = meter::count(&scene.lab.world, operation(prepared)).await;
        done?;
        counts.push(count);
    }
    Ok((name.to_owned(), cells(summary(&counts), times.cells(0))))
}
