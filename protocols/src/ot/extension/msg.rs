//! Messages of the extension: all from the receiver to the sender.

use super::TREES;
use crate::kernels::transpose::COLUMNS;
use crate::message::{Malformed, Message, Reader, Writer};

/// The trees, opened but for a leaf each.
pub(super) struct Trees {
    /// For each base transfer, the sums of a level's left and of its right nodes, hidden by the keys of the transfer.
    pub(super) sums: Vec<[u128; 2]>,
    /// For each tree, the proof that it is grown well.
    pub(super) proofs: Vec<Proof>,
}

/// What a tree's leaves must agree with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proof {
    /// The sum of all leaves' proof values.
    pub(super) sum: [u128; 2],
    /// The hash of all of them.
    pub(super) digest: [u8; 32],
}

impl Trees {
    pub(super) const BYTES: u64 = (COLUMNS * 32 + TREES * 64) as u64;
}

impl Message for Trees {
    const KIND: &'static str = "ot/extension/trees";
    type Shape = ();

    fn write(&self, w: &mut Writer) {
        w.blocks(self.sums.as_flattened());
        for proof in &self.proofs {
            w.blocks(&proof.sum);
            w.bytes(&proof.digest);
        }
    }

    fn read(r: &mut Reader<'_>, (): ()) -> Result<Self, Malformed> {
        let (sums, _) = {
            let blocks = r.blocks(2 * COLUMNS)?;
            let (pairs, rest) = blocks.as_chunks::<2>();
            (pairs.to_vec(), rest.len())
        };
        let proof = |_| {
            let sum = r.blocks(2)?;
            let mut digest = [0; 32];
            digest.copy_from_slice(r.bytes(32)?);
            Ok(Proof { sum: [sum[0], sum[1]], digest })
        };
        let proofs = (0..TREES).map(proof).collect::<Result<_, _>>()?;
        Ok(Self { sums, proofs })
    }
}

/// One batch of transfers.
pub(super) struct Batch {
    /// C: for each tree, its blocks one after another.
    pub(super) corrections: Vec<u128>,
    /// x̃, the hash of the choices.
    pub(super) choices: u128,
    /// ṽ, the hash of each column.
    pub(super) columns: Vec<u128>,
}

impl Batch {
    pub(super) const fn bytes(blocks: usize) -> usize {
        16 * (TREES * blocks + 1 + COLUMNS)
    }
}

impl Message for Batch {
    const KIND: &'static str = "ot/extension/batch";
    /// Blocks of a column.
    type Shape = usize;

    fn write(&self, w: &mut Writer) {
        w.blocks(&self.corrections);
        w.blocks(&[self.choices]);
        w.blocks(&self.columns);
    }

    fn read(r: &mut Reader<'_>, blocks: usize) -> Result<Self, Malformed> {
        let corrections = r.blocks(TREES.saturating_mul(blocks))?;
        let choices = r.blocks(1)?[0];
        Ok(Self { corrections, choices, columns: r.blocks(COLUMNS)? })
    }
}
