//! `rr22`: intersection by an oblivious pseudorandom function from vector oblivious linear evaluation. The fast one, for sets
//! of like size; and `rr22-low`, which sends half of the receiver's bytes.
//!
//! ```text
//! receiver, X = {x_1 … x_n}                              sender, Y = {y_1 … y_m}
//!
//! step "vole"     A, C                           ←────→  Δ, B               C = A·Δ + B, an element per slot of P
//! step "seed"                                    ←─ c ─  w_s at random, c = hash(w_s)
//!                 P = encode_r(x -> H(x))        ── r ─→
//! step "table"    w_r at random         ── w_r, A+P ──→  K = B + (A+P)·Δ    so that decode(K, x) = decode(C, x) + H(x)·Δ
//!                                                                           for every x in X
//! step "tags"     hash(w_s) = c ?                ←─w_s─  w = w_r + w_s
//!                 F(x) = h(decode(C, x) + w, x)  ←─ F ─  F(y) = h(decode(K, y) + H(y)·Δ + w, y), cut, sorted
//! step "matches"  (rows-to-both)                 ── M ─→ M_j = 1  ⇔  the j-th tag is of an x in X
//! ```
//!
//! n and m are the bands of the plan: each set is padded with dummies that are hashed apart. x and y stand for 128 bits of
//! SHA-256 of them, H for AES under a public key with feed-forward, and h(u, x) = AES_u(x) ^ x for the hash of Davies and
//! Meyer. The store P is that of [`crate::kernels::okvs`], the correlation that of [`crate::ot::vole`], checked on both
//! sides; tags are sorted so that their order says nothing, and coded after Elias and Fano (`tags.rs`).
//!
//! **Claim of `rr22`.** Malicious peers, 128 bits, with SHA-256 as random oracle and AES as ideal cipher, and the
//! assumptions of [`crate::ot::vole`]: the receiver learns the sender's band and the intersection, the sender the receiver's
//! band and, with *rows-to-both*, what the receiver says the intersection is. A peer that cheats in the correlation, the
//! coin w, or a count is named. What it may still choose is its set, and its size within a bound:
//! - *The receiver's* may have as many items as P has slots (1.34 n + 48 for large n), since it may encode more than n, but
//!   no table satisfies more than it has slots but by chance, of 2^-128 for each item tried.
//! - *The sender's* may have more items than m by finding ones with the same tag, of at least 112 bits, while the run lasts:
//!   q hashes give it about q^2 * 2^-113 more. False matches: at most `n * m * 2^-112`.
//!
//! **Claim of `rr22-low`.** Semi-honest peers; A, P and H(x) are 64 bits wide. False matches: at most 2^-40, of which half is
//! that an H(y) meets what P decodes for y outside of X, `m * 2^-64`, for which m is at most 2^23, and half that cut tags
//! meet. Nothing else differs.
//!
//! **Not claimed.** That inputs are true; that X ∩ Y stays hidden from who learns it; that M is right, where the receiver
//! lies; that the time before a party's first frame tells nothing about its set beyond what [`crate::kernels::okvs`] says.
//!
//! **Sources.** Rindal and Schoppmann 2021 (Eurocrypt, "VOLE-PSI", eprint 2021/266): the protocol, with the coin for malicious
//! peers. Raghuraman and Rindal 2022 (CCS, "Blazing fast PSI", eprint 2022/320), section 4 and figure 4: the store, and the
//! smaller field for P; instead of a subfield ours is the space of polynomials of degree below 64, which suffices since
//! decoding is linear over GF(2). Their union bound for it is over pairs; but of a y outside of X, both P and what it decodes
//! for y are independent of H(y), so that ours is over the y. The hash h is that of their library (volePSI, `RsOprf.cpp`).
//! How many items a table can hold: the overfitting of Pinkas et al. 2020 (Eurocrypt, "PSI from PaXoS", eprint 2020/193)
//! and Garimella et al. 2021 (Crypto, eprint 2021/883).

mod entry;
mod local;
mod msg;
mod tags;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures::future::try_join;
use futures::{Stream, TryStreamExt, stream};
use zeroize::Zeroizing;

use super::Psi;
use crate::catalogue::{Form, Output, Parameters};
use crate::channel::Incoming;
use crate::compute::Stop;
use crate::error::{Fault, InputError, Result};
use crate::items::Items;
use crate::kernels::okvs::{Arranged, Okvs, Shape};
use crate::message::Message;
use crate::ot::vole;
use crate::party::{PartyId, Role};
use crate::session::Session;

use local::{Encoded, Hashes, Set, Slot};
use msg::{Coded, Coin, Commitment, Matches, Seed, Slots};
use tags::{Index, Layout};

/// The largest band of `rr22`: the table of one of 2^27 items is within [`vole::LENGTH_MAX`].
pub const BAND_MAX: u64 = 1 << 27;

/// The largest band of the sender of `rr22-low`: see its claim.
pub const LOW_SENDER_MAX: u64 = 1 << 23;

/// The least bits of a tag against malicious senders: see the claim.
const TAG_BITS: u32 = 112;

/// Bytes per message: few enough that wire and work overlap, many enough that a frame's price is lost in the noise.
const BATCH_BYTES: usize = 128 << 10;

/// The protocols of this module.
#[derive(Clone, Copy, Debug)]
pub struct Rr22 {
    low: bool,
    batch_bytes: usize,
}

impl Rr22 {
    /// `rr22` as the catalogue has it.
    pub const NEW: Self = Self { low: false, batch_bytes: BATCH_BYTES };

    /// `rr22-low` as the catalogue has it.
    pub const LOW: Self = Self { low: true, batch_bytes: BATCH_BYTES };
}

impl Psi for Rr22 {
    async fn receive(&self, s: &Session, p: Parameters, x: Items) -> Result<Output> {
        if self.low { self.receive_on::<u64>(s, p, x).await } else { self.receive_on::<u128>(s, p, x).await }
    }

    async fn send(&self, s: &Session, p: Parameters, y: Items) -> Result<Output> {
        if self.low { self.send_on::<u64>(s, p, y).await } else { self.send_on::<u128>(s, p, y).await }
    }
}

impl Rr22 {
    async fn receive_on<F: Slot>(&self, s: &Session, p: Parameters, x: Items) -> Result<Output> {
        let (n, m) = self.bands(&p)?;
        let sender = s.holder(Role::Sender)?;
        let x = Arc::new(Set::new(x, n, &mut s.rng("dummies"))?);

        let s_vole = s.step("vole");
        let correlate = vole::receive::<F>(&s_vole, sender, Shape::new(n as usize).len());
        let (vole::Received { a, c }, (encoded, commitment)) =
            try_join(correlate, encode(s, sender, x.clone())).await?;
        let Encoded { okvs, keys, table, .. } = encoded;
        let w_r = self.send_table(s, sender, a, table).await?;

        let s_tags = s.step("tags");
        let (unused, mut incoming) = s_tags.channel(sender)?.split();
        unused.finish().await?;
        let Coin(w_s) = incoming.recv(()).await?;
        if local::commit(s, w_s) != commitment {
            return Err(s_tags.deviation(sender, Fault::Check { check: "the coin" }));
        }
        let tags = s.compute(move || (local::receiver_tags(&okvs, &keys, &c, w_r ^ w_s), keys));
        let layout = self.layout(n, m);
        let ((t, keys), coded) = try_join(tags, self.receive_tags(incoming, layout)).await?;
        s.count_work(n.into());
        let f = s.compute(move || Index::read(layout, coded)).await?;
        let f = f.map_err(|fault| s_tags.deviation(sender, fault))?;
        let found = s.compute(move || Found::new(&f, &t, &keys, m)).await?;
        if p.form == Form::RowsToBoth {
            let (m_out, unused) = s.step("matches").channel(sender)?.split();
            let bits = self.cut(&found.theirs, Matches);
            try_join(m_out.batches(bits), unused.finish()).await?;
        }
        Ok(Output::Rows(s.compute(move || x.rows(found.mine.into_iter())).await?))
    }

    async fn send_on<F: Slot>(&self, s: &Session, p: Parameters, y: Items) -> Result<Output> {
        let (n, m) = self.bands(&p)?;
        let receiver = s.holder(Role::Receiver)?;
        let y = Arc::new(Set::new(y, m, &mut s.rng("dummies"))?);
        let hashes = Arc::new(Hashes::new(s));

        let w_s = local::random(&mut s.rng("coin"));

        let s_vole = s.step("vole");
        let correlate = vole::send::<F>(&s_vole, receiver, Shape::new(n as usize).len());
        let arrange = arrange(s, receiver, y.clone(), hashes.clone(), n, local::commit(s, w_s));
        let (vole::Sent { delta, b }, (okvs, keys)) = try_join(correlate, arrange).await?;
        let delta = *delta;
        let (k, w_r) = self.receive_table::<F>(s, receiver, b, delta).await?;
        let (mut f_out, unused) = s.step("tags").channel(receiver)?.split();
        f_out.send(&Coin(w_s)).await?;

        let keep = p.form == Form::RowsToBoth;
        let layout = self.layout(n, m);
        let set = y.clone();
        let tags = move |stop: &Stop<'_>| {
            let tags = local::sender_tags::<F>((&okvs, &hashes), &keys, &k, delta, w_r ^ w_s);
            let coded = local::write_tags(&set, layout, &tags, stop)?;
            Ok((Arc::new(coded), keep.then_some((tags, keys))))
        };
        let (coded, kept) = s.compute_long(tags).await?;
        s.count_work(m.into());
        try_join(f_out.batches(self.cut(&coded, Coded)), unused.finish()).await?;

        let Some((tags, keys)) = kept else { return Ok(Output::Nothing) };
        let (unused, m_in) = s.step("matches").channel(receiver)?.split();
        let counts = self.counts(m.div_ceil(8) as usize).map(move |(start, end)| (8 * end).min(m as usize) - 8 * start);
        let bits = m_in.batches::<Matches>(counts).map_ok(|Matches(bits)| bits);
        let (bits, ()) = try_join(bits.try_concat(), unused.finish()).await?;
        s.compute(move || {
            let coded = Arc::unwrap_or_clone(coded);
            let index = Index::read(layout, coded).expect("what this party wrote");
            let mut matched = Vec::new();
            index.find(&tags, |tag, at| {
                if bits[at / 8] >> (at % 8) & 1 == 1 {
                    matched.push(keys.places()[tag]);
                }
            });
            Output::Rows(y.rows(matched.into_iter()))
        })
        .await
    }

    /// The receiver's half of step "table", which gives w_r.
    async fn send_table<F: Slot>(
        &self,
        s: &Session,
        sender: &PartyId,
        mut a: Zeroizing<Vec<F>>,
        p: Vec<F>,
    ) -> Result<u128> {
        let (mut out, unused) = s.step("table").channel(sender)?.split();
        let w_r = local::random(&mut s.rng("coin"));
        out.send(&Coin(w_r)).await?;
        let mask = move || {
            local::mask(&mut a, &p);
            a
        };
        let masked = s.compute(mask).await?;
        let slots = self.counts(masked.len() * F::BYTES).map(|(start, end)| start / F::BYTES..end / F::BYTES);
        let messages = stream::iter(slots.map(|slots| {
            s.count_work(slots.len() as u64);
            Ok(Slots(masked[slots].to_vec()))
        }));
        try_join(out.batches(messages), unused.finish()).await?;
        Ok(w_r)
    }

    /// The sender's half of step "table", which gives K, in the place of B, and w_r.
    async fn receive_table<F: Slot>(
        &self,
        s: &Session,
        receiver: &PartyId,
        b: Zeroizing<Vec<u128>>,
        delta: u128,
    ) -> Result<(Zeroizing<Vec<u128>>, u128)> {
        let (unused, mut incoming) = s.step("table").channel(receiver)?.split();
        unused.finish().await?;
        let Coin(w_r) = incoming.recv(()).await?;
        let counts = self.counts(b.len() * F::BYTES).map(|(start, end)| (end - start) / F::BYTES);
        let add = |(mut k, first): (Zeroizing<Vec<u128>>, usize), Slots(slots): Slots<F>| {
            s.count_work(slots.len() as u64);
            s.compute(move || {
                let next = first + slots.len();
                F::scale_add(&mut k[first..next], &slots, delta);
                (k, next)
            })
        };
        let (k, _) = incoming.batches::<Slots<F>>(counts).try_fold((b, 0), add).await?;
        Ok((k, w_r))
    }

    /// The coded tags at the receiver.
    async fn receive_tags(&self, incoming: Incoming, layout: Layout) -> Result<Vec<u8>> {
        let counts = self.counts(layout.bytes()).map(|(start, end)| end - start);
        let add = |mut coded: Vec<u8>, Coded(part)| {
            coded.extend_from_slice(&part);
            std::future::ready(Ok(coded))
        };
        incoming.batches(counts).try_fold(Vec::with_capacity(layout.bytes()), add).await
    }

    /// How the sender's tags are written: 112 bits at least, or as many as halve 2^-40 for false matches and for two of the
    /// sender's that meet by chance.
    fn layout(&self, n: u32, m: u32) -> Layout {
        let log = |count: u32| count.max(1).next_power_of_two().ilog2();
        Layout::new(m, if self.low { 41 + log(m) + log(n).max(log(m)) } else { TAG_BITS })
    }

    /// Where each message of a stream of `bytes` starts and ends.
    fn counts(&self, bytes: usize) -> impl Iterator<Item = (usize, usize)> + Send + use<> {
        let batch = self.batch_bytes;
        (0..bytes).step_by(batch).map(move |start| (start, bytes.min(start + batch)))
    }

    /// The messages of bytes that are already there.
    fn cut<M: Message>(
        &self,
        bytes: &[u8],
        message: impl Fn(Vec<u8>) -> M + Send,
    ) -> impl Stream<Item = Result<M>> + Send {
        stream::iter(self.counts(bytes.len()).map(move |(start, end)| Ok(message(bytes[start..end].to_vec()))))
    }

    fn bands(&self, p: &Parameters) -> Result<(u32, u32), InputError> {
        let (protocol, sender_max, reason) = if self.low {
            (
                "rr22-low",
                LOW_SENDER_MAX,
                "above 2^27 rows of the receiver or 2^23 of the sender; use rr22, or split the job",
            )
        } else {
            ("rr22", BAND_MAX, "a band above 2^27 rows; split the job")
        };
        let (n, m) = (p.sizes.receiver, p.sizes.sender);
        if n > BAND_MAX || m > sender_max {
            return Err(InputError::Unsupported { protocol, reason });
        }
        if p.form == Form::Cardinality {
            return Err(InputError::Unsupported { protocol, reason: "a cardinality; use dh" });
        }
        Ok((n as u32, m as u32))
    }
}

/// Step "seed" at the receiver: encodes under a seed that it says, and has the sender's commitment.
async fn encode<F: Slot>(s: &Session, sender: &PartyId, x: Arc<Set>) -> Result<(Encoded<F>, [u8; 32])> {
    let mut channel = s.step("seed").channel(sender)?;
    let hashes = Hashes::new(s);
    let mut rng = s.rng("table");
    let encoded = s.compute_long(move |stop| local::encode::<F>(&x, &hashes, &mut rng, stop)).await?;
    s.count_work(encoded.keys.keys().len() as u64);
    let Commitment(commitment) = channel.swap(&Seed(encoded.seed), ()).await?;
    channel.finish().await?;
    Ok((encoded, commitment))
}

/// Step "seed" at the sender: commits itself, and puts its keys into the order of the receiver's store.
async fn arrange(
    s: &Session,
    receiver: &PartyId,
    y: Arc<Set>,
    hashes: Arc<Hashes>,
    n: u32,
    commitment: [u8; 32],
) -> Result<(Okvs, Arranged)> {
    let mut channel = s.step("seed").channel(receiver)?;
    channel.send(&Commitment(commitment)).await?;
    let keys = s.compute_long(move |stop| y.keys(&hashes, stop)).await?;
    let Seed(seed) = channel.recv(()).await?;
    channel.finish().await?;
    let arrange = move || {
        let okvs = Okvs::new(n as usize, seed);
        let keys = okvs.arrange(&keys);
        (okvs, keys)
    };
    let arranged = s.compute(arrange).await?;
    s.count_work(arranged.1.keys().len() as u64);
    Ok(arranged)
}

/// What both have, as the receiver sees it.
struct Found {
    /// Where the receiver's elements of the intersection stood among its keys.
    mine: Vec<u32>,
    /// A bit for each of the sender's tags.
    theirs: Vec<u8>,
}

impl Found {
    fn new(f: &Index, t: &[u128], keys: &Arranged, m: u32) -> Self {
        let mut found = Self { mine: Vec::new(), theirs: vec![0; m.div_ceil(8) as usize] };
        f.find(t, |tag, at| {
            found.mine.push(keys.places()[tag]);
            found.theirs[at / 8] |= 1 << (at % 8);
        });
        found
    }
}
