//! Messages of base transfers.

use crate::message::{Malformed, Message, Reader, Writer};

/// The sender's element, not yet checked.
pub(super) struct Point(pub(super) [u8; 32]);

impl Message for Point {
    const KIND: &'static str = "ot/base/point";
    type Shape = ();

    fn write(&self, w: &mut Writer) {
        w.bytes(&self.0);
    }

    fn read(r: &mut Reader<'_>, (): ()) -> Result<Self, Malformed> {
        let mut point = [0; 32];
        point.copy_from_slice(r.bytes(32)?);
        Ok(Self(point))
    }
}

/// Two elements for each transfer, not yet checked.
pub(super) struct Pairs(pub(super) Vec<[[u8; 32]; 2]>);

impl Message for Pairs {
    const KIND: &'static str = "ot/base/pairs";
    type Shape = usize;

    fn write(&self, w: &mut Writer) {
        w.bytes(self.0.as_flattened().as_flattened());
    }

    fn read(r: &mut Reader<'_>, count: usize) -> Result<Self, Malformed> {
        let bytes = r.bytes(count.saturating_mul(64))?;
        let (points, _) = bytes.as_chunks::<32>();
        let (pairs, _) = points.as_chunks::<2>();
        Ok(Self(pairs.to_vec()))
    }
}
