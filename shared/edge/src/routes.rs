//! Routes: each function lists its handlers once, and `$default` knows the routes of all functions.
//!
//! A handler's `#[utoipa::path]` holds its path and method. [`routes!`](crate::routes!) builds the
//! router and the OpenAPI description of a function from one list of handlers. [`Methods`] reads
//! the routes of all functions from the complete OpenAPI document.

use std::collections::BTreeMap;

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter};
use serde::Deserialize;
use serde::de::IgnoredAny;
use utoipa::openapi::HttpMethod;

#[doc(hidden)]
pub use pastey::paste;

/// Defines a function's `router` and `api` from one list of handlers. A handler that is generic
/// over the function's ports is followed by their name in brackets.
///
/// ```ignore
/// largesse_edge::routes! { D: Deps => v2::create<D>, about::health }
/// ```
#[macro_export]
macro_rules! routes {
    ($deps:ident: $bound:ident =>
        $($module:ident::$handler:ident $(<$param:ident>)?),+ $(,)?) => {
        /// The function's routes.
        pub fn router<$deps: $bound>(
            deps: ::std::sync::Arc<$deps>,
            edge: ::std::sync::Arc<$crate::EdgeConfig>,
        ) -> ::axum::Router {
            let router = ::axum::Router::new();
            $(
                let router = $crate::routes::paste! {
                    $crate::routes::add::<$module::[<__path_ $handler>], _, _, _>(
                        router,
                        $module::$handler $(::<$param>)?,
                    )
                };
            )+
            let app = $crate::App { deps: deps.clone(), edge: edge.clone() };
            // The filter needs the owner, whom the check of the key tells.
            let router = $crate::limits::filtered(router.with_state(app), deps.clone(), &edge);
            $crate::auth::protect(router, &deps, &edge)
        }

        #[derive(::utoipa::OpenApi)]
        #[openapi(paths($($module::$handler),+))]
        struct Api;

        /// The OpenAPI description of the function's routes.
        #[must_use]
        pub fn api() -> ::utoipa::openapi::OpenApi {
            <Api as ::utoipa::OpenApi>::openapi()
        }
    };
}

/// Adds a handler under the path and methods of its description `P`.
#[doc(hidden)]
pub fn add<P, H, T, S>(router: Router<S>, handler: H) -> Router<S>
where
    P: utoipa::Path,
    H: Handler<T, S>,
    T: 'static,
    S: Clone + Send + Sync + 'static,
{
    let methods = P::methods()
        .into_iter()
        .fold(MethodRouter::new(), |router, method| router.on(filter_of(&method), handler.clone()));
    router.route(&P::path(), methods)
}

const fn filter_of(method: &HttpMethod) -> MethodFilter {
    match method {
        HttpMethod::Get => MethodFilter::GET,
        HttpMethod::Post => MethodFilter::POST,
        HttpMethod::Put => MethodFilter::PUT,
        HttpMethod::Delete => MethodFilter::DELETE,
        HttpMethod::Options => MethodFilter::OPTIONS,
        HttpMethod::Head => MethodFilter::HEAD,
        HttpMethod::Patch => MethodFilter::PATCH,
        HttpMethod::Trace => MethodFilter::TRACE,
    }
}

/// The methods of every route of the API, for the `Allow` header.
///
/// API Gateway sends a request with a wrong method to the function of `$default`, which serves
/// only its own routes. This table has the routes of all functions.
#[derive(Clone, Debug)]
pub struct Methods(matchit::Router<String>);

/// Why a document gives no table.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// The document is not OpenAPI in JSON.
    #[error("the OpenAPI document cannot be read")]
    Json(#[from] serde_json::Error),
    /// Two of its paths contradict each other.
    #[error("the paths of the OpenAPI document cannot be routed")]
    Path(#[from] matchit::InsertError),
}

/// The part of an OpenAPI document that names the routes.
#[derive(Deserialize)]
struct Document {
    paths: BTreeMap<String, BTreeMap<String, IgnoredAny>>,
}

impl Methods {
    /// The routes of an OpenAPI document in JSON.
    ///
    /// # Errors
    /// [`DocumentError`].
    pub fn of_document(json: &str) -> Result<Self, DocumentError> {
        let document: Document = serde_json::from_str(json)?;
        let mut routes = matchit::Router::new();
        for (path, operations) in document.paths {
            let mut methods: Vec<_> = operations.keys().map(|name| name.to_uppercase()).collect();
            // axum answers HEAD wherever it answers GET.
            if methods.iter().any(|method| method == "GET") {
                methods.push("HEAD".to_owned());
            }
            methods.sort();
            routes.insert(path, methods.join(","))?;
        }
        Ok(Self(routes))
    }

    /// The methods of the route that a path belongs to, as `Allow` lists them; `None` when no route
    /// has that path.
    #[must_use]
    pub fn of(&self, path: &str) -> Option<&str> {
        self.0.at(path).ok().map(|found| found.value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const DOCUMENT: &str = r#"{"openapi": "3.1.0", "paths": {
        "/api/v2/sprays": {"post": {}, "get": {}},
        "/api/v2/sprays/{token}": {"get": {}},
        "/api/v2/sprays/{token}/claims": {"post": {}},
        "/api/v2/rooms/{room}/members/{user}": {"put": {}, "delete": {}}
    }}"#;

    #[rstest]
    #[case("/api/v2/sprays", Some("GET,HEAD,POST"))]
    #[case("/api/v2/sprays/A7Q", Some("GET,HEAD"))]
    #[case("/api/v2/sprays/A7Q/claims", Some("POST"))]
    #[case("/api/v2/rooms/a/members/b", Some("DELETE,PUT"))]
    // axum routes by matchit too, so it also takes this path for a claim of an empty token.
    #[case("/api/v2/sprays//claims", Some("POST"))]
    #[case("/api/v2/sprays/A7Q/claims/", None)]
    #[case("/api/v2", None)]
    #[case("", None)]
    fn a_path_has_the_methods_of_its_route(#[case] path: &str, #[case] methods: Option<&str>) {
        assert_eq!(Methods::of_document(DOCUMENT).unwrap().of(path), methods);
    }

    #[rstest]
    #[case("{}")]
    #[case("not JSON")]
    #[case(r#"{"paths": {"/a/{x}": {}, "/a/{y}": {}}}"#)]
    fn a_document_without_routes_is_refused(#[case] document: &str) {
        assert!(Methods::of_document(document).is_err());
    }
}
