//! The node that a data source or developer hosts over its own tables.

pub mod admin;
pub mod audit;
pub mod cli;
pub mod config;
pub mod data;
mod dial;
pub mod disk;
mod jobs;
pub mod keys;
pub mod node;
pub mod peer;
pub mod policy;
pub mod store;
mod usage;
