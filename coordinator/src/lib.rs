//! The coordinator service and the developer's command line.

pub mod cli;
pub mod config;
pub mod home;
mod roster;
pub mod service;
mod store;
