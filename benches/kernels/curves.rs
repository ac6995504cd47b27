//! Points and scalars.

use banyan_protocols::kernels::curve25519;
use banyan_protocols::kernels::ristretto::{SecretScalar, map_mul_batch, mul_batch};
use banyan_protocols::kernels::sm2 as kernel;
use criterion::{Criterion, Throughput};
use curve25519_dalek::Scalar;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::montgomery::MontgomeryPoint;
use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use sm2::elliptic_curve::point::DecompressPoint;
use sm2::{AffinePoint, ProjectivePoint, Scalar as Sm2Scalar};
use std::hint::black_box;

/// One rayon task of the kernel.
const ITEMS: usize = 256;

pub(super) fn ristretto(c: &mut Criterion) {
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

pub(super) fn x_only(c: &mut Criterion) {
    let core = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    let wide = [0x5a; 64];
    let k = curve25519::SecretScalar::from_uniform_bytes(&wide).expect("not zero");
    let scalar = Scalar::from_bytes_mod_order_wide(&wide);
    let uniform: Vec<[u8; 48]> = (0..ITEMS).map(|n| std::array::from_fn(|byte| (n ^ byte) as u8)).collect();
    let points = core.install(|| curve25519::map_mul_batch(&uniform, &k));

    let mut group = c.benchmark_group("curve25519");
    group.throughput(Throughput::Elements(ITEMS as u64));
    group.bench_function("map_mul_batch", |b| {
        core.install(|| b.iter(|| curve25519::map_mul_batch(black_box(&uniform), &k)))
    });
    group.bench_function("mul_batch", |b| {
        core.install(|| b.iter(|| curve25519::mul_batch(black_box(&points), &k).expect("points of the kernel")))
    });
    group.bench_function("map_mul_batch, portable", |b| {
        b.iter(|| {
            let hash = |bytes| EdwardsPoint::encode_to_curve::<sha2::Sha512>(&[bytes], &[b"bench"]).to_montgomery();
            black_box(&uniform).iter().map(|bytes| hash(bytes) * scalar).collect::<Vec<_>>()
        })
    });
    group.bench_function("mul_batch, portable", |b| {
        b.iter(|| {
            let checked = |u: &[u8; 32]| {
                let point = MontgomeryPoint(*u);
                point.to_edwards(0).expect("a point of the kernel");
                point
            };
            black_box(&points).iter().map(|u| checked(u) * scalar).collect::<Vec<_>>()
        })
    });
    group.finish();
}

/// The portable twin of products is the crate `sm2`: a point decoded, multiplied, and brought to affine coordinates.
pub(super) fn sm2_curve(c: &mut Criterion) {
    let core = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    let wide = [0x5a; 64];
    let k = kernel::SecretScalar::from_uniform_bytes(&wide).expect("not zero");
    let uniform: Vec<_> = (0..ITEMS).map(|n| std::array::from_fn(|byte| (n ^ byte) as u8)).collect();
    let points = core.install(|| kernel::map_mul_batch(&uniform, &k));
    let scalar = Sm2Scalar::from(3u64).invert().expect("not zero");

    let mut group = c.benchmark_group("sm2");
    group.throughput(Throughput::Elements(ITEMS as u64));
    group.bench_function("map_mul_batch", |b| {
        core.install(|| b.iter(|| kernel::map_mul_batch(black_box(&uniform), &k)))
    });
    group.bench_function("mul_batch", |b| {
        core.install(|| b.iter(|| kernel::mul_batch(black_box(&points), &k).expect("points of the kernel")))
    });
    group.sample_size(10);
    group.bench_function("mul_batch, portable", |b| {
        b.iter(|| {
            let decoded = black_box(&points).iter().map(|x| AffinePoint::decompress(&(*x).into(), 0.into()));
            let product = |point| (ProjectivePoint::from(point) * scalar).to_affine();
            decoded.map(|point| product(point.expect("a point of the kernel"))).collect::<Vec<_>>()
        })
    });
    group.finish();
}
