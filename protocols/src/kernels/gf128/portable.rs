//! The portable twin: carry-less products from integer ones, whose time does not depend on their factors on the processors
//! that Banyan runs on.

use super::Engine;

pub(super) struct Portable;

impl Engine for Portable {
    fn mul(&self, a: u128, b: u128) -> u128 {
        reduce(widening_mul(a, b))
    }

    fn mul_batch(&self, a: &mut [u128], b: &[u128]) {
        for (a, b) in a.iter_mut().zip(b) {
            *a = self.mul(*a, *b);
        }
    }

    fn scale(&self, a: &mut [u128], k: u128) {
        for a in a {
            *a = self.mul(*a, k);
        }
    }

    fn scale_add(&self, acc: &mut [u128], a: &[u128], k: u128) {
        for (acc, a) in acc.iter_mut().zip(a) {
            *acc ^= self.mul(*a, k);
        }
    }

    fn inner_product(&self, a: &[u128], b: &[u128]) -> u128 {
        let sum = a.iter().zip(b).fold((0, 0), |(low, high), (a, b)| {
            let product = widening_mul(*a, *b);
            (low ^ product.0, high ^ product.1)
        });
        reduce(sum)
    }
}

/// The product of two polynomials of degree below 128, low half first (Karatsuba and Ofman).
fn widening_mul(a: u128, b: u128) -> (u128, u128) {
    let halves = |value: u128| (value as u64, (value >> 64) as u64);
    let ((a0, a1), (b0, b1)) = (halves(a), halves(b));
    let (low, high) = (clmul(a0, b0), clmul(a1, b1));
    let middle = clmul(a0 ^ a1, b0 ^ b1) ^ low ^ high;
    (low ^ middle << 64, high ^ middle >> 64)
}

/// x^128 = x^7 + x^2 + x + 1 twice: first for the high half, then for the seven bits that this carries beyond.
fn reduce((low, high): (u128, u128)) -> u128 {
    let fold = |value: u128| value ^ value << 1 ^ value << 2 ^ value << 7;
    let beyond = high >> 127 ^ high >> 126 ^ high >> 121;
    low ^ fold(high) ^ fold(beyond)
}

/// The product of two polynomials of degree below 64. Its high half is the low half of the product of the reversed factors.
fn clmul(a: u64, b: u64) -> u128 {
    let high = clmul_low(a.reverse_bits(), b.reverse_bits()).reverse_bits() >> 1;
    u128::from(high) << 64 | u128::from(clmul_low(a, b))
}

/// The low half of a carry-less product. Every fourth bit of a factor is kept, so that of the at most 16 ones that meet in
/// a column no carry reaches the next column that counts (16 meet in the topmost only, whose carry is lost).
fn clmul_low(a: u64, b: u64) -> u64 {
    let every_fourth = |value: u64, start: usize| value & 0x1111_1111_1111_1111 << start;
    let column = |sum: usize| {
        let products = (0..4).map(|n| every_fourth(a, n).wrapping_mul(every_fourth(b, (sum + 4 - n) % 4)));
        every_fourth(products.fold(0, |columns, product| columns ^ product), sum)
    };
    column(0) | column(1) | column(2) | column(3)
}
