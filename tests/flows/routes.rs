//! A wrong method is answered by whichever function gets it as by all routes together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::body::Body;
use http::Request;
use largesse::compose;
use largesse_edge::cursor::CursorKey;
use largesse_edge::routes::ROUTES;
use largesse_edge::{EdgeConfig, kernel};
use largesse_tests::http::Api;
use tower::ServiceExt;

#[tokio::test]
async fn the_table_of_routes_is_the_templates() {
    let api = Api::new(1);
    let mut deployed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for function in &api.sandbox.world.stack().functions {
        for (method, path) in function.routes.iter().filter(|(_, path)| path != "$default") {
            let methods = deployed.entry(path.clone()).or_default();
            methods.insert(method.clone());
            if method == "GET" {
                methods.insert("HEAD".to_owned());
            }
        }
    }
    let listed = ROUTES.iter().map(|(path, methods)| {
        let methods = methods.split(',').map(ToOwned::to_owned).collect::<BTreeSet<_>>();
        ((*path).to_owned(), methods)
    });
    assert_eq!(listed.collect::<BTreeMap<_, _>>(), deployed);
}

/// `$default` goes to the function of reads, which has a part of the routes only.
#[tokio::test]
async fn the_default_function_answers_a_wrong_method_as_the_local_stack_does() {
    let api = Api::new(2);
    let functions = &api.sandbox.world.stack().functions;
    let is_default = |(_, path): &(String, String)| path == "$default";
    let default = functions.iter().find(|f| f.routes.iter().any(is_default)).unwrap();
    let edge = EdgeConfig::open(CursorKey::new("a secret that only tests know").unwrap());
    let store = api.sandbox.store.clone();
    let router = compose::routes_of(default, &store, &Arc::new(edge)).unwrap();
    let router = kernel::wrap(router, store);
    let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
    let mut refused = 0;
    for (pattern, allowed) in ROUTES {
        let path = pattern.replace(['{', '}'], "");
        for method in methods.iter().filter(|method| !allowed.split(',').any(|m| m == **method)) {
            let local = api.ask(method, &path).await;
            assert_eq!((local.status, local.header("allow")), (405, allowed), "{method} {path}");
            let request = Request::builder().method(*method).uri(&path);
            let request = request.body(Body::empty()).unwrap();
            let deployed = router.clone().oneshot(request).await.unwrap();
            assert_eq!(deployed.status(), 405, "{method} {path}");
            assert_eq!(deployed.headers()["allow"], allowed, "{method} {path}");
            refused += 1;
        }
    }
    assert!(refused > ROUTES.len());
}
