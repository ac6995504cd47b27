//! Messages of `unbalanced`. Every shape is a count that the receiver takes from the plan.

use super::oprf::Tag;
use crate::message::{Malformed, Message, Reader, Writer};
use crate::suite::group::Element;

/// Encoded group elements, not yet checked.
pub(super) struct Points(pub(super) Vec<Element>);

impl Points {
    pub(super) const BYTES: u64 = size_of::<Element>() as u64;
}

impl Message for Points {
    const KIND: &'static str = "unbalanced/points";
    type Shape = usize;

    fn write(&self, w: &mut Writer) {
        w.bytes(self.0.as_flattened());
    }

    fn read(r: &mut Reader<'_>, count: usize) -> Result<Self, Malformed> {
        Ok(Self(r.arrays(count)?))
    }
}

/// Tags of the sender's set.
pub(super) struct Tags(pub(super) Vec<Tag>);

impl Tags {
    pub(super) const BYTES: u64 = size_of::<Tag>() as u64;
}

impl Message for Tags {
    const KIND: &'static str = "unbalanced/tags";
    type Shape = usize;

    fn write(&self, w: &mut Writer) {
        w.bytes(self.0.as_flattened());
    }

    fn read(r: &mut Reader<'_>, count: usize) -> Result<Self, Malformed> {
        Ok(Self(r.arrays(count)?))
    }
}
