//! Grants: send them to be paid, pay them, and what an operator does with those that failed.

pub mod dispatch;
pub mod operate;
pub mod pay;
