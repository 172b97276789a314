//! Who calls: API keys, request signatures, address lists and the table of routes.
//!
//! docs/auth.md describes it for callers and operators.

mod caller;
mod gate;
mod refusal;
mod secrets;
pub mod signature;
pub mod table;

pub use caller::Caller;
pub use gate::protect;
pub use refusal::Refusal;
pub use secrets::SignatureSecrets;
