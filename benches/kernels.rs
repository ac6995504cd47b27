//! The kernels alone, on one core: time per batch of 256 items, and items per second. Beside each, what the portable twin
//! does, written with curve25519-dalek, so that ratios come from one run.
//!
//! `cargo bench -p banyan-benches --bench kernels`

use std::hint::black_box;

use banyan_protocols::kernels::ristretto::{SecretScalar, map_mul_batch, mul_batch};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use curve25519_dalek::Scalar;
use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};

/// One rayon task of the kernel.
const ITEMS: usize = 256;

fn ristretto(c: &mut Criterion) {
    let core = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    let wide = [0x5a; 64];
    let k = SecretScalar::from_uniform_bytes(&wide).expect("not zero");
    let half = Scalar::from_bytes_mod_order_wide(&wide).div_by_2();
    let uniform: Vec<[u8; 64]> = (0..ITEMS).map(|n| std::array::from_fn(|byte| (n ^ byte) as u8)).collect();
    let points = core.install(|| map_mul_batch(&uniform, &k));

    let mut group = c.benchmark_group("ristretto255");
    group.throughput(Throughput::Elements(ITEMS as u64));
    group.bench_function("map_mul_batch", |b| core.install(|| b.iter(|| map_mul_batch(black_box(&uniform), &k))));
    group.bench_function("mul_batch", |b| {
        core.install(|| b.iter(|| mul_batch(black_box(&points), &k).expect("points of the kernel")))
    });
    group.bench_function("map_mul_batch, portable", |b| {
        b.iter(|| encode(black_box(&uniform).iter().map(|bytes| RistrettoPoint::from_uniform_bytes(bytes) * half)))
    });
    group.bench_function("mul_batch, portable", |b| {
        b.iter(|| encode(black_box(&points).iter().map(|bytes| decode(bytes) * half)))
    });
    group.finish();
}

fn decode(bytes: &[u8; 32]) -> RistrettoPoint {
    CompressedRistretto(*bytes).decompress().expect("a point of the kernel")
}

fn encode(halves: impl Iterator<Item = RistrettoPoint>) -> Vec<CompressedRistretto> {
    RistrettoPoint::double_and_compress_batch(&halves.collect::<Vec<_>>())
}

criterion_group!(kernels, ristretto);
criterion_main!(kernels);
