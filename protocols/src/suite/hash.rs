//! Hashing to uniform bytes, the first half of hashing into a group (RFC 9380, section 5).

use std::sync::LazyLock;

use sha2::{Digest, Sha512};

/// SHA-512's input block, which RFC 9380 calls `s_in_bytes`.
const BLOCK: usize = 128;

/// The block of zeros that every message begins with, hashed once.
static ZEROS: LazyLock<Sha512> = LazyLock::new(|| Sha512::new_with_prefix([0; BLOCK]));

/// `expand_message_xmd` of RFC 9380, section 5.3.1, with SHA-512 to `N` bytes, at most 64: one output block. The message
/// comes in parts. `dst` is the domain tag, at most 255 bytes: a longer one would have to be hashed first (5.3.3).
pub fn expand_message_xmd<const N: usize>(parts: &[&[u8]], dst: &[u8]) -> [u8; N] {
    const { assert!(N <= 64, "one output block") };
    debug_assert!(dst.len() <= 255);
    let length = (N as u16).to_be_bytes();
    let dst_length = [dst.len() as u8];
    let b_0 = parts
        .iter()
        .fold(ZEROS.clone(), |hash, part| hash.chain_update(part))
        .chain_update(length)
        .chain_update([0])
        .chain_update(dst)
        .chain_update(dst_length)
        .finalize();
    let b_1 = Sha512::new_with_prefix(b_0).chain_update([1]).chain_update(dst).chain_update(dst_length).finalize();
    std::array::from_fn(|n| b_1[n])
}
