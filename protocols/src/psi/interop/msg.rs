//! Messages of `interop`: one batch of points or of answers, as the standard's `EcdhPsiCipherBatch` has it.

use bytes::Bytes;

use crate::message::{Malformed, Message, Reader, Writer};

/// A batch on its way. A stream is batches of at least one entry, numbered from 0, and an empty one that is the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its number in the stream, from 0.
    pub index: u32,
    /// Whether nothing follows.
    pub last: bool,
    /// How many entries.
    pub count: usize,
    /// The entries, one after another, all of the same length.
    pub entries: Vec<u8>,
}

/// What a receiver knows of the next batch.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// Its number.
    pub index: u32,
    /// Bytes of an entry.
    pub width: usize,
    /// The most entries that may still come.
    pub at_most: usize,
}

impl Batch {
    /// Bytes in front of the entries: number, mark and count.
    pub(super) const HEADER: u64 = 24;

    /// As a frame of this crate, for a transport that hears a peer speak otherwise.
    pub fn to_frame(&self) -> Bytes {
        let mut writer = Writer::for_kind(Self::KIND);
        self.write(&mut writer);
        writer.into_frame()
    }

    /// From a frame of this crate, for a transport that says it otherwise.
    ///
    /// # Errors
    /// [`Malformed`] where it is none, or none with entries of `width` bytes.
    pub fn from_frame(frame: &[u8], width: usize) -> Result<Self, Malformed> {
        let mut reader = Reader::for_kind(frame, Self::KIND)?;
        let index = number(&mut reader)?;
        let batch = Self::rest(&mut reader, Expected { index, width, at_most: usize::MAX })?;
        reader.finish()?;
        Ok(batch)
    }

    fn rest(r: &mut Reader<'_>, expected: Expected) -> Result<Self, Malformed> {
        let last = match r.u64()? {
            0 => false,
            1 => true,
            _ => return Err(Malformed::Range { field: "last batch" }),
        };
        let count = usize::try_from(r.u64()?).ok().filter(|count| *count <= expected.at_most);
        // an empty batch that is not the last could be followed by others for ever
        let count = count.filter(|count| last || *count > 0).ok_or(Malformed::Range { field: "count" })?;
        let entries = r.bytes(count.saturating_mul(expected.width))?.to_vec();
        Ok(Self { index: expected.index, last, count, entries })
    }
}

impl Message for Batch {
    const KIND: &'static str = "interop/batch";
    type Shape = Expected;

    fn write(&self, w: &mut Writer) {
        w.u64(self.index.into());
        w.u64(self.last.into());
        w.u64(self.count as u64);
        w.bytes(&self.entries);
    }

    fn read(r: &mut Reader<'_>, expected: Expected) -> Result<Self, Malformed> {
        if number(r)? != expected.index {
            return Err(Malformed::Range { field: "batch index" });
        }
        Self::rest(r, expected)
    }
}

fn number(r: &mut Reader<'_>) -> Result<u32, Malformed> {
    u32::try_from(r.u64()?).map_err(|_| Malformed::Range { field: "batch index" })
}
