//! Many oblivious transfers from 128 base transfers and symmetric operations: SoftSpoken with small fields.
//!
//! ```text
//! sender, Δ of 128 bits                           receiver, choices x
//!
//! step "base"     128 base transfers, choices ¬Δ     ←→     128 base transfers
//! step "trees"                                       ←──    32 trees of 16 leaves, opened but for leaf Δ_j of tree j;
//!                 checked                                   proofs that they are grown well
//! of each batch:                                            r_j,y = PRG(leaf y of tree j)
//!                                                           u_j = Σ_y r_j,y    v_j = Σ_y y·r_j,y
//!                                                    ←─ C ─ C_j = u_j ^ x
//!                 w_j = Σ_y (Δ_j ^ y)·r_j,y                 χ = PRG(hash of C)
//!                 q_j = w_j ^ Δ_j·C_j                ←─ ─── x̃ = χ·x    ṽ_j = χ·v_j
//!                 χ·q_j = ṽ_j ^ Δ_j·x̃ ?
//! rows            q                                         t = v = q ^ x·Δ
//! random          H(i, q), H(i, q ^ Δ)                      H(i, t)
//! ```
//!
//! A column is a bit for each transfer; Δ_j and y are elements of GF(2^4), of which four columns are the coordinates.
//! Batches are independent and stream: after set-up there is one message, however many transfers.
//!
//! **Claim.** Malicious peers, 128 bits: the sender's Δ is hidden from the receiver but for guesses, each of which it makes
//! at the price of being named where it is wrong; the receiver's choices are hidden from the sender, whatever it sends. The
//! check χ is universal over GF(2^128) and hides its last block, of transfers nobody uses; its challenge is a hash of what it
//! is about (Fiat and Shamir), so that a receiver that makes q trials passes a false check with probability q * 2^-128 and
//! by its guesses. H is tweaked and keyed for the run; AES is modelled as an ideal cipher. What a malicious party chooses of
//! its own outputs is its own affair, as in all extensions (*endemic* transfers).
//!
//! **Not claimed.** Anything about who uses what a batch gives before the whole run has ended well: a deviation in a later
//! batch is found in the later batch.
//!
//! **Sources.** Roy 2022 (CRYPTO, "SoftSpokenOT", eprint 2022/192): the small-field construction of section 3, the check of
//! trees of section 3.2's malicious variant, the subspace check of section 4.1 with a repetition code, transfers of section
//! 5. The hash: Guo, Katz, Wang and Yu 2020 (eprint 2019/074, section 7.4, TMMO). One flow: McQuoid, Rosulek and Roy 2021
//! (eprint 2021/682, section 7).

mod hash;
mod local;
mod msg;
mod tree;
mod vole;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures::future::try_join;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use zeroize::Zeroizing;

use super::base;
use crate::bits::{BLOCK_BITS, Bits, random_blocks};
use crate::catalogue::Cost;
use crate::error::Result;
use crate::message::FRAME_HEADER;
use crate::party::{PartyId, Role};
use crate::session::{CHUNKS_IN_FLIGHT, Session};

use local::{ReceiverCore, SenderCore};
use msg::{Batch, Trees};

/// Bits of the small field. Each transfer costs 128 / 4 bits on the wire and (2^4 * 128 / 4) / 128 blocks of AES at either
/// end: one bit more costs twice as many blocks, and saves a fifth of the bits.
pub const FIELD_BITS: usize = 4;

/// Trees, which are vector oblivious linear evaluations over the small field: 128 bits of Δ.
const TREES: usize = 128 / FIELD_BITS;

/// Leaves of a tree.
const LEAVES: usize = 1 << FIELD_BITS;

/// Transfers of a batch, unless said otherwise: with the block of the check, columns of 4 KiB, so that what a batch works on
/// (0.5 MiB of columns, as much of rows) stays in the second cache, and a message has 132 KiB.
pub const BATCH: usize = 255 * BLOCK_BITS;

/// The sender's end: holds Δ.
pub struct Sender {
    peer: PartyId,
    core: Arc<SenderCore>,
    next: Position,
}

/// The receiver's end: has choices.
pub struct Receiver {
    peer: PartyId,
    core: Arc<ReceiverCore>,
    next: Position,
}

/// How far the generators and tweaks of both ends are used up: nothing is used twice.
#[derive(Clone, Copy, Default)]
struct Position {
    /// Blocks of each leaf's generator.
    block: u64,
    /// Transfers made.
    row: u64,
}

impl Sender {
    /// Sets up with `peer`, which runs [`Receiver::set_up`] at this step. Δ is uniform.
    ///
    /// # Errors
    /// [`crate::error::Error::Deviation`] names a peer that breaks the protocol.
    pub async fn set_up(s: &Session, peer: &PartyId) -> Result<Self> {
        let delta = Bits::random(128, &mut s.rng("delta"));
        let mut choices = delta.clone();
        choices ^= &Bits::from_blocks(vec![u128::MAX], 128);
        let (s_base, s_trees) = (s.step("base"), s.step("trees"));
        let (unused, trees) = s_trees.channel(peer)?.split();
        let (keys, ()) = try_join(base::receive(&s_base, peer, choices), unused.finish()).await?;
        let trees: Trees = trees.last(()).await?;
        let binding = s.binding("ot/extension");
        let core = s.compute(move || SenderCore::new(delta.blocks()[0], &keys, &trees, &binding)).await?;
        let core = core.map_err(|fault| s_trees.deviation(peer, fault))?;
        Ok(Self { peer: peer.clone(), core: Arc::new(core), next: Position::default() })
    }

    /// The correlation: secret.
    pub fn delta(&self) -> u128 {
        self.core.delta()
    }

    /// Correlated transfers: q for each, where the peer has q ^ choice * Δ, in batches of [`BATCH`]. The peer runs
    /// [`Receiver::correlated`] at this step.
    ///
    /// # Errors
    /// The step was opened before; the stream's errors name a peer that breaks the protocol.
    pub fn correlated(
        &mut self,
        s: &Session,
        count: usize,
    ) -> Result<impl Stream<Item = Result<Zeroizing<Vec<u128>>>> + Send + use<>> {
        self.stream(s, count, BATCH, |_, _, q| q)
    }

    /// Random transfers: two blocks for each, in batches of `batch`, a multiple of 128 up to [`BATCH`]. The peer runs
    /// [`Receiver::random`] at this step.
    ///
    /// # Errors
    /// As [`Sender::correlated`].
    pub fn random(
        &mut self,
        s: &Session,
        count: usize,
        batch: usize,
    ) -> Result<impl Stream<Item = Result<Zeroizing<Vec<[u128; 2]>>>> + Send + use<>> {
        self.stream(s, count, batch, |core, first, q| core.hash_rows(first, &q))
    }

    /// Random transfers of bits, packed: the bits of choice 0, and those of choice 1, in batches of [`BATCH`]. The peer runs
    /// [`Receiver::random_bits`] at this step.
    ///
    /// # Errors
    /// As [`Sender::correlated`].
    pub fn random_bits(
        &mut self,
        s: &Session,
        count: usize,
    ) -> Result<impl Stream<Item = Result<[Zeroizing<Vec<u128>>; 2]>> + Send + use<>> {
        self.stream(s, count, BATCH, |core, first, q| {
            let rows = core.hash_rows(first, &q);
            [0, 1].map(|choice| pack(rows.iter().map(|both| both[choice])))
        })
    }

    fn stream<T: Send + 'static>(
        &mut self,
        s: &Session,
        count: usize,
        batch: usize,
        finish: fn(&SenderCore, u64, Zeroizing<Vec<u128>>) -> T,
    ) -> Result<impl Stream<Item = Result<T>> + Send + use<T>> {
        let (unused, batches) = s.channel(&self.peer)?.split();
        let plan = self.next.take(count, batch);
        let shapes: Vec<usize> = plan.iter().map(|(_, rows)| blocks(*rows)).collect();
        let (s, peer, core) = (s.clone(), self.peer.clone(), self.core.clone());
        let accept = move |((at, rows), batch): ((Position, usize), Result<Batch>)| {
            let (s, peer, core) = (s.clone(), peer.clone(), core.clone());
            async move {
                let batch = batch?;
                let q = s.compute(move || {
                    let q = core.accept(at.block, &batch, rows)?;
                    Ok(finish(&core, at.row, q))
                });
                q.await?.map_err(|fault| s.deviation(&peer, fault))
            }
        };
        let mut plan = plan.into_iter();
        let placed =
            batches.batches::<Batch>(shapes.into_iter()).map(move |batch| (plan.next().unwrap_or_default(), batch));
        let rows = placed.map(accept).buffered(CHUNKS_IN_FLIGHT).map_ok(Some);
        let closed = stream::once(unused.finish()).map_ok(|()| None);
        Ok(closed.chain(rows).try_filter_map(|rows| async move { Ok(rows) }))
    }
}

impl Receiver {
    /// Sets up with `peer`, which runs [`Sender::set_up`] at this step.
    ///
    /// # Errors
    /// [`crate::error::Error::Deviation`] names a peer that breaks the protocol.
    pub async fn set_up(s: &Session, peer: &PartyId) -> Result<Self> {
        let keys = base::send(&s.step("base"), peer, 128).await?;
        let binding = s.binding("ot/extension");
        let roots = Zeroizing::new(random_blocks(TREES, &mut s.rng("roots")));
        let (core, trees) = s.compute(move || ReceiverCore::new(&roots, &keys, &binding)).await?;
        let (out, unused) = s.step("trees").channel(peer)?.split();
        try_join(out.last(&trees), unused.finish()).await?;
        Ok(Self { peer: peer.clone(), core: Arc::new(core), next: Position::default() })
    }

    /// Correlated transfers: t = q ^ choice * Δ for each choice, in batches of [`BATCH`]. The peer runs
    /// [`Sender::correlated`] at this step.
    ///
    /// # Errors
    /// The step was opened before, or the link failed.
    pub fn correlated(
        &mut self,
        s: &Session,
        choices: &Arc<Bits>,
    ) -> Result<impl Stream<Item = Result<Zeroizing<Vec<u128>>>> + Send + use<>> {
        self.stream(s, choices, BATCH, |_, _, t| t)
    }

    /// Random transfers: of each pair, the block of the choice, in batches of `batch`, a multiple of 128 up to [`BATCH`]. The
    /// peer runs [`Sender::random`] at this step.
    ///
    /// # Errors
    /// As [`Receiver::correlated`].
    pub fn random(
        &mut self,
        s: &Session,
        choices: &Arc<Bits>,
        batch: usize,
    ) -> Result<impl Stream<Item = Result<Zeroizing<Vec<u128>>>> + Send + use<>> {
        self.stream(s, choices, batch, |core, first, t| core.hash_rows(first, t))
    }

    /// Random transfers of bits, packed: those of the choices, in batches of [`BATCH`]. The peer runs [`Sender::random_bits`]
    /// at this step.
    ///
    /// # Errors
    /// As [`Receiver::correlated`].
    pub fn random_bits(
        &mut self,
        s: &Session,
        choices: &Arc<Bits>,
    ) -> Result<impl Stream<Item = Result<Zeroizing<Vec<u128>>>> + Send + use<>> {
        self.stream(s, choices, BATCH, |core, first, t| pack(core.hash_rows(first, t).iter().copied()))
    }

    fn stream<T: Send + 'static>(
        &mut self,
        s: &Session,
        choices: &Arc<Bits>,
        batch: usize,
        finish: fn(&ReceiverCore, u64, Zeroizing<Vec<u128>>) -> T,
    ) -> Result<impl Stream<Item = Result<T>> + Send + use<T>> {
        let (out, unused) = s.channel(&self.peer)?.split();
        let plan = self.next.take(choices.len(), batch);
        let (s, core, choices) = (s.clone(), self.core.clone(), choices.clone());
        let prepare = move |(number, (at, rows)): (usize, (Position, usize))| {
            let (s, core, choices) = (s.clone(), core.clone(), choices.clone());
            async move {
                let mut rng = s.rng("unused transfers");
                let prepare = move || {
                    let first = number * batch / BLOCK_BITS;
                    let choices = &choices.blocks()[first..first + rows.div_ceil(BLOCK_BITS)];
                    let (message, t) = core.prepare(at.block, choices, rows, &mut rng);
                    (message, finish(&core, at.row, t))
                };
                s.compute(prepare).await
            }
        };
        let prepared = stream::iter(plan.into_iter().enumerate()).map(prepare).buffered(CHUNKS_IN_FLIGHT);
        let state = (out, unused, Box::pin(prepared));
        Ok(stream::try_unfold(Some(state), |state| async move {
            let Some((mut out, unused, mut prepared)) = state else { return Ok(None) };
            match prepared.try_next().await? {
                Some((message, rows)) => {
                    out.send::<Batch>(&message).await?;
                    Ok(Some((rows, Some((out, unused, prepared)))))
                }
                None => {
                    out.finish().await?;
                    unused.finish().await?;
                    Ok(None)
                }
            }
        }))
    }
}

impl Position {
    /// Takes what `count` transfers in batches of `batch` use: where each batch starts, and how many transfers it has.
    fn take(&mut self, count: usize, batch: usize) -> Vec<(Self, usize)> {
        assert!(batch.is_multiple_of(BLOCK_BITS) && (1..=BATCH).contains(&batch), "whole blocks, and a message");
        let mut next = |rows: usize| {
            let at = *self;
            self.block += blocks(rows) as u64;
            self.row += rows as u64;
            (at, rows)
        };
        batches(count, batch).map(&mut next).collect()
    }
}

/// The lowest bit of each row, 128 to a block.
fn pack(mut rows: impl ExactSizeIterator<Item = u128>) -> Zeroizing<Vec<u128>> {
    let blocks = rows.len().div_ceil(BLOCK_BITS);
    let mut block = || (0..BLOCK_BITS).zip(&mut rows).fold(0, |block, (place, row)| block | (row & 1) << place);
    Zeroizing::new((0..blocks).map(|_| block()).collect())
}

/// How many transfers each batch has.
fn batches(count: usize, batch: usize) -> impl Iterator<Item = usize> {
    (0..count).step_by(batch).map(move |start| batch.min(count - start))
}

/// Blocks of the columns of a batch: its transfers, filled up to whole blocks, and the block that hides the check.
fn blocks(rows: usize) -> usize {
    rows.div_ceil(BLOCK_BITS) + 1
}

/// What set-up costs.
pub fn set_up_cost(role: Role) -> Cost {
    let base = base::cost(128, role.other());
    let trees = match role {
        Role::Sender => 0,
        Role::Receiver => FRAME_HEADER as u64 + Trees::BYTES,
    };
    Cost { rounds: 2, bytes_out: base.bytes_out + trees, group_ops: 0, cpu_us: 0 }
}

/// What `count` transfers in batches of `batch` cost after set-up, random or correlated.
pub fn cost(count: usize, batch: usize, role: Role) -> Cost {
    let bytes = |rows| (FRAME_HEADER + Batch::bytes(blocks(rows))) as u64;
    let bytes_out = match role {
        Role::Sender => 0,
        Role::Receiver => batches(count, batch).map(bytes).sum(),
    };
    Cost { rounds: 1, bytes_out, group_ops: 0, cpu_us: 0 }
}

const _: () =
    assert!(Batch::bytes(BATCH / BLOCK_BITS + 1) + FRAME_HEADER <= crate::message::FRAME_MAX, "a batch fits a frame");
