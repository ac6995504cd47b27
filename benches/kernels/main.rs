//! The kernels alone, on one core: time per batch of 256 items, and items per second. Beside each, what the portable twin
//! does, written with curve25519-dalek, so that ratios come from one run.
//!
//! `cargo bench -p banyan-benches --bench kernels`

mod blocks;
mod curves;
mod oblivious;

use criterion::{criterion_group, criterion_main};

criterion_group!(curves, curves::ristretto, curves::x_only, curves::sm2_curve);
criterion_group!(blocks, blocks::aes, blocks::gf128, blocks::sha256, blocks::transposition);
criterion_group!(oblivious, oblivious::transfers, oblivious::forest, oblivious::code, oblivious::vole, oblivious::okvs);
criterion_main!(curves, blocks, oblivious);
