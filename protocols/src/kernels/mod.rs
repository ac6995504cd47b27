//! Hot loops: bytes in, bytes out, no lanes and no limbs in sight of a protocol.
//!
//! | kernel | what | µs per item and core: AVX-512 IFMA | portable |
//! |---|---|---|---|
//! | [`curve25519::map_mul_batch`] | `8k H(x)` from 48 uniform bytes | 4.4 | 61 |
//! | [`curve25519::mul_batch`] | `8k P` from a u-coordinate, checked | 4.3 | 63 |
//! | [`ristretto::map_mul_batch`] | `H(x)^k` from 64 uniform bytes | 6.3 | 37 |
//! | [`ristretto::mul_batch`] | `P^k` from an encoded point, checked | 5.8 | 33 |
//! | [`sm2::map_mul_batch`] | `k H(x)` from 48 uniform bytes | 5.7 | 142 |
//! | [`sm2::mul_batch`] | `k P` from an x-coordinate, checked | 5.5 | 141 |
//!
//! On a shared 3.7 GHz server core, in batches of 256; `cargo bench -p banyan-benches --bench kernels` gives those of another
//! machine. Each group's rows are of a run of their own, under another load, so they compare with their portable twin and
//! not with each other. In one run, by processor time and with hashes and tags, an operation takes 3.6 µs on ristretto255 and on
//! Curve25519 alike, and 6.7 µs on SM2 (`--bench protocols -- 14`).
//! Processor time of one run on a shared 3.7 GHz server core, in batches of 256; `cargo bench -p banyan-benches --bench
//! kernels` gives those of another machine. The rows of SM2 are of a run on another one (AMD, Zen 5), on which
//! [`ristretto::mul_batch`] takes 2.9 and 43.
//!
//! [`aes`] and [`sha256`] hash and [`gf128`] multiplies with vectors of AVX-512, beside them portable twins. They are short calls
//! on the calling thread. [`okvs`] is safe code on top of them.
//! [`aes`] hashes blocks, [`gf128`] multiplies elements and [`transpose`] turns columns of bits into rows (2 ns per row of 128)
//! with vectors of AVX-512, beside them portable twins. They are short calls on the calling thread; the others fan out.
//!
//! A kernel never blocks, awaits, logs or locks. Where it fans out, it does with rayon, so it is called from
//! [`crate::session::Session::compute`]. Which engine runs is decided at run time from what the processor offers; all
//! engines give the same bytes, and tests hold them to it.
//!
//! # Safety policy
//! This folder is the only home of `unsafe` in the workspace, allowed item by item and never for a module.
//! - An engine for certain processors is a type whose only constructor detects the features, so that holding one proves
//!   them. Its methods are where `unsafe` calls enter functions with `#[target_feature]`; those are safe functions, called
//!   from each other.
//! - Beside that, there are loads and stores of vectors through references to arrays of the same size.
//! - Each `unsafe` block states why it holds. Each engine has a portable twin in safe code that it is tested equal to.

pub mod aes;
pub mod curve25519;
mod field25519;
pub mod gf128;
pub mod lpn;
pub(crate) mod mask;
pub mod okvs;
pub mod pprf;
pub mod ristretto;
pub mod sha256;
pub mod sm2;
pub mod transpose;
