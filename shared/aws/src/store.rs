//! The one value that implements all ports.

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::types::TransactWriteItem;
use aws_smithy_runtime_api::client::auth::SharedAuthScheme;
use aws_types::SdkConfig;
use largesse_app::caches;
use largesse_app::ports::{Clock, DropFigures, Ids, Pause, Rng};
use largesse_domain::budget::{BudgetId, Lease};
use largesse_domain::drop::{Drop, WaitingList};
use largesse_domain::id::{
    CampaignId, DropId, KeyId, PoolId, ProductId, RoomId, Token, Ulid, UserId,
};
use largesse_domain::key::KeyRecord;
use largesse_domain::pool::{Bucket, BucketId};
use largesse_domain::product::Product;
use largesse_domain::spray::TokenEntry;
use largesse_domain::time::Timestamp;
use object_store::ObjectStore;

use crate::cache::{Cache, KeyedLocks};
use crate::metering::Metering;
use crate::names::Names;
use crate::product::Seen;
use crate::{deadline, retry};

/// Time, ids and randomness: the ports of `environment.rs`.
#[derive(Clone)]
pub struct Environment {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes identities.
    pub ids: Arc<dyn Ids>,
    /// Makes randomness.
    pub rng: Arc<dyn Rng>,
}

/// All ports, on AWS.
pub struct Store {
    pub(crate) dynamo: aws_sdk_dynamodb::Client,
    pub(crate) sqs: aws_sdk_sqs::Client,
    pub(crate) bus: aws_sdk_eventbridge::Client,
    pub(crate) names: Names,
    pub(crate) environment: Environment,
    /// The archive, where the process has one.
    pub(crate) objects: Option<Arc<dyn ObjectStore>>,
    pub(crate) members: Cache<(RoomId, UserId), ()>,
    /// Rooms of which a member was read within the last second.
    pub(crate) recent_rooms: Cache<RoomId, ()>,
    /// The members of rooms of which several were read within a second.
    pub(crate) room_members: Cache<RoomId, Arc<HashSet<UserId>>>,
    pub(crate) room_locks: KeyedLocks<RoomId>,
    pub(crate) tokens: Cache<Token, TokenEntry>,
    /// API keys that were read within the last half minute.
    pub(crate) keys: Cache<KeyId, KeyRecord>,
    /// Ids of which no key was found a moment ago.
    pub(crate) unknown_keys: Cache<KeyId, ()>,
    pub(crate) wallet_locks: KeyedLocks<UserId>,
    pub(crate) full_buckets: Cache<BucketId, Arc<Bucket>>,
    /// Products: their terms never change.
    pub(crate) products: Cache<ProductId, Product>,
    /// Shards of products that were read within the last second.
    pub(crate) product_shards: Cache<ProductId, Seen>,
    /// How often shards of products were read.
    pub(crate) product_reads: AtomicU64,
    /// The terms of drops, which never change.
    pub(crate) drops: Cache<DropId, Arc<Drop>>,
    /// Waiting lists and figures of drops that were read a moment ago.
    pub(crate) waiting_lists: Cache<DropId, Arc<WaitingList>>,
    pub(crate) drop_figures: Cache<DropId, DropFigures>,
    /// Drops that waited for their shuffle a moment ago.
    pub(crate) waiting_drops: Cache<DropId, ()>,
    /// The pools that are frozen, as read a moment ago.
    pub(crate) frozen: Cache<(), Arc<BTreeSet<PoolId>>>,
    /// Time slots of campaigns that have a snapshot.
    pub(crate) snapshots: Cache<(CampaignId, Timestamp), ()>,
    /// What is used of budgets, in the window that is open.
    pub(crate) budgets: Cache<BudgetId, u32>,
    /// What this process has leased of budgets, in the window that is open.
    pub(crate) leases: Cache<BudgetId, Lease>,
    pub(crate) lease_locks: KeyedLocks<BudgetId>,
    /// Until when, and since when a token may be free again, if none was a moment ago.
    pub(crate) tokens_full: Mutex<Option<(Timestamp, Timestamp)>>,
}

impl Store {
    /// The adapters over one SDK configuration: credentials, region and HTTP client of AWS, or of
    /// the embedded world.
    #[must_use]
    pub fn new(config: &SdkConfig, names: Names, environment: Environment) -> Self {
        Self::with_auth(config, names, environment, None)
    }

    /// As [`Store::new`], with an auth scheme in place of the SDK's own. The emulator has one that
    /// signs nothing; no crate of a deployed function has.
    #[must_use]
    pub fn with_auth(
        config: &SdkConfig,
        names: Names,
        environment: Environment,
        auth: Option<SharedAuthScheme>,
    ) -> Self {
        let timeouts = deadline::Timeouts::new(environment.clock.clone());
        let partition = retry::partition();
        let mut dynamo = aws_sdk_dynamodb::config::Builder::from(config)
            .retry_config(retry::config())
            .retry_partition(partition.clone())
            .retry_classifier(retry::TransactionConflicts)
            .interceptor(timeouts.clone())
            .interceptor(Metering);
        let mut sqs = aws_sdk_sqs::config::Builder::from(config)
            .retry_config(retry::config())
            .retry_partition(partition.clone())
            .interceptor(timeouts.clone());
        let mut bus = aws_sdk_eventbridge::config::Builder::from(config)
            .retry_config(retry::config())
            .retry_partition(partition.clone())
            .interceptor(timeouts);
        if let Some(auth) = auth {
            dynamo = dynamo.push_auth_scheme(auth.clone());
            sqs = sqs.push_auth_scheme(auth.clone());
            bus = bus.push_auth_scheme(auth);
        }
        Self {
            dynamo: aws_sdk_dynamodb::Client::from_conf(dynamo.build()),
            sqs: aws_sdk_sqs::Client::from_conf(sqs.build()),
            bus: aws_sdk_eventbridge::Client::from_conf(bus.build()),
            names,
            environment,
            objects: None,
            members: Cache::new(&caches::MEMBERS),
            recent_rooms: Cache::new(&caches::RECENT_ROOMS),
            room_members: Cache::new(&caches::ROOM_MEMBERS),
            room_locks: KeyedLocks::default(),
            tokens: Cache::new(&caches::TOKENS),
            keys: Cache::new(&caches::KEYS),
            unknown_keys: Cache::new(&caches::UNKNOWN_KEYS),
            wallet_locks: KeyedLocks::default(),
            full_buckets: Cache::new(&caches::FULL_BUCKETS),
            products: Cache::new(&caches::PRODUCTS),
            product_shards: Cache::new(&caches::PRODUCT_SHARDS),
            product_reads: AtomicU64::new(0),
            drops: Cache::new(&caches::DROPS),
            waiting_lists: Cache::new(&caches::WAITING_LISTS),
            drop_figures: Cache::new(&caches::DROP_FIGURES),
            waiting_drops: Cache::new(&caches::WAITING_DROPS),
            frozen: Cache::new(&caches::FROZEN),
            snapshots: Cache::new(&caches::SNAPSHOTS),
            budgets: Cache::new(&caches::BUDGETS),
            leases: Cache::new(&caches::LEASES),
            lease_locks: KeyedLocks::default(),
            tokens_full: Mutex::default(),
        }
    }

    pub(crate) fn remember_member(&self, room: RoomId, user: &UserId) {
        let until = caches::MEMBERS.until(self.now());
        self.members.put((room, user.clone()), (), until);
    }

    /// Runs a transaction under a request token made from the operation's id: the SDK makes a
    /// random one, which a retry by a later invocation could not repeat. AWS remembers it for ten
    /// minutes only, so every transaction also carries a permanent not-exists condition.
    pub(crate) async fn transact(
        &self,
        operation: &'static str,
        request_token: String,
        items: Vec<TransactWriteItem>,
    ) -> Result<(), crate::errors::TransactError> {
        let sent = self
            .dynamo
            .transact_write_items()
            .set_transact_items(Some(items))
            .client_request_token(request_token)
            .send()
            .await;
        sent.map(drop).map_err(|error| crate::errors::transact_error(operation, error))
    }
}

impl Clock for Store {
    fn now(&self) -> Timestamp {
        self.environment.clock.now()
    }
}

impl Pause for Store {
    async fn pause_ms(&self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

impl Ids for Store {
    fn ulid(&self) -> Ulid {
        self.environment.ids.ulid()
    }
}

impl Rng for Store {
    fn fill(&self, bytes: &mut [u8]) {
        self.environment.rng.fill(bytes);
    }
}
