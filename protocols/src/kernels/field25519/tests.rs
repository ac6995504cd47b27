//! What the tests of the field, and of the kernels over it, have in common: slow plain arithmetic, seeds, and the engine. Then
//! the portable field against it.

use std::hash::{BuildHasher, RandomState};

use chacha20::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::portable::Element;

pub(in crate::kernels) const LIMB: u64 = (1 << 51) - 1;

/// A generator whose seed is printed, and so shown when the test fails.
pub(in crate::kernels) fn seeded() -> ChaCha20Rng {
    let seed = RandomState::new().hash_one(0);
    println!("seed {seed}");
    ChaCha20Rng::seed_from_u64(seed)
}

/// The engine, where the processor has it. Where its tests must not be skipped, as in `.ci/run` on such a processor,
/// `BANYAN_REQUIRE_IFMA` makes its absence an error.
#[cfg(target_arch = "x86_64")]
pub(in crate::kernels) fn ifma_engine() -> Option<super::ifma::Ifma> {
    let engine = super::ifma::Ifma::detect();
    if engine.is_none() {
        let required = std::env::var_os("BANYAN_REQUIRE_IFMA").is_some();
        assert!(!required, "BANYAN_REQUIRE_IFMA is set, and AVX-512 IFMA is not detected");
        println!("not run: this processor has no AVX-512 IFMA");
    }
    engine
}

/// An integer below p = 2^255 - 19, as slow and plain as can be: words from the lowest, sums, and doublings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::kernels) struct Plain(pub(in crate::kernels) [u64; 4]);

impl Plain {
    pub(in crate::kernels) const P: [u64; 4] = [u64::MAX - 18, u64::MAX, u64::MAX, u64::MAX >> 1];

    pub(in crate::kernels) fn small(value: u64) -> Self {
        Self([value, 0, 0, 0])
    }

    /// The limbs need not be reduced.
    pub(in crate::kernels) fn of(limbs: [u64; 5]) -> Self {
        limbs.iter().rev().fold(Self::small(0), |sum, limb| (0..51).fold(sum, |x, _| x.add(x)).add(Self::small(*limb)))
    }

    pub(in crate::kernels) fn add(self, other: Self) -> Self {
        let mut carry = 0;
        let sum = std::array::from_fn(|n| {
            let word = u128::from(self.0[n]) + u128::from(other.0[n]) + carry;
            carry = word >> 64;
            word as u64
        });
        Self(if sum.iter().rev().ge(Self::P.iter().rev()) { minus(sum, Self::P) } else { sum })
    }

    pub(in crate::kernels) fn neg(self) -> Self {
        if self == Self::small(0) { self } else { Self(minus(Self::P, self.0)) }
    }

    pub(in crate::kernels) fn mul(self, other: Self) -> Self {
        let bits = (0..255).rev().map(|n| other.0[n / 64] >> (n % 64) & 1 == 1);
        bits.fold(Self::small(0), |sum, bit| if bit { sum.add(sum).add(self) } else { sum.add(sum) })
    }

    pub(in crate::kernels) fn is_odd(self) -> bool {
        self.0[0] & 1 == 1
    }
}

fn minus(x: [u64; 4], y: [u64; 4]) -> [u64; 4] {
    let mut borrow = false;
    std::array::from_fn(|n| {
        let (word, under) = x[n].overflowing_sub(y[n]);
        let (word, under_too) = word.overflowing_sub(u64::from(borrow));
        borrow = under || under_too;
        word
    })
}

/// Some at the ends of the range, some random; encoded, not all reduced.
fn encodings(rng: &mut ChaCha20Rng) -> Vec<[u8; 32]> {
    let mut all = vec![[0; 32], [0xff; 32]];
    for low in [1, 0xec, 0xed, 0xee] {
        all.push(std::array::from_fn(|n| match n {
            0 => low,
            31 if low > 1 => 0x7f,
            _ if low > 1 => 0xff,
            _ => 0,
        }));
    }
    all.resize(20, [0; 32]);
    all[6..].iter_mut().for_each(|bytes| rng.fill_bytes(bytes));
    all
}

fn plain(bytes: &[u8; 32]) -> Plain {
    let words: [u64; 4] = std::array::from_fn(|n| u64::from_le_bytes(bytes[8 * n..8 * n + 8].try_into().unwrap()));
    Plain([words[0], words[1], words[2], words[3] & u64::MAX >> 1]).add(Plain::small(0)) // reduced
}

fn bytes(x: Plain) -> [u8; 32] {
    x.0.map(u64::to_le_bytes).concat().try_into().unwrap()
}

#[test]
fn the_portable_field_is_the_plain_one() {
    let mut rng = seeded();
    let all = encodings(&mut rng);
    for x in &all {
        let (a, pa) = (Element::from_bytes(x), plain(x));
        assert_eq!(a.to_bytes(), bytes(pa));
        assert_eq!(a.invert().mul(&a).to_bytes(), bytes(Plain::small(u64::from(pa != Plain::small(0)))));
        assert_eq!(a.square().to_bytes(), bytes(pa.mul(pa)));
        assert_eq!(a.neg().to_bytes(), bytes(pa.neg()));
        assert!(bool::from(a.square().is_square()) == (pa != Plain::small(0)));
        assert!(!bool::from(a.square().add(&a.square()).is_square()), "2 is no square");
        for y in &all {
            let (b, pb) = (Element::from_bytes(y), plain(y));
            assert_eq!(a.mul(&b).to_bytes(), bytes(pa.mul(pb)));
            assert_eq!(a.add(&b).to_bytes(), bytes(pa.add(pb)));
            assert_eq!(a.sub(&b).to_bytes(), bytes(pa.add(pb.neg())));
        }
    }
}

#[test]
fn wide_numbers_are_reduced() {
    let mut rng = seeded();
    let mut wide = [[0; 48], [0xff; 48], [0x80; 48], [0; 48]];
    rng.fill_bytes(&mut wide[3]);
    for big_endian in wide {
        let expected = big_endian.iter().fold(Plain::small(0), |sum, byte| {
            let shifted = (0..8).fold(sum, |x, _| x.add(x));
            shifted.add(Plain::small(u64::from(*byte)))
        });
        assert_eq!(Element::from_wide(&big_endian).to_bytes(), bytes(expected));
    }
}
