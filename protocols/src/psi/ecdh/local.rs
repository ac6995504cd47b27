//! The local computations of the page: pure, and the only places that see an item or a secret.

use std::collections::HashMap;
use std::ops::Range;

use sha2::Digest;
use zeroize::Zeroizing;

use super::Named;
use crate::error::{Fault, Result};
use crate::psi::set::Padded;
use crate::session::SessionId;
use crate::suite::group::Element;
use crate::suite::xmd::Expander;

/// What two equal elements have in common, and little else: see [`Tagger`].
pub(super) type Tag = [u8; 12];

/// H(x)^secret of each element at these positions of the stream, encoded.
pub(super) fn blind<G: Named>(set: &Padded, positions: Range<usize>, secret: &G::Secret) -> Vec<Element> {
    let domain = Expander::new(&domain_tag::<G>());
    let hashes = Zeroizing::new(set.hashes(positions, |parts| G::hash(parts, &domain)));
    G::hash_raise(&hashes, secret)
}

/// The one domain tag of each protocol here: its name and version, then the suite (RFC 9380, section 3.1).
pub(super) fn domain_tag<G: Named>() -> Vec<u8> {
    format!("banyan/{}/v1 {}", G::DESCRIPTOR.name, G::SUITE).into_bytes()
}

/// Makes tags: 12 bytes of the group's hash over a domain tag, the session and an element's encoding.
///
/// Two different elements share a tag with probability 2^-96 (random oracle). So over all pairs of two bands a false match
/// has probability at most `receiver * sender * 2^-96`, which is 2^-40 at the largest bands and 2^-56 at two of 2^20; and that
/// two of one band do, whose owner is taken for one who repeats elements, half of that.
pub(super) struct Tagger<G: Named>(G::Hash);

impl<G: Named> Tagger<G> {
    pub(super) fn new(session: SessionId) -> Self {
        // Tag and session fill a block of SHA-256 or SM3, or just above, which is hashed once for all elements.
        let domain = format!("{:<32}", format!("banyan/{}/v1 tag of an element", G::DESCRIPTOR.name));
        Self(G::Hash::new_with_prefix(domain).chain_update(session.as_bytes()))
    }

    /// tag(P^secret) of each of the peer's elements; `first` is their position in the stream.
    ///
    /// # Errors
    /// What [`Group::raise`](crate::suite::group::Group::raise) finds wrong with one, before any is raised.
    pub(super) fn raise(&self, first: u64, points: &[Element], secret: &G::Secret) -> Result<Vec<Tag>, Fault> {
        Ok(G::raise(points, first, secret)?.iter().map(|element| self.tag(element)).collect())
    }

    fn tag(&self, element: &Element) -> Tag {
        let digest = self.0.clone().chain_update(element).finalize();
        std::array::from_fn(|n| digest[n])
    }
}

/// Checks that a peer's elements do not repeat over all batches of a stream, by the tags of what they were raised to: so it
/// finds those too that are the same in the group and not in their bytes.
pub(super) struct Admission {
    expected: usize,
    seen: HashMap<Tag, u32>,
}

impl Admission {
    /// Of a stream of `expected` elements, as the plan has it.
    pub(super) fn new(expected: u32) -> Self {
        Self { expected: expected as usize, seen: HashMap::new() }
    }

    /// Takes the tags of a batch whose first element is at `first`, batches in any order. The first one makes room for the
    /// whole stream, so that no later one waits for a table that grows.
    ///
    /// # Errors
    /// [`Fault::Repeat`] where an element is there twice, in whichever batch: the later of the two positions.
    pub(super) fn admit(&mut self, first: u64, tags: &[Tag]) -> Result<(), Fault> {
        self.seen.reserve(self.expected.saturating_sub(self.seen.len()));
        for (place, tag) in (first as u32..).zip(tags) {
            if let Some(other) = self.seen.insert(*tag, place) {
                return Err(Fault::Repeat { index: u64::from(place.max(other)) });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags() -> Vec<Tag> {
        let tag = |n: u32| std::array::from_fn(|byte| n.to_le_bytes()[byte % 4]);
        (0..3000).map(tag).collect()
    }

    #[test]
    fn room_for_the_whole_stream_is_made_once() {
        let mut admission = Admission::new(3000);
        let tags = tags();
        assert_eq!(admission.admit(0, &tags[..1000]), Ok(()));
        let room = admission.seen.capacity();
        assert_eq!(admission.admit(2000, &tags[2000..]), Ok(()));
        assert_eq!(admission.admit(1000, &tags[1000..2000]), Ok(()));
        assert_eq!(admission.seen.capacity(), room);
    }

    #[test]
    fn a_repeat_is_named_alike_whichever_batch_comes_first() {
        let mut tags = tags();
        tags[2007] = tags[1003];
        let batches = [0, 1000, 2000].map(|first| (first as u64, &tags[first..first + 1000]));
        for order in [[0, 1, 2], [2, 1, 0], [2, 0, 1]] {
            let mut admission = Admission::new(3000);
            let verdicts = order.map(|batch| admission.admit(batches[batch].0, batches[batch].1));
            let refused: Vec<_> = verdicts.into_iter().filter_map(Result::err).collect();
            assert_eq!(refused, [Fault::Repeat { index: 2007 }]);
        }
    }
}
