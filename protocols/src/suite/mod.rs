//! Cipher suites: the groups, hashes and authenticated encryption that protocols and links are built on.

pub mod group;
pub mod seal;
pub mod xmd;
