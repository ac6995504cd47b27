//! What is computed on shares of numbers and bits with correlated randomness. A program batches: each of these takes whole
//! vectors, and a line is as many rounds as it says.
//!
//! | what | rounds | bytes each party says per element (ring of 2^64) | the helper says |
//! |---|---|---|---|
//! | [`mul`] | 1 | 16 | 8 |
//! | [`mul_checked`] | 3 | 48 | 32 |
//! | [`square`] | 1 | 8 | 8 |
//! | [`and`] | 1 | 1/4 | 1/8 |
//! | [`truncate`] | 1 | 1/8 | 8 |
//! | [`mul_fixed`] | 2 | 16 + 1/8 | 16 |
//! | [`dot`] of n | 1 | 16 n | 8 |
//! | [`matmul`] of m x k and k x n | 1 | 8 (mk + kn) | 8 mn |
//! | [`HeldMatrix::hold`] of m x k | 1 | 8 mk, its holder only | 0 |
//! | [`HeldMatrix::times`] k x n | 1 | 8 kn, the other only | 8 mn |
//! | [`permute`], with a given permutation | 1 | 4 its holder; 8 for each word of a row the other | 8 a word |
//!
//! Without a helper, transfers come on top: see each correlation.
//!
//! **Claim.** Semi-honest parties, of which the helper, if any, colludes with neither: every message is uniform to who reads
//! it, or an opened output.

mod checked;
mod matrix;
mod mul;
mod permute;
mod truncate;

#[cfg(test)]
mod tests;

pub use checked::mul_checked;
pub use matrix::{HeldMatrix, dot, matmul};
pub use mul::{and, mul, square};
pub use permute::{permute, shuffle};
pub use truncate::{TRUNCATED_BITS, mul_fixed, truncate};
