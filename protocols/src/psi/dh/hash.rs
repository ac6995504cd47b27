//! Hashing into the group: `ristretto255_XMD:SHA-512_R255MAP_RO_` of RFC 9380, appendix B, up to the 64 uniform bytes that
//! the one-way map of RFC 9496, 4.3.4 takes. The map itself and the multiplication are one kernel.

use sha2::{Digest, Sha512};

/// The one domain tag of `dh`: name and version of the protocol, then the suite (RFC 9380, 3.1).
pub(super) const DST: &[u8] = b"banyan/dh/v1 ristretto255_XMD:SHA-512_R255MAP_RO_";

/// SHA-512's input block, which RFC 9380 calls `s_in_bytes`.
const BLOCK: usize = 128;

/// `expand_message_xmd` of RFC 9380, 5.3.1 with SHA-512 to 64 bytes: one output block. The message comes in parts.
pub(super) fn expand_message_xmd(parts: &[&[u8]], dst: &[u8]) -> [u8; 64] {
    debug_assert!(dst.len() <= 255, "a longer tag would have to be hashed first (5.3.3)");
    let length = 64u16.to_be_bytes();
    let dst_length = [dst.len() as u8];
    let b_0 = parts
        .iter()
        .fold(Sha512::new_with_prefix([0; BLOCK]), |hash, part| hash.chain_update(part))
        .chain_update(length)
        .chain_update([0])
        .chain_update(dst)
        .chain_update(dst_length)
        .finalize();
    Sha512::new_with_prefix(b_0).chain_update([1]).chain_update(dst).chain_update(dst_length).finalize().into()
}
