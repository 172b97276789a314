//! Wallets: deposit, balance, history.

pub mod deposit;
pub mod history;
pub mod read;
