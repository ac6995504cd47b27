//! The sizes of a run, which follow from its length, and what it costs.

use super::msg::{Challenge, Sums, Verdict};
use super::{BATCH, Scalar, extension};
use crate::catalogue::Cost;
use crate::kernels::lpn::{Code, NOISE_WEIGHT, OUTPUTS_MAX, OUTPUTS_MIN};
use crate::kernels::pprf::Forest;
use crate::message::FRAME_HEADER;
use crate::party::Role;

/// The longest vectors: 256 batches.
pub const LENGTH_MAX: usize = OUTPUTS_MAX << 8;

/// Batches of one shape, and how much is kept of each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    length: usize,
    per_batch: usize,
    forest: Forest,
    code: Code,
    /// Bits of a value of the noise.
    bits: usize,
}

impl Plan {
    pub(super) fn new<F: Scalar>(length: usize) -> Self {
        assert!(length <= LENGTH_MAX, "a length that fits {LENGTH_MAX}");
        let per_batch = length.div_ceil(length.div_ceil(OUTPUTS_MAX).max(1)).max(1);
        let outputs = per_batch.max(OUTPUTS_MIN);
        let forest = Forest::new(NOISE_WEIGHT, (2 * outputs).div_ceil(NOISE_WEIGHT));
        Self { length, per_batch, forest, code: Code::new(outputs, forest.len()), bits: F::BITS }
    }

    /// The forest of a batch.
    pub(super) fn forest(&self) -> Forest {
        self.forest
    }

    /// The code of a batch.
    pub(super) fn code(&self) -> Code {
        self.code
    }

    /// How many elements each batch gives.
    pub(super) fn batches(&self) -> impl ExactSizeIterator<Item = usize> + use<> {
        let (length, per_batch) = (self.length, self.per_batch);
        (0..length).step_by(per_batch).map(move |start| per_batch.min(length - start))
    }

    /// Correlated transfers of a batch: the bits of its values, and 128 of their sum under the challenge.
    pub(super) fn noise(&self) -> usize {
        self.forest.trees() * self.bits + 128
    }

    /// Random transfers of a batch: the levels of its paths.
    pub(super) fn paths(&self) -> usize {
        self.forest.trees() * self.forest.depth()
    }
}

/// The exact communication of `role` for vectors of `length`, with everything below it. The number of rounds is that of the
/// whole.
pub fn cost<F: Scalar>(length: usize, role: Role) -> Cost {
    let plan = Plan::new::<F>(length);
    let batches = plan.batches().len();
    if batches == 0 {
        return Cost::default();
    }
    let set_up = extension::set_up_cost(role);
    let noise = extension::cost(batches * plan.noise(), BATCH, role);
    let paths = extension::cost(batches * plan.paths(), BATCH, role);
    let frames = match role {
        Role::Sender => 2 * FRAME_HEADER + Sums::bytes(&plan.forest) + Verdict::BYTES,
        Role::Receiver => FRAME_HEADER + Challenge::BYTES,
    };
    Cost {
        rounds: set_up.rounds + noise.rounds + 1 + 4 * batches as u32, // end marks are waited for
        bytes_out: set_up.bytes_out + noise.bytes_out + paths.bytes_out + (batches * frames) as u64,
        group_ops: set_up.group_ops,
        cpu_us: 0,
    }
}

const _: () = {
    let widest = (2 * OUTPUTS_MAX).div_ceil(NOISE_WEIGHT).next_power_of_two().trailing_zeros() as usize;
    let sums = NOISE_WEIGHT * 16 * (2 * (widest - 1) + 1);
    assert!(sums + FRAME_HEADER <= crate::message::FRAME_MAX, "the sums of the largest forest fit a frame");
};
