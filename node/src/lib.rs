//! The node that a data source or developer hosts over its own tables.

pub mod config;
pub mod disk;
pub mod keys;
pub mod peer;
pub mod store;
