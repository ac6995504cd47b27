//! The two hashes of the extension: of what is sent, which makes the challenge of the check, and of rows, which breaks the
//! correlation.

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::kernels::aes::{Aes128, prg};

/// Blocks hashed at once: 2 KiB.
const CHUNK: usize = 128;

/// The challenge of the check of a batch: a coefficient for each block of a column but the last, whose is 1.
pub(super) fn challenge(transcript: &Sha256, first: u64, blocks: usize, corrections: &[u128]) -> Vec<u128> {
    let mut hash = transcript.clone();
    hash.update(first.to_le_bytes());
    hash.update((blocks as u64).to_le_bytes());
    update(&mut hash, corrections);
    let digest: [u8; 32] = hash.finalize().into();
    let mut seed = [0; 16];
    seed.copy_from_slice(&digest[..16]);
    let mut coefficients = vec![0; blocks - 1];
    prg(u128::from_le_bytes(seed), 0, &mut coefficients);
    coefficients.push(1);
    coefficients
}

/// Adds blocks to a hash.
pub(super) fn update(hash: &mut Sha256, blocks: &[u128]) {
    for blocks in blocks.chunks(CHUNK) {
        let mut bytes = [[0; 16]; CHUNK];
        bytes.iter_mut().zip(blocks).for_each(|(bytes, block)| *bytes = block.to_le_bytes());
        hash.update(bytes[..blocks.len()].as_flattened());
    }
}

/// H(i, x) = π(π(x) ^ i) ^ π(x), with π = AES under a key of the run: TMMO of Guo, Katz, Wang and Yu.
pub(super) struct RowHash(Aes128);

impl RowHash {
    pub(super) fn new(key: u128) -> Self {
        Self(Aes128::new(key))
    }

    /// Each row i from `first` on in place, xored with `mask` before it is hashed.
    pub(super) fn hash(&self, first: u64, mask: u128, rows: &mut [u128]) {
        let mut once = Zeroizing::new([0; CHUNK]);
        let mut tweak = u128::from(first);
        for rows in rows.chunks_mut(CHUNK) {
            let once = &mut once[..rows.len()];
            once.iter_mut().zip(&*rows).for_each(|(once, row)| *once = row ^ mask);
            self.0.encrypt(once);
            for (row, once) in rows.iter_mut().zip(&*once) {
                *row = once ^ tweak;
                tweak += 1;
            }
            self.0.encrypt(rows);
            rows.iter_mut().zip(&*once).for_each(|(row, once)| *row ^= once);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_hashed_as_the_formula_says() {
        let aes = Aes128::new(9);
        let pi = |x: u128| {
            let mut block = [x];
            aes.encrypt(&mut block);
            block[0]
        };
        let mut rows: Vec<u128> = (0..300).collect();
        RowHash::new(9).hash(1 << 40, 6, &mut rows);
        for (n, hashed) in rows.iter().enumerate() {
            let once = pi(n as u128 ^ 6);
            assert_eq!(*hashed, pi(once ^ (n as u128 + (1 << 40))) ^ once);
        }
    }
}
