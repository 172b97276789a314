//! Connections: refused, dead, shared, redirected, encrypted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use largesse_app::invocation::{self, Invocation};
use largesse_app::ports::{Clock, Money, Payment, PortErrorKind};
use largesse_domain::time::Timestamp;
use largesse_money::{HttpMoney, Settings};
use largesse_money_server::Faults;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::scene::{RealClock, adapter, grant, scene, settings, word};

/// Reads one request of this adapter: its body is the last thing in it and ends with a brace.
async fn read_request(stream: &mut TcpStream) -> bool {
    let mut read = Vec::new();
    while let Ok(1..) = stream.read_buf(&mut read).await {
        if read.ends_with(b"}") || (read.starts_with(b"GET") && read.ends_with(b"\r\n\r\n")) {
            return true;
        }
    }
    false
}

/// A server that gives every request the same answer, and closes the connection behind it without
/// having said so. Returns its address and how many requests it has read.
async fn closing(answer: String) -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, requests) = (listener.local_addr().unwrap(), Arc::new(AtomicU64::new(0)));
    let counted = requests.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (answer, counted) = (answer.clone(), counted.clone());
            tokio::spawn(async move {
                if read_request(&mut stream).await {
                    counted.fetch_add(1, Ordering::SeqCst);
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            });
        }
    });
    (address, requests)
}

fn answer(status: &str, more: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{more}\r\n{body}", body.len())
}

fn at(address: SocketAddr) -> HttpMoney {
    let mut settings = Settings::new(format!("http://{address}").parse().unwrap());
    settings.timeout_ms = 20_000;
    adapter(settings)
}

async fn paid(money: &HttpMoney, n: u64) -> Payment {
    money.pay(&[grant(n)]).await.remove(0)
}

fn is_not_sent(payment: &Payment) -> bool {
    let text = match payment {
        Payment::NotNow { cause, .. } if cause.kind == PortErrorKind::Throttled => cause.causes(),
        _ => return false,
    };
    text.starts_with("pay over HTTP: Throttled: not connected")
}

#[tokio::test]
async fn a_refused_connection_sends_nothing_and_is_not_unknown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let payment = paid(&at(address), 1).await;
    assert!(is_not_sent(&payment), "{payment:?}");
    let error = at(address).lookup(&[grant(1)]).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Throttled);
    let error = at(address).reverse(&grant(1)).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Throttled);
}

#[tokio::test]
async fn a_name_that_is_not_found_sends_nothing() {
    // RFC 6761: nothing is ever found under .invalid.
    let money = adapter(Settings::new("https://money.invalid".parse().unwrap()));
    let payment = paid(&money, 1).await;
    assert!(is_not_sent(&payment), "{payment:?}");
}

#[tokio::test]
async fn a_failed_handshake_sends_nothing() {
    let scene = scene(Faults::default()).await;
    let url = scene.server.url().replace("http://", "https://");
    let payment = paid(&adapter(Settings::new(url.parse().unwrap())), 1).await;
    assert!(is_not_sent(&payment), "{payment:?}");
    assert_eq!(scene.counts().0, 0);
}

#[tokio::test]
async fn a_connection_that_died_in_the_pool_costs_no_second_request() {
    let body = |n: u64| {
        let (id, amount) = (grant(n).id, grant(n).amount);
        format!(r#"{{"id":"{id}","status":"paid","amount":{amount},"member":"m{n}"}}"#)
    };
    // Every connection dies after one answer, and the next call finds it in the pool.
    let (address, requests) = closing(answer("201 Created", "", &body(1))).await;
    let money = at(address);
    for n in 1..=20 {
        assert_eq!(word(&paid(&money, 1).await), "paid");
        assert_eq!(requests.load(Ordering::SeqCst), n);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let scene = scene(Faults::default()).await;
    let location = format!("location: {}/transfers\r\n", scene.server.url());
    for status in ["302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let (address, requests) = closing(answer(status, &location, "")).await;
        assert_eq!(word(&paid(&at(address), 1).await), "unknown");
        // The payment and its look-up.
        assert_eq!(requests.load(Ordering::SeqCst), 2, "{status}");
    }
    assert_eq!(scene.counts().0, 0);
}

#[tokio::test]
async fn no_more_calls_are_under_way_than_the_settings_say() {
    // Each answer takes a while, so all that may be under way at once are.
    let scene = scene(Faults { latency_ms: 50, ..Faults::default() }).await;
    let mut few = settings(&scene.server);
    few.concurrency_max = 3;
    let money = adapter(few);
    let grants: Vec<_> = (0..30).map(grant).collect();
    let both = tokio::join!(money.pay(&grants[..15]), money.pay(&grants[15..]));
    assert!(both.0.iter().chain(&both.1).all(|payment| word(payment) == "paid"));
    assert_eq!(scene.server.report().peak_at_once, 3);
}

/// The permit of a rate is of a moment; the wait for a call that is under way outlasts it.
#[tokio::test]
async fn a_call_that_waits_until_its_permit_is_over_is_not_sent() {
    let scene = scene(Faults { latency_ms: 3_000, ..Faults::default() }).await;
    let mut one = settings(&scene.server);
    one.concurrency_max = 1;
    let money = adapter(one);
    let grants = [grant(0), grant(1)];
    let until = RealClock.now().plus_ms(1_500);
    let payments = invocation::sent_before(until, money.pay(&grants)).await;
    assert_eq!(word(&payments[0]), "paid");
    let Payment::NotNow { cause, .. } = &payments[1] else { panic!("{payments:?}") };
    assert_eq!(cause.kind, PortErrorKind::Contended);
    assert_eq!(scene.counts().0, 1);
    let over = RealClock.now().minus_ms(1);
    let found = invocation::sent_before(over, money.lookup(&grants[1..])).await;
    assert_eq!(found.unwrap_err().kind, PortErrorKind::Contended);
    let taken = invocation::sent_before(over, money.reverse(&grants[0])).await;
    assert_eq!(taken.unwrap_err().kind, PortErrorKind::Contended);
    assert_eq!(scene.counts().0, 1);
}

/// A clock that goes on by 10 ms whenever it is read.
struct Ticking(AtomicU64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(0).plus_ms(self.0.fetch_add(10, Ordering::SeqCst))
    }
}

#[tokio::test]
async fn a_call_whose_connection_comes_after_its_permit_is_not_sent_and_the_next_one_uses_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (id, amount) = (grant(1).id, grant(1).amount);
    let body = format!(r#"{{"id":"{id}","status":"paid","amount":{amount},"member":"m1"}}"#);
    // One connection is accepted, and the first request on it is answered.
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(read_request(&mut stream).await);
        stream.write_all(answer("201 Created", "", &body).as_bytes()).await.unwrap();
    });
    let clock = Arc::new(Ticking(AtomicU64::new(0)));
    let mut settings = Settings::new(url.parse().unwrap());
    settings.timeout_ms = 20_000;
    let money = HttpMoney::new(settings, clock.clone()).unwrap();
    // The clock is read before the call is begun, when a connection is needed, and when it is there.
    let mut not_sent = 0;
    let payment = loop {
        let until = Timestamp::from_ms(0).plus_ms(clock.0.load(Ordering::SeqCst) + 25);
        let payment = invocation::sent_before(until, paid(&money, 1)).await;
        match &payment {
            Payment::NotNow { cause, .. } if cause.kind == PortErrorKind::Contended => {
                not_sent += 1
            }
            _ => break payment,
        }
    };
    assert_eq!((word(&payment), not_sent), ("paid", 1));
    serving.await.unwrap();
}

#[tokio::test]
async fn nothing_is_sent_when_the_invocation_is_over() {
    let scene = scene(Faults::default()).await;
    let over = Invocation::until(RealClock.now().minus_ms(1));
    let payment = invocation::scope(over, scene.pay(&grant(1))).await;
    assert_eq!((word(&payment), scene.counts().0), ("later", 0));
    let far = Invocation::until(Timestamp::from_ms(i64::MAX));
    assert_eq!(word(&invocation::scope(far, scene.pay(&grant(1))).await), "paid");
}

#[tokio::test]
async fn a_limit_on_permits_ends_no_call() {
    let scene = scene(Faults::default()).await;
    let now = RealClock.now();
    let payment = invocation::scope(Invocation::until(now.plus_ms(60_000)), async {
        invocation::permits_before(now.minus_ms(1), scene.pay(&grant(1))).await
    });
    assert_eq!(word(&payment.await), "paid");
}
