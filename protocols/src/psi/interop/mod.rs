//! `interop`: ECDH-PSI as the open interconnection standard defines it, for parties that are no Banyan nodes.
//!
//! ```text
//! each party, X = {x_1 … x_n}, secret α               the other, Y = {y_1 … y_m}, secret β
//!
//! step "enc"       A_i = H(x_i)^α                ── A ──→      B_j = H(y_j)^β
//!                                                ←─ B ──
//! step "dual.enc"  U_j = tail(B_j^α)             ── U ──→      to whom the result goes, in the order received
//!                                                ←─ T ──       T_i = tail(A_i^β)
//!                  x_i in Y  ⇔  T_i = U_j for a j
//! ```
//!
//! Both parties do the same at the same time. A stream is numbered batches and an empty last one; a tail is the last 12
//! bytes of a point. The wire of the standard (protobuf, gRPC) is not here: a transport says these batches in it.
//!
//! **Claim.** The standard's, not ours. Semi-honest peers; ECDH in the suite's group with H as a random oracle: who receives
//! the result learns the intersection, and both learn the size of the other's set. False matches: at most `n * m * 2^-96`,
//! 2^-40 at the largest bands, and twice that with X25519, where a bit of a tail is always zero. With X25519 the hash is
//! taken as a u-coordinate as it is, so that everyone sees of each masked key whether its hash lies on the curve or on the
//! twist: about one bit of each. With SM2 the time of hashing depends on the key. What we add on our side, which any peer of the standard takes: our set is padded to its band with dummies and
//! sent in an order that only we know; points that are zero, of small order, not canonical or repeated are refused
//! before anything made of them leaves; counts are checked before anything is allocated. A party that demands a
//! minimum answers only after it has counted ([`Interop::withholding`]).
//!
//! **Not claimed.** What `dh` does not claim either; that a peer that receives alone keeps any minimum; that hashing straight
//! to a coordinate is a random oracle into the group. Two parties that both withhold wait for each other until the deadline.
//!
//! **Sources.** "ECDH-PSI" in github.com/secretflow/interconnection (`docs/protocols/ecdh-psi.rst`, version 2 of the
//! handshake), also published by the Payment & Clearing Association of China; the batches as SecretFlow's psi sends them.

mod entry;
mod local;
mod msg;
mod suite;

#[cfg(test)]
mod tests;

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures::{Stream, StreamExt, TryStreamExt, stream, try_join};

use super::Psi;
use super::set::{Matches, Padded};
use crate::catalogue::{Form, Output, Parameters};
use crate::channel::Incoming;
use crate::error::{Bug, Error, Fault, InputError, Result};
use crate::items::Items;
use crate::message::Malformed;
use crate::party::{PartyId, Role};
use crate::session::{CHUNKS_IN_FLIGHT, Session};

use local::{Admission, Tail, answer, mask, tails};
use suite::Secret;

pub use local::TAIL;
pub use msg::{Batch, Expected};
pub use suite::EcSuite;

/// The largest band: positions fit 32 bits, and false matches stay at 2^-40, or 2^-39 on Curve25519.
pub const BAND_MAX: u64 = 1 << 28;

/// Points per batch that we send: as `dh`. A peer chooses its own, up to what fits a frame.
const BATCH: usize = 2048;

/// The step of singly masked points, and the standard's word for them.
pub const ENC: &str = "enc";
/// The step of doubly masked points, and the standard's word for them.
pub const DUAL_ENC: &str = "dual.enc";

/// The protocol of this module.
#[derive(Clone, Copy, Debug)]
pub struct Interop {
    suite: EcSuite,
    batch: usize,
    minimum: u64,
}

impl Interop {
    /// The protocol as the catalogue has it, on Curve25519.
    pub const X25519: Self = Self::new(EcSuite::X25519);
    /// On SM2, as SecretFlow hashes onto it.
    pub const SM2: Self = Self::new(EcSuite::Sm2Rehash);
    /// On SM2 with SM3, as the standard recommends.
    pub const SM3: Self = Self::new(EcSuite::Sm2Increment);

    const fn new(suite: EcSuite) -> Self {
        Self { suite, batch: BATCH, minimum: 0 }
    }

    /// The protocol of that name in the catalogue.
    pub fn named(name: &str) -> Option<Self> {
        [Self::X25519, Self::SM2, Self::SM3].into_iter().find(|protocol| protocol.name() == name)
    }

    /// The suite.
    pub fn suite(&self) -> EcSuite {
        self.suite
    }

    /// As a party that gives the other its answers only where at least `minimum` keys are common. Where both receive the
    /// result, it counts before it answers; with fewer it says nothing more, and learns the rows itself.
    #[must_use]
    pub fn withholding(self, minimum: u64) -> Self {
        Self { minimum, ..self }
    }
}

impl Psi for Interop {
    async fn receive(&self, s: &Session, p: Parameters, x: Items) -> Result<Output> {
        self.meet(s, p, Role::Receiver, x).await
    }

    async fn send(&self, s: &Session, p: Parameters, y: Items) -> Result<Output> {
        self.meet(s, p, Role::Sender, y).await
    }
}

impl Interop {
    /// Either party: the standard's conversation is the same from both ends.
    async fn meet(&self, s: &Session, p: Parameters, role: Role, items: Items) -> Result<Output> {
        if !matches!(p.form, Form::RowsToReceiver | Form::RowsToBoth) {
            let reason = "nothing but rows: the standard has no other result";
            return Err(InputError::Unsupported { protocol: self.name(), reason }.into());
        }
        let (mine, theirs) = (band(p.sizes.of(role))?, band(p.sizes.of(role.other()))?);
        let opens = |to: Role| to == Role::Receiver || p.form == Form::RowsToBoth;
        let (i_open, they_open) = (opens(role), opens(role.other()));
        let withholds = i_open && they_open && self.minimum > 0;
        let peer = s.holder(role.other())?;
        let (s_enc, s_dual) = (s.step(ENC), s.step(DUAL_ENC));
        let (a_out, b_in) = s_enc.channel(peer)?.split();
        let (mut u_out, t_in) = s_dual.channel(peer)?.split();
        let secret = Arc::new(self.suite.secret(&mut s.rng("secret")));
        let set = Padded::prepare(s, items, mine).await?;

        // A_i = H(x_i)^α goes out, while B_j comes in and becomes U_j = tail(B_j^α), and while T_i comes back.
        let a = a_out.batches(self.mask(s, &set, &secret));
        // In a direction without answers nothing is said, not even an end: the standard has no word for it.
        let u = async {
            let mut u = pin!(self.answer(s, &s_enc, peer, b_in, theirs, &secret));
            let mut kept = Vec::new();
            while let Some(batch) = u.try_next().await? {
                if they_open && !withholds {
                    u_out.send(&batch).await?;
                }
                if i_open {
                    kept.push(batch);
                }
            }
            if they_open && !withholds {
                u_out.finish().await?;
                return Ok((kept, None));
            }
            Ok((kept, Some(u_out)))
        };
        let t = async { if i_open { all_tails(&s_dual, peer, t_in, mine).await } else { Ok(Vec::new()) } };
        let ((), (u, withheld), t) = try_join!(a, u, t)?;
        if !i_open {
            return Ok(Output::Nothing);
        }

        let uj: Vec<Tail> = u.iter().flat_map(tails).copied().collect();
        let found = s.compute_long(move |stop| Matches::find(&t, &uj, stop)).await?;
        let found = found.map_err(|fault| s_dual.deviation(peer, fault))?;
        let enough = found.count() >= self.minimum;
        let rows = s.compute(move || set.rows(found.mine())).await?;
        if let Some(mut u_out) = withheld.filter(|_| withholds && enough) {
            for batch in &u {
                u_out.send(batch).await?;
            }
            u_out.finish().await?;
        }
        Ok(Output::Rows(rows))
    }

    /// H(x)^α of the whole padded set, in its order, a few batches computed ahead of the wire.
    fn mask(
        &self,
        s: &Session,
        set: &Arc<Padded>,
        secret: &Arc<Secret>,
    ) -> impl Stream<Item = Result<Batch>> + Send + use<> {
        let (s, set, secret) = (s.clone(), set.clone(), secret.clone());
        let (suite, batch, count) = (self.suite, self.batch, set.len());
        let one = move |(index, start): (u32, usize)| {
            let (s, set, secret) = (s.clone(), set.clone(), secret.clone());
            async move {
                let end = count.min(start + batch);
                let masked = s.compute(move || mask(&set, start..end, suite, &secret)).await?;
                // a hash of small order is met with probability 2^-250
                let entries = masked.map_err(|_| Error::Bug(Bug("a key's hash is a point of small order")))?;
                s.count_group_ops((end - start) as u64);
                Ok(Batch { index, last: start == count, count: end - start, entries })
            }
        };
        let starts = (0..count).step_by(batch).chain([count]);
        stream::iter((0u32..).zip(starts)).map(one).buffered(CHUNKS_IN_FLIGHT)
    }

    /// tail(P^α) of each of the peer's points P, which are checked first: for repeats in the order they come, and each for
    /// itself where it is raised.
    fn answer(
        &self,
        s: &Session,
        at: &Session,
        peer: &PartyId,
        points: Incoming,
        at_most: u32,
        secret: &Arc<Secret>,
    ) -> impl Stream<Item = Result<Batch>> + Send + use<> {
        let (suite, width) = (self.suite, self.suite.point_bytes());
        let admission = Arc::new(Mutex::new(Admission::default()));
        let (s1, at1, peer1) = (s.clone(), at.clone(), peer.clone());
        let admit = move |batch: Result<Batch>| {
            let (s, at, peer, admission) = (s1.clone(), at1.clone(), peer1.clone(), admission.clone());
            async move {
                let batch = batch?;
                let admit = move || {
                    let mut admission = admission.lock().unwrap_or_else(PoisonError::into_inner); // never waits: `then`
                    admission.admit(&batch, width).map(|first| (first, batch))
                };
                s.compute(admit).await?.map_err(|fault| at.deviation(&peer, fault))
            }
        };
        let (s, at, peer, secret) = (s.clone(), at.clone(), peer.clone(), secret.clone());
        let raise = move |admitted: Result<(u64, Batch)>| {
            let (s, at, peer, secret) = (s.clone(), at.clone(), peer.clone(), secret.clone());
            async move {
                let (first, batch) = admitted?;
                let answered = s.compute(move || answer(&batch, first, suite, &secret)).await?;
                let answered = answered.map_err(|fault| at.deviation(&peer, fault))?;
                s.count_group_ops(answered.count as u64);
                Ok(answered)
            }
        };
        arriving(points, width, at_most as usize).then(admit).map(raise).buffered(CHUNKS_IN_FLIGHT)
    }
}

/// The batches of a stream up to its last one, of at most so many entries in all. After an error it yields nothing more and
/// holds the link, as [`Incoming::batches`] does.
fn arriving(incoming: Incoming, width: usize, at_most: usize) -> impl Stream<Item = Result<Batch>> + Send {
    enum Next {
        Batch(Incoming, Expected),
        End(Incoming),
        Failed(Incoming),
        Over,
    }
    let first = Expected { index: 0, width, at_most };
    stream::unfold(Next::Batch(incoming, first), |next| async move {
        match next {
            Next::Batch(mut incoming, expected) => match incoming.recv::<Batch>(expected).await {
                Ok(batch) if batch.last => Some((Ok(batch), Next::End(incoming))),
                Ok(batch) => {
                    let index = expected.index.saturating_add(1);
                    let rest = Expected { index, at_most: expected.at_most - batch.count, ..expected };
                    Some((Ok(batch), Next::Batch(incoming, rest)))
                }
                Err(error) => Some((Err(error), Next::Failed(incoming))),
            },
            Next::End(incoming) => match incoming.finish().await {
                Ok(()) => None,
                Err(error) => Some((Err(error), Next::Over)),
            },
            Next::Failed(_held) => std::future::pending().await,
            Next::Over => None,
        }
    })
}

/// Every answer to our own points, one for each, in the order they were sent.
async fn all_tails(s: &Session, peer: &PartyId, incoming: Incoming, expected: u32) -> Result<Vec<Tail>> {
    let batches = arriving(incoming, TAIL, expected as usize);
    let all = batches.map_ok(|batch| tails(&batch).to_vec()).try_concat().await?;
    match expected as usize - all.len() {
        0 => Ok(all),
        fewer => Err(s.deviation(peer, Fault::Malformed(Malformed::Short { missing: fewer * TAIL }))),
    }
}

fn band(rows: u64) -> Result<u32, InputError> {
    match u32::try_from(rows) {
        Ok(fits) if rows <= BAND_MAX => Ok(fits),
        _ => Err(InputError::Unsupported { protocol: "interop", reason: "a band above 2^28 rows; split the job" }),
    }
}
