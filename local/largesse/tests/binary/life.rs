//! How it stops, and what a folder of data outlives.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use largesse::compose;
use largesse_aws::production::SecureRng;
use largesse_domain::audit::audit;
use largesse_emulator::{World, WorldClock};
use reqwest::Method;
use serde_json::json;

use crate::up::{Up, failure, folder};

#[tokio::test]
async fn ctrl_c_and_sigterm_stop_it_cleanly() {
    for signal in ["INT", "TERM"] {
        let up = Up::start(&[]);
        // A connection that stays open does not keep it running.
        up.client.deposit("ann", 5).await.unwrap();
        up.signal(signal);
        let client = up.client.clone();
        let (status, said) = up.ended();
        assert_eq!(status.code(), Some(0), "{signal}: {said}");
        assert!(said.contains("Stopped. Nothing is kept."), "{said}");
        drop(client);
    }
}

#[tokio::test]
async fn it_serves_what_it_counted_as_text_for_prometheus() {
    let up = Up::start(&[]);
    up.client.deposit("walter", 100).await.unwrap();
    let room = up.client.room("walter").await.unwrap();
    up.client.join(&room, "walter", "ursula").await.unwrap();
    let token = up.client.spray(&room, "walter", "key", 100, 1).await.unwrap();
    for _ in 0..2 {
        up.client.claim(&room, "ursula", &token).await.unwrap();
    }
    // The payment is counted after it is in the ledger, where a reader may see it before.
    let paid = "payments_total{outcome=\"paid\"} 1\n";
    let metrics = up.until_counted(paid).await;
    let claims = |code: &str| {
        let route = "POST /api/v2/sprays/{token}/claims";
        format!("http_requests_total{{route=\"{route}\",code=\"{code}\"}} 1\n")
    };
    for line in [
        &claims("OK"),
        &claims("ERR102"),
        "draws_total{outcome=\"won\"} 1\n",
        paid,
        "cache_hits_total{cache=\"tokens\"} 1\n",
        "\ndynamo_write_units_x100_total ",
        "http_request_ms_bucket{",
    ] {
        assert!(metrics.contains(line), "no {line} in\n{metrics}");
    }
    assert!(!metrics.contains("walter") && !metrics.contains("ursula") && !metrics.contains(&room));
}

#[tokio::test]
async fn what_was_answered_survives_kill_9_and_nothing_is_doubled() {
    let data = folder("kill-9");
    let data = ["--data", data.to_str().unwrap()];
    let mut up = Up::start(&data);
    up.client.deposit("ann", 1_000).await.unwrap();
    let room = up.client.room("ann").await.unwrap();
    up.client.join(&room, "ann", "bob").await.unwrap();
    up.client.join(&room, "ann", "eve").await.unwrap();
    let token = up.client.spray(&room, "ann", "key", 900, 3).await.unwrap();
    let bobs = up.client.claim(&room, "bob", &token).await.unwrap();
    assert_eq!(bobs.status, 201, "{}", bobs.body);
    up.until_paid("bob", bobs.number("amount")).await;
    // Killed between this answer and its payment, or anywhere in it.
    let eves = up.client.claim(&room, "eve", &token).await.unwrap();
    assert_eq!(eves.status, 201, "{}", eves.body);
    up.child.kill().unwrap();
    up.child.wait().unwrap();

    for _ in 0..2 {
        let mut up = Up::start(&data);
        up.until_paid("bob", bobs.number("amount")).await;
        assert_eq!(up.get("/api/v2/wallets/ann", "ann", None).await.number("balance"), 100);
        let path = format!("/api/v2/sprays/{token}");
        let spray = up.get(&path, "ann", Some(&room)).await;
        assert_eq!((spray.number("amount"), spray.number("claimed_count")), (900, 2));
        let path = "/api/v2/wallets/bob/transactions";
        let rows = up.get(path, "bob", None).await.body["transactions"].clone();
        assert_eq!(rows.as_array().unwrap().len(), 1, "paid once: {rows}");
        // Repeats are recognized.
        let again = up.client.claim(&room, "bob", &token).await.unwrap();
        assert_eq!((again.status, again.code()), (409, "ERR102"));
        let again = up.client.spray(&room, "ann", "key", 900, 3).await.unwrap();
        assert_eq!(again, token);
        let body = json!({ "amount": 1_000 });
        let key = format!("/api/v2/wallets/ann/deposits-ann-{body}");
        let path = "/api/v2/wallets/ann/deposits";
        let sent = up.client.send(Method::POST, path, "ann", None, Some(&key), Some(&body));
        assert_eq!(sent.await.unwrap().number("balance"), 1_000, "the first answer again");
        up.child.kill().unwrap();
        up.child.wait().unwrap();
    }
    let wallets = wallets_in_the_end(Path::new(data[1])).await;
    let expected = [("ann", 100), ("bob", bobs.number("amount")), ("eve", eves.number("amount"))];
    assert_eq!(wallets, BTreeMap::from(expected.map(|(user, held)| (user.to_owned(), held))));
}

/// What a folder's wallets hold once everything is done. The message of a payment that was under way
/// when its process was killed is visible again after its timeout, so the clock is set forward.
async fn wallets_in_the_end(data: &Path) -> BTreeMap<String, u64> {
    let clock = WorldClock::real();
    clock.set_skew_ms(3_600_000);
    let world = World::on_disk_at(&compose::stack().unwrap(), data, clock).unwrap();
    let store = Arc::new(compose::store(&world, SecureRng::from_seed(1)));
    let local = compose::compose(world, store, "a secret of this test").unwrap();
    local.world.settle().await;
    let books = local.store.books().await.unwrap();
    audit(&books).expect("money is conserved");
    let wallets = books.wallets.into_iter();
    wallets.map(|wallet| (wallet.user.to_string(), wallet.balance.get())).collect()
}

/// A secret that a power failure cut off does not stop the next start, and only the user can read it
/// and the data.
#[test]
fn a_broken_cursor_secret_is_replaced_with_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let data = folder("secret");
    let secret = data.join("cursor.secret");
    let start = || {
        let mut up = Up::start(&["--data", data.to_str().unwrap()]);
        up.child.kill().unwrap();
        let mut said = String::new();
        up.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        up.child.wait().unwrap();
        said
    };
    assert_eq!(start(), "");
    for file in [&data, &secret] {
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o077, 0);
    }
    let first = std::fs::read_to_string(&secret).unwrap();
    assert_eq!(start(), "");
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), first);
    std::fs::write(&secret, "").unwrap();
    let said = start();
    let warning = format!("{} cannot be used and is made again", secret.display());
    assert!(said.contains(&warning), "{said}");
    let second = std::fs::read_to_string(&secret).unwrap();
    assert_eq!(second.len(), 64);
    assert_ne!(second, first);
}

#[tokio::test]
async fn a_used_folder_without_its_data_is_refused() {
    let data = folder("lost");
    let path = data.to_str().unwrap();
    let up = Up::start(&["--data", path]);
    up.client.deposit("ann", 5).await.unwrap();
    drop(up);
    for file in ["world.db", "world.db-wal", "world.db-shm"] {
        let _ = std::fs::remove_file(data.join(file));
    }
    let (code, said) = failure(&["up", "--listen", "127.0.0.1:0", "--data", path]);
    assert_eq!(code, Some(1), "{said}");
    let hint = format!("largesse: {path}/world.db is missing or empty, but its folder holds other");
    assert!(said.starts_with(&hint), "{said}");
    assert!(!data.join("world.db").exists());
}
