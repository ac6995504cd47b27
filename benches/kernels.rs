//! The kernels alone, on one core: time per batch of 256 items, and items per second. Beside each, what the portable twin
//! does, written with curve25519-dalek, so that ratios come from one run.
//!
//! `cargo bench -p banyan-benches --bench kernels`

use std::hint::black_box;

use banyan_protocols::bits::Bits;
use banyan_protocols::kernels::aes::{Aes128, Doubling, davies_meyer, prg};
use banyan_protocols::kernels::gf128;
use banyan_protocols::kernels::ristretto::{SecretScalar, map_mul_batch, mul_batch};
use banyan_protocols::kernels::transpose::transpose;
use banyan_protocols::ot;
use banyan_protocols::party::{PartyId, Role, Roster};
use banyan_protocols::sim::World;
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

/// Blocks of 16 bytes that stay in the first cache.
const BLOCKS: usize = 1024;

fn aes(c: &mut Criterion) {
    let (key, keys) = (Aes128::new(1), Doubling::new(1, 2));
    let mut blocks: Vec<u128> = (0..BLOCKS as u128).collect();
    let item_keys = blocks.clone();
    let mut group = c.benchmark_group("aes128");
    group.throughput(Throughput::Elements(BLOCKS as u64));
    group.bench_function("mmo", |b| b.iter(|| key.mmo(black_box(&mut blocks))));
    group.bench_function("prg", |b| b.iter(|| prg(black_box(3), 0, &mut blocks)));
    group.bench_function("davies_meyer", |b| b.iter(|| davies_meyer(black_box(&item_keys), &mut blocks)));
    group.bench_function("doubling, per child", |b| {
        b.iter(|| keys.expand(black_box(&item_keys[..BLOCKS / 2]), &mut blocks))
    });
    group.finish();
}

fn gf128(c: &mut Criterion) {
    let mut a: Vec<u128> = (1..=BLOCKS as u128).collect();
    let b = a.clone();
    let mut group = c.benchmark_group("gf128");
    group.throughput(Throughput::Elements(BLOCKS as u64));
    group.bench_function("mul_batch", |bench| bench.iter(|| gf128::mul_batch(black_box(&mut a), &b)));
    group.bench_function("scale_add", |bench| bench.iter(|| gf128::scale_add(black_box(&mut a), &b, 3)));
    group.bench_function("inner_product", |bench| bench.iter(|| gf128::inner_product(black_box(&a), &b)));
    group.bench_function("mul", |bench| bench.iter(|| b.iter().fold(3, |product, b| gf128::mul(product, *b))));
    group.finish();
}

criterion_group!(kernels, ristretto, aes, gf128);
criterion_main!(kernels);
