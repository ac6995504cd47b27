//! Hot loops: bytes in, bytes out, no lanes and no limbs in sight of a protocol.
//!
//! | kernel | what | µs per item and core |
//! |---|---|---|
//! | [`ristretto::map_mul_batch`] | `H(x)^k` from 64 uniform bytes | 33 |
//! | [`ristretto::mul_batch`] | `P^k` from an encoded point, checked | 29 |
//!
//! A kernel never blocks, awaits, logs or locks. It fans out with rayon inside, so it is called from
//! [`crate::session::Session::compute`].

pub mod ristretto;
