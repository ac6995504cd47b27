use chacha20::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::*;

fn random(count: usize, seed: u8) -> Vec<u128> {
    let mut rng = ChaCha20Rng::from_seed([seed; 32]);
    (0..count).map(|_| u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64())).collect()
}

/// Multiplication bit by bit, as the definition has it.
fn defined(mut a: u128, b: u128) -> u128 {
    let mut product = 0;
    for bit in 0..128 {
        product ^= if b >> bit & 1 == 1 { a } else { 0 };
        a = a << 1 ^ if a >> 127 == 1 { 0x87 } else { 0 };
    }
    product
}

fn agrees_with_the_definition<E: Engine>(engine: &E) {
    let edges = [0, 1, 2, 0x87, 1 << 63, 1 << 64, 1 << 127, u128::MAX, u64::MAX.into(), u128::MAX << 64];
    let elements = [&edges[..], &random(30, 1)].concat();
    for a in &elements {
        for b in &elements {
            assert_eq!(engine.mul(*a, *b), defined(*a, *b), "{a:x} * {b:x}");
        }
    }
    for length in 0..19 {
        let (a, b, k) = (random(length, 2), random(length, 3), 0x1234_5678_9abc_def0 << 60);
        let pairs = || a.iter().zip(&b);
        let mut product = a.clone();
        engine.mul_batch(&mut product, &b);
        assert!(product.iter().copied().eq(pairs().map(|(a, b)| defined(*a, *b))));
        let mut scaled = a.clone();
        engine.scale(&mut scaled, k);
        assert!(scaled.iter().copied().eq(a.iter().map(|a| defined(*a, k))));
        let mut sum = a.clone();
        engine.scale_add(&mut sum, &b, k);
        assert!(sum.iter().copied().eq(pairs().map(|(a, b)| a ^ defined(*b, k))));
        assert_eq!(engine.inner_product(&a, &b), pairs().fold(0, |sum, (a, b)| sum ^ defined(*a, *b)));
    }
}

#[test]
fn the_portable_engine_agrees_with_the_definition() {
    agrees_with_the_definition(&Portable);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_vector_engine_agrees_with_the_definition() {
    if let Some(engine) = clmul::Clmul::detect() {
        agrees_with_the_definition(&engine);
    }
}

/// NIST SP 800-38D numbers bits the other way round: this product is H * C of test case 2 of the GCM specification
/// (McGrew and Viega 2005, appendix B), bits reversed.
#[test]
fn a_published_product() {
    let h = 0x66e94bd4ef8a2c3b884cfa59ca342b2e_u128.reverse_bits();
    let c = 0x0388dace60b6a392f328c2b971b2fe78_u128.reverse_bits();
    assert_eq!(mul(h, c), 0x5e2ec746917062882c85b0685353deb7_u128.reverse_bits());
}

#[test]
fn an_element_times_its_inverse_is_one() {
    for a in random(20, 4).into_iter().chain([1, 2, u128::MAX]) {
        assert_eq!(mul(a, inverse(a)), 1);
    }
    assert_eq!(inverse(0), 0);
}
