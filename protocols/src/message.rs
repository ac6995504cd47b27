//! Messages: the receiver states the shape it expects, so another shape is the sender's deviation, found before allocation.

use bytes::{BufMut, Bytes, BytesMut};

/// The largest frame in bytes: one gRPC message, and a bound on what one read can make us hold.
pub const FRAME_MAX: usize = 1 << 20;

/// Bytes in front of every message: the first four of the SHA-256 of its kind.
pub const FRAME_HEADER: usize = 4;

/// A typed message of a protocol.
pub trait Message: Sized + Send + Sync {
    /// What it is, unique in its protocol, with the protocol's name in front: `dh/points`.
    const KIND: &'static str;

    /// What the receiver must know to read it, such as a count.
    type Shape: Send;

    /// Appends the message's bytes.
    fn write(&self, w: &mut Writer);

    /// Reads a message of `shape`.
    ///
    /// # Errors
    /// [`Malformed`] where the bytes have another shape.
    fn read(r: &mut Reader<'_>, shape: Self::Shape) -> Result<Self, Malformed>;
}

/// How the bytes of a message differ from the stated shape.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Fewer bytes than the shape has.
    #[error("{missing} bytes missing")]
    Short {
        /// How many.
        missing: usize,
    },
    /// More bytes than the shape has.
    #[error("{extra} bytes too many")]
    Long {
        /// How many.
        extra: usize,
    },
    /// Another kind of message than the step has here.
    #[error("not a {expected} message")]
    Kind {
        /// The kind that was expected.
        expected: &'static str,
    },
    /// A field outside its range.
    #[error("field {field} out of range")]
    Range {
        /// Which field.
        field: &'static str,
    },
}

/// Builds one frame.
pub struct Writer(BytesMut);

impl Writer {
    /// A frame that starts with the tag of `kind`.
    pub(crate) fn for_kind(kind: &str) -> Self {
        Self(BytesMut::from(&kind_tag(kind)[..]))
    }

    /// Appends bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.put_slice(bytes);
    }

    /// Makes room for as many bytes more.
    pub fn reserve(&mut self, bytes: usize) {
        self.0.reserve(bytes);
    }

    /// Appends a number, little endian.
    pub fn u64(&mut self, value: u64) {
        self.0.put_u64_le(value);
    }

    /// Appends blocks of 128 bits, little endian.
    pub fn blocks(&mut self, blocks: &[u128]) {
        self.0.reserve(16 * blocks.len());
        blocks.iter().for_each(|block| self.0.put_u128_le(*block));
    }

    pub(crate) fn into_frame(self) -> Bytes {
        self.0.freeze()
    }
}

/// Reads one frame without going past its end.
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// A reader of a message's bytes, without a header.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn for_kind(frame: &'a [u8], kind: &'static str) -> Result<Self, Malformed> {
        let mut reader = Self(frame);
        if reader.bytes(FRAME_HEADER)? != kind_tag(kind) {
            return Err(Malformed::Kind { expected: kind });
        }
        Ok(reader)
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`Malformed::Short`] where fewer are left.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        match self.0.split_at_checked(count) {
            Some((head, tail)) => {
                self.0 = tail;
                Ok(head)
            }
            None => Err(Malformed::Short { missing: count - self.0.len() }),
        }
    }

    /// The next `count` arrays. Nothing is allocated before the bytes are known to be there.
    ///
    /// # Errors
    /// [`Malformed::Short`] where fewer are left.
    pub fn arrays<const N: usize>(&mut self, count: usize) -> Result<Vec<[u8; N]>, Malformed> {
        let (arrays, _) = self.bytes(count.saturating_mul(N))?.as_chunks::<N>();
        Ok(arrays.to_vec())
    }

    /// The next number, little endian.
    ///
    /// # Errors
    /// [`Malformed::Short`] where fewer than 8 bytes are left.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        let mut le = [0; 8];
        le.copy_from_slice(self.bytes(8)?);
        Ok(u64::from_le_bytes(le))
    }

    /// The next `count` blocks of 128 bits, little endian; nothing is allocated before they are known to be there.
    ///
    /// # Errors
    /// [`Malformed::Short`] where fewer are left.
    pub fn blocks(&mut self, count: usize) -> Result<Vec<u128>, Malformed> {
        let (blocks, _) = self.bytes(count.saturating_mul(16))?.as_chunks::<16>();
        Ok(blocks.iter().map(|block| u128::from_le_bytes(*block)).collect())
    }

    /// Ends the message.
    ///
    /// # Errors
    /// [`Malformed::Long`] where bytes are left.
    pub fn finish(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed::Long { extra: self.0.len() }) }
    }
}

fn kind_tag(kind: &str) -> [u8; FRAME_HEADER] {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(kind.as_bytes());
    [digest[0], digest[1], digest[2], digest[3]]
}

/// What a message is between its frame's header and its end, for tests of what parses a peer's bytes.
#[cfg(test)]
pub(crate) mod body {
    use super::*;

    pub(crate) fn written(message: &impl Message) -> Vec<u8> {
        let mut writer = Writer::for_kind("");
        message.write(&mut writer);
        writer.into_frame()[FRAME_HEADER..].to_vec()
    }

    /// Reads as a channel does: the message, then the end of the frame.
    pub(crate) fn read<M: Message>(bytes: &[u8], shape: M::Shape) -> Result<M, Malformed> {
        let mut reader = Reader::new(bytes);
        let message = M::read(&mut reader, shape)?;
        reader.finish()?;
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_frame_reads_back_and_a_prefix_or_another_kind_does_not() {
        let mut writer = Writer::for_kind("test/one");
        writer.u64(7);
        writer.bytes(b"rest");
        let frame = writer.into_frame();
        let read = |frame: &[u8]| -> Result<(u64, Vec<u8>), Malformed> {
            let mut reader = Reader::for_kind(frame, "test/one")?;
            let read = (reader.u64()?, reader.bytes(4)?.to_vec());
            reader.finish()?;
            Ok(read)
        };
        assert_eq!(read(&frame), Ok((7, b"rest".to_vec())));
        for end in 0..frame.len() {
            assert!(matches!(read(&frame[..end]), Err(Malformed::Short { .. })), "cut at {end}");
        }
        assert_eq!(read(&[&frame[..], &[0]].concat()), Err(Malformed::Long { extra: 1 }));
        let other = Reader::for_kind(&frame, "test/two").map(drop);
        assert_eq!(other, Err(Malformed::Kind { expected: "test/two" }));
    }

    proptest! {
        #[test]
        fn arbitrary_frames_never_panic(
            frame in proptest::collection::vec(any::<u8>(), 0..64),
            counts in proptest::collection::vec(any::<usize>(), 0..4),
        ) {
            prop_assert!(Reader::for_kind(&frame, "test/one").is_err(), "a tag of 32 bits met by chance");
            let mut reader = Reader::new(&frame);
            let mut left = frame.len();
            for count in counts {
                match reader.bytes(count % 80) {
                    Ok(bytes) => left -= bytes.len(),
                    Err(malformed) => prop_assert_eq!(malformed, Malformed::Short { missing: count % 80 - left }),
                }
            }
            prop_assert_eq!(reader.bytes(usize::MAX), Err(Malformed::Short { missing: usize::MAX - left }));
            prop_assert_eq!(reader.finish().is_ok(), left == 0);
        }
    }
}
