//! Messages of `rr22`. Every shape is a count that the receiver takes from the plan.

use super::local::Slot;
use crate::message::{Malformed, Message, Reader, Writer};

/// r, under which the receiver's store hashes.
pub(super) struct Seed(pub(super) u128);

/// w_r or w_s.
pub(super) struct Coin(pub(super) u128);

impl Message for Seed {
    const KIND: &'static str = "rr22/seed";
    type Shape = ();

    fn write(&self, w: &mut Writer) {
        w.blocks(&[self.0]);
    }

    fn read(r: &mut Reader<'_>, (): ()) -> Result<Self, Malformed> {
        Ok(Self(r.blocks(1)?[0]))
    }
}

impl Message for Coin {
    const KIND: &'static str = "rr22/coin";
    type Shape = ();

    fn write(&self, w: &mut Writer) {
        w.blocks(&[self.0]);
    }

    fn read(r: &mut Reader<'_>, (): ()) -> Result<Self, Malformed> {
        Ok(Self(r.blocks(1)?[0]))
    }
}

/// c, which binds the sender to w_s.
pub(super) struct Commitment(pub(super) [u8; 32]);

impl Message for Commitment {
    const KIND: &'static str = "rr22/commitment";
    type Shape = ();

    fn write(&self, w: &mut Writer) {
        w.bytes(&self.0);
    }

    fn read(r: &mut Reader<'_>, (): ()) -> Result<Self, Malformed> {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(r.bytes(32)?);
        Ok(Self(bytes))
    }
}

/// Slots of the masked table.
pub(super) struct Slots<F>(pub(super) Vec<F>);

impl<F: Slot> Message for Slots<F> {
    const KIND: &'static str = "rr22/slots";
    type Shape = usize;

    fn write(&self, w: &mut Writer) {
        F::write(&self.0, w);
    }

    fn read(r: &mut Reader<'_>, count: usize) -> Result<Self, Malformed> {
        F::read(r, count).map(Self)
    }
}

/// A part of the coded tags, in bytes.
pub(super) struct Coded(pub(super) Vec<u8>);

impl Message for Coded {
    const KIND: &'static str = "rr22/tags";
    type Shape = usize;

    fn write(&self, w: &mut Writer) {
        w.bytes(&self.0);
    }

    fn read(r: &mut Reader<'_>, count: usize) -> Result<Self, Malformed> {
        Ok(Self(r.bytes(count)?.to_vec()))
    }
}

/// One bit per sorted tag, lowest bit of a byte first; unused bits are zero.
pub(super) struct Matches(pub(super) Vec<u8>);

impl Message for Matches {
    const KIND: &'static str = "rr22/matches";
    /// How many bits.
    type Shape = usize;

    fn write(&self, w: &mut Writer) {
        w.bytes(&self.0);
    }

    fn read(r: &mut Reader<'_>, count: usize) -> Result<Self, Malformed> {
        let bytes = r.bytes(count.div_ceil(8))?;
        match bytes.last() {
            Some(last) if !count.is_multiple_of(8) && last >> (count % 8) != 0 => {
                Err(Malformed::Range { field: "unused bits" })
            }
            _ => Ok(Self(bytes.to_vec())),
        }
    }
}
