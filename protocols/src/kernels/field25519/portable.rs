//! The portable twin, in safe code and constant time: limbs of radix 2^51, products of 128 bits. It is there for what
//! curve25519-dalek computes too and does not offer.

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// 51 ones.
const LIMB: u64 = (1 << 51) - 1;
/// Twice the modulus in limbs: above any limb that is taken away.
const P2: [u64; 5] = [2 * (LIMB - 18), 2 * LIMB, 2 * LIMB, 2 * LIMB, 2 * LIMB];

/// A field element, nearly reduced: every limb is below 2^51 + 2^13.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Element([u64; 5]);

impl Element {
    pub(in crate::kernels) const ZERO: Self = Self([0; 5]);
    pub(in crate::kernels) const ONE: Self = Self::small(1);

    pub(in crate::kernels) const fn small(value: u32) -> Self {
        Self([value as u64, 0, 0, 0, 0])
    }

    /// 255 bits, little endian, not necessarily reduced; the top bit is ignored.
    pub(in crate::kernels) fn from_bytes(bytes: &[u8; 32]) -> Self {
        let word = |n: usize| u64::from_le_bytes(std::array::from_fn(|byte| bytes[8 * n + byte]));
        let (w0, w1, w2, w3) = (word(0), word(1), word(2), word(3));
        Self([
            w0 & LIMB,
            (w0 >> 51 | w1 << 13) & LIMB,
            (w1 >> 38 | w2 << 26) & LIMB,
            (w2 >> 25 | w3 << 39) & LIMB,
            (w3 >> 12) & LIMB,
        ])
    }

    /// 384 bits, big endian, modulo p: the last step of `hash_to_field` (RFC 9380, section 5.2).
    pub(in crate::kernels) fn from_wide(bytes: &[u8; 48]) -> Self {
        let (low, high) = split_wide(bytes);
        Self::from_bytes(&low).add(&Self::from_bytes(&high).mul(&Self::small(19)))
    }

    /// The canonical bytes. Adding 19 times the quotient by p and dropping bit 255 subtracts p as often.
    pub(in crate::kernels) fn to_bytes(self) -> [u8; 32] {
        let limbs = self.0;
        let quotient = limbs.iter().fold(19, |carry, limb| (limb + carry) >> 51);
        let mut carry = 19 * quotient;
        let [l0, l1, l2, l3, l4] = limbs.map(|limb| {
            let sum = limb + carry;
            carry = sum >> 51;
            sum & LIMB
        });
        let words = [l0 | l1 << 51, l1 >> 13 | l2 << 38, l2 >> 26 | l3 << 25, l3 >> 39 | l4 << 12];
        let mut bytes = [0; 32];
        for (bytes, word) in bytes.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    pub(in crate::kernels) fn add(&self, other: &Self) -> Self {
        Self(carry(std::array::from_fn(|n| self.0[n] + other.0[n])))
    }

    pub(in crate::kernels) fn sub(&self, other: &Self) -> Self {
        Self(carry(std::array::from_fn(|n| self.0[n] + P2[n] - other.0[n])))
    }

    pub(in crate::kernels) fn neg(&self) -> Self {
        Self::ZERO.sub(self)
    }

    /// Columns are below 77 * 2^103, so that one pass of carries leaves limbs of 51 bits, but for the two lowest.
    pub(in crate::kernels) fn mul(&self, other: &Self) -> Self {
        let product = |i: usize, j: usize| u128::from(self.0[i]) * u128::from(other.0[j]);
        let mut columns: [u128; 5] = std::array::from_fn(|k| {
            (0..5).map(|i| if i <= k { product(i, k - i) } else { 19 * product(i, 5 + k - i) }).sum()
        });
        for k in 0..4 {
            columns[k + 1] += columns[k] >> 51;
        }
        let round = 19 * (columns[4] >> 51);
        let mut limbs = columns.map(|column| column as u64 & LIMB);
        let lowest = u128::from(limbs[0]) + round;
        limbs[0] = lowest as u64 & LIMB;
        limbs[1] += (lowest >> 51) as u64;
        Self(limbs)
    }

    pub(in crate::kernels) fn square(&self) -> Self {
        self.mul(self)
    }

    /// 1/x = x^(2^255 - 21); 0 where x is 0.
    pub(in crate::kernels) fn invert(&self) -> Self {
        let mut power = self.power_250();
        for bit in [0, 1, 0, 1, 1] {
            power = power.square();
            if bit == 1 {
                power = power.mul(self);
            }
        }
        power
    }

    /// Whether it is a square other than 0: Euler's x^((p - 1) / 2) = x^(2^254 - 10) is 1 then.
    pub(in crate::kernels) fn is_square(&self) -> Choice {
        let mut power = self.power_250();
        for bit in [0, 1, 1, 0] {
            power = power.square();
            if bit == 1 {
                power = power.mul(self);
            }
        }
        power.to_bytes().ct_eq(&Self::ONE.to_bytes())
    }

    /// x^(2^250 - 1): from x^(2^a - 1), a squarings and a multiplication give x^(2^2a - 1).
    fn power_250(&self) -> Self {
        let shift = |x: &Self, by: usize| (0..by).fold(*x, |x, _| x.square());
        let x_1 = *self;
        let x_2 = shift(&x_1, 1).mul(&x_1);
        let x_3 = shift(&x_2, 1).mul(&x_1);
        let x_6 = shift(&x_3, 3).mul(&x_3);
        let x_12 = shift(&x_6, 6).mul(&x_6);
        let x_24 = shift(&x_12, 12).mul(&x_12);
        let x_25 = shift(&x_24, 1).mul(&x_1);
        let x_50 = shift(&x_25, 25).mul(&x_25);
        let x_100 = shift(&x_50, 50).mul(&x_50);
        let x_200 = shift(&x_100, 100).mul(&x_100);
        shift(&x_200, 50).mul(&x_50)
    }
}

impl ConditionallySelectable for Element {
    fn conditional_select(a: &Self, b: &Self, choice: Choice) -> Self {
        Self(std::array::from_fn(|n| u64::conditional_select(&a.0[n], &b.0[n], choice)))
    }
}

/// 384 bits as little-endian low and high parts, number = low + 2^255 high.
pub(in crate::kernels) fn split_wide(big_endian: &[u8; 48]) -> ([u8; 32], [u8; 32]) {
    let byte = |n: usize| if n < 48 { big_endian[47 - n] } else { 0 };
    let mut low: [u8; 32] = std::array::from_fn(byte);
    low[31] &= 0x7f;
    // Bit 255 and the sixteen bytes above it, moved down by 255 bits.
    let high = std::array::from_fn(|n| if n < 17 { byte(31 + n) >> 7 | byte(32 + n) << 1 } else { 0 });
    (low, high)
}

/// All carries at once, of limbs below 2^53.
fn carry(limbs: [u64; 5]) -> [u64; 5] {
    let up = limbs.map(|limb| limb >> 51);
    let [l0, l1, l2, l3, l4] = limbs.map(|limb| limb & LIMB);
    [l0 + 19 * up[4], l1 + up[0], l2 + up[1], l3 + up[2], l4 + up[3]]
}
