//! An oblivious pseudorandom function from a vector evaluation and a store: the receiver has its values at as many keys as
//! agreed, the sender at any it likes. With [`send_store`] of a table of what the sender adds to the function's values, the
//! function is programmable.
//!
//! ```text
//! receiver, keys X                                   sender
//!
//! step "vole"    A, C = A·Δ + B                ←→    Δ, B
//! step "store"   A + P, P: x ↦ x               ──→   K = B + Δ·(A + P)  =  C + Δ·P
//! value at x     h(C(x), x)                          h(K(y) + Δ·y, y),  where K(y) + Δ·y = C(y) + Δ·(P(y) + y)
//! ```
//!
//! At keys that the receiver does not have, what is hashed differs from what it knows by a multiple of Δ other than zero.
//! h(u, x) = AES_u(x) ^ x, the hash of Davies and Meyer. Keys are blocks of a random oracle's.
//!
//! **Claim.** Semi-honest peers, under the assumptions of [`crate::ot::vole`] with AES as an ideal cipher: the sender learns
//! how many keys there are, the receiver nothing of the function's values at other keys than its own.
//!
//! **Source.** Raghuraman and Rindal 2022 (CCS, eprint 2022/320, section 5), for semi-honest peers, after Rindal and
//! Schoppmann 2021 (eprint 2021/266).

#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures::future::try_join;
use futures::{StreamExt, TryStreamExt, stream};
use rand_core::CryptoRng;
use rayon::prelude::*;
use zeroize::Zeroizing;

use crate::catalogue::Cost;
use crate::error::{Bug, Error, Result};
use crate::kernels::aes::davies_meyer;
use crate::kernels::gf128;
use crate::kernels::okvs::{Arranged, Okvs, Shape};
use crate::message::{FRAME_HEADER, Malformed, Message, Reader, Writer};
use crate::ot::vole;
use crate::party::{PartyId, Role};
use crate::session::Session;

/// Slots of a message: half a megabyte.
const SLOTS: usize = 1 << 15;

/// Values that a rayon task hashes at a time: 4 KiB of blocks.
const CHUNK: usize = 256;

/// Seeds that are tried for a table, each of which fails with probability 2^-40.
const SEEDS: usize = 3;

/// The receiver's half: the value at each of its keys, which are different, in their order.
///
/// # Errors
/// [`Error::Deviation`] names a peer that breaks the protocol.
pub(super) async fn receive(
    s: &Session,
    peer: &PartyId,
    keys: Arc<Zeroizing<Vec<u128>>>,
) -> Result<Zeroizing<Vec<u128>>> {
    let (mut rng, length) = (s.rng("store"), Shape::new(keys.len()).len());
    let store = s.compute(move || encode(&keys, &keys, &mut rng));
    let s_vole = s.step("vole");
    let (store, vole::Received { a, c }) = try_join(store, vole::receive::<u128>(&s_vole, peer, length)).await?;
    let mut store = store?;
    store.slots.iter_mut().zip(a.iter()).for_each(|(slot, a)| *slot ^= a);
    send_store(&s.step("store"), peer, &store).await?;
    let Store { okvs, arranged, .. } = store;
    s.compute(move || decode(&okvs, &c, &arranged, |values, keys| finish(values, keys, 0))).await
}

/// The sender's half, for `count` keys of the receiver.
///
/// # Errors
/// [`Error::Deviation`] names a peer that breaks the protocol.
pub(super) async fn send(s: &Session, peer: &PartyId, count: usize) -> Result<Oprf> {
    let vole::Sent { delta, b: mut k } = vole::send::<u128>(&s.step("vole"), peer, Shape::new(count).len()).await?;
    let (okvs, slots) = receive_store(&s.step("store"), peer, count).await?;
    let add = move || {
        gf128::scale_add(&mut k, &slots, *delta);
        Oprf { okvs, k, delta }
    };
    s.compute(add).await
}

/// The sender's key: the function at any key.
pub(super) struct Oprf {
    okvs: Okvs,
    k: Zeroizing<Vec<u128>>,
    delta: Zeroizing<u128>,
}

impl Oprf {
    /// The value at each key, in their order.
    pub(super) fn values(&self, keys: &[u128]) -> Zeroizing<Vec<u128>> {
        decode(&self.okvs, &self.k, &self.okvs.arrange(keys), |values, keys| {
            gf128::scale_add(values, keys, *self.delta);
            finish(values, keys, 0);
        })
    }
}

/// What a run over a store of `count` items counts as work at either end: the elements of its correlation.
pub(super) fn work(count: usize) -> u64 {
    Shape::new(count).len() as u64
}

/// What the function costs for `count` keys of the receiver. The store takes no round of its own: it goes with the end mark
/// of the vector evaluation, which is the last that its sender hears.
pub(super) fn cost(count: usize, role: Role) -> Cost {
    let bytes_out = match role {
        Role::Receiver => store_bytes(count),
        Role::Sender => 0,
    };
    vole::cost::<u128>(Shape::new(count).len(), role).then(Cost { bytes_out, ..Cost::default() })
}

/// A table and what it is a table of.
pub(super) struct Store {
    seed: u128,
    okvs: Okvs,
    arranged: Arranged,
    slots: Zeroizing<Vec<u128>>,
}

/// A table that decodes each key to its value. The keys are different.
///
/// # Errors
/// [`Error::Bug`] where no seed served, which the keys of different items never meet.
pub(super) fn encode<R: CryptoRng>(keys: &[u128], values: &[u128], rng: &mut R) -> Result<Store> {
    for _ in 0..SEEDS {
        let seed = u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64());
        let okvs = Okvs::new(keys.len(), seed);
        let arranged = okvs.arrange(keys);
        let values = arranged.places().iter().map(|place| values[*place as usize]);
        let values: Zeroizing<Vec<u128>> = Zeroizing::new(values.collect());
        if let Ok(slots) = okvs.encode(&arranged, &values, rng) {
            return Ok(Store { seed, okvs, arranged, slots: Zeroizing::new(slots) });
        }
    }
    Err(Error::Bug(Bug("no seed gave a table for keys that are different; run the job again")))
}

/// Sends a table.
///
/// # Errors
/// [`Error::Link`] where the link failed.
pub(super) async fn send_store(s: &Session, peer: &PartyId, store: &Store) -> Result<()> {
    let (mut out, unused) = s.channel(peer)?.split();
    let say = async {
        out.send(&Seed(store.seed)).await?;
        out.batches(stream::iter(store.slots.chunks(SLOTS).map(|slots| Ok(Slots(slots.to_vec()))))).await
    };
    try_join(say, unused.finish()).await.map(drop)
}

/// Receives a table of `count` keys.
///
/// # Errors
/// [`Error::Deviation`] names a peer that sent another shape.
pub(super) async fn receive_store(s: &Session, peer: &PartyId, count: usize) -> Result<(Okvs, Vec<u128>)> {
    let length = Shape::new(count).len();
    let (unused, mut incoming) = s.channel(peer)?.split();
    let hear = async {
        let Seed(seed) = incoming.recv(()).await?;
        let shapes = (0..length).step_by(SLOTS).map(|start| SLOTS.min(length - start));
        let slots = incoming.batches::<Slots>(shapes).map(|slots| slots.map(|Slots(slots)| slots));
        Ok((Okvs::new(count, seed), slots.try_concat().await?))
    };
    let (store, ()) = try_join(hear, unused.finish()).await?;
    Ok(store)
}

/// Bytes of a table of `count` keys on the wire.
pub(super) fn store_bytes(count: usize) -> u64 {
    let length = Shape::new(count).len();
    (FRAME_HEADER + 16 + length.div_ceil(SLOTS) * FRAME_HEADER + 16 * length) as u64
}

/// What `slots` has for each key, after `finish`, in the order the keys had before they were arranged.
pub(super) fn decode(
    okvs: &Okvs,
    slots: &[u128],
    arranged: &Arranged,
    finish: impl Fn(&mut [u128], &[u128]),
) -> Zeroizing<Vec<u128>> {
    let mut values = Zeroizing::new(vec![0; arranged.keys().len()]);
    okvs.decode(slots, arranged, &mut values);
    finish(&mut values, arranged.keys());
    let mut ordered = Zeroizing::new(vec![0; values.len()]);
    values.iter().zip(arranged.places()).for_each(|(value, place)| ordered[*place as usize] = *value);
    ordered
}

/// h(u + w, x) of each u in `values`, in place.
pub(super) fn finish(values: &mut [u128], keys: &[u128], w: u128) {
    values.par_chunks_mut(CHUNK).zip(keys.par_chunks(CHUNK)).for_each(|(values, keys)| {
        values.iter_mut().for_each(|value| *value ^= w);
        let mut hashed = Zeroizing::new([0; CHUNK]);
        let hashed = &mut hashed[..keys.len()];
        hashed.copy_from_slice(keys);
        davies_meyer(values, hashed);
        values.copy_from_slice(hashed);
    });
}

/// The seed under which a store hashes.
struct Seed(u128);

impl Message for Seed {
    const KIND: &'static str = "oprf/seed";
    type Shape = ();

    fn write(&self, w: &mut Writer) {
        w.blocks(&[self.0]);
    }

    fn read(r: &mut Reader<'_>, (): ()) -> Result<Self, Malformed> {
        Ok(Self(r.blocks(1)?[0]))
    }
}

/// Slots of a table.
struct Slots(Vec<u128>);

impl Message for Slots {
    const KIND: &'static str = "oprf/slots";
    type Shape = usize;

    fn write(&self, w: &mut Writer) {
        w.blocks(&self.0);
    }

    fn read(r: &mut Reader<'_>, count: usize) -> Result<Self, Malformed> {
        r.blocks(count).map(Self)
    }
}
