//! The local computations of `interop`: pure, and the only places that see an item or a secret.

use std::collections::HashSet;
use std::ops::Range;

use zeroize::Zeroizing;

use super::msg::Batch;
use super::suite::{EcSuite, Secret, check};
use crate::error::Fault;
use crate::psi::set::Padded;

/// The end of a doubly masked point: what two equal keys have in common.
pub(super) type Tail = [u8; TAIL];

/// Bytes of the end of a point that answers: the standard's, since SecretFlow fixes it. A false match has probability at most
/// `receiver * sender * 2^-96` over all pairs, 2^-40 at the largest bands; on Curve25519 twice that, since the highest bit of
/// a coordinate below 2^255, which the end holds, is always zero.
pub const TAIL: usize = 12;

/// H(x)^secret of each element at these positions of the stream, encoded. The standard hashes an item without a tag, so
/// the byte that keeps items and dummies apart is left out: a dummy is 36 bytes of which 32 are random, met by no item.
pub(super) fn mask(set: &Padded, positions: Range<usize>, suite: EcSuite, secret: &Secret) -> Result<Vec<u8>, Fault> {
    let hashes = Zeroizing::new(set.hashes(positions, |parts| suite.hash(&parts[1..])));
    secret.mask(&Zeroizing::new(hashes.concat()))
}

/// The tails of P^secret of a peer's batch, as the batch that answers it; `first` is its place in the stream.
///
/// # Errors
/// [`Fault`] at the first point that is refused.
pub(super) fn answer(batch: &Batch, first: u64, suite: EcSuite, secret: &Secret) -> Result<Batch, Fault> {
    let masked = check(suite, &batch.entries).and_then(|()| secret.mask(&batch.entries));
    let masked = masked.map_err(|fault| placed(fault, first))?;
    let tails = masked.chunks_exact(suite.point_bytes()).flat_map(|point| &point[point.len() - TAIL..]);
    Ok(Batch { entries: tails.copied().collect(), ..*batch })
}

/// The tails of a batch of answers.
pub(super) fn tails(batch: &Batch) -> &[Tail] {
    batch.entries.as_chunks().0
}

/// Checks that a peer's points do not repeat over all batches of its stream: a repeated one shows which answers belong
/// together. Repeats are found by the last 16 bytes of an encoding, as in `dh`.
#[derive(Default)]
pub(super) struct Admission {
    seen: HashSet<[u8; 16]>,
    count: u64,
}

impl Admission {
    /// The place of the batch's first point in the stream.
    ///
    /// # Errors
    /// [`Fault::Repeat`] at the first point that came before.
    pub(super) fn admit(&mut self, batch: &Batch, width: usize) -> Result<u64, Fault> {
        let first = self.count;
        for point in batch.entries.chunks_exact(width) {
            let mut end = [0; 16];
            end.copy_from_slice(&point[width - 16..]);
            if !self.seen.insert(end) {
                return Err(Fault::Repeat { index: self.count });
            }
            self.count += 1;
        }
        Ok(first)
    }
}

fn placed(fault: Fault, first: u64) -> Fault {
    match fault {
        Fault::Encoding { index } => Fault::Encoding { index: first + index },
        Fault::Identity { index } => Fault::Identity { index: first + index },
        other => other,
    }
}
