//! The node that a data source or developer hosts over its own tables.

pub mod admin;
pub mod audit;
pub mod config;
pub mod data;
pub mod disk;
pub mod keys;
pub mod peer;
pub mod policy;
pub mod store;
