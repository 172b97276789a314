//! The adapter of S3, over real sockets: a model of a bucket in path style.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_RANGE, ETAG, RANGE};
use http::{Method, Request, Response};
use largesse_app::ports::{Objects, PortErrorKind};
use largesse_app::settings::Variables;
use largesse_aws::production;
use largesse_tests::Sandbox;

use super::process_with;

type Bucket = Arc<Mutex<BTreeMap<String, Bytes>>>;

async fn answer(State(bucket): State<Bucket>, request: Request<Body>) -> Response<Body> {
    let signed = request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap());
    assert!(signed.is_some_and(|value| value.starts_with("AWS4-HMAC-SHA256")));
    let (path, method) = (request.uri().path().to_owned(), request.method().clone());
    let range = request.headers().get(RANGE).map(|value| value.to_str().unwrap().to_owned());
    let status = |status: u16| Response::builder().status(status).header(ETAG, "\"e\"");
    if method == Method::PUT {
        let body = to_bytes(request.into_body(), 1 << 24).await.unwrap();
        bucket.lock().unwrap().insert(path, body);
        return status(200).body(Body::empty()).unwrap();
    }
    let found = bucket.lock().unwrap().get(&path).cloned();
    let Some(bytes) = found else { return status(404).body(Body::empty()).unwrap() };
    let Some(range) = range else { return status(200).body(Body::from(bytes)).unwrap() };
    let (first, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
    let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
    if first >= bytes.len() {
        return status(416).body(Body::empty()).unwrap();
    }
    let last = last.min(bytes.len() - 1);
    let content = format!("bytes {first}-{last}/{}", bytes.len());
    let part = bytes.slice(first..=last);
    status(206).header(CONTENT_RANGE, content).body(Body::from(part)).unwrap()
}

#[tokio::test]
async fn objects_are_put_and_read_in_s3() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let bucket = Bucket::default();
    let router = Router::new().fallback(answer).with_state(bucket.clone());
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let variables = Variables::new(move |name| {
        Some(match name {
            "ARCHIVE_BUCKET" => "an-archive".to_owned(),
            "AWS_REGION" => "ap-northeast-2".to_owned(),
            "AWS_ENDPOINT_URL" => endpoint.clone(),
            _ => "a credential".to_owned(),
        })
    });
    let objects = production::archive(&variables).unwrap();
    let sandbox = Sandbox::new(1);
    let store = process_with(&sandbox, 2, objects);
    let bytes: Bytes = (0..200_000_u32).flat_map(u32::to_be_bytes).collect();
    let name = "transfers/a/b.json.gz";
    store.put(name, bytes.clone()).await.unwrap();
    let written = bucket.lock().unwrap().get("/an-archive/transfers/a/b.json.gz").cloned();
    assert_eq!(written, Some(bytes.clone()));
    assert_eq!(store.get(name).await.unwrap(), Some(bytes.clone()));
    let part = store.range(name, 1_000..5_000).await.unwrap();
    assert_eq!(part, Some(bytes.slice(1_000..5_000)));
    assert_eq!(store.range(name, 799_000..800_001).await.unwrap(), None, "it is shorter");
    assert_eq!(store.get("transfers/a/c").await.unwrap(), None);
    assert_eq!(store.range("transfers/a/c", 0..5).await.unwrap(), None);
    let beyond = store.range(name, 900_000..900_001).await.unwrap_err();
    assert_eq!(beyond.kind, PortErrorKind::Unknown);
    server.abort();
    assert!(server.await.unwrap_err().is_cancelled());
    let away = store.get(name).await.unwrap_err();
    assert_eq!(away.kind, PortErrorKind::Unknown, "a store that is away is no missing object");
}
