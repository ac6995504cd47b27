//! Blocks, field elements and hashes.

use std::hint::black_box;

use banyan_protocols::kernels::aes::{Aes128, Doubling, davies_meyer, prg};
use banyan_protocols::kernels::gf128 as field;
use banyan_protocols::kernels::sha256::Prefixed;
use banyan_protocols::kernels::transpose::transpose;
use criterion::{Criterion, Throughput};

/// Blocks of 16 bytes that stay in the first cache.
const BLOCKS: usize = 1024;

pub(super) fn aes(c: &mut Criterion) {
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

pub(super) fn gf128(c: &mut Criterion) {
    let mut a: Vec<u128> = (1..=BLOCKS as u128).collect();
    let b = a.clone();
    let mut group = c.benchmark_group("gf128");
    group.throughput(Throughput::Elements(BLOCKS as u64));
    group.bench_function("mul_batch", |bench| bench.iter(|| field::mul_batch(black_box(&mut a), &b)));
    group.bench_function("scale_add", |bench| bench.iter(|| field::scale_add(black_box(&mut a), &b, 3)));
    group.bench_function("inner_product", |bench| bench.iter(|| field::inner_product(black_box(&a), &b)));
    group.bench_function("mul", |bench| bench.iter(|| b.iter().fold(3, |product, b| field::mul(product, *b))));
    group.finish();
}

/// Rows from columns: 128 bits each.
pub(super) fn sha256(c: &mut Criterion) {
    let (prefixed, mut out) = (Prefixed::new(&[7; 64]), vec![0; BLOCKS]);
    let mut group = c.benchmark_group("sha256");
    group.throughput(Throughput::Elements(BLOCKS as u64));
    group.bench_function("hash_batch", |b| {
        b.iter(|| prefixed.hash_batch(black_box(&mut out), |place, ending| ending.put(&[place as u8; 18])))
    });
    group.finish();
}

pub(super) fn transposition(c: &mut Criterion) {
    const BLOCKS: usize = 256;
    let columns: Vec<u128> = (0..128 * BLOCKS as u128).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
    let mut group = c.benchmark_group("transpose");
    group.throughput(Throughput::Elements(128 * BLOCKS as u64));
    group.bench_function("128 columns", |b| b.iter(|| transpose(black_box(&columns))));
    group.finish();
}
