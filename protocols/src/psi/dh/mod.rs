//! `dh`: intersection by commuting exponents in ristretto255. The simple, auditable one.
//!
//! ```text
//! receiver, X = {x_1 … x_n}, secret α          sender, Y = {y_1 … y_m}, secret β
//!
//! step "receiver"     A_i = H(x_i)^α        ── A ──→
//!                                           ←─ T ──   T_i = tag(A_i^β)      (cardinality: in a fresh random order)
//! step "sender"                             ←─ B ──   B_j = H(y_j)^β
//!                     U_j = tag(B_j^α)
//!                     x_i in Y  ⇔  T_i = U_j for a j
//! step "matches"      (rows-to-both)        ── M ──→  M_j = 1  ⇔  y_j in X
//! ```
//!
//! Both steps run at the same time, in batches, so that computing and wire overlap. n and m are the bands of the plan: each
//! set is padded with dummies under another prefix of H, and sent in a random order that only its owner knows.
//!
//! **Claim.** Semi-honest peers. Under DDH in ristretto255 (about 126 bits) with H and tag as random oracles, the receiver
//! learns the sender's band and the intersection, or with *cardinality* only its size; the sender learns the receiver's band
//! and, with *rows-to-both*, the intersection. False matches: at most `n * m * 2^-128`, 2^-72 at the largest bands.
//! A peer whose elements are not canonical, the identity, or repeated is named before anything made of them, or of what
//! comes after them, with our secret leaves, and so is every wrong count, unless it breaks the connection first. Good
//! batches before a bad one may have been answered (rows; a cardinality is answered when all are in).
//!
//! **Not claimed.** Anything about a peer that computes on other inputs than its own, or that lies in T, B or M within those
//! checks; that inputs are true; that X ∩ Y stays hidden from who learns it; that the time before a party's first frame
//! tells nothing about its true size.
//!
//! **Sources.** The idea: Meadows 1986 (IEEE S&P, "A more efficient cryptographic matchmaking protocol") and Huberman,
//! Franklin and Hogg 1999 (EC '99). The proof: Agrawal, Evfimievski and Srikant 2003 (SIGMOD), sections 3.3 (rows) and 5.1
//! (size, by answers in another order). The group: RFC 9496; hashing into it: RFC 9380, appendix B.

mod entry;
mod hash;
mod local;
mod msg;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::try_join;
use futures::{Stream, StreamExt, TryStreamExt, stream, try_join};

use super::Psi;
use super::set::{Matches, Padded, shuffle};
use crate::catalogue::{Form, Output, Parameters};
use crate::channel::Incoming;
use crate::error::{InputError, Result};
use crate::items::Items;
use crate::kernels::ristretto::SecretScalar;
use crate::party::{PartyId, Role};
use crate::session::{CHUNKS_IN_FLIGHT, Session};

use local::{Admission, Tag, Tagger, blind};
use msg::{Bits, Points, Tags};

/// The largest band: positions fit 32 bits, and false matches stay below 2^-72.
pub const BAND_MAX: u64 = 1 << 28;

/// Elements per message: 64 KiB of points, and 12 ms (AVX-512 IFMA) to 76 ms (portable) of one core at the figures of
/// [`crate::kernels`], so that work and wire overlap from some thousand items on. A stop waits for the batches that are
/// being computed, at most one per thread of the pool; padding, shuffling and matching a whole set ask at each element, and
/// reading the rows off the matches is one short job.
const BATCH: usize = 2048;

/// The protocol of this module.
#[derive(Clone, Copy, Debug)]
pub struct Dh {
    batch: usize,
}

impl Dh {
    /// The protocol as the catalogue has it.
    pub const NEW: Self = Self { batch: BATCH };
}

impl Psi for Dh {
    async fn receive(&self, s: &Session, p: Parameters, x: Items) -> Result<Output> {
        let (n, m) = bands(&p)?;
        let sender = s.holder(Role::Sender)?;
        let (s_x, s_y) = (s.step("receiver"), s.step("sender"));
        let (a_out, t_in) = s_x.channel(sender)?.split();
        let (unused, b_in) = s_y.channel(sender)?.split();
        let alpha = Arc::new(SecretScalar::random(&mut s.rng("alpha")));
        let x = Padded::prepare(s, x, n).await?;

        // A_i = H(x_i)^α goes out while T_i comes back, and while B_j comes in and becomes U_j = tag(B_j^α).
        let a = self.blind(&s_x, &x, &alpha);
        let t = t_in.batches::<Tags>(self.counts(n));
        let u = self.raise(&s_y, sender, b_in, m, &alpha);
        let ((), (), t, u) = try_join!(a_out.batches(a), unused.finish(), elements(t), elements(u))?;

        let found = s.compute_long(move |stop| Matches::find(&t, &u, stop)).await?;
        let found = found.map_err(|fault| s_x.deviation(sender, fault))?;
        if p.form == Form::Cardinality {
            return Ok(Output::Count(s.compute(move || found.count()).await?));
        }
        if p.form == Form::RowsToBoth {
            let (m_out, unused) = s.step("matches").channel(sender)?.split();
            let m = self.cut(found.len(), |positions| Bits(found.theirs(positions)));
            try_join(m_out.batches(m), unused.finish()).await?;
        }
        Ok(Output::Rows(s.compute(move || x.rows(found.mine())).await?))
    }

    async fn send(&self, s: &Session, p: Parameters, y: Items) -> Result<Output> {
        let (n, m) = bands(&p)?;
        let receiver = s.holder(Role::Receiver)?;
        let (s_x, s_y) = (s.step("receiver"), s.step("sender"));
        let (t_out, a_in) = s_x.channel(receiver)?.split();
        let (b_out, unused) = s_y.channel(receiver)?.split();
        let beta = Arc::new(SecretScalar::random(&mut s.rng("beta")));
        let y = Padded::prepare(s, y, m).await?;

        // B_j = H(y_j)^β goes out while A_i comes in and goes back as T_i = tag(A_i^β).
        let b = self.blind(&s_y, &y, &beta);
        let t = self.raise(&s_x, receiver, a_in, n, &beta);
        let answer = async {
            match p.form {
                Form::RowsToReceiver | Form::RowsToBoth => t_out.batches(t).await,
                Form::Cardinality => {
                    let (mut t, mut rng) = (elements(t).await?, s.rng("answers"));
                    let t = s.compute_long(move |stop| shuffle(&mut t, &mut rng, stop).map(|()| t)).await?;
                    t_out.batches(self.cut(t.len(), |positions| Tags(t[positions].to_vec()))).await
                }
            }
        };
        try_join!(b_out.batches(b), unused.finish(), answer)?;

        match p.form {
            Form::RowsToReceiver | Form::Cardinality => Ok(Output::Nothing),
            Form::RowsToBoth => {
                let (unused, m_in) = s.step("matches").channel(receiver)?.split();
                let bits = m_in.batches::<Bits>(self.counts(m)).map_ok(|Bits(bits)| bits);
                let (bits, ()) = try_join(bits.try_concat(), unused.finish()).await?;
                Ok(Output::Rows(s.compute(move || y.rows((0..bits.len()).filter(|j| bits[*j]))).await?))
            }
        }
    }
}

impl Dh {
    /// H(x)^secret of the whole padded set, in its order, a few batches computed ahead of the wire.
    fn blind(
        &self,
        s: &Session,
        set: &Arc<Padded>,
        secret: &Arc<SecretScalar>,
    ) -> impl Stream<Item = Result<Points>> + Send + use<> {
        let (s, set, secret) = (s.clone(), set.clone(), secret.clone());
        let starts = (0..set.len()).step_by(self.batch);
        let batch = self.batch;
        let chunk = move |start: usize| {
            let (s, set, secret) = (s.clone(), set.clone(), secret.clone());
            async move {
                let end = set.len().min(start + batch);
                let points = s.compute(move || blind(&set, start..end, &secret)).await?;
                s.count_group_ops(points.len() as u64);
                Ok(Points(points))
            }
        };
        stream::iter(starts).map(chunk).buffered(CHUNKS_IN_FLIGHT)
    }

    /// tag(P^secret) of each of the peer's elements P, which are checked first: for repeats in the order they come, and each
    /// for itself where it is raised.
    fn raise(
        &self,
        s: &Session,
        peer: &PartyId,
        points: Incoming,
        count: u32,
        secret: &Arc<SecretScalar>,
    ) -> impl Stream<Item = Result<Tags>> + Send + use<> {
        let admitted = self.admit(s, peer, points, count);
        let (s, peer, secret) = (s.clone(), peer.clone(), secret.clone());
        let tagger = Tagger::new(s.id());
        let raise = move |admitted: Result<(u64, Points)>| {
            let (s, peer, secret, tagger) = (s.clone(), peer.clone(), secret.clone(), tagger.clone());
            async move {
                let (first, Points(points)) = admitted?;
                let tags = s.compute(move || tagger.raise(first, &points, &secret)).await?;
                let tags = tags.map_err(|fault| s.deviation(&peer, fault))?;
                s.count_group_ops(tags.len() as u64);
                Ok(Tags(tags))
            }
        };
        admitted.map(raise).buffered(CHUNKS_IN_FLIGHT)
    }

    /// The peer's elements, none of which repeats an earlier one, with the position of each batch in the stream.
    fn admit(
        &self,
        s: &Session,
        peer: &PartyId,
        points: Incoming,
        count: u32,
    ) -> impl Stream<Item = Result<(u64, Points)>> + Send + use<> {
        let (s, peer) = (s.clone(), peer.clone());
        let admission = Arc::new(Mutex::new(Admission::new(count)));
        let admit = move |points: Result<Points>| {
            let (s, peer, admission) = (s.clone(), peer.clone(), admission.clone());
            async move {
                let points = points?;
                let admit = move || {
                    let mut admission = admission.lock().unwrap_or_else(PoisonError::into_inner); // never waits: `then`
                    admission.admit(&points.0).map(|first| (first, points))
                };
                s.compute(admit).await?.map_err(|fault| s.deviation(&peer, fault))
            }
        };
        points.batches(self.counts(count)).then(admit)
    }

    /// How many elements each message of a stream of `count` has.
    fn counts(&self, count: u32) -> impl Iterator<Item = usize> + Send + use<> {
        let (count, batch) = (count as usize, self.batch);
        (0..count).step_by(batch).map(move |start| batch.min(count - start))
    }

    /// The messages of a vector of `count` that is already there, each made of the positions it has.
    fn cut<M: Send>(
        &self,
        count: usize,
        message: impl Fn(Range<usize>) -> M + Send,
    ) -> impl Stream<Item = Result<M>> + Send {
        let batch = self.batch;
        let starts = (0..count).step_by(batch);
        stream::iter(starts.map(move |start| Ok(message(start..count.min(start + batch)))))
    }
}

async fn elements(batches: impl Stream<Item = Result<Tags>> + Send) -> Result<Vec<Tag>> {
    batches.map_ok(|Tags(tags)| tags).try_concat().await
}

fn bands(p: &Parameters) -> Result<(u32, u32), InputError> {
    let band = |band: u64| match u32::try_from(band) {
        Ok(fits) if band <= BAND_MAX => Ok(fits),
        _ => Err(InputError::Unsupported { protocol: "dh", reason: "a band above 2^28 rows; split the job" }),
    };
    Ok((band(p.sizes.receiver)?, band(p.sizes.sender)?))
}
