//! The local computations of base transfers: pure, and the only places that see a choice or a secret.

use curve25519_dalek::constants::RISTRETTO_BASEPOINT_COMPRESSED;
use curve25519_dalek::ristretto::CompressedRistretto;
use curve25519_dalek::traits::IsIdentity;
use curve25519_dalek::{RistrettoPoint, Scalar};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256, Sha512};
use subtle::{Choice, ConditionallySelectable};
use zeroize::Zeroizing;

use crate::bits::Bits;
use crate::error::Fault;
use crate::kernels::ristretto::{BadPointReason, SecretScalar, mul_batch};
use crate::session::Session;

/// The two random oracles, bound to the run and the step.
pub(super) struct Hashes {
    group: Sha512,
    key: Sha256,
}

impl Hashes {
    pub(super) fn new(s: &Session) -> Self {
        Self {
            group: Sha512::new_with_prefix(s.binding("ot/base/group")),
            key: Sha256::new_with_prefix(s.binding("ot/base/key")),
        }
    }

    /// H(i, j, R): uniform in the group (RFC 9496, 4.3.4, of 64 bytes of SHA-512).
    fn to_group(&self, index: usize, place: u8, other: &[u8; 32]) -> RistrettoPoint {
        let hash = self.group.clone().chain_update((index as u64).to_le_bytes()).chain_update([place]);
        RistrettoPoint::from_uniform_bytes(&hash.chain_update(other).finalize().into())
    }

    /// KDF(i, j, A, K): 128 bits of SHA-256.
    fn to_key(&self, index: usize, place: u8, offer: &[u8; 32], shared: &[u8; 32]) -> u128 {
        let hash = self.key.clone().chain_update((index as u64).to_le_bytes()).chain_update([place]);
        let digest: Zeroizing<[u8; 32]> =
            Zeroizing::new(hash.chain_update(offer).chain_update(shared).finalize().into());
        let mut key = Zeroizing::new([0; 16]);
        key.copy_from_slice(&digest[..16]);
        u128::from_le_bytes(*key)
    }
}

/// The sender's secret, and its element.
pub(super) struct Offer {
    secret: SecretScalar,
    point: [u8; 32],
}

impl Offer {
    pub(super) fn new(rng: &mut impl CryptoRng) -> Self {
        let secret = SecretScalar::random(rng);
        let point = match mul_batch(&[RISTRETTO_BASEPOINT_COMPRESSED.0], &secret).as_deref() {
            Ok([point]) => *point,
            _ => unreachable!("the generator is an element"),
        };
        Self { secret, point }
    }

    pub(super) fn point(&self) -> [u8; 32] {
        self.point
    }

    /// Both keys of each transfer.
    ///
    /// # Errors
    /// [`Fault::Encoding`] or [`Fault::Identity`] at the first bad element, counted over all pairs.
    pub(super) fn keys(self, hashes: &Hashes, pairs: &[[[u8; 32]; 2]]) -> Result<Zeroizing<Vec<[u128; 2]>>, Fault> {
        let mut answers = Vec::with_capacity(2 * pairs.len());
        for (index, pair) in pairs.iter().enumerate() {
            for place in 0..2u8 {
                let point = checked(&pair[usize::from(place)], 2 * index as u64 + u64::from(place))?;
                let answer = point + hashes.to_group(index, place, &pair[usize::from(1 - place)]);
                answers.push(answer.compress().0);
            }
        }
        let shared = mul_batch(&answers, &self.secret).map_err(|bad| match bad.reason {
            BadPointReason::Identity => Fault::Identity { index: bad.index as u64 },
            BadPointReason::BadEncoding => Fault::Encoding { index: bad.index as u64 },
        })?;
        let shared = Zeroizing::new(shared);
        let key =
            |index: usize, place: u8| hashes.to_key(index, place, &self.point, &shared[2 * index + usize::from(place)]);
        Ok(Zeroizing::new((0..pairs.len()).map(|index| [key(index, 0), key(index, 1)]).collect()))
    }
}

/// The receiver's choices and secrets.
pub(super) struct Chosen {
    choices: Bits,
    secrets: Zeroizing<Vec<Scalar>>,
}

impl Chosen {
    /// Chooses, and makes the pairs to send.
    pub(super) fn new(hashes: &Hashes, choices: Bits, rng: &mut impl CryptoRng) -> (Self, Vec<[[u8; 32]; 2]>) {
        let mut secrets = Zeroizing::new(Vec::with_capacity(choices.len()));
        let mut pairs = Vec::with_capacity(choices.len());
        for (index, choice) in choices.iter().enumerate() {
            let secret = random_scalar(rng);
            let mut uniform = [0; 64];
            rng.fill_bytes(&mut uniform);
            let other = RistrettoPoint::from_uniform_bytes(&uniform);
            let other_bytes = other.compress().0;
            let mine = RistrettoPoint::mul_base(&secret) - hashes.to_group(index, choice, &other_bytes);
            let mut pair = [mine.compress().0, other_bytes];
            let swap = Choice::from(choice);
            let (first, second) = pair.split_at_mut(1);
            for (a, b) in first[0].iter_mut().zip(&mut second[0]) {
                u8::conditional_swap(a, b, swap);
            }
            pairs.push(pair);
            secrets.push(secret);
        }
        (Self { choices, secrets }, pairs)
    }

    /// The key of each choice.
    ///
    /// # Errors
    /// [`Fault::Encoding`] or [`Fault::Identity`] where the sender's element is bad.
    pub(super) fn keys(self, hashes: &Hashes, offer: &[u8; 32]) -> Result<Zeroizing<Vec<u128>>, Fault> {
        let point = checked(offer, 0)?;
        let key = |(index, (secret, choice)): (usize, (&Scalar, u8))| {
            let shared = Zeroizing::new((secret * point).compress().0);
            hashes.to_key(index, choice, offer, &shared)
        };
        Ok(Zeroizing::new(self.secrets.iter().zip(self.choices.iter()).enumerate().map(key).collect()))
    }
}

/// An element other than the identity.
fn checked(bytes: &[u8; 32], index: u64) -> Result<RistrettoPoint, Fault> {
    let point = CompressedRistretto(*bytes).decompress().ok_or(Fault::Encoding { index })?;
    if point.is_identity() { Err(Fault::Identity { index }) } else { Ok(point) }
}

fn random_scalar(rng: &mut impl CryptoRng) -> Scalar {
    let mut wide = Zeroizing::new([0; 64]);
    rng.fill_bytes(wide.as_mut_slice());
    Scalar::from_bytes_mod_order_wide(&wide)
}
