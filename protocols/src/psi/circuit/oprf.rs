//! An oblivious pseudorandom function from a vector evaluation and a store: the receiver has its values at as many keys as
//! agreed, the sender at any it likes.
//!
//! ```text
//! receiver, keys X                                   sender
//!
//! step "vole"    A, C = A·Δ + B                ←→    Δ, B
//! step "store"   A + P, P: x ↦ x               ──→   K = B + Δ·(A + P)  =  C + Δ·P
//! value at x     C(x)                                K(y) + Δ·y    =  C(y) + Δ·(P(y) - y)
//! ```
//!
//! Values at keys the receiver does not have differ from what it knows by a multiple of Δ other than zero: they are hashed
//! before use. Keys are blocks of a random oracle's.
//!
//! **Source.** Raghuraman and Rindal 2022 (eprint 2022/320, section 5, for semi-honest peers), after Rindal and Schoppmann
//! 2021 (eprint 2021/266).

use futures::future::try_join;
use futures::{StreamExt, stream};
use zeroize::Zeroizing;

use super::msg::{Blocks, CHUNK, Seed};
use crate::bits::random_blocks;
use crate::catalogue::Cost;
use crate::error::{Error, Result};
use crate::kernels::gf128;
use crate::kernels::okvs::{Okvs, Shape};
use crate::message::FRAME_HEADER;
use crate::ot::vole;
use crate::party::{PartyId, Role};
use crate::session::Session;

/// The receiver's half: the value at each key, in their order.
pub(super) async fn receive(s: &Session, peer: &PartyId, keys: Vec<u128>) -> Result<Zeroizing<Vec<u128>>> {
    let mut rng = s.rng("store");
    let seed = random_blocks(1, &mut rng)[0];
    let okvs = Okvs::new(keys.len(), seed);
    let length = okvs.shape().len();
    let (arranged, store, okvs) = s
        .compute(move || {
            let arranged = okvs.arrange(&keys);
            let store = okvs.encode(&arranged, arranged.keys(), &mut rng);
            (arranged, store, okvs)
        })
        .await?;
    let mut store = store.map_err(|_| Error::Chance("the store of keys"))?;

    let received = vole::receive::<u128>(&s.step("vole"), peer, length).await?;
    store.iter_mut().zip(received.a.iter()).for_each(|(store, a)| *store ^= a);
    let (mut out, unused) = s.step("store").channel(peer)?.split();
    let say = async {
        out.send(&Seed(seed)).await?;
        out.batches(stream::iter(store.chunks(CHUNK).map(|chunk| Ok(Blocks(chunk.to_vec()))))).await
    };
    try_join(say, unused.finish()).await?;
    s.compute(move || {
        let mut values = Zeroizing::new(vec![0; arranged.keys().len()]);
        okvs.decode(&received.c, &arranged, &mut values);
        in_order(&values, arranged.places())
    })
    .await
}

/// The sender's half, for `count` keys of the receiver.
pub(super) async fn send(s: &Session, peer: &PartyId, count: usize) -> Result<Oprf> {
    let length = Shape::new(count).len();
    let vole::Sent { delta, b: mut k } = vole::send::<u128>(&s.step("vole"), peer, length).await?;
    let (unused, mut said) = s.step("store").channel(peer)?.split();
    let hear = async {
        let Seed(seed) = said.recv(()).await?;
        let shapes = (0..length).step_by(CHUNK).map(|start| CHUNK.min(length - start));
        let mut batches = Box::pin(said.batches::<Blocks>(shapes).enumerate());
        while let Some((number, batch)) = batches.next().await {
            let Blocks(batch) = batch?;
            gf128::scale_add(&mut k[number * CHUNK..][..batch.len()], &batch, *delta);
        }
        Ok(Okvs::new(count, seed))
    };
    let (okvs, ()) = try_join(hear, unused.finish()).await?;
    Ok(Oprf { okvs, k, delta })
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
        let arranged = self.okvs.arrange(keys);
        let mut values = Zeroizing::new(vec![0; keys.len()]);
        self.okvs.decode(&self.k, &arranged, &mut values);
        gf128::scale_add(&mut values, arranged.keys(), *self.delta);
        in_order(&values, arranged.places())
    }
}

/// What the function costs for `count` keys of the receiver. The store takes no round of its own: it goes with the end mark
/// of the vector evaluation, which is the last that its sender hears.
pub(super) fn cost(count: usize, role: Role) -> Cost {
    let length = Shape::new(count).len();
    let bytes_out = match role {
        Role::Receiver => (FRAME_HEADER + 16 + length.div_ceil(CHUNK) * FRAME_HEADER + 16 * length) as u64,
        Role::Sender => 0,
    };
    vole::cost::<u128>(length, role).then(Cost { bytes_out, ..Cost::default() })
}

/// Values of arranged keys where the keys stood before.
fn in_order(values: &[u128], places: &[u32]) -> Zeroizing<Vec<u128>> {
    let mut ordered = Zeroizing::new(vec![0; values.len()]);
    values.iter().zip(places).for_each(|(value, place)| ordered[*place as usize] = *value);
    ordered
}
