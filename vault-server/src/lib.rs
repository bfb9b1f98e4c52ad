//! The blind management server: it stores and serves what it cannot read.

pub mod identity;
pub mod store;
pub mod vault;
