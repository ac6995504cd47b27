//! The groups that Diffie-Hellman protocols run in: batches with one secret scalar, and nothing of how they are computed.

use rand_core::CryptoRng;
use sha2::digest::{Digest, block_api::BlockSizeUser};
use sha2::{Sha256, Sha512};
use sm3::Sm3;
use zeroize::Zeroize;

use super::xmd::Expander;
use crate::error::Fault;
use crate::kernels::{curve25519, ristretto, sm2};

/// An element as peers send it.
pub type Element = [u8; 32];

/// A group in which DDH is taken to be hard, with hashing into it.
///
/// Elements are sent as strings of which each stands for one element, or for one and its inverse. Raising commutes:
/// `raise(hash_raise(x, a), b) = raise(hash_raise(x, b), a)`.
pub trait Group: Send + Sync + 'static {
    /// The suite of RFC 9380 that `hash` and `hash_raise` make together, to be named in a domain tag.
    const SUITE: &'static str;

    /// The hash of that suite.
    type Xmd: Digest + BlockSizeUser + Clone + Send + Sync + 'static;

    /// The hash that goes with the group elsewhere.
    type Hash: Digest + Clone + Send + Sync + 'static;

    /// A secret exponent, erased on drop.
    type Secret: Send + Sync + 'static;

    /// The hash of an item before it is mapped into the group.
    type Uniform: Zeroize + Send + Sync;

    /// A fresh uniform exponent.
    fn secret<R: CryptoRng + ?Sized>(rng: &mut R) -> Self::Secret;

    /// Hashes an item, which comes in parts.
    fn hash(item: &[&[u8]], under: &Expander<Self::Xmd>) -> Self::Uniform;

    /// The element each hash is mapped to, raised.
    fn hash_raise(hashes: &[Self::Uniform], secret: &Self::Secret) -> Vec<Element>;

    /// Each element raised. All are checked before the secret is used; `first` is the position of the first in the peer's
    /// stream.
    ///
    /// # Errors
    /// [`Fault`] names the first that is no element of the group, or one of which every secret makes the same.
    fn raise(elements: &[Element], first: u64, secret: &Self::Secret) -> Result<Vec<Element>, Fault>;
}

/// ristretto255 (RFC 9496): of prime order, with one encoding for each element.
#[derive(Clone, Copy, Debug)]
pub struct Ristretto255;

impl Group for Ristretto255 {
    const SUITE: &'static str = "ristretto255_XMD:SHA-512_R255MAP_RO_";
    type Xmd = Sha512;
    type Hash = Sha256;
    type Secret = ristretto::SecretScalar;
    type Uniform = [u8; 64];

    fn secret<R: CryptoRng + ?Sized>(rng: &mut R) -> Self::Secret {
        ristretto::SecretScalar::random(rng)
    }

    fn hash(item: &[&[u8]], under: &Expander<Self::Xmd>) -> Self::Uniform {
        under.expand(item)
    }

    fn hash_raise(hashes: &[Self::Uniform], secret: &Self::Secret) -> Vec<Element> {
        ristretto::map_mul_batch(hashes, secret)
    }

    fn raise(elements: &[Element], first: u64, secret: &Self::Secret) -> Result<Vec<Element>, Fault> {
        ristretto::mul_batch(elements, secret).map_err(|bad| {
            let index = first + bad.index as u64;
            match bad.reason {
                ristretto::BadPointReason::BadEncoding => Fault::Encoding { index },
                ristretto::BadPointReason::Identity => Fault::Identity { index },
            }
        })
    }
}

/// Curve25519 (RFC 7748) by u-coordinates: the subgroup of prime order, an element and its inverse as one. Strings that
/// differ by a point of small order are raised to the same, and so are found to be repeats only then. See
/// [`crate::kernels::curve25519`].
#[derive(Clone, Copy, Debug)]
pub struct Curve25519;

impl Group for Curve25519 {
    const SUITE: &'static str = "curve25519_XMD:SHA-512_ELL2_NU_";
    type Xmd = Sha512;
    type Hash = Sha256;
    type Secret = curve25519::SecretScalar;
    type Uniform = [u8; 48];

    fn secret<R: CryptoRng + ?Sized>(rng: &mut R) -> Self::Secret {
        curve25519::SecretScalar::random(rng)
    }

    fn hash(item: &[&[u8]], under: &Expander<Self::Xmd>) -> Self::Uniform {
        under.expand(item)
    }

    fn hash_raise(hashes: &[Self::Uniform], secret: &Self::Secret) -> Vec<Element> {
        curve25519::map_mul_batch(hashes, secret)
    }

    fn raise(elements: &[Element], first: u64, secret: &Self::Secret) -> Result<Vec<Element>, Fault> {
        curve25519::mul_batch(elements, secret).map_err(|bad| {
            let index = first + bad.index as u64;
            match bad.reason {
                curve25519::BadPointReason::BadEncoding => Fault::Encoding { index },
                curve25519::BadPointReason::SmallOrder => Fault::SmallOrder { index },
                curve25519::BadPointReason::Twist => Fault::Twist { index },
            }
        })
    }
}

/// The SM2 curve (GB/T 32918.5) by x-coordinates: of prime order, a point and its inverse as one. See
/// [`crate::kernels::sm2`].
#[derive(Clone, Copy, Debug)]
pub struct Sm2Curve;

impl Group for Sm2Curve {
    const SUITE: &'static str = "SM2_XMD:SM3_SSWU_NU_";
    type Xmd = Sm3;
    type Hash = Sm3;
    type Secret = sm2::SecretScalar;
    type Uniform = [u8; sm2::UNIFORM];

    fn secret<R: CryptoRng + ?Sized>(rng: &mut R) -> Self::Secret {
        sm2::SecretScalar::random(rng)
    }

    fn hash(item: &[&[u8]], under: &Expander<Self::Xmd>) -> Self::Uniform {
        under.expand(item)
    }

    fn hash_raise(hashes: &[Self::Uniform], secret: &Self::Secret) -> Vec<Element> {
        sm2::map_mul_batch(hashes, secret)
    }

    fn raise(elements: &[Element], first: u64, secret: &Self::Secret) -> Result<Vec<Element>, Fault> {
        sm2::mul_batch(elements, secret).map_err(|bad| {
            let index = first + bad.index as u64;
            match bad.reason {
                sm2::BadPointReason::BadEncoding => Fault::Encoding { index },
                sm2::BadPointReason::OffCurve => Fault::Twist { index },
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use chacha20::ChaCha20Rng;
    use curve25519_dalek::edwards::EdwardsPoint;
    use data_encoding::HEXLOWER;
    use rand_core::{Rng, SeedableRng};

    use super::*;

    /// From the message to P, under the standard's own domain tag.
    #[test]
    fn hashing_to_curve25519_is_the_standards() {
        let one = curve25519::SecretScalar::from_uniform_bytes(&std::array::from_fn(|n| u8::from(n == 0))).unwrap();
        let messages =
            ["", "abc", "abcdef0123456789", &format!("q128_{}", "q".repeat(128)), &format!("a512_{}", "a".repeat(512))];
        let vectors = include_str!("../../vectors/rfc9380-curve25519.txt");
        let mut lines = vectors.lines().filter_map(|line| line.strip_prefix("NU "));
        for (number, message) in messages.iter().enumerate() {
            let [_, _, _, p] = lines.next().unwrap().split(' ').collect::<Vec<_>>()[..] else { panic!("{number}") };
            let dst = Expander::new(b"QUUX-V01-CS02-with-curve25519_XMD:SHA-512_ELL2_NU_");
            let hash = Curve25519::hash(&[message.as_bytes()], &dst);
            let mut u = Curve25519::hash_raise(&[hash], &one)[0];
            u.reverse();
            assert_eq!(HEXLOWER.encode(&u), p, "message {number}");
        }
        assert_eq!(lines.next(), None);
    }

    #[test]
    fn hashing_to_curve25519_is_that_of_another_implementation() {
        let mut rng = ChaCha20Rng::from_seed([7; 32]);
        let wide = std::array::from_fn(|_| rng.next_u32() as u8);
        let (k, dst) = (curve25519::SecretScalar::from_uniform_bytes(&wide).unwrap(), b"banyan test");
        let scalar = curve25519_dalek::Scalar::from_bytes_mod_order_wide(&wide);
        for length in [0, 1, 17, 80, 127, 128, 300] {
            let message: Vec<u8> = (0..length).map(|_| rng.next_u32() as u8).collect();
            let (head, tail) = message.split_at(length / 2);
            let point = EdwardsPoint::encode_to_curve::<sha2::Sha512>(&[&message], &[dst]) * scalar;
            let hash = Curve25519::hash(&[head, tail], &Expander::new(dst));
            assert_eq!(Curve25519::hash_raise(&[hash], &k), [point.to_montgomery().to_bytes()], "{length} bytes");
        }
    }
}
