//! Intersection by commuting exponents: one page for every group, `dh` on ristretto255, `ecdh` on Curve25519, and `ecdh-sm` on the
//! SM2 curve with SM3.
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
//! **Claim.** Semi-honest peers. Under DDH in the group (about 126 bits) with H and tag as random oracles, the receiver
//! learns the sender's band and the intersection, or with *cardinality* only its size; the sender learns the receiver's band
//! and, with *rows-to-both*, the intersection. False matches: at most `n * m * 2^-96`, 2^-40 at the largest bands.
//! A peer whose elements are not canonical, the identity, of small order, of the twist, or repeated is named before anything
//! made of them, or of what comes after them, with our secret leaves, and so is every wrong count, unless it breaks the
//! connection first. Good batches before a bad one may have been answered (rows; a cardinality is answered when all are in).
//!
//! **Not claimed.** Anything about a peer that computes on other inputs than its own, or that lies in T, B or M within those
//! checks; that inputs are true; that X ∩ Y stays hidden from who learns it; that the time before a party's first frame
//! tells nothing about its true size.
//!
//! **Groups.** In ristretto255 an element has one encoding, and H is a random oracle into the group by its construction.
//! Curve25519 takes u-coordinates and one Elligator map: as fast, and as sound for this protocol under the same assumption, by
//! the argument in [`crate::kernels::curve25519`]. The SM2 curve takes x-coordinates and one map too, by that in
//! [`crate::kernels::sm2`]; all its hashes are SM3.
//!
//! **Sources.** The idea: Meadows 1986 (IEEE S&P, "A more efficient cryptographic matchmaking protocol") and Huberman,
//! Franklin and Hogg 1999 (EC '99). The proof: Agrawal, Evfimievski and Srikant 2003 (SIGMOD), sections 3.3 (rows) and 5.1
//! (size, by answers in another order). The groups: RFC 9496 and RFC 7748; hashing into them: RFC 9380, appendix B and section
//! 6.7.1. SM2: GB/T 32918.5.

mod entry;
mod local;
mod msg;

#[cfg(test)]
mod tests;

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::try_join;
use futures::{Stream, StreamExt, TryStreamExt, stream, try_join};

use super::Psi;
use super::set::{Matches, Padded, shuffle};
use crate::catalogue::{Descriptor, Form, Output, Parameters};
use crate::channel::Incoming;
use crate::error::{InputError, Result};
use crate::items::Items;
use crate::party::{PartyId, Role};
use crate::session::{CHUNKS_IN_FLIGHT, Session};
use crate::suite::group::{Curve25519, Group, Ristretto255, Sm2Curve};

use local::{Admission, Tag, Tagger, blind};
use msg::{Bits, Points, Tags};

/// The largest band: positions fit 32 bits, and false matches stay below 2^-40.
pub const BAND_MAX: u64 = 1 << 28;

/// Elements per message: 64 KiB of points, and 7 to 14 ms (AVX-512 IFMA) or 70 to 290 ms (portable) of one core at the figures
/// of [`crate::kernels`], so that work and wire overlap from some thousand items on. A stop waits for the batches that are
/// being computed, at most one per thread of the pool; padding, shuffling and matching a whole set ask at each element, and
/// reading the rows off the matches is one short job.
const BATCH: usize = 2048;

/// A group that this protocol runs in, under a name of the catalogue.
pub trait Named: Group {
    /// What the catalogue says. The name enters the domain tags.
    const DESCRIPTOR: &'static Descriptor;

    /// Nanoseconds of the reference core for a scalar multiplication with all that comes with it.
    const GROUP_OP_NS: u64;
}

/// The protocol of this module, in the group `G`.
#[derive(Clone, Copy, Debug)]
pub struct Ecdh<G> {
    batch: usize,
    group: PhantomData<G>,
}

impl Ecdh<Ristretto255> {
    /// `dh`, as the catalogue has it.
    pub const DH: Self = Self::in_batches(BATCH);
}

impl Ecdh<Curve25519> {
    /// `ecdh`, as the catalogue has it.
    pub const ECDH: Self = Self::in_batches(BATCH);
}

impl Ecdh<Sm2Curve> {
    /// `ecdh-sm`, as the catalogue has it.
    pub const ECDH_SM: Self = Self::in_batches(BATCH);
}

impl<G: Named> Psi for Ecdh<G> {
    async fn receive(&self, s: &Session, p: Parameters, x: Items) -> Result<Output> {
        let (n, m) = bands::<G>(&p)?;
        let sender = s.holder(Role::Sender)?;
        let (s_x, s_y) = (s.step("receiver"), s.step("sender"));
        let (a_out, t_in) = s_x.channel(sender)?.split();
        let (unused, b_in) = s_y.channel(sender)?.split();
        let alpha = Arc::new(G::secret(&mut s.rng("alpha")));
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
        let (n, m) = bands::<G>(&p)?;
        let receiver = s.holder(Role::Receiver)?;
        let (s_x, s_y) = (s.step("receiver"), s.step("sender"));
        let (t_out, a_in) = s_x.channel(receiver)?.split();
        let (b_out, unused) = s_y.channel(receiver)?.split();
        let beta = Arc::new(G::secret(&mut s.rng("beta")));
        let y = Padded::prepare(s, y, m).await?;

        // B_j = H(y_j)^β goes out while A_i comes in and goes back as T_i = tag(A_i^β).
        let b = self.blind(&s_y, &y, &beta);
        let t = self.raise(&s_x, receiver, a_in, n, &beta);
        let answer = async {
            match p.form {
                Form::RowsToReceiver | Form::RowsToBoth | Form::Sum | Form::Shares => t_out.batches(t).await,
                Form::Cardinality => {
                    let (mut t, mut rng) = (elements(t).await?, s.rng("answers"));
                    let t = s.compute_long(move |stop| shuffle(&mut t, &mut rng, stop).map(|()| t)).await?;
                    t_out.batches(self.cut(t.len(), |positions| Tags(t[positions].to_vec()))).await
                }
            }
        };
        try_join!(b_out.batches(b), unused.finish(), answer)?;

        match p.form {
            Form::RowsToReceiver | Form::Cardinality | Form::Sum | Form::Shares => Ok(Output::Nothing),
            Form::RowsToBoth => {
                let (unused, m_in) = s.step("matches").channel(receiver)?.split();
                let bits = m_in.batches::<Bits>(self.counts(m)).map_ok(|Bits(bits)| bits);
                let (bits, ()) = try_join(bits.try_concat(), unused.finish()).await?;
                Ok(Output::Rows(s.compute(move || y.rows((0..bits.len()).filter(|j| bits[*j]))).await?))
            }
        }
    }
}

impl<G: Named> Ecdh<G> {
    const fn in_batches(batch: usize) -> Self {
        Self { batch, group: PhantomData }
    }

    /// H(x)^secret of the whole padded set, in its order, a few batches computed ahead of the wire.
    fn blind(
        &self,
        s: &Session,
        set: &Arc<Padded>,
        secret: &Arc<G::Secret>,
    ) -> impl Stream<Item = Result<Points>> + Send + use<G> {
        let (s, set, secret) = (s.clone(), set.clone(), secret.clone());
        let starts = (0..set.len()).step_by(self.batch);
        let batch = self.batch;
        let chunk = move |start: usize| {
            let (s, set, secret) = (s.clone(), set.clone(), secret.clone());
            async move {
                let end = set.len().min(start + batch);
                let points = s.compute(move || blind::<G>(&set, start..end, &secret)).await?;
                s.count_group_ops(points.len() as u64);
                Ok(Points(points))
            }
        };
        stream::iter(starts).map(chunk).buffered(CHUNKS_IN_FLIGHT)
    }

    /// tag(P^secret) of each of the peer's elements P, which are checked: each for itself before it is raised, and for repeats
    /// before any of its batch is answered.
    fn raise(
        &self,
        s: &Session,
        peer: &PartyId,
        points: Incoming,
        count: u32,
        secret: &Arc<G::Secret>,
    ) -> impl Stream<Item = Result<Tags>> + Send + use<G> {
        let (s, peer, secret, batch) = (s.clone(), peer.clone(), secret.clone(), self.batch as u64);
        let (tagger, admission) = (Arc::new(Tagger::<G>::new(s.id())), Arc::new(Mutex::new(Admission::new(count))));
        let raise = move |(number, points): (usize, Result<Points>)| {
            let (s, peer, secret) = (s.clone(), peer.clone(), secret.clone());
            let (tagger, admission, first) = (tagger.clone(), admission.clone(), number as u64 * batch);
            async move {
                let Points(points) = points?;
                let raise = move || {
                    let tags = tagger.raise(first, &points, &secret)?;
                    let mut admission = admission.lock().unwrap_or_else(PoisonError::into_inner); // a moment, once a batch
                    admission.admit(first, &tags).map(|()| tags)
                };
                let tags = s.compute(raise).await?.map_err(|fault| s.deviation(&peer, fault))?;
                s.count_group_ops(tags.len() as u64);
                Ok(Tags(tags))
            }
        };
        points.batches(self.counts(count)).enumerate().map(raise).buffered(CHUNKS_IN_FLIGHT)
    }

    /// How many elements each message of a stream of `count` has.
    fn counts(&self, count: u32) -> impl Iterator<Item = usize> + Send + use<G> {
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

fn bands<G: Named>(p: &Parameters) -> Result<(u32, u32), InputError> {
    if matches!(p.form, Form::Sum | Form::Shares) {
        let reason = "no sums and no shares; take sum or circuit";
        return Err(InputError::Unsupported { protocol: G::DESCRIPTOR.name, reason });
    }
    let band = |band: u64| match u32::try_from(band) {
        Ok(fits) if band <= BAND_MAX => Ok(fits),
        _ => Err(InputError::Unsupported {
            protocol: G::DESCRIPTOR.name,
            reason: "a band above 2^28 rows; split the job",
        }),
    };
    Ok((band(p.sizes.receiver)?, band(p.sizes.sender)?))
}
