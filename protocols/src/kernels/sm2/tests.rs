//! Every engine against the vectors of the standard and against the plain, unbatched formulas of the crate `sm2`.

use std::hash::{BuildHasher, RandomState};

use chacha20::ChaCha20Rng;
use data_encoding::HEXLOWER;
use rand_core::{Rng, SeedableRng};
use sm2::elliptic_curve::point::{AffineCoordinates, DecompressPoint};
use sm2::{AffinePoint, ProjectivePoint};
use sm3::Sm3;

use super::*;
use crate::suite::xmd::expand_message_xmd;

const VECTORS: &str = include_str!("../../../vectors/sm2.txt");
const SIZES: [usize; 8] = [0, 1, 7, 8, 9, 31, 33, 257];

/// p, big-endian.
const P: [u8; 32] = [
    0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
];

/// The fields after `word` on the vector lines that begin with it; `-` is an empty one.
fn vectors(word: &'static str) -> impl Iterator<Item = Vec<Vec<u8>>> {
    let lines = VECTORS.lines().filter_map(move |line| line.strip_prefix(word)?.strip_prefix(' '));
    let field = |field: &str| HEXLOWER.decode(field.trim_matches('-').as_bytes()).unwrap();
    lines.map(move |line| line.split(' ').map(field).collect())
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().unwrap()
}

fn scalar(k: impl Into<Scalar>) -> SecretScalar {
    SecretScalar(k.into())
}

/// A generator whose seed is printed, and so shown when the test fails.
pub(super) fn seeded() -> ChaCha20Rng {
    let seed = RandomState::new().hash_one(0);
    println!("seed {seed}");
    ChaCha20Rng::seed_from_u64(seed)
}

fn random_bytes<const N: usize>(rng: &mut ChaCha20Rng, n: usize) -> Vec<[u8; N]> {
    let mut items = vec![[0; N]; n];
    items.iter_mut().for_each(|item| rng.fill_bytes(item));
    items
}

/// Small ones and the largest, where sums could meet their exceptions, both sides of the middle, and random ones.
fn scalars(rng: &mut ChaCha20Rng) -> Vec<SecretScalar> {
    let mut all: Vec<_> = (1..70u64).flat_map(|k| [scalar(k), scalar(-Scalar::from(k))]).collect();
    all.extend([0u64, 1].map(|beside| scalar(Scalar::from(2u64).invert().unwrap() + Scalar::from(beside))));
    all.extend((0..8).map(|_| SecretScalar::random(rng)));
    all
}

fn encoded(point: &AffinePoint) -> [u8; COMPRESSED] {
    array(&[&[2 | point.y_is_odd().unwrap_u8()][..], &point.x()].concat())
}

fn product(point: &AffinePoint, k: &SecretScalar) -> [u8; COMPRESSED] {
    encoded(&(ProjectivePoint::from(point) * k.0).to_affine())
}

fn decompress(x: &[u8; 32], odd: u8) -> Option<AffinePoint> {
    AffinePoint::decompress(&(*x).into(), odd.into()).into()
}

fn check_vectors<E: Engine>(engine: &E) {
    let multiplied: Vec<_> = vectors("multiply").collect();
    assert_eq!(multiplied.len(), 3);
    for fields in &multiplied {
        let k = scalar(reduce::<Scalar>(&fields[0]));
        assert_eq!(mul_on(engine, &[array(&fields[1])], &k), Ok(vec![array(&fields[2])]));
    }
    let mapped: Vec<_> = vectors("map").collect();
    assert_eq!(mapped.len(), 13);
    let uniform: Vec<_> = mapped.iter().map(|fields| array(&fields[0])).collect();
    let points: Vec<[u8; COMPRESSED]> = mapped.iter().map(|fields| array(&fields[1])).collect();
    assert_eq!(map_mul_on(engine, &uniform, &scalar(1u64)), points);
    let hashed: Vec<_> = vectors("hash").collect();
    assert_eq!(hashed.len(), 4);
    for fields in &hashed {
        let uniform = expand_message_xmd::<Sm3, UNIFORM>(&[&fields[0]], b"QUUX-V01-CS02-with-SM2_XMD:SM3_SSWU_NU_");
        assert_eq!(uniform[..], fields[1]);
        assert_eq!(map_mul_on(engine, &[uniform], &scalar(1u64)), [array(&fields[2])]);
    }
}

fn check_random<E: Engine>(engine: &E) {
    let mut rng = seeded();
    for n in SIZES {
        let uniform = random_bytes::<UNIFORM>(&mut rng, n);
        let points = Portable.map(&uniform);
        let encodings: Vec<_> = points.iter().map(encoded).collect();
        let all = scalars(&mut rng);
        for k in all.iter().rev().take(if n == 9 { usize::MAX } else { 2 }) {
            let expected: Vec<_> = points.iter().map(|point| product(point, k)).collect();
            assert_eq!(map_mul_on(engine, &uniform, k), expected, "{n} strings");
            assert_eq!(mul_on(engine, &encodings, k).as_ref(), Ok(&expected), "{n} points");
        }
    }
}

/// Both points of each x of the curve, from the ends and at random; the others are refused, wherever they stand.
fn check_decoding<E: Engine>(engine: &E) {
    let mut rng = seeded();
    let mut all = random_bytes::<32>(&mut rng, 60);
    all.extend([P, [0xff; 32]]);
    all.extend((0..20).map(|x| array(&[&[0; 31][..], &[x]].concat())));
    all.extend((1..20).map(|x| array(&[&P[..31], &[P[31] - x]].concat())));
    let canonical = all.iter().filter(|x| **x < P);
    let (good, bad): (Vec<_>, Vec<_>) = canonical.partition(|x| decompress(x, 0).is_some());
    assert!(good.len() > 20 && bad.len() > 20);
    let verdicts: Vec<_> = all.iter().map(|x| decompress(x, 0).is_some()).collect();
    for n in [0, 1, 8, 9, 17, all.len()] {
        assert_eq!(on_curve_on(engine, &all[..n]), verdicts[..n]);
    }
    for odd in [0, 1] {
        let point = |x: &&[u8; 32]| -> [u8; COMPRESSED] { array(&[&[2 | odd][..], &x[..]].concat()) };
        let points: Vec<_> = good.iter().map(point).collect();
        assert_eq!(mul_on(engine, &points, &scalar(1u64)).as_ref(), Ok(&points));
        for (n, bad) in bad.iter().map(point).enumerate() {
            let index = (n * 7) % 41;
            let refusal = BadPoint { index, reason: BadPointReason::OffCurve };
            let mut points = vec![GENERATOR; 41];
            points[index] = bad;
            assert_eq!(mul_on(engine, &points, &scalar(1u64)), Err(refusal), "{bad:02x?}");
        }
    }
}

fn check_refusals<E: Engine>(engine: &E) {
    let with_prefix = |prefix| array(&[&[prefix][..], &GENERATOR[1..]].concat());
    let mut refused: Vec<[u8; COMPRESSED]> = [0, 1, 4, 5, 6, 7, 0x82, 0xff].map(with_prefix).into();
    refused.extend([[0; COMPRESSED], [0xff; COMPRESSED]]);
    // x + p for small x, and p itself; 0 and 1 are the x of points
    for x in 0..3 {
        let mut alias = P;
        let carried = alias.iter_mut().rev().fold(x, |carry: u8, byte| {
            let (sum, over) = byte.overflowing_add(carry);
            *byte = sum;
            u8::from(over)
        });
        assert_eq!(carried, 0);
        refused.push(array(&[&[2][..], &alias].concat()));
    }
    refused.push(array(&[&[3][..], &[0xff; 32]].concat()));
    for bad in refused {
        for index in [0, 7, 8, 15, 40] {
            let mut points = vec![GENERATOR; 41];
            points[index] = bad;
            let refusal = BadPoint { index, reason: BadPointReason::BadEncoding };
            assert_eq!(mul_on(engine, &points, &scalar(1u64)), Err(refusal), "{bad:02x?}");
        }
    }
    // The first is named, whatever follows it and whichever chunk it is in.
    let twist = array(&[&[2][..], &[0; 31], &[2]].concat());
    for first in [2, 258] {
        let mut points = vec![GENERATOR; 600];
        (points[first], points[first + 1], points[599]) = (twist, [0; COMPRESSED], [0; COMPRESSED]);
        let refusal = BadPoint { index: first, reason: BadPointReason::OffCurve };
        assert_eq!(mul_on(engine, &points, &scalar(1u64)), Err(refusal));
        (points[first], points[first + 1]) = ([0; COMPRESSED], twist);
        let refusal = BadPoint { index: first, reason: BadPointReason::BadEncoding };
        assert_eq!(mul_on(engine, &points, &scalar(1u64)), Err(refusal));
    }
}

fn check<E: Engine>(engine: &E) {
    check_vectors(engine);
    check_refusals(engine);
    check_decoding(engine);
    check_random(engine);
}

#[test]
fn the_portable_engine_is_right() {
    check(&Portable);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_ifma_engine_is_right() {
    if let Some(engine) = ifma_engine() {
        check(&engine);
    }
}

/// The engine, where the processor has it. Where its tests must not be skipped, as in `.ci/run` on such a processor,
/// `BANYAN_REQUIRE_IFMA` makes its absence an error.
#[cfg(target_arch = "x86_64")]
pub(super) fn ifma_engine() -> Option<ifma::Ifma> {
    let engine = ifma::Ifma::detect();
    if engine.is_none() {
        let required = std::env::var_os("BANYAN_REQUIRE_IFMA").is_some();
        assert!(!required, "BANYAN_REQUIRE_IFMA is set, and AVX-512 IFMA is not detected");
        println!("not run: this processor has no AVX-512 IFMA");
    }
    engine
}

#[test]
fn batches_commute_through_the_public_functions() {
    let mut rng = seeded();
    let (a, b) = (SecretScalar::random(&mut rng), SecretScalar::random(&mut rng));
    let uniform = random_bytes::<UNIFORM>(&mut rng, 20);
    let ab = mul_batch(&map_mul_batch(&uniform, &a), &b).unwrap();
    let ba = mul_batch(&map_mul_batch(&uniform, &b), &a).unwrap();
    assert_eq!(ab, ba);
    assert_eq!(ab.len(), 20);
}

#[test]
fn an_x_alone_gives_the_x_of_the_product_whatever_the_sign() {
    let mut rng = seeded();
    let k = SecretScalar::random(&mut rng);
    let points = map_mul_on(&Portable, &random_bytes::<UNIFORM>(&mut rng, 20), &scalar(1u64));
    let products: Vec<_> = mul_compressed_batch(&points, &k).unwrap().iter().map(x_of).collect();
    let x: Vec<_> = points.iter().map(x_of).collect();
    assert_eq!(on_curve_batch(&x), vec![true; 20]);
    assert_eq!(mul_batch(&x, &k), Ok(products));
    assert_eq!(mul_batch(&[P], &k), Err(BadPoint { index: 0, reason: BadPointReason::BadEncoding }));
}

#[test]
fn zero_is_no_scalar() {
    assert!(SecretScalar::from_uniform_bytes(&[0; 64]).is_none());
    let order = "fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123";
    let mut bytes = [0; 64];
    bytes[32..].copy_from_slice(&HEXLOWER.decode(order.as_bytes()).unwrap());
    assert!(SecretScalar::from_uniform_bytes(&bytes).is_none());
    bytes[63] += 1;
    assert!(SecretScalar::from_uniform_bytes(&bytes).is_some_and(|k| k.0 == Scalar::ONE));
    bytes[31] = 1; // 2^256 = 2^256 - n modulo n
    let more = SecretScalar::from_uniform_bytes(&bytes).unwrap();
    assert_eq!(more.0 - Scalar::ONE, (0..256).fold(Scalar::ONE, |power, _| power.double()));
}
