//! The standards' vectors; see `protocols/vectors/README.md` for their origin.

use data_encoding::HEXLOWER;
use sha2::Sha512;

use super::super::local::domain_tag;
use super::{Curve25519, Ristretto255, Sm2Curve};
use crate::kernels::ristretto::{SecretScalar, map_mul_batch, mul_batch};
use crate::suite::xmd::expand_message_xmd;

const RFC9496: &str = include_str!("../../../../vectors/ristretto255.txt");
const RFC9497_HASH_TO_GROUP: &str = include_str!("../../../../vectors/rfc9497-hash-to-group.txt");
const RFC9497_EVALUATE: &str = include_str!("../../../../vectors/rfc9497-evaluate.txt");

/// The encodings of RFC 9496, appendix A.2, which are no element.
pub(super) fn rfc9496_invalid() -> impl Iterator<Item = [u8; 32]> {
    lines(RFC9496).filter_map(|line| line.strip_prefix("refuse ")).map(hex32)
}

fn lines(file: &str) -> impl Iterator<Item = &str> {
    file.lines().filter(|line| !line.starts_with('#') && !line.is_empty())
}

fn hex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).unwrap()
}

fn hex32(text: &str) -> [u8; 32] {
    hex(text).try_into().unwrap()
}

/// A scalar of the standard's text, through the reduction that random ones take.
fn scalar(text: &str) -> SecretScalar {
    let mut wide = [0; 64];
    wide[..32].copy_from_slice(&hex32(text));
    SecretScalar::from_uniform_bytes(&wide).unwrap()
}

#[test]
fn the_files_are_whole() {
    let count = |file| lines(file).count();
    assert!(rfc9496_invalid().count() >= 29);
    assert_eq!((count(RFC9497_HASH_TO_GROUP), count(RFC9497_EVALUATE)), (6, 2));
}

#[test]
fn hashing_into_the_group_is_the_standards() {
    for line in lines(RFC9497_HASH_TO_GROUP) {
        let [mode, input, blind, blinded] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let dst = [b"HashToGroup-OPRFV1-", hex(mode).as_slice(), b"-ristretto255-SHA512"].concat();
        let input = hex(input);
        let (head, tail) = input.split_at(input.len() / 2);
        for parts in [vec![&input[..]], vec![head, tail]] {
            let uniform = expand_message_xmd::<Sha512, 64>(&parts, &dst);
            assert_eq!(map_mul_batch(&[uniform], &scalar(blind)), [hex32(blinded)], "{line}");
        }
    }
}

#[test]
fn multiplying_is_the_standards() {
    for line in lines(RFC9497_EVALUATE) {
        let [key, blinded, evaluated] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert_eq!(mul_batch(&[hex32(blinded)], &scalar(key)), Ok(vec![hex32(evaluated)]), "{line}");
    }
}

/// The tags are part of the protocols: changing one makes two versions that find no match without a word.
#[test]
fn the_domain_tags_are_pinned() {
    assert_eq!(domain_tag::<Ristretto255>(), b"banyan/dh/v1 ristretto255_XMD:SHA-512_R255MAP_RO_");
    assert_eq!(domain_tag::<Curve25519>(), b"banyan/ecdh/v1 curve25519_XMD:SHA-512_ELL2_NU_");
    assert_eq!(domain_tag::<Sm2Curve>(), b"banyan/ecdh-sm/v1 SM2_XMD:SM3_SSWU_NU_");
}
