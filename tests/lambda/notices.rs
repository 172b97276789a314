//! The function that tells a webhook.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::bootstrap::Bootstrap;
use crate::events::event;
use crate::scene::Scene;

/// What stands in the address of the webhook and nowhere else.
const SECRET: &str = "T0/B0/secret-of-the-webhook";

/// A webhook on this machine: its address, and the texts that it is told.
async fn webhook() -> (String, Arc<Mutex<Vec<String>>>) {
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = told.clone();
    let answer = move |body: Bytes| {
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        heard.lock().expect("a lock").push(body["text"].as_str().expect("a text").to_owned());
        async {}
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let router = Router::new().fallback(answer);
    tokio::spawn(async { axum::serve(listener, router).await });
    (format!("http://{address}/{SECRET}"), told)
}

/// What one event comes to: the messages that come back, and the texts that are told. No line of the
/// log holds the address.
async fn told(scene: &Scene, case: &str) -> (Value, Vec<String>) {
    let (address, told) = webhook().await;
    let mut notify = Bootstrap::start_changed(scene, "notify", |environment| {
        environment.insert("WEBHOOK_URL".to_owned(), address);
        let link = "https://pay.example/campaigns/".to_owned();
        environment.insert("NOTIFY_LINK_BASE".to_owned(), link);
    })
    .await;
    let answered = notify.invoke(&event("notify", case)).await;
    notify.terminate();
    let (_, log) = notify.ended().await;
    assert!(!log.contains(SECRET), "{log}");
    let told = told.lock().expect("a lock").clone();
    (answered.body, told)
}

#[tokio::test(flavor = "multi_thread")]
async fn notify_tells_the_webhook_of_each_end() {
    let scene = Scene::new().await;
    let (body, told) = told(&scene, "happy").await;
    assert_eq!(body, json!({ "batchItemFailures": [] }));
    let text = |outcome: &str, why: &str| {
        format!(
            "[대량 지급] 추석 보상: {outcome} — 성공 990건 / 실패 10건, 합계 9,900,000원{why}, \
             소요 1시간 2분 3초, https://pay.example/campaigns/01M53SCT6GDNYYSESP79P68JRW"
        )
    };
    assert_eq!(told, [text("완료", ""), text("중지", ", 사유: 잘못된 파일")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn notify_escapes_what_it_tells_and_returns_what_it_cannot_read() {
    let scene = Scene::new().await;
    let (body, told) = told(&scene, "hostile").await;
    let cut = event("notify", "hostile")["Records"][1]["messageId"].clone();
    assert_eq!(body, json!({ "batchItemFailures": [{ "itemIdentifier": cut }] }));
    assert_eq!(told.len(), 2);
    let name = "&lt;!channel&gt; &amp; &lt;https://evil.example|click&gt;: ";
    assert!(told[1].contains(name), "{}", told[1]);
    assert!(told[1].contains("line break  &lt;@U1&gt;"), "{}", told[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn notify_without_a_webhook_says_so_once_and_keeps_nothing() {
    let scene = Scene::new().await;
    let mut notify = Bootstrap::start(&scene, "notify").await;
    for case in ["happy", "hostile"] {
        let answered = notify.invoke(&event("notify", case)).await;
        assert_eq!(answered.body, json!({ "batchItemFailures": [] }));
    }
    notify.terminate();
    let (_, log) = notify.ended().await;
    assert_eq!(log.matches("no webhook is set").count(), 1, "{log}");
}
