//! The messages of shares: packed bits, or elements of a ring, whose step says what they are.

use std::ops::Range;
use std::sync::Arc;

use crate::channel::{Incoming, Outgoing};
use crate::message::{FRAME_HEADER, Malformed, Message, Reader, Writer};
use crate::ring::Ring;

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

/// Bytes of elements in one message: 256 KiB.
const MESSAGE: usize = 1 << 18;

/// Elements of a ring: those of `range` among `all`.
struct Words<R: Ring> {
    all: Arc<Vec<R>>,
    range: Range<usize>,
}

impl<R: Ring> Message for Words<R> {
    const KIND: &'static str = "share/words";
    /// How many.
    type Shape = usize;

    fn write(&self, w: &mut Writer) {
        w.reserve(self.range.len() * R::BYTES);
        R::write(&self.all[self.range.clone()], w);
    }

    fn read(r: &mut Reader<'_>, count: usize) -> Result<Self, Malformed> {
        let all = R::read(r.bytes(count.saturating_mul(R::BYTES))?);
        Ok(Self { all: Arc::new(all), range: 0..count })
    }
}

/// Where each message of `len` elements starts and ends.
fn messages<R: Ring>(len: usize) -> impl Iterator<Item = Range<usize>> {
    let most = MESSAGE / R::BYTES;
    (0..len).step_by(most).map(move |start| start..len.min(start + most))
}

/// Bytes of the messages of `len` elements.
pub(super) fn bytes<R: Ring>(len: usize) -> u64 {
    (len * R::BYTES + messages::<R>(len).count() * FRAME_HEADER) as u64
}

/// Sends elements, in as many messages as they need.
pub(super) async fn send<R: Ring>(out: &mut Outgoing, all: Arc<Vec<R>>) -> crate::error::Result<()> {
    for range in messages::<R>(all.len()) {
        out.send(&Words { all: all.clone(), range }).await?;
    }
    Ok(())
}

/// Receives `len` elements.
pub(super) async fn receive<R: Ring>(incoming: &mut Incoming, len: usize) -> crate::error::Result<Vec<R>> {
    let mut all = Vec::new();
    for range in messages::<R>(len) {
        let words: Words<R> = incoming.recv(range.len()).await?;
        if all.is_empty() {
            all.reserve_exact(len);
        }
        all.extend_from_slice(&words.all);
    }
    Ok(all)
}
