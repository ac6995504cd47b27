//! Messages of the page, under the same names in every group: the session says which it is. Every shape is a count that the
//! receiver takes from the plan.

use super::local::Tag;
use crate::message::{Malformed, Message, Reader, Writer};
use crate::suite::group::Element;

/// Encoded group elements, not yet checked.
pub(super) struct Points(pub(super) Vec<Element>);

impl Points {
    pub(super) const BYTES: u64 = size_of::<Element>() as u64;
}

impl Message for Points {
    const KIND: &'static str = "dh/points";
    type Shape = usize;

    fn write(&self, w: &mut Writer) {
        w.bytes(self.0.as_flattened());
    }

    fn read(r: &mut Reader<'_>, count: usize) -> Result<Self, Malformed> {
        Ok(Self(r.arrays(count)?))
    }
}

/// Truncated hashes of group elements.
pub(super) struct Tags(pub(super) Vec<Tag>);

impl Tags {
    pub(super) const BYTES: u64 = size_of::<Tag>() as u64;
}

impl Message for Tags {
    const KIND: &'static str = "dh/tags";
    type Shape = usize;

    fn write(&self, w: &mut Writer) {
        w.bytes(self.0.as_flattened());
    }

    fn read(r: &mut Reader<'_>, count: usize) -> Result<Self, Malformed> {
        Ok(Self(r.arrays(count)?))
    }
}

/// One bit per element of a stream, lowest bit of a byte first; unused bits are zero.
pub(super) struct Bits(pub(super) Vec<bool>);

impl Message for Bits {
    const KIND: &'static str = "dh/matches";
    type Shape = usize;

    fn write(&self, w: &mut Writer) {
        for eight in self.0.chunks(8) {
            w.bytes(&[eight.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit))]);
        }
    }

    fn read(r: &mut Reader<'_>, count: usize) -> Result<Self, Malformed> {
        let bytes = r.bytes(count.div_ceil(8))?;
        let bit = |position: usize| bytes[position / 8] >> (position % 8) & 1 == 1;
        if (count..bytes.len() * 8).any(bit) {
            return Err(Malformed::Range { field: "unused bits" });
        }
        Ok(Self((0..count).map(bit).collect()))
    }
}
