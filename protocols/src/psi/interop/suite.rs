//! The suites of the standard: a curve, a hash, and how the one gets onto the other. Points are bytes here.

use sha2::{Digest, Sha256};
use sm2::AffinePoint;
use sm2::elliptic_curve::point::DecompressPoint;
use sm2::elliptic_curve::subtle::Choice;
use sm3::Sm3;
use zeroize::Zeroize;

use crate::error::Fault;
use crate::kernels::{curve25519, sm2 as curve};
use crate::session::SessionRng;

/// A suite: what the standard calls an `EcSuit`, with its encoding of points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EcSuite {
    /// Curve25519, SHA-256, `DIRECT_HASH_AS_POINT_X`: the hash is the u-coordinate, and half of all hashes lie on the twist.
    X25519,
    /// SM2, SHA-256, `TRY_AND_REHASH`: the hash is x, and is hashed again until it is one of the curve; y is even. What
    /// SecretFlow speaks.
    Sm2Rehash,
    /// SM2, SM3, `TRY_AND_INCREMENT`: the hash is x, and one is added until it is one of the curve; y is even. What the
    /// standard recommends.
    Sm2Increment,
}

/// A secret exponent of one run; erased on drop, never printed.
pub(super) enum Secret {
    X25519(curve25519::SecretScalar),
    Sm2(curve::SecretScalar),
}

/// p of the SM2 curve, big endian (GB/T 32918.5).
const P: [u8; 32] = [
    0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
];

impl EcSuite {
    /// Bytes of an encoded point.
    pub const fn point_bytes(self) -> usize {
        match self {
            Self::X25519 => 32,
            Self::Sm2Rehash | Self::Sm2Increment => curve::COMPRESSED,
        }
    }

    /// A fresh exponent.
    pub(super) fn secret(self, rng: &mut SessionRng) -> Secret {
        match self {
            Self::X25519 => Secret::X25519(curve25519::SecretScalar::random(rng)),
            Self::Sm2Rehash | Self::Sm2Increment => Secret::Sm2(curve::SecretScalar::random(rng)),
        }
    }

    /// H of an item that comes in parts, encoded. On SM2 it takes a time that depends on the item: the standard's choice.
    pub(super) fn hash(self, parts: &[&[u8]]) -> Vec<u8> {
        match self {
            Self::X25519 => digest::<Sha256>(parts).to_vec(),
            Self::Sm2Rehash | Self::Sm2Increment => self.onto_sm2(match self {
                Self::Sm2Increment => digest::<Sm3>(parts),
                _ => digest::<Sha256>(parts),
            }),
        }
    }

    /// The first point with an even y that the tries from `digest` on meet: two on average.
    pub(super) fn onto_sm2(self, mut digest: [u8; 32]) -> Vec<u8> {
        let mut x = below_p(digest);
        while bool::from(AffinePoint::decompress(&x.into(), Choice::from(0)).is_none()) {
            x = match self {
                Self::Sm2Increment => below_p(plus_one(x)),
                _ => {
                    digest = Sha256::digest(digest).into();
                    below_p(digest)
                }
            };
        }
        let point = [&[2], &x[..]].concat();
        digest.zeroize();
        x.zeroize();
        point
    }
}

impl Secret {
    /// P^secret of each encoded point. On Curve25519 it may lie on the twist: our own hashes do.
    ///
    /// # Errors
    /// [`Fault`] with the place of the first that is no point, or of small order. Nothing is answered then.
    pub(super) fn mask(&self, points: &[u8]) -> Result<Vec<u8>, Fault> {
        match self {
            Self::X25519(k) => {
                let masked = curve25519::ladder_batch(points.as_chunks().0, k);
                match masked.iter().position(|u| *u == [0; 32]) {
                    Some(index) => Err(Fault::Identity { index: index as u64 }),
                    None => Ok(masked.into_flattened()),
                }
            }
            Self::Sm2(k) => match curve::mul_compressed_batch(points.as_chunks().0, k) {
                Ok(masked) => Ok(masked.into_flattened()),
                // the order is prime, and the identity has no encoding of this length
                Err(bad) => Err(Fault::Encoding { index: bad.index as u64 }),
            },
        }
    }
}

/// Whether each point of a peer is encoded as it must be, before a secret meets it. On SM2 that is for [`Secret::mask`] to
/// see, which decodes all of them first.
///
/// # Errors
/// [`Fault::Encoding`] with the place of the first that is not.
pub(super) fn check(suite: EcSuite, points: &[u8]) -> Result<(), Fault> {
    let bad = match suite {
        EcSuite::X25519 => points.as_chunks().0.iter().position(|u| !canonical(u)),
        EcSuite::Sm2Rehash | EcSuite::Sm2Increment => None,
    };
    bad.map_or(Ok(()), |index| Err(Fault::Encoding { index: index as u64 }))
}

/// Whether u < 2^255 - 19, little endian: what a ladder puts out always is.
fn canonical(u: &[u8; 32]) -> bool {
    u[31] < 0x7f || u[31] == 0x7f && (u[0] < 0xed || u[1..31].iter().any(|byte| *byte != 0xff))
}

fn digest<H: Digest<OutputSize = sha2::digest::consts::U32>>(parts: &[&[u8]]) -> [u8; 32] {
    parts.iter().fold(H::new(), |hash, part| hash.chain_update(part)).finalize().into()
}

/// x modulo p, big endian: p is above half of all 32 bytes.
fn below_p(x: [u8; 32]) -> [u8; 32] {
    if x < P {
        return x;
    }
    let (mut rest, mut borrow) = ([0; 32], false);
    for place in (0..32).rev() {
        let (less, one) = x[place].overflowing_sub(P[place]);
        let (less, other) = less.overflowing_sub(borrow.into());
        (rest[place], borrow) = (less, one || other);
    }
    rest
}

/// x + 1, big endian, of an x below p.
fn plus_one(mut x: [u8; 32]) -> [u8; 32] {
    for byte in x.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            break;
        }
    }
    x
}
