//! The adapters: every port, on DynamoDB, SQS FIFO and EventBridge, through the real AWS SDK.
//!
//! One folder for each noun, with its items, its operations and its `SCHEMA.md`. Tables are on
//! demand, one for each bounded context; keys are made in `keys.rs` only. In the schemas, `T` marks a
//! call inside a transaction; conditions are explained where they stand.
//!
#![doc = include_str!("room/SCHEMA.md")]
#![doc = include_str!("wallet/SCHEMA.md")]
#![doc = include_str!("token/SCHEMA.md")]
#![doc = include_str!("spray/SCHEMA.md")]
#![doc = include_str!("pool/SCHEMA.md")]
#![doc = include_str!("grant/SCHEMA.md")]
#![doc = include_str!("idempotency/SCHEMA.md")]
#![doc = include_str!("governor/SCHEMA.md")]
mod campaign_rows;
