//! Messages of `circuit`. Every shape is a count that the reader takes from the plan.

use futures::future::try_join;
use futures::{TryStreamExt, stream};

use crate::catalogue::Cost;
use crate::error::Result;
use crate::kernels::okvs::Shape;
use crate::message::{FRAME_HEADER, Malformed, Message, Reader, Writer};
use crate::party::PartyId;
use crate::session::Session;

/// Words of one message: 256 KiB.
const CHUNK: usize = 1 << 15;

/// The seed of a hash function.
pub(super) struct Seed(pub(super) u128);

impl Message for Seed {
    const KIND: &'static str = "circuit/seed";
    type Shape = ();

    fn write(&self, w: &mut Writer) {
        w.blocks(&[self.0]);
    }

    fn read(r: &mut Reader<'_>, (): ()) -> Result<Self, Malformed> {
        Ok(Self(r.blocks(1)?[0]))
    }
}

/// Slots of a store of hints.
pub(super) struct Words(pub(super) Vec<u64>);

impl Message for Words {
    const KIND: &'static str = "circuit/words";
    type Shape = usize;

    fn write(&self, w: &mut Writer) {
        self.0.iter().for_each(|word| w.u64(*word));
    }

    fn read(r: &mut Reader<'_>, count: usize) -> Result<Self, Malformed> {
        let (words, _) = r.bytes(count.saturating_mul(8))?.as_chunks::<8>();
        Ok(Self(words.iter().map(|word| u64::from_le_bytes(*word)).collect()))
    }
}

/// Stores of hints under one seed: of targets, then of each column.
pub(super) struct Hints {
    pub(super) seed: u128,
    pub(super) stores: Vec<Vec<u64>>,
}

impl Hints {
    pub(super) async fn send(self, s: &Session, peer: &PartyId) -> Result<()> {
        let (mut out, unused) = s.channel(peer)?.split();
        let say = async {
            out.send(&Seed(self.seed)).await?;
            let chunks = self.stores.iter().flat_map(|store| store.chunks(CHUNK));
            out.batches(stream::iter(chunks.map(|chunk| Ok(Words(chunk.to_vec()))))).await
        };
        try_join(say, unused.finish()).await.map(drop)
    }

    /// Hints for `keys` keys, with as many columns.
    pub(super) async fn receive(s: &Session, peer: &PartyId, keys: usize, columns: usize) -> Result<Self> {
        let length = Shape::new(keys).len();
        let (unused, mut said) = s.channel(peer)?.split();
        let hear = async {
            let Seed(seed) = said.recv(()).await?;
            let chunks = move |_| (0..length).step_by(CHUNK).map(move |start| CHUNK.min(length - start));
            let words = said.batches::<Words>((0..=columns).flat_map(chunks));
            let all: Vec<u64> = words.map_ok(|Words(words)| words).try_concat().await?;
            Ok(Self { seed, stores: all.chunks(length).map(<[u64]>::to_vec).collect() })
        };
        let (hints, ()) = try_join(hear, unused.finish()).await?;
        Ok(hints)
    }

    /// What the sender says of them.
    pub(super) fn cost(keys: usize, columns: usize) -> Cost {
        let length = Shape::new(keys).len();
        let store = length.div_ceil(CHUNK) * FRAME_HEADER + 8 * length;
        Cost { rounds: 1, bytes_out: (FRAME_HEADER + 16 + (columns + 1) * store) as u64, group_ops: 0, cpu_us: 0 }
    }
}
