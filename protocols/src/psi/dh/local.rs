//! The local computations of `dh`: pure, and the only places that see an item or a secret.

use std::collections::HashSet;
use std::ops::Range;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::hash::{DST, expand_message_xmd};
use crate::error::{Fault, Result};
use crate::kernels::ristretto::{BadPointReason, SecretScalar, map_mul_batch, mul_batch};
use crate::psi::set::Padded;
use crate::session::SessionId;

/// What two equal elements have in common, and little else: see [`Tagger`].
pub(super) type Tag = [u8; 16];

/// H(x)^secret of each element at these positions of the stream, encoded.
pub(super) fn blind(set: &Padded, positions: Range<usize>, secret: &SecretScalar) -> Vec<[u8; 32]> {
    let uniform = Zeroizing::new(set.hashes(positions, |parts| expand_message_xmd(parts, DST)));
    map_mul_batch(&uniform, secret)
}

/// Makes tags: 16 bytes of SHA-256 over a domain tag, the session and an element's encoding.
///
/// Two different elements share a tag with probability 2^-128 (random oracle), so over all pairs of two bands a false match
/// has probability at most `receiver * sender * 2^-128`, which is 2^-72 at the largest bands.
#[derive(Clone)]
pub(super) struct Tagger(Sha256);

impl Tagger {
    pub(super) fn new(session: SessionId) -> Self {
        // Tag and session fill one block of SHA-256, which is hashed once for all elements.
        Self(Sha256::new_with_prefix(b"banyan/dh/v1 tag of an element  ").chain_update(session.as_bytes()))
    }

    fn tag(&self, element: &[u8; 32]) -> Tag {
        let digest = self.0.clone().chain_update(element).finalize();
        let mut tag = Tag::default();
        tag.copy_from_slice(&digest[..16]);
        tag
    }

    /// tag(P^secret) of each of the peer's elements.
    ///
    /// # Errors
    /// [`Fault::Encoding`] or [`Fault::Identity`] at the first bad one; `first` is its batch's position in the stream.
    pub(super) fn raise(&self, first: u64, points: &[[u8; 32]], secret: &SecretScalar) -> Result<Vec<Tag>, Fault> {
        let raised = mul_batch(points, secret).map_err(|bad| {
            let index = first + bad.index as u64;
            match bad.reason {
                BadPointReason::BadEncoding => Fault::Encoding { index },
                BadPointReason::Identity => Fault::Identity { index },
            }
        })?;
        Ok(raised.iter().map(|element| self.tag(element)).collect())
    }
}

/// Checks that a peer's elements do not repeat over all batches of a stream. The kernel checks each for itself.
///
/// Repeats are found by the first half of an encoding: honest elements are random, so that two share one with
/// probability at most n^2 * 2^-127, and a peer that makes two on purpose only accuses itself.
pub(super) struct Admission {
    expected: usize,
    seen: HashSet<[u8; 16]>,
    count: u64,
}

impl Admission {
    /// Of a stream of `expected` elements, as the plan has it.
    pub(super) fn new(expected: u32) -> Self {
        Self { expected: expected as usize, seen: HashSet::new(), count: 0 }
    }

    /// The position in the stream of the first of these elements. The first batch makes room for the whole stream, so that
    /// no later one waits for a table that grows.
    ///
    /// # Errors
    /// [`Fault::Repeat`] at the first such element.
    pub(super) fn admit(&mut self, points: &[[u8; 32]]) -> Result<u64, Fault> {
        self.seen.reserve(self.expected.saturating_sub(self.seen.len()));
        let first = self.count;
        for point in points {
            let index = self.count;
            let mut half = [0; 16];
            half.copy_from_slice(&point[..16]);
            if !self.seen.insert(half) {
                return Err(Fault::Repeat { index });
            }
            self.count += 1;
        }
        Ok(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_for_the_whole_stream_is_made_once() {
        let mut admission = Admission::new(3000);
        let point = |n: u32| std::array::from_fn(|byte| n.to_le_bytes()[byte % 4]);
        let points: Vec<[u8; 32]> = (0..3000).map(point).collect();
        assert_eq!(admission.admit(&points[..1000]), Ok(0));
        let room = admission.seen.capacity();
        assert_eq!((admission.admit(&points[1000..2000]), admission.admit(&points[2000..])), (Ok(1000), Ok(2000)));
        assert_eq!(admission.seen.capacity(), room);
        assert_eq!(admission.admit(&points[..1]), Err(Fault::Repeat { index: 3000 }));
    }
}
