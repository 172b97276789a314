//! An AWS emulator inside the process, under the real SDK clients.
//!
//! [`World`] is a region with tables, queues and event buses. Clients made from
//! [`World::sdk_config`] call it through the SDK as they call AWS, without sockets and other
//! processes. Handlers are attached to queues, streams, rules and schedules. [`World::start`] runs
//! them in the background, [`World::settle`] step by step.
//!
//! Guarantees, with the tests that prove them:
//! * FIFO groups keep order and block while in flight: `tests/world/sqs.rs`;
//! * a lost reply does not undo the effect: `tests/world/faults.rs`;
//! * tables, queues and stream positions survive a restart: `tests/world/disk.rs`;
//! * a stream is delivered in order, from the lowest failure on: `tests/world/pumps.rs`;
//! * a stream record is lost after 24 hours: `tests/world/streams.rs`;
//! * threads that race for a queue lose no message: `src/sqs/tests.rs`.
//!
//! `docs/emulator.md` lists what the emulator does not model.

mod auth;
mod bus;
mod clock;
mod connector;
mod dynamo;
mod faults;
mod folder;
mod names;
mod pattern;
mod pump;
mod recorder;
mod reply;
mod running;
mod signals;
mod sqs;
mod stack;
mod world;

pub use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
pub use bus::{Bus, BusEvent};
pub use clock::WorldClock;
pub use dynamo::Database;
pub use faults::{Call, Fault, FaultHook, Faults, Matching, Outcome, Service, keep_digits};
pub use names::{
    ACCOUNT, REGION, STACK_NAME, bus_arn, queue_arn, queue_url, stream_arn, table_arn,
};
pub use pattern::{Pattern, PatternError};
pub use pump::BoxError;
pub use recorder::{ItemAccess, Recorded, Recorder, Totals, Units};
pub use running::{Running, Unsettled};
pub use sqs::{Message, QueueView};
pub use stack::{
    FunctionSpec, Permission, QueueSpec, QueueTrigger, Redrive, RuleSpec, RuleTrigger, Stack,
    StackError, StreamTrigger, TableSpec, template_json,
};
pub use world::{World, WorldError};
