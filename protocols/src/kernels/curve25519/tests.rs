//! Every engine against the vectors of RFC 7748 and RFC 9380, and against curve25519-dalek in other coordinates.

use chacha20::ChaCha20Rng;
use curve25519_dalek::constants::{EIGHT_TORSION, X25519_BASEPOINT};
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::montgomery::MontgomeryPoint;
use curve25519_dalek::scalar::clamp_integer;
use data_encoding::HEXLOWER;
use rand_core::Rng;

use super::*;
#[cfg(target_arch = "x86_64")]
use crate::kernels::field25519::tests::ifma_engine;
use crate::kernels::field25519::tests::seeded;

const RFC7748: &str = include_str!("../../../vectors/rfc7748.txt");
const RFC9380: &str = include_str!("../../../vectors/rfc9380-curve25519.txt");
const SIZES: [usize; 8] = [0, 1, 7, 8, 9, 31, 33, 257];

/// The fields after `word` on the lines that begin with it.
fn lines(file: &'static str, word: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    file.lines()
        .filter_map(move |line| line.strip_prefix(word)?.strip_prefix(' '))
        .map(|line| line.split(' ').collect())
}

fn hex32(text: &str) -> [u8; 32] {
    HEXLOWER.decode(text.as_bytes()).unwrap().try_into().unwrap()
}

/// Little endian, of a big-endian number.
fn number(text: &str) -> [u8; 32] {
    let mut bytes = hex32(text);
    bytes.reverse();
    bytes
}

/// A field element as 48 uniform bytes that reduce to it.
fn wide(text: &str) -> [u8; 48] {
    [&[0; 16][..], &hex32(text)].concat().try_into().unwrap()
}

fn scalar(k: impl Into<Scalar>) -> SecretScalar {
    SecretScalar(k.into())
}

/// The k of a clamped scalar 8k.
fn clamped(bytes: [u8; 32]) -> Scalar {
    let clamped = clamp_integer(bytes);
    let eighth = std::array::from_fn(|n| clamped[n] >> 3 | if n < 31 { clamped[n + 1] << 5 } else { 0 });
    Scalar::from_canonical_bytes(eighth).unwrap()
}

fn random_bytes<const N: usize>(rng: &mut ChaCha20Rng, n: usize) -> Vec<[u8; N]> {
    let mut items = vec![[0; N]; n];
    items.iter_mut().for_each(|item| rng.fill_bytes(item));
    items
}

/// Small ones, the largest, and random ones.
fn scalars(rng: &mut ChaCha20Rng) -> Vec<SecretScalar> {
    let mut all: Vec<_> = [1u64, 2, 3, 8, 255].map(scalar).into();
    all.extend([1u64, 2, 8].map(|below| scalar(-Scalar::from(below))));
    all.extend((0..3).map(|_| SecretScalar::random(rng)));
    all
}

fn x25519<E: Engine>(engine: &E, k: [u8; 32], u: [u8; 32]) -> [u8; 32] {
    let mut out = [[0; 32]];
    engine.mul(&[u], &clamped(k), &mut out);
    out[0]
}

fn check_rfc7748<E: Engine>(engine: &E) {
    let mut count = 0;
    for fields in lines(RFC7748, "x25519") {
        let [k, u, output] = fields[..] else { panic!("{fields:?}") };
        assert_eq!(x25519(engine, hex32(k), hex32(u)), hex32(output), "{fields:?}");
        count += 1;
    }
    assert_eq!(count, 6);
    let (mut k, mut u) = (X25519_BASEPOINT.to_bytes(), X25519_BASEPOINT.to_bytes());
    let mut done = 0;
    for fields in lines(RFC7748, "iterate") {
        let [times, output] = fields[..] else { panic!("{fields:?}") };
        let times = times.parse().unwrap();
        for _ in done..times {
            (k, u) = (x25519(engine, k, u), k);
        }
        assert_eq!(k, hex32(output), "{times} times");
        done = times;
    }
    assert_eq!(done, 1000);
}

/// P itself for NU; for all, that Q goes where its field element does. What `map` makes of them is checked beside each engine.
fn check_rfc9380<E: Engine>(engine: &E, map: impl Fn(&[[u8; 48]]) -> Vec<[u8; 32]>) {
    let nu: Vec<_> = lines(RFC9380, "NU").collect();
    let ro: Vec<_> = lines(RFC9380, "RO").collect();
    assert_eq!((nu.len(), ro.len()), (5, 10));
    let uniform: Vec<_> = nu.iter().map(|fields| wide(fields[1])).collect();
    let products: Vec<_> = nu.iter().map(|fields| number(fields[3])).collect();
    assert_eq!(map_mul_on(engine, &uniform, &scalar(1u64)), products);

    let all: Vec<_> = nu.iter().chain(&ro).collect();
    let uniform: Vec<_> = all.iter().map(|fields| wide(fields[1])).collect();
    let mapped: Vec<_> = all.iter().map(|fields| number(fields[2])).collect();
    assert_eq!(map(&uniform), mapped);
}

fn check_refusals<E: Engine>(engine: &E) {
    let good = X25519_BASEPOINT.to_bytes();
    let mut refused: Vec<([u8; 32], BadPointReason)> = Vec::new();
    for low in 0..19 {
        let mut unreduced = [0xff; 32];
        (unreduced[0], unreduced[31]) = (0xed + low, 0x7f);
        refused.push((unreduced, BadPointReason::BadEncoding));
    }
    let mut high = good;
    high[31] |= 0x80;
    refused.push((high, BadPointReason::BadEncoding));
    refused.extend(EIGHT_TORSION.map(|point| (point.to_montgomery().to_bytes(), BadPointReason::SmallOrder)));
    let mut minus_one = [0xff; 32];
    (minus_one[0], minus_one[31]) = (0xec, 0x7f);
    refused.push((minus_one, BadPointReason::SmallOrder)); // of order 4 on the twist
    let mut two = [0; 32];
    two[0] = 2;
    refused.push((two, BadPointReason::Twist));
    for (bad, reason) in &refused {
        for index in [0, 7, 8, 15, 300] {
            let mut points = vec![good; 301];
            points[index] = *bad;
            assert_eq!(check_on(engine, &points), Err(BadPoint { index, reason: *reason }), "{bad:02x?}");
        }
    }
    // The first is named, whatever follows it and whichever chunk it is in; nothing is multiplied then.
    for first in [2, 258] {
        let mut points = vec![good; 600];
        (points[first], points[first + 1], points[599]) = (two, high, minus_one);
        let refusal = Err(BadPoint { index: first, reason: BadPointReason::Twist });
        assert_eq!(mul_on(engine, &points, &scalar(1u64)), refusal);
    }
}

/// Half of all numbers are on the curve: the verdict must be dalek's on each.
fn check_verdicts<E: Engine>(engine: &E) {
    let mut rng = seeded();
    let mut twists = 0;
    for mut bytes in random_bytes::<32>(&mut rng, 400) {
        bytes[31] &= 0x7f;
        let is_twist = MontgomeryPoint(bytes).to_edwards(0).is_none();
        let expected = if is_twist { Err(BadPoint { index: 0, reason: BadPointReason::Twist }) } else { Ok(()) };
        assert_eq!(check_on(engine, &[bytes]), expected, "{bytes:02x?}");
        twists += u32::from(is_twist);
    }
    assert!((120..280).contains(&twists), "{twists} of 400");
}

/// The oracle adds on the Edwards curve and knows no ladder.
fn check_random<E: Engine>(engine: &E) {
    let mut rng = seeded();
    for n in SIZES {
        let points: Vec<EdwardsPoint> =
            (0..n).map(|at| EdwardsPoint::random(&mut rng) + EIGHT_TORSION[at % 8]).collect();
        let encoded: Vec<_> = points.iter().map(|point| point.to_montgomery().to_bytes()).collect();
        for k in scalars(&mut rng).iter().take(if n > 100 { 3 } else { usize::MAX }) {
            let expected: Vec<_> =
                points.iter().map(|point| (point.mul_by_cofactor() * k.0).to_montgomery().to_bytes()).collect();
            assert_eq!(mul_on(engine, &encoded, k), Ok(expected), "{n} points");
        }
    }
}

/// Points on the twist, unreduced numbers and points of small order, unchecked and among others: as dalek's ladder has them.
fn check_unchecked<E: Engine>(engine: &E) {
    let mut rng = seeded();
    let mut points = random_bytes::<32>(&mut rng, 40);
    for (place, point) in EIGHT_TORSION.iter().enumerate() {
        points[3 * place] = point.to_montgomery().to_bytes();
    }
    (points[30], points[31]) = ([0xff; 32], [0; 32]);
    let k = SecretScalar::random(&mut rng);
    let eight = [true, false, false, false];
    let expected: Vec<_> =
        points.iter().map(|u| (MontgomeryPoint(*u) * k.0).mul_bits_be(eight.into_iter()).to_bytes()).collect();
    let mut out = vec![[0; 32]; points.len()];
    engine.mul(&points, &k.0, &mut out);
    assert_eq!(out, expected);
}

/// Corners of the map among ordinary items in one chunk: an inversion shared by the chunk must not spread a zero, which the
/// item of zeros has.
fn check_map<E: Engine>(engine: &E) {
    let mut rng = seeded();
    let mut one = [0; 48];
    one[47] = 1;
    for n in SIZES {
        let mut uniform = random_bytes::<48>(&mut rng, n);
        for (place, corner) in [[0; 48], [0xff; 48], one].iter().enumerate() {
            if let Some(item) = uniform.get_mut(5 * place) {
                *item = *corner;
            }
        }
        let k = SecretScalar::random(&mut rng);
        let products = map_mul_on(engine, &uniform, &k);
        assert_eq!(products, map_mul_on(&Portable, &uniform, &k), "{n} items");
        // All answers are on the curve, but for that of zeros, whose point is of small order.
        assert_eq!(check_on(engine, &products[n.min(1)..]), Ok(()));
        assert_eq!(products.first().copied().unwrap_or_default(), [0; 32]);
    }
}

fn check<E: Engine>(engine: &E) {
    check_rfc7748(engine);
    check_refusals(engine);
    check_verdicts(engine);
    check_random(engine);
    check_unchecked(engine);
    check_map(engine);
}

#[test]
fn the_portable_engine_is_right() {
    check(&Portable);
    check_rfc9380(&Portable, portable::map);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_ifma_engine_is_right() {
    if let Some(engine) = ifma_engine() {
        check(&engine);
        check_rfc9380(&engine, |uniform| ifma::map(&engine, uniform));
    }
}

#[test]
fn batches_commute_and_are_undone() {
    let mut rng = seeded();
    let (a, b) = (SecretScalar::random(&mut rng), SecretScalar::random(&mut rng));
    let uniform = random_bytes::<48>(&mut rng, 20);
    let masked = map_mul_batch(&uniform, &a);
    let ab = mul_batch(&masked, &b).unwrap();
    let ba = mul_batch(&map_mul_batch(&uniform, &b), &a).unwrap();
    assert_eq!(ab, ba);
    let undo = scalar((Scalar::from(64u64) * b.0).invert());
    assert_eq!(mul_batch(&ab, &undo), Ok(masked));
}

#[test]
fn zero_is_no_scalar() {
    assert!(SecretScalar::from_uniform_bytes(&[0; 64]).is_none());
    let mut order = [0; 64]; // the order of the group: -1 mod l, plus 1
    order[..32].copy_from_slice((-Scalar::ONE).as_bytes());
    order[0] += 1;
    assert!(SecretScalar::from_uniform_bytes(&order).is_none());
    order[0] += 1;
    assert!(SecretScalar::from_uniform_bytes(&order).is_some_and(|k| k.0 == Scalar::ONE));
}
