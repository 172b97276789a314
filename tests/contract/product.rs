//! Products over the embedded DynamoDB: one test for each clause of each condition.

mod clauses;
pub(crate) mod scene;
mod settles;
mod settles_clauses;
mod store;
