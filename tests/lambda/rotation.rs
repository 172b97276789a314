//! Keys and the master secret change while several processes serve. Each has caches of its own, and
//! all read one AWS over a socket.

use futures::future::{join, join_all};
use largesse_app::ports::Clock;
use largesse_aws::production::SystemClock;
use serde_json::json;
use tokio::sync::watch;

use crate::bootstrap::{Bootstrap, CURSOR_SECRET};
use crate::holder::{Holder, Request, terms};
use crate::http::Reply;
use crate::scene::Scene;

const MASTER: &str = CURSOR_SECRET;
const NEW_MASTER: &str = "another secret of as many characters as the old";
/// How many processes of query serve.
const PROCESSES: usize = 3;
/// How often each of them answers each holder between two steps.
const ROUNDS: u64 = 20;
/// In which time a key that was revoked is refused everywhere (docs/auth.md).
const REVOKED_WITHIN_MS: u64 = 60_000;

/// What a process is to do.
#[derive(Clone)]
struct Duty {
    masters: String,
    /// A process that is to start anew has a higher number than before.
    start: u32,
    /// Whose requests it serves.
    holders: Vec<Holder>,
}

/// A process under load, from outside.
struct Served {
    duty: watch::Sender<Duty>,
    rounds: watch::Receiver<u64>,
}

/// All processes under load.
struct Load(Vec<Served>);

impl Load {
    /// From now on these ask, and each of them is served by every process several times.
    async fn ask(&mut self, holders: &[&Holder]) {
        for one in &self.0 {
            let holders = holders.iter().map(|holder| (*holder).clone()).collect();
            one.duty.send_modify(|duty| duty.holders = holders);
        }
        self.go_on().await;
    }

    /// Each process answers for a while.
    async fn go_on(&mut self) {
        for one in &mut self.0 {
            // One round may have begun before.
            let rounds = *one.rounds.borrow_and_update() + 1 + ROUNDS;
            one.rounds.wait_for(|done| *done >= rounds).await.expect("the process serves");
        }
    }

    /// Processes start anew, one after the other, with these masters; all of them go on in between.
    async fn deploy(&mut self, masters: &str) {
        for n in 0..self.0.len() {
            self.0[n].duty.send_modify(|duty| {
                masters.clone_into(&mut duty.masters);
                duty.start += 1;
            });
            self.go_on().await;
        }
    }
}

async fn start(scene: &Scene, function: &str, masters: &str) -> Bootstrap {
    let change = |environment: &mut std::collections::BTreeMap<String, String>| {
        environment.insert("AUTH".to_owned(), "signed".to_owned());
        environment.insert("SIGNATURE_SECRETS".to_owned(), masters.to_owned());
    };
    Bootstrap::start_changed(scene, function, change).await
}

/// A read of a wallet, each time by another member: the limit of a member's requests is not what is
/// asked here.
async fn read(scene: &Scene, query: &mut Bootstrap, holder: &Holder) -> Reply {
    let name = scene.id().to_string();
    let path = format!("/api/v2/wallets/{name}");
    let request = Request {
        method: "GET",
        path: &path,
        signed_path: None,
        user: &name,
        nonce: &name,
        body: "",
    };
    Reply::of(&query.invoke(&holder.event(&request)).await)
}

/// Serves until the load is over. Every request is a good one.
async fn serve(scene: &Scene, mut duty: watch::Receiver<Duty>, rounds: watch::Sender<u64>) {
    let mut at = duty.borrow_and_update().clone();
    let mut query = start(scene, "query", &at.masters).await;
    while let Ok(is_new) = duty.has_changed() {
        if is_new {
            let next = duty.borrow_and_update().clone();
            if next.start > at.start {
                query = start(scene, "query", &next.masters).await;
            }
            at = next;
        }
        for holder in &at.holders {
            let reply = read(scene, &mut query, holder).await;
            assert_eq!(reply.status, 200, "{}: {}", holder.id, reply.body);
        }
        rounds.send_modify(|done| *done += 1);
    }
}

/// Runs the script while processes serve that holder.
async fn under_load(scene: &Scene, holder: &Holder, script: impl AsyncFnOnce(&mut Load)) {
    let duty = Duty { masters: MASTER.to_owned(), start: 0, holders: vec![holder.clone()] };
    let (mut load, mut serving) = (Load(Vec::new()), Vec::new());
    for _ in 0..PROCESSES {
        let (duty, received) = watch::channel(duty.clone());
        let (done, rounds) = watch::channel(0);
        load.0.push(Served { duty, rounds });
        serving.push(serve(scene, received, done));
    }
    let script = async {
        load.go_on().await;
        script(&mut load).await;
        drop(load);
    };
    join(join_all(serving), script).await;
}

/// Rotates a key through a process of admin; both live for ten minutes.
async fn rotate(scene: &Scene, admin: &mut Bootstrap, by: &Holder, old: &Holder) -> Holder {
    let (path, nonce) = (format!("/api/v2/keys/{}/rotate", old.id), scene.id().to_string());
    let request = Request {
        method: "POST",
        path: &path,
        signed_path: None,
        user: "",
        nonce: &nonce,
        body: r#"{"overlap_s":600}"#,
    };
    let reply = Reply::of(&admin.invoke(&by.event(&request)).await);
    assert_eq!(reply.status, 201, "{}", reply.body);
    Holder::of(&reply)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_rotated_while_processes_serve_and_no_good_request_is_refused() {
    let scene = Scene::new().await;
    let operator = Holder::make(&scene, terms("ops", "operate"), MASTER).await;
    let mut old = Holder::make(&scene, terms("chat", "read"), MASTER).await;
    let mut admin = start(&scene, "admin", MASTER).await;
    let first = old.clone();
    under_load(&scene, &first, async |load| {
        for _ in 0..2 {
            let new = rotate(&scene, &mut admin, &operator, &old).await;
            // Each process knows both, at once and when it has just started.
            load.ask(&[&old, &new]).await;
            load.deploy(MASTER).await;
            load.ask(&[&new]).await;
            old = new;
        }
    })
    .await;
}

/// As docs/auth.md describes it, and each step is a deployment that comes to one process after
/// another.
#[tokio::test(flavor = "multi_thread")]
async fn the_master_secret_is_rotated_process_by_process_and_no_good_request_is_refused() {
    let scene = Scene::new().await;
    let operator = Holder::make(&scene, terms("ops", "operate"), NEW_MASTER).await;
    let old = Holder::make(&scene, terms("chat", "read"), MASTER).await;
    let new = old.clone().under(NEW_MASTER);
    assert_ne!(old.secret, new.secret);
    let both = format!("{NEW_MASTER},{MASTER}");
    under_load(&scene, &old, async |load| {
        load.deploy(&both).await;
        let mut admin = start(&scene, "admin", &both).await;
        let rotated = rotate(&scene, &mut admin, &operator, &old).await;
        load.ask(&[&old, &new, &rotated]).await;
        load.ask(&[&new, &rotated]).await;
        load.deploy(NEW_MASTER).await;
    })
    .await;
    let mut query = start(&scene, "query", NEW_MASTER).await;
    let reply = read(&scene, &mut query, &old).await;
    assert_eq!((reply.status, &reply.body["reason"]), (401, &json!("signature")));
}

/// Each process has read the key before, and keeps it for half a minute.
#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_refused_by_all_processes_in_time_and_others_go_on() {
    let scene = Scene::new().await;
    let operator = Holder::make(&scene, terms("ops", "operate"), MASTER).await;
    let [revoked, live] = ["chat", "shop"].map(|owner| terms(owner, "read"));
    let revoked = Holder::make(&scene, revoked, MASTER).await;
    let live = Holder::make(&scene, live, MASTER).await;
    let mut serving = Vec::new();
    for _ in 0..PROCESSES {
        let mut query = start(&scene, "query", MASTER).await;
        assert_eq!(read(&scene, &mut query, &revoked).await.status, 200);
        serving.push(query);
    }
    let mut admin = start(&scene, "admin", MASTER).await;
    let (path, nonce) = (format!("/api/v2/keys/{}", revoked.id), scene.id().to_string());
    let (method, signed_path) = ("DELETE", None);
    let request = Request { method, path: &path, signed_path, user: "", nonce: &nonce, body: "" };
    let answered = admin.invoke(&operator.event(&request)).await;
    assert_eq!(answered.body["statusCode"], 204, "{answered:?}");
    let since = SystemClock.now();
    let mut refused = Vec::new();
    while let Some(mut query) = serving.pop() {
        assert_eq!(read(&scene, &mut query, &live).await.status, 200);
        let asked = SystemClock.now();
        let reply = read(&scene, &mut query, &revoked).await;
        if reply.status == 200 {
            let late_ms = asked.ms_since(since);
            assert!(late_ms < REVOKED_WITHIN_MS, "served {late_ms} ms after its end");
            serving.insert(0, query);
            continue;
        }
        assert_eq!((reply.status, &reply.body["reason"]), (401, &json!("key")));
        refused.push(query);
    }
    // And so it stays, also in a process that starts afterwards.
    refused.push(start(&scene, "query", MASTER).await);
    for query in &mut refused {
        let reply = read(&scene, query, &revoked).await;
        assert_eq!((reply.status, &reply.body["reason"]), (401, &json!("key")));
    }
}
