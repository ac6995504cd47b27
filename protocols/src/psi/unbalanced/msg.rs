//! Messages of `unbalanced`. Every shape is a count that the receiver takes from the plan.

use super::oprf::Tag;
use super::tags::Epoch;
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

/// Which tags the receiver has: the digest of a generation, or zero. Of the same length for all.
pub(super) struct Have(pub(super) [u8; 32]);

impl Have {
    pub(super) const BYTES: u64 = 32;
}

impl Message for Have {
    const KIND: &'static str = "unbalanced/have";
    type Shape = ();

    fn write(&self, w: &mut Writer) {
        w.bytes(&self.0);
    }

    fn read(r: &mut Reader<'_>, (): ()) -> Result<Self, Malformed> {
        Ok(Self(digest(r)?))
    }
}

/// Which tags the sender answers under, and what of them follows.
pub(super) struct Offer {
    pub(super) epoch: Epoch,
    pub(super) generation: u64,
    pub(super) digest: [u8; 32],
    /// How many tags come, and as many go, since what the receiver has; none: all tags follow.
    pub(super) changed: Option<u32>,
}

impl Offer {
    pub(super) const BYTES: u64 = 24 + 8 + 32 + 8;

    /// How many tags follow of a set of `m`.
    pub(super) fn follow(&self, m: u32) -> u32 {
        self.changed.map_or(m, |changed| 2 * changed)
    }
}

impl Message for Offer {
    const KIND: &'static str = "unbalanced/offer";
    /// How many tags the set has. Changes of more than half of them are sent as the whole.
    type Shape = u32;

    fn write(&self, w: &mut Writer) {
        w.bytes(&self.epoch.to_bytes());
        w.u64(self.generation);
        w.bytes(&self.digest);
        w.u64(self.changed.map_or(u64::MAX, u64::from));
    }

    fn read(r: &mut Reader<'_>, m: u32) -> Result<Self, Malformed> {
        let (epoch, generation, digest) = (Epoch::read(r)?, r.u64()?, digest(r)?);
        let changed = match r.u64()? {
            u64::MAX => None,
            some if some <= u64::from(m / 2) => Some(some as u32),
            _ => return Err(Malformed::Range { field: "changed" }),
        };
        Ok(Self { epoch, generation, digest, changed })
    }
}

fn digest(r: &mut Reader<'_>) -> Result<[u8; 32], Malformed> {
    let [digest] = r.arrays::<32>(1)?[..] else { return Err(Malformed::Range { field: "digest" }) };
    Ok(digest)
}
