//! The portable twin: the crate `aes`, which is constant-time on every processor.

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Block};

use super::Engine;

/// Blocks that are handed to the crate together: what its widest engine takes at once.
const BATCH: usize = 64;

pub(super) struct Portable;

pub(super) struct Key(Aes128);

impl Engine for Portable {
    type Key = Key;

    fn expand(&self, key: u128) -> Key {
        Key(Aes128::new(&key.to_le_bytes().into()))
    }

    fn encrypt(&self, key: &Key, blocks: &mut [u128]) {
        for blocks in blocks.chunks_mut(BATCH) {
            let mut bytes = [Block::default(); BATCH];
            for (bytes, block) in bytes.iter_mut().zip(&*blocks) {
                *bytes = block.to_le_bytes().into();
            }
            key.0.encrypt_blocks(&mut bytes[..blocks.len()]);
            for (block, bytes) in blocks.iter_mut().zip(bytes) {
                *block = u128::from_le_bytes(bytes.into());
            }
        }
    }

    fn mmo(&self, key: &Key, blocks: &mut [u128]) {
        for blocks in blocks.chunks_mut(BATCH) {
            let mut hashed = [0; BATCH];
            let hashed = &mut hashed[..blocks.len()];
            hashed.copy_from_slice(blocks);
            self.encrypt(key, hashed);
            for (block, hashed) in blocks.iter_mut().zip(hashed) {
                *block ^= *hashed;
            }
        }
    }

    fn double(&self, keys: [&Key; 2], parents: &[u128], children: &mut [u128]) {
        for (parents, children) in parents.chunks(BATCH).zip(children.chunks_mut(2 * BATCH)) {
            for (side, key) in keys.into_iter().enumerate() {
                let mut hashed = [0; BATCH];
                let hashed = &mut hashed[..parents.len()];
                hashed.copy_from_slice(parents);
                self.mmo(key, hashed);
                for (pair, hashed) in children.chunks_exact_mut(2).zip(hashed) {
                    pair[side] = *hashed;
                }
            }
        }
    }

    fn davies_meyer(&self, keys: &[u128], blocks: &mut [u128]) {
        for (key, block) in keys.iter().zip(blocks.chunks_mut(1)) {
            self.mmo(&self.expand(*key), block);
        }
    }
}
