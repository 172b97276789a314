//! The adapters keep the ports' contracts, over the embedded AWS and the real SDK.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod batches;
mod campaign;
mod campaign_results;
mod campaign_rows;
mod campaign_work;
mod digits;
mod draws;
mod dropped;
mod drops;
mod drops_close;
mod drops_list;
mod governed;
mod governor;
mod grants;
mod guarantees;
mod idempotency;
mod indexes;
mod meanwhile;
mod messages;
mod operations;
mod payments;
mod permissions;
mod policies;
mod policies_campaign;
mod policies_drop;
mod policies_products;
mod pools;
mod product;
mod reconcile;
mod refunds;
mod refused;
mod rooms;
mod scene;
mod sdk;
mod settings;
mod sprays;
mod streams;
mod sweep;
mod tokens;
mod told;
mod voids;
mod wallets;
mod wiring;
