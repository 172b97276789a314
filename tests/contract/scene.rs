//! What the tests share: sprays and their buckets, requests to draw, and direct access to items.

use std::collections::HashMap;
use std::fmt::Display;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::{Clock, Grants, NotDrawn, Pools, Won, Written};
use largesse_aws::Store;
use largesse_domain::grant::{FailedGrant, Grant, GrantStatus};
use largesse_domain::money::BALANCE_MAX;
use largesse_domain::pool::{Bucket, BucketId, Draw, Nonce};
use largesse_domain::spray::Spray;
use largesse_domain::time::Timestamp;
use largesse_tests::{Sandbox, user};

/// A spray by `s` of 10 for each recipient, open for ten minutes from now.
pub(crate) async fn sprayed(sandbox: &Sandbox, recipients: u64) -> Spray {
    let room = sandbox.room(&["s"]).await;
    sandbox.spray(room, "s", recipients * 10, recipients).await
}

/// A request to draw.
pub(crate) fn request(member: &str, at: Timestamp, nonce: u64) -> Draw {
    Draw { member: user(member), at, nonce: Nonce::from_bits(nonce) }
}

/// The first bucket of a spray.
pub(crate) const fn first(spray: &Spray) -> BucketId {
    BucketId { pool: spray.pool(), number: 0 }
}

/// A draw from the first bucket.
pub(crate) async fn draw(store: &Store, spray: &Spray, draw: &Draw) -> Result<Won, NotDrawn> {
    store.draw(first(spray), draw).await.unwrap()
}

/// All buckets of a spray, in their order.
pub(crate) async fn buckets(sandbox: &Sandbox, spray: &Spray) -> Vec<Bucket> {
    let pool = spray.pool();
    largesse_app::pool::read::buckets(&*sandbox.store, pool, spray.recipients).await.unwrap()
}

/// The first bucket, as it stands.
pub(crate) async fn bucket(sandbox: &Sandbox, spray: &Spray) -> Bucket {
    buckets(sandbox, spray).await.remove(0)
}

/// A member draws from the first bucket now, which makes a duty to pay.
pub(crate) async fn drawn(sandbox: &Sandbox, spray: &Spray, member: &str) -> Grant {
    let request = request(member, sandbox.store.now(), 1);
    let won = draw(&sandbox.store, spray, &request).await.unwrap();
    bucket(sandbox, spray).await.grant(&user(member), won.entry).unwrap()
}

/// The grant as one that was refused.
pub(crate) fn refused(grant: &Grant, status: GrantStatus, attempts: u32) -> FailedGrant {
    let (failure, failed_at) = ("why".to_owned(), grant.decided_at().plus_ms(1));
    FailedGrant { grant: grant.clone(), status, attempts, failure, failed_at }
}

/// Gives a grant up, and returns what stands in the table.
pub(crate) async fn given_up(sandbox: &Sandbox, grant: &Grant) -> FailedGrant {
    let failed = refused(grant, GrantStatus::PermanentlyFailed, 4);
    assert_eq!(sandbox.store.put_failed(&failed, 0).await.unwrap(), Written::Done);
    failed
}

/// An item.
pub(crate) type Item = HashMap<String, Av>;

/// A table, edited directly: what an operator's hand or a restored backup leaves.
pub(crate) struct Table<'a> {
    sandbox: &'a Sandbox,
    name: String,
}

impl<'a> Table<'a> {
    pub(crate) fn of(sandbox: &'a Sandbox, name: &str) -> Self {
        Self { sandbox, name: format!("largesse-{name}") }
    }

    fn client(&self) -> Client {
        Client::new(&self.sandbox.world.sdk_config())
    }

    pub(crate) async fn get(&self, key: &Item) -> Option<Item> {
        let get = self.client().get_item().table_name(&self.name).consistent_read(true);
        get.set_key(Some(key.clone())).send().await.unwrap().item
    }

    pub(crate) async fn put(&self, item: Item) {
        let put = self.client().put_item().table_name(&self.name);
        put.set_item(Some(item)).send().await.unwrap();
    }

    pub(crate) async fn delete(&self, key: &Item) {
        let delete = self.client().delete_item().table_name(&self.name);
        delete.set_key(Some(key.clone())).send().await.unwrap();
    }

    /// Sets one attribute.
    pub(crate) async fn set(&self, key: &Item, name: &str, value: Av) {
        let update = self.client().update_item().table_name(&self.name);
        let update = update.set_key(Some(key.clone())).update_expression("SET #name = :value");
        let update = update.expression_attribute_names("#name", name);
        update.expression_attribute_values(":value", value).send().await.unwrap();
    }
}

/// A key.
pub(crate) fn key(pk: impl Display) -> Item {
    Item::from([("pk".to_owned(), Av::S(pk.to_string()))])
}

/// A key of a table with a sort key.
pub(crate) fn key_with(pk: impl Display, sk: impl Display) -> Item {
    let mut key = key(pk);
    key.insert("sk".to_owned(), Av::S(sk.to_string()));
    key
}

/// The number in an attribute.
pub(crate) fn number(item: &Item, name: &str) -> i64 {
    item[name].as_n().unwrap().parse().unwrap()
}

/// The value of a number.
pub(crate) fn n(value: impl Display) -> Av {
    Av::N(value.to_string())
}

/// The value of a text.
pub(crate) fn s(value: impl Display) -> Av {
    Av::S(value.to_string())
}

/// Fills a wallet, of a user who has one, to what a wallet may hold. Gives what it held, for
/// `Sandbox::overwrite_balance`: the audit at the end of the test compares it with the transfers.
pub(crate) async fn fill(sandbox: &Sandbox, name: &str) -> u64 {
    let key = key_with(format!("WALLET#{name}"), "BALANCE");
    let held = number(&Table::of(sandbox, "ledger").get(&key).await.unwrap(), "balance");
    sandbox.overwrite_balance(name, BALANCE_MAX).await;
    held.try_into().unwrap()
}

/// What a user's wallet holds.
pub(crate) async fn balance(sandbox: &Sandbox, name: &str) -> u64 {
    largesse_app::ports::Wallets::wallet(&*sandbox.store, &user(name)).await.unwrap().balance.get()
}
