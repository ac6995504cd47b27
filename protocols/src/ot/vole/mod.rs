//! Vector oblivious linear evaluation: the sender has Δ and a vector B, the receiver vectors A and C, with
//!
//! ```text
//! C = A·Δ + B      in GF(2^128), element by element
//! ```
//!
//! where A, B and Δ look random. It is *silent*: per batch of up to 2^20 elements, some hundred kilobytes are sent.
//!
//! ```text
//! sender                                           receiver, of each batch: point s_i and value y_i of block i; χ
//!
//! step "transfers"   the extension sets up    ←→                 Y = Σ_i χ^(place of point i) y_i
//!                    Δ is its own
//! step "noise"       b                        ←── ── ──          c = y·Δ + b: correlated transfers by the bits of y and Y
//! step "paths"       keys of a forest         ←── ── ──          random transfers by the paths to s
//! of each batch, at "batch-0", "batch-1", …
//!                    leaves L                 ── sums, b ──→     L, but L_s + y_i·Δ at each point: C'
//!                                             ←──── χ ─────      y_i at each point, else 0: A'
//!                    h(Σ_j χ^j L_j + b_Y)     ── verdict ──→     = h(Σ_j χ^j C'_j + c_Y) ?
//!                    B = code(L)                                 A = code(A'), C = code(C')
//! ```
//!
//! **Claim.** Malicious peers, 128 bits, under the assumption of [`crate::kernels::lpn`] and those of the extension
//! ([`super::extension`]): the sender learns nothing of A and C, the receiver nothing of Δ and B, but by guesses. A sender
//! whose sums are wrong is named, unless it has guessed the bits of paths that make them right: a guess of k bits passes with
//! probability 2^-k (so the assumption must hold for noise of which a few bits are guessed, as in Weng et al.). A
//! receiver whose choices are inconsistent is named by the extension, unless it guesses bits of Δ in the same way. Beside
//! that, a false check passes with probability 2^-106: a polynomial of degree below 2^22 vanishes at χ. A receiver that lies
//! about Y gets a hash of something with Δ in it, which serves to test guesses of all of Δ.
//!
//! Both count each element as work done ([`Session::count_work`]).
//!
//! **Not claimed.** That a malicious receiver's A, or a malicious sender's B, is random, or that A is from the smaller space
//! where the scalars are ([`Scalar`]). Nothing must leave this party that was made with what a run gave before that run has
//! ended well.
//!
//! **Sources.** Boyle, Couteau, Gilboa, Ishai, Kohl, Rindal and Scholl 2019 (CCS, eprint 2019/1159) for the construction;
//! Weng, Yang, Katz and Wang 2021 (IEEE S&P, "Wolverine", eprint 2020/925) for malicious peers, with the sum Y fixed beforehand
//! as libOTe has it; Rindal and Schoppmann 2021 (eprint 2021/266), and Raghuraman and Rindal 2022 (eprint 2022/320) for its use.

mod local;
mod msg;
mod plan;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use zeroize::{DefaultIsZeroes, Zeroizing};

use super::collect;
use super::extension::{self, BATCH};
use crate::error::{Fault, Result};
use crate::party::PartyId;
use crate::session::Session;

use local::{Correlated, Noise, all_choices};
use msg::{Challenge, Sums, Verdict};
use plan::Plan;

pub use local::Scalar;
pub use plan::{LENGTH_MAX, cost};

/// What the sender has: `C = A·Δ + B`.
pub struct Sent {
    /// Δ, the same for all elements.
    pub delta: Zeroizing<u128>,
    /// B, one per element.
    pub b: Zeroizing<Vec<u128>>,
}

/// What the receiver has: `C = A·Δ + B`, with the elements of A lifted ([`Scalar::lift`]).
pub struct Received<F: Scalar> {
    /// A, one per element.
    pub a: Zeroizing<Vec<F>>,
    /// C, one per element.
    pub c: Zeroizing<Vec<u128>>,
}

/// The sender's half, of vectors of `length`; Δ is uniform. The peer runs [`receive`] at this step, with the same length and
/// scalars. Panics above [`LENGTH_MAX`].
///
/// # Errors
/// [`crate::error::Error::Deviation`] names a peer that breaks the protocol.
pub async fn send<F: Scalar>(s: &Session, peer: &PartyId, length: usize) -> Result<Sent> {
    let plan = Plan::new::<F>(length);
    if length == 0 {
        return Ok(Sent { delta: Zeroizing::new(local::random(&mut s.rng("delta"))), b: Zeroizing::default() });
    }
    let mut transfers = extension::Sender::set_up(&s.step("transfers"), peer).await?;
    let (noise, paths) = (plan.noise(), plan.paths());
    let batches = plan.batches().len();
    let correlated = collect(transfers.correlated(&s.step("noise"), batches * noise)?, batches * noise).await?;
    let keys = collect(transfers.random(&s.step("paths"), batches * paths, BATCH)?, batches * paths).await?;

    let (forest, code) = (plan.forest(), plan.code());
    let mut b = Zeroizing::default();
    for (number, kept) in plan.batches().enumerate() {
        let s = s.step(format_args!("batch-{number}"));
        let mut channel = s.channel(peer)?;
        let noise = Correlated::pack::<F>(&correlated[number * noise..][..noise]);
        let keys = Zeroizing::new(keys[number * paths..][..paths].to_vec());
        let (grown, sums) = s.compute(move || local::send(&forest, &noise, &keys)).await?;
        channel.send(&Sums(sums)).await?;
        let Challenge(chi) = channel.recv(()).await?;
        let binding = s.binding("ot/vole/verdict");
        let (verdict, grown) = s.compute(move || (grown.verdict(&forest, chi, &binding), grown)).await?;
        channel.send(&verdict).await?;
        channel.finish().await?;
        append(&mut b, length, s.compute(move || grown.encode(&code, kept)).await?);
        s.count_work(kept as u64);
    }
    Ok(Sent { delta: Zeroizing::new(transfers.delta()), b })
}

/// The receiver's half, of vectors of `length`. The peer runs [`send`] at this step, with the same length and scalars.
/// Panics above [`LENGTH_MAX`].
///
/// # Errors
/// [`crate::error::Error::Deviation`] names a peer that breaks the protocol.
pub async fn receive<F: Scalar>(s: &Session, peer: &PartyId, length: usize) -> Result<Received<F>> {
    let plan = Plan::new::<F>(length);
    let mut all = Received { a: Zeroizing::default(), c: Zeroizing::default() };
    if length == 0 {
        return Ok(all);
    }
    let (forest, code) = (plan.forest(), plan.code());
    let mut rng = s.rng("noise");
    let noises: Vec<_> = plan.batches().map(|_| Noise::<F>::random(&forest, &mut rng)).collect();
    let values = all_choices(noises.iter().map(|noise| noise.values(&forest)));
    let paths = all_choices(noises.iter().map(|noise| noise.paths(&forest)));

    let mut transfers = extension::Receiver::set_up(&s.step("transfers"), peer).await?;
    let count = values.len();
    let correlated = collect(transfers.correlated(&s.step("noise"), &Arc::new(values))?, count).await?;
    let count = paths.len();
    let keys = collect(transfers.random(&s.step("paths"), &Arc::new(paths), BATCH)?, count).await?;

    for ((number, kept), noise) in plan.batches().enumerate().zip(noises) {
        let s = s.step(format_args!("batch-{number}"));
        let mut channel = s.channel(peer)?;
        let correlated = Correlated::pack::<F>(&correlated[number * plan.noise()..][..plan.noise()]);
        let keys = Zeroizing::new(keys[number * plan.paths()..][..plan.paths()].to_vec());
        let Sums(sums) = channel.recv(forest).await?;
        channel.send(&Challenge(noise.chi)).await?;
        let binding = s.binding("ot/vole/verdict");
        let (expected, grown, noise) = s
            .compute(move || {
                let grown = local::receive(&forest, &noise, &correlated, &keys, sums);
                (grown.verdict(&forest, noise.chi, &binding), grown, noise)
            })
            .await?;
        let verdict: Verdict = channel.recv(()).await?;
        if !verdict.agrees(&expected) {
            return Err(channel.deviation(Fault::Check { check: "leaves" }));
        }
        channel.finish().await?;
        let (a, c) = s.compute(move || grown.encode_with(&code, &forest, &noise, kept)).await?;
        append(&mut all.a, length, a);
        append(&mut all.c, length, c);
        s.count_work(kept as u64);
    }
    Ok(all)
}

/// Appends a batch to what will have `length` elements: the only one as it is, others to a vector that never moves.
fn append<T: DefaultIsZeroes>(all: &mut Zeroizing<Vec<T>>, length: usize, batch: Zeroizing<Vec<T>>) {
    if batch.len() == length {
        *all = batch;
    } else {
        let missing = length - all.len();
        all.reserve_exact(missing);
        all.extend_from_slice(&batch);
    }
}
