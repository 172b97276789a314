//! The `$default` function answers a wrong method as all routes together do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::body::Body;
use http::Request;
use largesse::compose;
use largesse_edge::cursor::CursorKey;
use largesse_edge::{EdgeConfig, kernel};
use largesse_tests::http::Api;
use tower::ServiceExt;

/// The methods of an `Allow` header, in any order.
fn methods(allow: &str) -> BTreeSet<&str> {
    allow.split(',').collect()
}

/// API Gateway sends every request without a route to the function that `$default` names. That
/// function serves only some of the routes; the local stack serves all in one router.
#[tokio::test]
async fn the_default_function_answers_a_wrong_method_as_the_local_stack_does() {
    let api = Api::new(2);
    let functions = &api.sandbox.world.stack().functions;
    let is_default = |(_, path): &(String, String)| path == "$default";
    let default = functions.iter().find(|f| f.routes.iter().any(is_default)).unwrap();
    assert_eq!(default.binary, "query");
    let edge = EdgeConfig::open(CursorKey::new("a secret that only tests know").unwrap());
    let store = api.sandbox.store.clone();
    let router = compose::routes_of(default, &store, &Arc::new(edge)).unwrap();
    let router = kernel::wrap_default(router, store, query::about::methods_of);

    let mut routes: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let deployed = functions.iter().flat_map(|function| &function.routes);
    for (method, path) in deployed.filter(|route| !is_default(route)) {
        let allowed = routes.entry(path).or_default();
        allowed.insert(method);
        if method == "GET" {
            allowed.insert("HEAD");
        }
    }
    let mut refused = 0;
    for (pattern, allowed) in &routes {
        let path = pattern.replace(['{', '}'], "");
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
            if allowed.contains(method) {
                continue;
            }
            let local = api.ask(method, &path).await;
            assert_eq!(local.status, 405, "{method} {path}");
            assert_eq!(methods(local.header("allow")), *allowed, "{method} {path}");
            let request = Request::builder().method(method).uri(&path);
            let request = request.body(Body::empty()).unwrap();
            let deployed = router.clone().oneshot(request).await.unwrap();
            assert_eq!(deployed.status(), 405, "{method} {path}");
            let allow = deployed.headers()["allow"].to_str().unwrap();
            assert_eq!(methods(allow), *allowed, "{method} {path}");
            refused += 1;
        }
    }
    assert!(refused > routes.len());
}
