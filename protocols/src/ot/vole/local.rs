//! The local computations of a batch: pure, and the only places that see secrets.

use rand_core::CryptoRng;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use zeroize::{DefaultIsZeroes, Zeroize, Zeroizing};

use super::msg::Verdict;
use crate::bits::Bits;
use crate::kernels::gf128::{inner_product, mul};
use crate::kernels::lpn::{Code, Element};
use crate::kernels::mask::{TOGETHER, mask_block, masks_at};
use crate::kernels::pprf::{Forest, Sums, grow, grow_punctured};

/// Where the receiver's A is from: all of GF(2^128), or the space of polynomials of degree below 64. That is closed under
/// addition and no field, so who consumes it may add elements of A but multiply them by Δ only. It takes half the
/// transfers for its noise, and half the memory.
pub trait Scalar: Element + DefaultIsZeroes + sealed::Scalar + 'static {
    /// Bits of an element.
    const BITS: usize;

    /// The element in GF(2^128): the same bits, zeros above.
    fn lift(self) -> u128;
}

mod sealed {
    pub trait Scalar {
        fn lowest(bits: u128) -> Self;
    }
}

impl Scalar for u64 {
    const BITS: usize = 64;

    fn lift(self) -> u128 {
        self.into()
    }
}

impl sealed::Scalar for u64 {
    fn lowest(bits: u128) -> Self {
        bits as u64
    }
}

impl Scalar for u128 {
    const BITS: usize = 128;

    fn lift(self) -> u128 {
        self
    }
}

impl sealed::Scalar for u128 {
    fn lowest(bits: u128) -> Self {
        bits
    }
}

/// A uniform element.
pub(super) fn random<R: CryptoRng>(rng: &mut R) -> u128 {
    u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64())
}

/// The sparse vector of a batch, which only the receiver knows, and how it will be checked.
pub(super) struct Noise<F: Scalar> {
    pub(super) chi: u128,
    points: Zeroizing<Vec<u32>>,
    values: Zeroizing<Vec<F>>,
}

impl<F: Scalar> Noise<F> {
    /// A uniform point and value in each block. (A value is zero with probability 2^-64 at most, which adds as little to the
    /// bias of the noise.)
    pub(super) fn random<R: CryptoRng>(forest: &Forest, rng: &mut R) -> Self {
        let mut block = || random(rng);
        let chi = block();
        let trees = 0..forest.trees();
        // 64 random bits times the number of leaves, shifted: a point, with a bias below 2^-50.
        let points = trees.clone().map(|_| (((block() >> 64) * forest.leaves() as u128) >> 64) as u32).collect();
        let values = trees.map(|_| F::lowest(block())).collect();
        Self { chi, points: Zeroizing::new(points), values: Zeroizing::new(values) }
    }

    /// Choices of the correlated transfers: the bits of the values, and of Y = Σ_i χ^(place of i) y_i.
    pub(super) fn values(&self, forest: &Forest) -> impl Iterator<Item = bool> {
        let mut square = self.chi;
        let squares: [u128; PLACE_BITS] = std::array::from_fn(|bit| {
            square = if bit == 0 { square } else { mul(square, square) };
            square
        });
        let blocks = (0..).step_by(forest.leaves()).zip(self.points.iter().zip(self.values.iter()));
        let sum = blocks.fold(0, |sum, (first, (point, value))| {
            let place = first as u32 + point + 1;
            let power = squares.iter().enumerate().fold(1, |power, (bit, square)| {
                let set = mask_block((place >> bit) as u8);
                mul(power, square & set | 1 & !set)
            });
            sum ^ mul(power, value.lift())
        });
        let values: Zeroizing<Vec<u128>> = Zeroizing::new(self.values.iter().map(|value| value.lift()).collect());
        let bits = |value: u128, count: usize| (0..count).map(move |bit| value >> bit & 1 == 1);
        (0..values.len()).flat_map(move |at| bits(values[at], F::BITS)).chain(bits(sum, 128))
    }

    /// Choices of the random transfers: along the paths.
    pub(super) fn paths(&self, forest: &Forest) -> Vec<bool> {
        forest.choices(&self.points)
    }
}

/// Bits of a place in the noise of a batch, counted from 1.
const PLACE_BITS: usize = 22;

/// What the transfers of a batch gave one party: for each value of the noise, and for Y, b or c of c = y·Δ + b.
pub(super) struct Correlated {
    values: Zeroizing<Vec<u128>>,
    mask: u128,
}

impl Correlated {
    /// Packs one element out of the transfers of each of its bits: t_k = q_k + (bit k)·Δ sum up to Σ x^k t_k.
    pub(super) fn pack<F: Scalar>(transfers: &[u128]) -> Self {
        let powers: [u128; 128] = std::array::from_fn(|k| 1 << k);
        let (values, mask) = transfers.split_at(transfers.len() - 128);
        let pack = |bits: &[u128]| inner_product(bits, &powers[..bits.len()]);
        Self { values: Zeroizing::new(values.chunks_exact(F::BITS).map(pack).collect()), mask: pack(mask) }
    }
}

/// A grown batch of one party: its dense vector, and what hides the check of it.
pub(super) struct Grown {
    dense: Zeroizing<Vec<u128>>,
    mask: u128,
}

/// The sender's leaves, and the sums it hands out.
pub(super) fn send(forest: &Forest, noise: &Correlated, keys: &[[u128; 2]]) -> (Grown, Sums) {
    let mut dense = Zeroizing::new(vec![0; forest.len()]);
    let mut sums = grow(forest, keys, &mut dense);
    sums.totals.iter_mut().zip(noise.values.iter()).for_each(|(total, b)| *total ^= b);
    (Grown { dense, mask: noise.mask }, sums)
}

/// The receiver's leaves, with y·Δ added at its points.
pub(super) fn receive<F: Scalar>(
    forest: &Forest,
    noise: &Noise<F>,
    correlated: &Correlated,
    keys: &[u128],
    mut sums: Sums,
) -> Grown {
    sums.totals.iter_mut().zip(correlated.values.iter()).for_each(|(total, c)| *total ^= c);
    let mut dense = Zeroizing::new(vec![0; forest.len()]);
    grow_punctured(forest, &noise.points, keys, &sums, &mut dense);
    Grown { dense, mask: correlated.mask }
}

impl Grown {
    /// h(Σ_j χ^j L_j + mask), with places counted from 1 over the whole forest.
    pub(super) fn verdict(&self, forest: &Forest, chi: u128, binding: &[u8; 32]) -> Verdict {
        let mut power = 1;
        let powers: Vec<u128> = (0..forest.leaves())
            .map(|_| {
                power = mul(power, chi);
                power
            })
            .collect();
        let trees: Vec<u128> =
            self.dense.par_chunks_exact(forest.leaves()).map(|leaves| inner_product(leaves, &powers)).collect();
        let sum = trees.iter().rev().fold(0, |sum, tree| mul(sum, power) ^ tree);
        let hash = Sha256::new_with_prefix(binding).chain_update((sum ^ self.mask).to_le_bytes());
        Verdict(hash.finalize().into())
    }

    /// B, of which the first elements are kept.
    pub(super) fn encode(self, code: &Code, kept: usize) -> Zeroizing<Vec<u128>> {
        let mut dense = self.dense;
        code.encode(&mut dense);
        keep(dense, kept)
    }

    /// A and C, of which the first elements are kept.
    pub(super) fn encode_with<F: Scalar>(
        self,
        code: &Code,
        forest: &Forest,
        noise: &Noise<F>,
        kept: usize,
    ) -> (Zeroizing<Vec<F>>, Zeroizing<Vec<u128>>) {
        let mut dense = self.dense;
        let mut sparse = Zeroizing::new(vec![F::default(); forest.len()]);
        let blocks = sparse.par_chunks_exact_mut(forest.leaves()).zip(&*noise.points).zip(&*noise.values);
        blocks.for_each(|((block, point), value)| {
            for (chunk, elements) in block.chunks_mut(TOGETHER).enumerate() {
                for (element, here) in elements.iter_mut().zip(masks_at(chunk * TOGETHER, *point)) {
                    *element = F::lowest(value.lift() & here);
                }
            }
        });
        code.encode_pair(&mut sparse, &mut dense);
        (keep(sparse, kept), keep(dense, kept))
    }
}

/// The first elements of a vector, in its place; the others are erased and their memory given back.
fn keep<T: DefaultIsZeroes>(mut vector: Zeroizing<Vec<T>>, kept: usize) -> Zeroizing<Vec<T>> {
    vector[kept..].zeroize();
    vector.truncate(kept);
    vector.shrink_to_fit();
    vector
}

/// The choices of all batches, in one vector.
pub(super) fn all_choices(batches: impl Iterator<Item = impl IntoIterator<Item = bool>>) -> Bits {
    batches.flatten().collect()
}

#[cfg(test)]
impl Correlated {
    /// Those of the values, then that of Y.
    pub(super) fn all(&self) -> impl Iterator<Item = u128> {
        self.values.iter().copied().chain([self.mask])
    }
}
