//! Every engine against the vectors of RFC 9496 and against the plain, unbatched formulas of curve25519-dalek.

use chacha20::ChaCha20Rng;
use curve25519_dalek::constants::RISTRETTO_BASEPOINT_POINT;
use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use data_encoding::HEXLOWER;
use rand_core::Rng;

use super::*;
#[cfg(target_arch = "x86_64")]
use crate::kernels::field25519::tests::ifma_engine;
use crate::kernels::field25519::tests::seeded;

const VECTORS: &str = include_str!("../../../vectors/ristretto255.txt");
const SIZES: [usize; 8] = [0, 1, 7, 8, 9, 31, 33, 257];

/// The fields after `word` on the vector lines that begin with it.
fn vectors(word: &'static str) -> impl Iterator<Item = Vec<Vec<u8>>> {
    let lines = VECTORS.lines().filter_map(move |line| line.strip_prefix(word)?.strip_prefix(' '));
    lines.map(|line| line.split(' ').map(|field| HEXLOWER.decode(field.as_bytes()).unwrap()).collect())
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().unwrap()
}

fn scalar(k: impl Into<Scalar>) -> SecretScalar {
    SecretScalar(k.into())
}

fn random_bytes<const N: usize>(rng: &mut ChaCha20Rng, n: usize) -> Vec<[u8; N]> {
    let mut items = vec![[0; N]; n];
    items.iter_mut().for_each(|item| rng.fill_bytes(item));
    items
}

/// Small ones, the largest, both sides of the middle, and random ones.
fn scalars(rng: &mut ChaCha20Rng) -> Vec<SecretScalar> {
    let mut all: Vec<_> = [1u64, 2, 3, 7, 8, 9, 15, 16, 17, 255].map(scalar).into();
    all.extend([1u64, 2, 8].map(|below| scalar(-Scalar::from(below))));
    all.extend([0u64, 1].map(|beside| scalar(Scalar::from(2u64).invert() + Scalar::from(beside))));
    all.extend((0..4).map(|_| SecretScalar::random(rng)));
    all
}

fn check_vectors<E: Engine>(engine: &E) {
    let generator = [RISTRETTO_BASEPOINT_POINT.compress().to_bytes()];
    let multiples: Vec<_> = vectors("multiple").collect();
    assert_eq!(multiples.len(), 16);
    for (k, multiple) in multiples.iter().enumerate().skip(1) {
        assert_eq!(mul_on(engine, &generator, &scalar(k as u64)), Ok(vec![array(&multiple[0])]), "multiple {k}");
    }

    let derived: Vec<_> = vectors("derive").collect();
    assert_eq!(derived.len(), 11);
    let uniform: Vec<[u8; 64]> = derived.iter().map(|fields| array(&fields[0])).collect();
    let elements: Vec<[u8; 32]> = derived.iter().map(|fields| array(&fields[1])).collect();
    assert_eq!(map_mul_on(engine, &uniform, &scalar(1u64)), elements);
}

fn check_refusals<E: Engine>(engine: &E) {
    let good = RISTRETTO_BASEPOINT_POINT.compress().to_bytes();
    let refused: Vec<_> = vectors("refuse").collect();
    assert_eq!(refused.len(), 30);
    for fields in &refused {
        let bad: [u8; 32] = array(&fields[0]);
        assert!(CompressedRistretto(bad).decompress().is_none());
        for index in [0, 7, 8, 15, 300] {
            let mut points = vec![good; 301];
            points[index] = bad;
            let refusal = BadPoint { index, reason: BadPointReason::BadEncoding };
            assert_eq!(mul_on(engine, &points, &scalar(1u64)), Err(refusal), "{bad:02x?}");
        }
    }
    // Encodings of elements, but for the ignored bit or the modulus added.
    let mut aliases: Vec<[u8; 32]> = vectors("multiple").map(|fields| array(&fields[0])).collect();
    aliases.iter_mut().for_each(|alias| alias[31] |= 0x80);
    aliases.extend((0..19).map(|s| array(&[&[0xed + s][..], &[0xff; 30], &[0x7f]].concat())));
    for alias in aliases {
        let refusal = BadPoint { index: 0, reason: BadPointReason::BadEncoding };
        assert_eq!(mul_on(engine, &[alias], &scalar(1u64)), Err(refusal), "{alias:02x?}");
    }
    // The first is named, whatever follows it and whichever chunk it is in.
    let bad: [u8; 32] = array(&refused[0][0]);
    for (first, reason) in [(2, BadPointReason::Identity), (258, BadPointReason::Identity)] {
        let mut points = vec![good; 600];
        (points[first], points[first + 1], points[599]) = ([0; 32], bad, bad);
        assert_eq!(mul_on(engine, &points, &scalar(1u64)), Err(BadPoint { index: first, reason }));
        (points[first], points[first + 1]) = (bad, [0; 32]);
        let refusal = BadPoint { index: first, reason: BadPointReason::BadEncoding };
        assert_eq!(mul_on(engine, &points, &scalar(1u64)), Err(refusal));
    }
}

/// Random strings are mostly no encodings, for every reason there is: the verdict must be dalek's on each.
fn check_verdicts<E: Engine>(engine: &E) {
    let mut rng = seeded();
    for mut bytes in random_bytes::<32>(&mut rng, 500) {
        bytes[0] &= 0xfe; // otherwise half of them are refused for the sign alone
        bytes[31] &= 0x7f;
        let expected = CompressedRistretto(bytes).decompress().map(|point| vec![point.compress().to_bytes()]);
        assert_eq!(mul_on(engine, &[bytes], &scalar(1u64)).ok(), expected, "{bytes:02x?}");
    }
}

fn check_random<E: Engine>(engine: &E) {
    let mut rng = seeded();
    for n in SIZES {
        let uniform = random_bytes::<64>(&mut rng, n);
        let elements: Vec<_> = uniform.iter().map(RistrettoPoint::from_uniform_bytes).collect();
        let encoded: Vec<_> = elements.iter().map(|element| element.compress().to_bytes()).collect();
        for k in scalars(&mut rng).iter().take(if n > 100 { 3 } else { usize::MAX }) {
            let expected: Vec<_> = elements.iter().map(|element| (element * k.0).compress().to_bytes()).collect();
            assert_eq!(map_mul_on(engine, &uniform, k), expected, "{n} strings");
            assert_eq!(mul_on(engine, &encoded, k).as_ref(), Ok(&expected), "{n} elements");
        }
    }
}

/// Strings that derive the identity, and other corners of the map, among ordinary ones in one chunk: an inversion shared
/// by the chunk must not spread the zero.
fn check_corners_of_the_map<E: Engine>(engine: &E) {
    let mut rng = seeded();
    let mut uniform = random_bytes::<64>(&mut rng, 24);
    let halves =
        [[0x00; 32], [0xff; 32], array(&[&[1][..], &[0; 31]].concat()), array(&[&[0xed][..], &[0xff; 31]].concat())];
    for (place, (first, second)) in halves.iter().flat_map(|a| halves.iter().map(move |b| (a, b))).enumerate() {
        uniform[place] = array(&[&first[..], &second[..]].concat());
    }
    let k = SecretScalar::random(&mut rng);
    let expected = uniform.iter().map(|bytes| (RistrettoPoint::from_uniform_bytes(bytes) * k.0).compress().to_bytes());
    assert_eq!(map_mul_on(engine, &uniform, &k), expected.collect::<Vec<_>>());
}

fn check<E: Engine>(engine: &E) {
    check_vectors(engine);
    check_refusals(engine);
    check_verdicts(engine);
    check_random(engine);
    check_corners_of_the_map(engine);
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

#[test]
fn batches_commute_through_the_public_functions() {
    let mut rng = seeded();
    let (a, b) = (SecretScalar::random(&mut rng), SecretScalar::random(&mut rng));
    let uniform = random_bytes::<64>(&mut rng, 20);
    let ab = mul_batch(&map_mul_batch(&uniform, &a), &b).unwrap();
    let ba = mul_batch(&map_mul_batch(&uniform, &b), &a).unwrap();
    assert_eq!(ab, ba);
    assert_eq!(ab.len(), 20);
}

#[test]
fn zero_is_no_exponent() {
    assert!(SecretScalar::from_uniform_bytes(&[0; 64]).is_none());
    let mut order = [0; 64]; // the order of the group: -1 mod l, plus 1
    order[..32].copy_from_slice((-Scalar::ONE).as_bytes());
    order[0] += 1;
    assert!(SecretScalar::from_uniform_bytes(&order).is_none());
    order[0] += 1;
    assert!(SecretScalar::from_uniform_bytes(&order).is_some_and(|k| k.0 == Scalar::ONE));
}
