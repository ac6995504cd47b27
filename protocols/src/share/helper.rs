//! The helper as source of correlated randomness: seeds once, then corrections in one stream, made as the link takes them
//! and never stored.
//!
//! **Claim.** A helper that colludes with neither party learns the program and its sizes: it receives nothing but what
//! [`super::Engine::agree`] tells it, which a program keeps free of data. Each party's part is uniform to it but for the
//! correlation.
//! **Not claimed.** That what a helper deals is right: a wrong correction spoils results. [`super::Engine::spot_check`] finds it
//! during a job, and [`super::Engine::replay`] after it: both parties keep [`Evidence`] of what they were dealt. And its seeds
//! are trusted to be fresh and apart: with one seed for both, each party could unmask what the other sends.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::future::try_join;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::correlation::Correlation;
use super::engine::{Costs, Seat, Seats};
use super::msg;
use crate::bits::random_blocks;
use crate::catalogue::Cost;
use crate::channel::{Incoming, Outgoing};
use crate::error::{Bug, Error, Fault, Result};
use crate::message::Malformed;
use crate::party::PartyId;
use crate::ring::{Prg, Ring};
use crate::session::{Session, SessionId};

/// A seat's end.
pub(super) enum Dealer {
    First { seed: Seed, helper: Link },
    Second { seed: Seed, log: Log, agreed: Vec<u64>, helper: Link },
    Helper { seeds: [Seed; 2], first: Link, second: Link },
}

/// A correlation as it was dealt.
pub(super) struct Dealt<C: Correlation> {
    pub(super) part: C,
    /// What this party drew it from.
    pub(super) seed: u128,
    /// At the second party, where it is to be checked.
    pub(super) correction: Option<Vec<C::Word>>,
}

/// What a party keeps of what a helper dealt to it. Its hashes are of what others do not know, so that nobody can test guesses
/// of a party's numbers by them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// A hash of the seed it got.
    pub seed: [u8; 32],
    /// A hash of its seed and of all corrections it got, in their order: the second party's.
    pub corrections: Option<[u8; 32]>,
    /// What it told the helper: the second party.
    pub agreed: Vec<u64>,
}

/// A seed of which each correlation takes one of its own, so that one can be opened without the others.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Seed {
    seed: u128,
    stream: Prg,
}

/// A hash over corrections, each with its length, under a key: the other party knows all else of a correction but the numbers
/// that it hides.
pub(super) struct Log(Sha256);

/// Deals what a helper dealt once more, from its seeds.
pub(super) struct Auditor {
    session: SessionId,
    seeds: [Seed; 2],
    log: Log,
    agreed: Vec<u64>,
    next: VecDeque<u64>,
}

/// Both directions with one other.
pub(super) struct Link {
    out: Outgoing,
    incoming: Incoming,
    session: Session,
    party: PartyId,
}

impl Dealer {
    pub(super) async fn set_up(s: &Session, seats: &Seats, seat: Seat) -> Result<Self> {
        let helper = seats.helper.as_ref().ok_or(Error::Bug(Bug("no helper has a seat")))?;
        Ok(match seat {
            Seat::First => {
                let mut helper = Link::open(s, helper)?;
                Self::First { seed: helper.seed().await?, helper }
            }
            Seat::Second => {
                let mut helper = Link::open(s, helper)?;
                let seed = helper.seed().await?;
                Self::Second { log: Log::new(seed.seed), seed, agreed: Vec::new(), helper }
            }
            Seat::Helper => {
                let (mut first, mut second) = (Link::open(s, &seats.first)?, Link::open(s, &seats.second)?);
                let seeds = Zeroizing::new(random_blocks(2, &mut s.rng("seeds")));
                let (to_first, to_second) = (Arc::new(vec![seeds[0]]), Arc::new(vec![seeds[1]]));
                try_join(msg::send(&mut first.out, to_first), msg::send(&mut second.out, to_second)).await?;
                Self::Helper { seeds: [Seed::new(seeds[0]), Seed::new(seeds[1])], first, second }
            }
        })
    }

    /// Deals a correlation; `checked` keeps what a check needs.
    pub(super) async fn deal<C: Correlation>(
        &mut self,
        s: &Session,
        shape: C::Shape,
        checked: bool,
    ) -> Result<Dealt<C>> {
        let len = C::correction_len(&shape);
        match self {
            Self::First { seed, .. } => {
                let seed = seed.next();
                let part = s.compute(move || C::draw(&shape, Seat::First, &mut Prg::new(seed))).await?;
                Ok(Dealt { part, seed, correction: None })
            }
            Self::Second { seed, log, helper, .. } => {
                let seed = seed.next();
                let drawn = {
                    let shape = shape.clone();
                    s.compute(move || C::draw(&shape, Seat::Second, &mut Prg::new(seed)))
                };
                let (drawn, correction) = try_join(drawn, msg::receive(&mut helper.incoming, len)).await?;
                let mut hash = std::mem::replace(log, Log::new(0));
                let put = move || {
                    hash.add::<C::Word>(&correction);
                    let kept = checked.then(|| correction.clone());
                    (hash, Dealt { part: C::corrected(drawn, &shape, correction), seed, correction: kept })
                };
                let (hash, dealt) = s.compute(put).await?;
                *log = hash;
                Ok(dealt)
            }
            Self::Helper { seeds, second: link, .. } => {
                let seeds = seeds.each_mut().map(Seed::next);
                let (correction, kept) = s.compute(move || deal_both::<C>(&shape, seeds)).await?;
                msg::send(&mut link.out, Arc::new(correction)).await?;
                Ok(Dealt::of(kept))
            }
        }
    }

    pub(super) async fn agree(&mut self, most: u64, number: Option<u64>) -> Result<u64> {
        match (self, number) {
            (Self::First { .. } | Self::Second { .. }, Some(number)) if number > most => {
                Err(Error::Bug(Bug("an agreed number above its bound")))
            }
            (Self::First { .. }, Some(number)) => Ok(number),
            (Self::Second { helper, agreed, .. }, Some(number)) => {
                msg::send(&mut helper.out, Arc::new(vec![number])).await?;
                agreed.push(number);
                Ok(number)
            }
            (Self::Helper { second, .. }, _) => match msg::receive::<u64>(&mut second.incoming, 1).await?[..] {
                [number] if number <= most => Ok(number),
                _ => Err(second.deviation(Fault::Malformed(Malformed::Range { field: "number" }))),
            },
            (_, None) => Err(Error::Bug(Bug("a party that lacks an opened number"))),
        }
    }

    pub(super) fn seeds(&self) -> Option<Zeroizing<[u128; 2]>> {
        match self {
            Self::Helper { seeds, .. } => Some(Zeroizing::new(seeds.each_ref().map(|seed| seed.seed))),
            _ => None,
        }
    }

    /// A deviation of the helper, at a party.
    pub(super) fn deviation(&self, fault: Fault) -> Error {
        match self {
            Self::First { helper, .. } | Self::Second { helper, .. } => helper.deviation(fault),
            Self::Helper { .. } => Error::Bug(Bug("a helper that checks itself")),
        }
    }

    pub(super) async fn finish(self) -> Result<Option<Evidence>> {
        match self {
            Self::First { seed, helper } => {
                let seed = seed.commitment(helper.session.id(), Seat::First);
                helper.finish().await?;
                Ok(Some(Evidence { seed, corrections: None, agreed: Vec::new() }))
            }
            Self::Second { seed, log, agreed, helper } => {
                let seed = seed.commitment(helper.session.id(), Seat::Second);
                helper.finish().await?;
                Ok(Some(Evidence { seed, corrections: Some(log.0.finalize().into()), agreed }))
            }
            Self::Helper { first, second, .. } => {
                try_join(first.finish(), second.finish()).await?;
                Ok(None)
            }
        }
    }
}

/// What [`Dealer::set_up`] costs.
pub(super) fn set_up_cost() -> Costs {
    let waits = Cost { rounds: 1, ..Cost::default() };
    let seeds = 2 * msg::bytes::<u128>(1);
    Costs { first: waits, second: waits, helper: Cost { bytes_out: seeds, ..Cost::default() } }
}

/// The helper's work: what the second party lacks, and what it keeps itself.
fn deal_both<C: Correlation>(shape: &C::Shape, [first, second]: [u128; 2]) -> (Vec<C::Word>, C) {
    let first = C::draw(shape, Seat::First, &mut Prg::new(first));
    let second = C::draw(shape, Seat::Second, &mut Prg::new(second));
    let correction = C::correction(shape, &first, &second);
    (correction, C::kept(shape, first, second))
}

/// A hash of a correction that is opened, as two blocks.
pub(super) fn digest<R: Ring>(correction: &[R]) -> [u128; 2] {
    let mut log = Log::new(0);
    log.add(correction);
    let digest: [u8; 32] = log.0.finalize().into();
    let (halves, _) = digest.as_chunks();
    [u128::from_le_bytes(halves[0]), u128::from_le_bytes(halves[1])]
}

impl Auditor {
    pub(super) fn new(session: SessionId, seeds: [u128; 2], agreed: Vec<u64>) -> Self {
        let next = agreed.iter().copied().collect();
        Self { session, seeds: seeds.map(Seed::new), log: Log::new(seeds[1]), agreed, next }
    }

    pub(super) fn deal<C: Correlation>(&mut self, shape: &C::Shape) -> Dealt<C> {
        let (correction, kept) = deal_both::<C>(shape, self.seeds.each_mut().map(Seed::next));
        self.log.add(&correction);
        Dealt::of(kept)
    }

    pub(super) fn agree(&mut self) -> Result<u64> {
        self.next.pop_front().ok_or(Error::Bug(Bug("a replay with fewer agreed numbers than the run had")))
    }

    /// What the first and the second party have of an honest helper.
    pub(super) fn evidence(self) -> [Evidence; 2] {
        let [first, second] = &self.seeds;
        let seed = |seed: &Seed, seat| seed.commitment(self.session, seat);
        let corrections = Some(self.log.0.finalize().into());
        [
            Evidence { seed: seed(first, Seat::First), corrections: None, agreed: Vec::new() },
            Evidence { seed: seed(second, Seat::Second), corrections, agreed: self.agreed },
        ]
    }
}

impl<C: Correlation> Dealt<C> {
    /// One that nobody can check.
    pub(super) fn of(part: C) -> Self {
        Self { part, seed: 0, correction: None }
    }

    pub(super) fn absent(shape: &C::Shape) -> Self {
        Self::of(C::absent(shape))
    }

    /// A hash of the correction; zeros where it is not kept.
    pub(super) fn digest(&self) -> [u128; 2] {
        self.correction.as_ref().map_or([0; 2], |correction| digest(correction))
    }
}

impl Seed {
    fn new(seed: u128) -> Self {
        Self { seed, stream: Prg::new(seed) }
    }

    /// The seed of the next correlation.
    fn next(&mut self) -> u128 {
        self.stream.blocks(1)[0]
    }

    fn commitment(&self, session: SessionId, seat: Seat) -> [u8; 32] {
        let hash = Sha256::new_with_prefix(b"banyan/helper-seed/v1\0").chain_update(session.as_bytes());
        hash.chain_update([u8::from(seat == Seat::Second)]).chain_update(self.seed.to_le_bytes()).finalize().into()
    }
}

impl Log {
    fn new(key: u128) -> Self {
        Self(Sha256::new_with_prefix(b"banyan/corrections/v1\0").chain_update(key.to_le_bytes()))
    }

    fn add<R: Ring>(&mut self, correction: &[R]) {
        self.0.update((correction.len() as u64).to_le_bytes());
        correction.chunks(1 << 10).for_each(|part| self.0.update(R::to_bytes(part)));
    }
}

impl Link {
    fn open(s: &Session, party: &PartyId) -> Result<Self> {
        let (out, incoming) = s.channel(party)?.split();
        Ok(Self { out, incoming, session: s.clone(), party: party.clone() })
    }

    async fn seed(&mut self) -> Result<Seed> {
        let seed = msg::receive(&mut self.incoming, 1).await?;
        Ok(Seed::new(seed[0]))
    }

    fn deviation(&self, fault: Fault) -> Error {
        self.session.deviation(&self.party, fault)
    }

    async fn finish(self) -> Result<()> {
        try_join(self.out.finish(), self.incoming.finish()).await.map(drop)
    }
}
