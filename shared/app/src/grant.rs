//! Grants: settle a draw into one, send it to be paid, pay it.

pub mod dispatch;
pub mod pay;
pub mod settle;
