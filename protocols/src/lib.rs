//! Joint computation as pages of message, computation and check.

pub mod catalogue;
pub mod channel;
pub mod compute;
pub mod error;
pub mod items;
pub mod kernels;
pub mod message;
pub mod party;
pub mod session;
pub mod suite;
pub mod transport;
