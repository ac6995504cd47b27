//! The coordinator service and the developer's command line.

pub mod cli;
