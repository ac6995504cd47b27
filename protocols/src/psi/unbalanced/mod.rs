//! `unbalanced`: a small set against a large one, whose owner tags it once for many queries.
//!
//! ```text
//! receiver, X = {x_1 … x_n}                         sender, Y = {y_1 … y_m}, key k of the epoch
//!
//! step "tags"      h = digest of what it has  ── h ──→
//!                                             ←─ t ──    t = sort(F_k(y_1) … F_k(y_m)): all, or what changed since h
//!
//! step "queries"   A_i = r H(x_i)             ── A ──→
//!                                             ←─ B ──    B_i = k A_i           (no more than were approved)
//!                  x_i in Y  ⇔  tag(x_i, B_i / r) in t
//! ```
//!
//! F_k(x) = tag(x, k H(x)) is the pseudorandom function of RFC 9497, cut to 12 bytes. Both steps run at the same time and in
//! batches: two messages in all. As a [`Protocol`](crate::catalogue::Protocol) by itself, [`Unbalanced`] has a key that is
//! gone with its run, and all tags are sent. Who keeps things from run to run plays [`Unbalanced::query_kept`] and
//! [`Unbalanced::answer_kept`]: the server an [`EpochKey`] from a seed, and its [`Prepared`] set, in which items come and
//! go; the client its [`TagSet`], of which it is sent what changed; and [`Allowance`] is how much may still be asked.
//!
//! n and m are the bands of the plan. Each set is padded with dummies that are told from items by nobody else, and sent in a
//! random order (queries) or in that of the tags.
//!
//! **Claim.** Semi-honest peers. With H and tag as random oracles and under the one-more gap Diffie-Hellman assumption in
//! ristretto255 (RFC 9497, section 7; about 126 bits), the receiver learns the sender's band and which of the n items it asks
//! for are in Y, and without another answer nothing about any other item: so one job tells a client that lies about its
//! set no more than n guesses do. Under DDH the sender learns the receiver's band. False matches: at most `n * m * 2^-96`, 2^-64
//! for 2^12 against 2^20, 2^-40 at the largest bands. A peer whose elements are not canonical or the identity, whose tags
//! do not ascend, or whose counts are wrong is named before our secrets meet what it sent.
//!
//! **What an epoch adds**, where tags are kept. A tag tells nothing without an answer for its item, however long one has it: no
//! item can be tested offline, and all queries of an epoch together tell no more than as many guesses, which the server counts.
//! But an item that was asked for once is known by its tag until the epoch ends: each update shows the client, unasked, whether
//! that item came, went or came back; of all other items an update shows about how many came or went, and, as an item
//! that comes back has its old tag, that something came back. Tags of what the server deleted stay with the client that has
//! fetched them, until the epoch ends. Tags of different keys have nothing in common: so a key is for one client and one purpose.
//!
//! **Not claimed.** That the sender answers under the key of its tags, or has tagged its true set: a sender who lies makes
//! matches go missing. That tags stay safe when the key is lost: whoever has both can test any item. So a key has an end.
//!
//! **Sources.** RFC 9497, sections 3.3.1 and 7; Jarecki, Kiayias and Krawczyk 2014 (ASIACRYPT, "Round-optimal
//! password-protected secret sharing and T-PAKE in the password-only model") for the function; Kiss, Liu, Schneider, Asokan
//! and Pinkas 2017 (PoPETs, "Private set intersection for unequal set sizes with mobile applications") for tags computed
//! once and queries in two messages.

mod entry;
mod msg;
mod oprf;
mod prepared;
mod tags;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use futures::{Stream, StreamExt, TryStreamExt, stream, try_join};

use super::Psi;
use super::set::Padded;
use crate::catalogue::{Form, Output, Parameters};
use crate::channel::Incoming;
use crate::error::{Bug, Error, Fault, InputError, Result};
use crate::items::{Items, Rows};
use crate::party::{PartyId, Role};
use crate::session::{CHUNKS_IN_FLIGHT, Session};

use msg::{Have, Offer, Points, Tags};
use oprf::{Blind, Input};
use tags::Update;

pub use oprf::{Allowance, EpochKey, Tag};
pub use prepared::Prepared;
pub use tags::{Epoch, TagFileError, TagSet};

/// The largest band: positions fit 32 bits, and false matches stay below 2^-40.
pub const BAND_MAX: u64 = 1 << 28;

/// Elements per message: 64 KiB of points, and 13 ms (AVX-512 IFMA) or 76 ms (portable) of one core at the figures of
/// [`crate::kernels`].
const BATCH: usize = 2048;

/// The protocol of this module, both steps in one job.
#[derive(Clone, Copy, Debug)]
pub struct Unbalanced {
    batch: usize,
}

impl Unbalanced {
    /// The protocol as the catalogue has it.
    pub const NEW: Self = Self { batch: BATCH };
}

impl Psi for Unbalanced {
    async fn receive(&self, s: &Session, p: Parameters, x: Items) -> Result<Output> {
        let (rows, _) = self.query_kept(s, &p, x, None).await?;
        Ok(Output::Rows(rows))
    }

    async fn send(&self, s: &Session, p: Parameters, y: Items) -> Result<Output> {
        let (n, m) = bands(&p)?;
        let (key, approved) = (Arc::new(EpochKey::random(&mut s.rng("key"))), Arc::new(Allowance::of(n.into())));
        let t = async { self.publish(s, self.tag(s, m, y, &key).await?).await };
        try_join!(t, self.answer(s, n, &key, &approved))?;
        Ok(Output::Nothing)
    }
}

impl Unbalanced {
    /// The receiver's part, with the tags that it `kept`, if any: its rows that are in the sender's set, and the tags as they
    /// are now, to be kept until their epoch ends.
    ///
    /// # Errors
    /// As [`Psi::receive`].
    pub async fn query_kept(
        &self,
        s: &Session,
        p: &Parameters,
        x: Items,
        kept: Option<Arc<TagSet>>,
    ) -> Result<(Rows, Arc<TagSet>)> {
        let (n, m) = bands(p)?;
        let (t, (x, mine)) = try_join!(self.fetch(s, m, kept), self.ask(s, n, x))?;
        Ok((found(s, &x, mine, t.clone()).await?, t))
    }

    /// The sender's part, with what it has prepared for this receiver in the sender's band, and for as long as the allowance
    /// lasts.
    ///
    /// # Errors
    /// As [`Psi::send`].
    pub async fn answer_kept(
        &self,
        s: &Session,
        p: &Parameters,
        t: Arc<Prepared>,
        key: &Arc<EpochKey>,
        approved: &Arc<Allowance>,
    ) -> Result<()> {
        let (n, m) = bands(p)?;
        if t.tags().as_slice().len() != m as usize {
            return Err(Error::Bug(Bug("tags were prepared for another band")));
        }
        try_join!(self.publish(s, t), self.answer(s, n, key, approved))?;
        Ok(())
    }

    /// The sender's half of the queries: B_i = k A_i for `n` elements, as long as the allowance lasts.
    async fn answer(&self, s: &Session, n: u32, key: &Arc<EpochKey>, approved: &Arc<Allowance>) -> Result<()> {
        let (s, receiver) = (s.step("queries"), s.holder(Role::Receiver)?);
        let (answers_out, points_in) = s.channel(receiver)?.split();
        let (k, approved) = (key.clone(), approved.clone());
        let b = compute_each(&s, receiver, self.points(points_in, n), move |batch, Points(points)| {
            k.evaluate(&points, batch.start as u64, &approved)
        });
        answers_out.batches(b.map_ok(Points)).await
    }

    /// The receiver's half of the tags: `m` of them, of which it may have most.
    async fn fetch(&self, s: &Session, m: u32, kept: Option<Arc<TagSet>>) -> Result<Arc<TagSet>> {
        let (s, sender) = (s.step("tags"), s.holder(Role::Sender)?);
        let kept = kept.filter(|kept| kept.as_slice().len() == m as usize);
        let (have_out, mut tags_in) = s.channel(sender)?.split();
        let have = match kept.clone() {
            Some(kept) => Have(s.compute(move || kept.digest()).await?),
            None => Have([0; 32]),
        };
        let follow = async {
            let offer: Offer = tags_in.recv(m).await?;
            let lengths = self.cut(offer.follow(m)).map(|batch| batch.len());
            let tags = tags_in.batches::<Tags>(lengths).map_ok(|Tags(tags)| tags).try_concat().await?;
            Ok((offer, tags))
        };
        let ((), (offer, tags)) = try_join!(have_out.last(&have), follow)?;
        let t = s.compute(move || taken(&offer, kept, tags)).await?;
        t.map_err(|fault| s.deviation(sender, fault))
    }

    /// The sender's half of the tags.
    async fn publish(&self, s: &Session, t: Arc<Prepared>) -> Result<()> {
        let s = s.step("tags");
        let (mut tags_out, have_in) = s.channel(s.holder(Role::Receiver)?)?.split();
        let Have(have) = have_in.last(()).await?;
        let (offer, update) = t.offer(&have);
        tags_out.send(&offer).await?;
        let changes = update.map(|update| update.tags());
        let tags = changes.as_deref().unwrap_or(t.tags().as_slice());
        let count = offer.follow(t.tags().as_slice().len() as u32);
        let batches = self.cut(count).map(|batch| Ok(Tags(tags[batch].to_vec())));
        tags_out.batches(stream::iter(batches)).await
    }

    /// tag(x_i, B_i / r) of each of the padded set: A_i = r H(x_i) goes out, and B_i comes back.
    async fn ask(&self, s: &Session, n: u32, x: Items) -> Result<(Arc<Padded>, Vec<Tag>)> {
        let (s, sender) = (s.step("queries"), s.holder(Role::Sender)?);
        let (points_out, answers_in) = s.channel(sender)?.split();
        let r = Arc::new(Blind::random(&mut s.rng("blind")));
        let x = Padded::prepare(&s, x, n).await?;

        let (set, blind) = (x.clone(), r.clone());
        let a = compute_each(&s, sender, self.positions(n), move |batch, ()| {
            Ok(blind.blind(&set.hashes(batch, Input::maker())))
        });
        let set = x.clone();
        let mine = compute_each(&s, sender, self.points(answers_in, n), move |batch, Points(answers)| {
            let first = batch.start as u64;
            r.finalize(&set.hashes(batch, Input::maker()), &answers, first)
        });
        let ((), mine) = try_join!(points_out.batches(a.map_ok(Points)), mine.try_concat())?;
        Ok((x, mine))
    }

    /// F_k of the whole padded set, sorted.
    async fn tag(&self, s: &Session, m: u32, y: Items, key: &Arc<EpochKey>) -> Result<Arc<Prepared>> {
        let (y, key) = (Padded::prepare(s, y, m).await?, key.clone());
        let tag = move |batch, ()| Ok(key.tags(&y.hashes(batch, Input::maker())));
        let mut t = compute_each(s, s.me(), self.positions(m), tag).try_concat().await?;
        let epoch = Epoch::of_run(s.id());
        let t = s.compute(move || {
            t.sort_unstable();
            TagSet::new(epoch, t).map(Prepared::of_run)
        });
        Ok(Arc::new(t.await?.map_err(|_| Error::Bug(Bug("two of a set's tags are the same")))?))
    }

    /// The positions of each message of a stream of `count`.
    fn cut(&self, count: u32) -> impl Iterator<Item = Range<usize>> + Send + use<> {
        let (count, batch) = (count as usize, self.batch);
        (0..count).step_by(batch).map(move |start| start..count.min(start + batch))
    }

    /// [`Self::cut`], with nothing for each.
    fn positions(&self, count: u32) -> impl Stream<Item = Result<(Range<usize>, ())>> + Send + use<> {
        stream::iter(self.cut(count).map(|batch| Ok((batch, ()))))
    }

    /// The peer's messages, each with its positions. Not zipped with those, since the end of the stream is to be seen too.
    fn points(
        &self,
        incoming: Incoming,
        count: u32,
    ) -> impl Stream<Item = Result<(Range<usize>, Points)>> + Send + use<> {
        let batch = self.batch;
        let at = move |(number, points): (usize, Result<Points>)| {
            points.map(|points| (number * batch..number * batch + points.0.len(), points))
        };
        incoming.batches(self.cut(count).map(|batch| batch.len())).enumerate().map(at)
    }
}

/// `work` on each batch as a job, a few ahead of the wire. Each element is a group operation.
fn compute_each<I, T, W>(
    s: &Session,
    peer: &PartyId,
    batches: impl Stream<Item = Result<(Range<usize>, I)>> + Send,
    work: W,
) -> impl Stream<Item = Result<Vec<T>>> + Send
where
    I: Send + 'static,
    T: Send + 'static,
    W: Fn(Range<usize>, I) -> Result<Vec<T>, Fault> + Send + Sync + 'static,
{
    let (s, peer, work) = (s.clone(), peer.clone(), Arc::new(work));
    let job = move |batch: Result<(Range<usize>, I)>| {
        let (s, peer, work) = (s.clone(), peer.clone(), work.clone());
        async move {
            let (batch, input) = batch?;
            let done = s.compute(move || work(batch, input)).await?.map_err(|fault| s.deviation(&peer, fault))?;
            s.count_group_ops(done.len() as u64);
            Ok(done)
        }
    };
    batches.map(job).buffered(CHUNKS_IN_FLIGHT)
}

/// The rows whose tags are among the sender's.
async fn found(s: &Session, x: &Arc<Padded>, mine: Vec<Tag>, t: Arc<TagSet>) -> Result<Rows> {
    let x = x.clone();
    s.compute(move || x.rows((0..mine.len()).filter(|position| t.contains(&mine[*position])))).await
}

/// The sender's tags, of what was offered: whole, or what the receiver kept with the changes.
fn taken(offer: &Offer, kept: Option<Arc<TagSet>>, mut tags: Vec<Tag>) -> Result<Arc<TagSet>, Fault> {
    let odd = Fault::Check { check: "the tags" };
    let order = |index| Fault::Order { index };
    let t = match (offer.changed, kept) {
        (None, _) => Arc::new(TagSet::of_generation(offer.epoch, offer.generation, tags).map_err(order)?),
        (Some(_), None) => return Err(odd),
        (Some(0), Some(kept)) => kept,
        (Some(changed), Some(kept)) => {
            let removed = tags.split_off(changed as usize);
            let update = Update::to(&kept, offer.generation, tags, removed).map_err(order)?;
            let mut t = TagSet::clone(&kept);
            t.apply(&update).map_err(|_| odd.clone())?;
            Arc::new(t)
        }
    };
    if t.digest() == offer.digest && t.epoch() == offer.epoch { Ok(t) } else { Err(odd) }
}

fn bands(p: &Parameters) -> Result<(u32, u32), InputError> {
    if p.form != Form::RowsToReceiver {
        return Err(InputError::Unsupported { protocol: "unbalanced", reason: "rows-to-receiver is its only result" });
    }
    let band = |band: u64| match u32::try_from(band) {
        Ok(fits) if band <= BAND_MAX => Ok(fits),
        _ => Err(InputError::Unsupported { protocol: "unbalanced", reason: "a band above 2^28 rows; split the job" }),
    };
    Ok((band(p.sizes.receiver)?, band(p.sizes.sender)?))
}
