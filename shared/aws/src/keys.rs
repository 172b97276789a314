//! All keys, in one place. SCHEMA.md says which question each one answers.

use largesse_app::page::{DueKey, DuePage};
use largesse_app::ports::{ChunkSet, INDEX_SHARDS, PortResult, TOKEN_SHARDS, Upload};
use largesse_domain::campaign::{ChunkNumber, Hash, PartNumber, Place};
use largesse_domain::id::{
    CampaignId, PoolId, RoomId, ServiceId, SprayId, Token, TransferId, UserId,
};
