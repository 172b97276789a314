//! `largesse campaign`.
pub mod split;
