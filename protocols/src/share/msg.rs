//! The one message of shares: packed bits or numbers, whose step says what they are.

use crate::message::{Malformed, Message, Reader, Writer};

/// Blocks of 128 bits.
pub(super) struct Blocks(pub(super) Vec<u128>);

impl Message for Blocks {
    const KIND: &'static str = "share/blocks";
    /// How many.
    type Shape = usize;

    fn write(&self, w: &mut Writer) {
        w.blocks(&self.0);
    }

    fn read(r: &mut Reader<'_>, count: usize) -> Result<Self, Malformed> {
        r.blocks(count).map(Self)
    }
}
