//! `expand_message_xmd` of RFC 9380, section 5.3.1, for any hash: from a message to uniform bytes, the first half of hashing
//! into a group.

use sha2::digest::{Digest, OutputSizeUser, block_api::BlockSizeUser, typenum::Unsigned};

/// `N` uniform bytes from a message, which comes in parts, under a domain tag of at most 255 bytes.
///
/// # Panics
/// Where the tag is longer, or `N` more than 255 outputs of the hash: both are constants of a protocol.
pub fn expand_message_xmd<H: Digest + BlockSizeUser + Clone, const N: usize>(parts: &[&[u8]], dst: &[u8]) -> [u8; N] {
    Expander::<H>::new(dst).expand(parts)
}

/// A domain tag, for many messages.
#[derive(Clone)]
pub struct Expander<H> {
    /// The block of zeros that every message begins with, hashed once.
    zeros: H,
    dst: Vec<u8>,
}

impl<H: Digest + BlockSizeUser + Clone> Expander<H> {
    /// Under a domain tag of at most 255 bytes.
    ///
    /// # Panics
    /// Where it is longer.
    pub fn new(dst: &[u8]) -> Self {
        assert!(dst.len() <= 255, "a longer tag has to be hashed first (5.3.3)");
        Self { zeros: H::new().chain_update(vec![0; H::block_size()]), dst: dst.to_vec() }
    }

    /// `N` uniform bytes from a message, which comes in parts.
    ///
    /// # Panics
    /// Where `N` is more than 255 outputs of the hash.
    pub fn expand<const N: usize>(&self, parts: &[&[u8]]) -> [u8; N] {
        let output = <H as OutputSizeUser>::OutputSize::USIZE;
        assert!(N <= 255 * output, "the counter of blocks is one byte");
        let dst_length = [self.dst.len() as u8];
        let ended = |hash: H, counter: u8| {
            hash.chain_update([counter]).chain_update(&self.dst).chain_update(dst_length).finalize()
        };

        let message = parts.iter().fold(self.zeros.clone(), |hash, part| hash.chain_update(part));
        let b_0 = ended(message.chain_update((N as u16).to_be_bytes()), 0);
        let mut uniform = [0; N];
        let mut b = b_0.clone();
        for (block, counter) in uniform.chunks_mut(output).zip(1..) {
            if counter > 1 {
                b.iter_mut().zip(&b_0).for_each(|(b, b_0)| *b ^= b_0);
            }
            b = ended(H::new().chain_update(&b), counter);
            block.copy_from_slice(&b[..block.len()]);
        }
        uniform
    }
}
