//! `expand_message_xmd` of RFC 9380, section 5.3.1, for any hash: from a message to uniform bytes.

use sha2::digest::block_api::{Block, BlockSizeUser};
use sha2::digest::typenum::Unsigned;
use sha2::digest::{Digest, OutputSizeUser};

/// `N` uniform bytes from a message, which comes in parts, under a domain tag of at most 255 bytes.
///
/// # Panics
/// Where the tag is longer, or `N` more than 255 outputs of the hash: both are constants of a protocol.
pub fn expand_message_xmd<H: Digest + BlockSizeUser, const N: usize>(parts: &[&[u8]], dst: &[u8]) -> [u8; N] {
    let output = <H as OutputSizeUser>::OutputSize::USIZE;
    assert!(dst.len() <= 255, "a longer tag has to be hashed first (5.3.3)");
    assert!(N <= 255 * output, "the counter of blocks is one byte");
    let dst_length = [dst.len() as u8];
    let ended =
        |hash: H, counter: u8| hash.chain_update([counter]).chain_update(dst).chain_update(dst_length).finalize();

    let padding = H::new().chain_update(Block::<H>::default());
    let message = parts.iter().fold(padding, |hash, part| hash.chain_update(part));
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

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use sha2::{Sha256, Sha512};
    use sm3::Sm3;

    use super::*;

    /// RFC 9380, appendix K.1: SHA-256, from a part of an output to several of them.
    #[test]
    fn vectors_of_the_rfc() {
        const DST: &[u8] = b"QUUX-V01-CS02-with-expander-SHA256-128";
        let short = |message: &[u8]| HEXLOWER.encode(&expand_message_xmd::<Sha256, 32>(&[message], DST));
        assert_eq!(short(b""), "68a985b87eb6b46952128911f2a4412bbc302a9d759667f87f7a21d803f07235");
        assert_eq!(short(b"abc"), "d8ccab23b5985ccea865c6c97b6e5b8350e794e603b4b97902f53a8a0d605615");
        let long = "af84c27ccfd45d41914fdff5df25293e221afc53d8ad2ac06d5e3e29485dadbee0d121587713a3e0dd4d5e69e93eb7cd\
                    4f5df4cd103e188cf60cb02edc3edf18eda8576c412b18ffb658e3dd6ec849469b979d444cf7b26911a08e63cf31f9dc\
                    c541708d3491184472c2c29bb749d4286b004ceb5ee6b9a7fa5b646c993f0ced";
        assert_eq!(HEXLOWER.encode(&expand_message_xmd::<Sha256, 128>(&[], DST)), long);
    }

    #[test]
    fn parts_are_one_message_and_the_length_counts() {
        let whole = expand_message_xmd::<Sha512, 64>(&[b"abcdef"], b"tag");
        assert_eq!(expand_message_xmd::<Sha512, 64>(&[b"ab", b"", b"cdef"], b"tag"), whole);
        assert_ne!(expand_message_xmd::<Sha512, 48>(&[b"abcdef"], b"tag"), whole[..48]);
        assert_ne!(expand_message_xmd::<Sha512, 64>(&[b"abcdef"], b"tab"), whole);
    }

    /// GM/T 0004-2012, appendix A: the hash that this expands with for the SM suite.
    #[test]
    fn sm3_is_the_hash_of_the_standard() {
        let abc = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0";
        let abcd_16 = "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732";
        assert_eq!(HEXLOWER.encode(&Sm3::digest(b"abc")), abc);
        assert_eq!(HEXLOWER.encode(&Sm3::digest(b"abcd".repeat(16))), abcd_16);
    }
}
