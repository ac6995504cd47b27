//! The portable twin: the crate `sha2`, one message at a time, with the processor's instructions where it has them.

use sha2::block_api::compress256;

use super::{BATCH, Engine};

pub(super) struct Portable;

impl Engine for Portable {
    fn compress(&self, states: &mut [[u32; 8]; BATCH], blocks: &[[u8; 64]; BATCH]) {
        for (state, block) in states.iter_mut().zip(blocks) {
            compress256(state, std::slice::from_ref(block));
        }
    }
}
