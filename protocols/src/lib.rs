#![doc = include_str!("../README.md")]
#![deny(clippy::iter_over_hash_type)]

pub mod bits;
pub mod catalogue;
pub mod channel;
pub mod compute;
pub mod error;
pub mod ideal;
pub mod items;
pub mod kernels;
pub mod message;
pub mod ot;
pub mod party;
pub mod psi;
pub mod ring;
pub mod session;
pub mod share;
pub mod sim;
pub mod suite;
pub mod transport;

pub use catalogue::CATALOGUE;
