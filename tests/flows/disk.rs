//! Ten thousand payments over a store on disk.

use std::path::PathBuf;

use futures::future::join_all;
use largesse::demo::Stage;
use largesse_tests::money;

const MEMBERS: u64 = 80;
const SPRAYS: u64 = 125;
const PAYMENTS: u64 = MEMBERS * SPRAYS;
const CLIENTS: u64 = 64;

/// A folder of one test, deleted when the test ends.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("largesse-flows-{name}-{}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Every member claims a share of every spray: 64 callers, each over a connection of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_payments_under_64_callers_all_arrive_on_disk() {
    let folder = Folder::new("payments");
    let stage = Stage::start_on(Some(&folder.0)).await.unwrap();
    let room = stage.client.room("giver").await.unwrap();
    for member in 0..MEMBERS {
        stage.client.join(&room, "giver", &format!("p{member}")).await.unwrap();
    }
    stage.client.deposit("giver", PAYMENTS).await.unwrap();
    let mut tokens = Vec::new();
    for spray in 0..SPRAYS {
        let key = format!("spray-{spray}");
        let shares = u32::try_from(MEMBERS).unwrap();
        let token = stage.client.spray(&room, "giver", &key, MEMBERS, shares).await.unwrap();
        tokens.push(token);
    }

    let clients = (0..CLIENTS).map(|first| {
        let (client, room, tokens) = (stage.client.clone(), room.clone(), tokens.clone());
        tokio::spawn(async move {
            for claim in (first..PAYMENTS).filter(|claim| claim % CLIENTS == first) {
                let token = &tokens[usize::try_from(claim / MEMBERS).unwrap()];
                let member = format!("p{}", claim % MEMBERS);
                let reply = client.claim(&room, &member, token).await.unwrap();
                assert_eq!((reply.status, reply.number("amount")), (201, 1), "{}", reply.body);
            }
        })
    });
    join_all(clients).await.into_iter().for_each(Result::unwrap);

    stage.world().settle().await;
    let totals = money::assert_conserved(stage.world());
    assert_eq!((totals.issued, totals.wallets, totals.escrows), (PAYMENTS, PAYMENTS, 0));
    for wallet in money::books(stage.world()).wallets {
        let expected = if wallet.user.as_str() == "giver" { 0 } else { SPRAYS };
        assert_eq!(wallet.balance.get(), expected, "{}", wallet.user);
    }
    stage.stop().await;
}
