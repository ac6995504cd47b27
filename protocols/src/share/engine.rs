//! The engine: one end of a computation on shares, where a program is written once and run at every seat.
//!
//! ```text
//! seat      first                     second                    helper
//! holds     shares                    shares                    nothing
//! set up    seed               ←───────────────────────────     two seeds
//!                                     seed               ←──
//! deal      draws from its seed       draws, and corrects ←──   corrections
//! exchange  masked values      ←──→   masked values
//! ```
//!
//! A program is an `async` function of `&mut Engine`. At the two compute parties it computes; the helper runs the same
//! function on absent shares, deals what each line needs and sends it ahead, as far as the link takes; and a rehearsal runs
//! it without anybody, to tell its cost. So the three cannot get out of step, and the control flow of a program must depend
//! on public values that all have. A number that only the two parties know, such as how many rows an opened bit left, is told by
//! [`Engine::agree`].
//!
//! All exchanges of two parties share one channel, and a vector is one exchange: rounds are what a reader counts.

#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;

use std::ops::{Index, IndexMut};
use std::sync::Arc;

use futures::future::try_join;

use super::correlation::Correlation;
use super::helper::{self, Dealer};
use super::msg;
use super::shares::{BitShares, Shares};
use super::transfers::Pair;
use crate::bits::Bits;
use crate::catalogue::Cost;
use crate::channel::{Incoming, Outgoing};
use crate::error::{Bug, Error, Fault, Result};
use crate::party::PartyId;
use crate::ring::Ring;
use crate::session::Session;

/// Who somebody is in a computation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Seat {
    /// The compute party that adds public values to its share.
    First,
    /// The other compute party, which receives corrections.
    Second,
    /// Deals correlated randomness, and has no share of anything.
    Helper,
}

/// Everybody's seat. With a helper, it deals; without, the two parties make correlated randomness between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seats {
    /// The first compute party.
    pub first: PartyId,
    /// The second.
    pub second: PartyId,
    /// The helper, if there is one. Never a party that brings data.
    pub helper: Option<PartyId>,
}

/// Where correlated randomness comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// A third node that colludes with neither party.
    Helper,
    /// Oblivious transfer between the two: no third node.
    Transfers,
}

/// What everybody spends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Costs {
    /// The first party.
    pub first: Cost,
    /// The second party.
    pub second: Cost,
    /// The helper.
    pub helper: Cost,
}

/// One end of a computation. See the module.
pub struct Engine {
    seat: Seat,
    provider: Provider,
    /// Nothing at a rehearsal.
    ends: Option<Ends>,
    spent: Costs,
}

/// What a seat has of the network.
struct Ends {
    session: Session,
    /// Between the two compute parties.
    peer: Option<Peer>,
    source: Source,
    /// Correlations made so far, which names their steps.
    dealt: u64,
}

struct Peer {
    party: PartyId,
    out: Outgoing,
    incoming: Incoming,
}

enum Source {
    Helper(Box<Dealer>),
    Transfers(Box<Pair>),
}

impl Engine {
    /// Sets up at `s`, where everybody in `seats` does.
    ///
    /// # Errors
    /// [`Error::Bug`] where this party has no seat, or two; the others name a peer that breaks the protocol.
    pub async fn set_up(s: &Session, seats: &Seats) -> Result<Self> {
        let seat = seats.of(s.me())?;
        let open = |party: &PartyId| -> Result<Peer> {
            let (out, incoming) = s.step("shares").channel(party)?.split();
            Ok(Peer { party: party.clone(), out, incoming })
        };
        let peer = match seat {
            Seat::First => Some(open(&seats.second)?),
            Seat::Second => Some(open(&seats.first)?),
            Seat::Helper => None,
        };
        let (provider, source) = match (&seats.helper, &peer) {
            (Some(_), _) => {
                let dealer = Dealer::set_up(&s.step("helper"), seats, seat).await?;
                (Provider::Helper, Source::Helper(Box::new(dealer)))
            }
            (None, Some(peer)) => {
                let pair = Pair::set_up(&s.step("transfers"), &peer.party, seat).await?;
                (Provider::Transfers, Source::Transfers(Box::new(pair)))
            }
            (None, None) => return Err(Error::Bug(Bug("a helper in a computation without one"))),
        };
        let ends = Ends { session: s.clone(), peer, source, dealt: 0 };
        Ok(Self { seat, provider, ends: Some(ends), spent: Costs::of_set_up(provider) })
    }

    /// Runs `program` without anybody, and tells what it costs everybody, set-up and end included. Shares are absent in it, and
    /// opened values too; it talks to nobody, so it never waits.
    ///
    /// # Errors
    /// Those of the program, and [`Error::Bug`] where it waits for something else than the engine.
    pub fn rehearse<T>(provider: Provider, program: impl AsyncFnOnce(&mut Self) -> Result<T>) -> Result<(T, Costs)> {
        use futures::FutureExt;
        let mut engine = Self { seat: Seat::Helper, provider, ends: None, spent: Costs::of_set_up(provider) };
        let value = program(&mut engine).now_or_never().ok_or(Error::Bug(Bug("a rehearsal that waits")))??;
        Ok((value, engine.spent))
    }

    /// Who this end is. A rehearsal sits where the helper does.
    pub fn seat(&self) -> Seat {
        self.seat
    }

    /// Whether this end holds shares.
    pub fn computes(&self) -> bool {
        self.seat != Seat::Helper
    }

    /// What everything so far costs, as declared: the same at every seat.
    pub fn spent(&self) -> Costs {
        self.spent
    }

    /// Ends the computation at this seat; everybody else must have nothing more to say.
    ///
    /// # Errors
    /// [`Error::Deviation`] where somebody had.
    pub async fn finish(self) -> Result<()> {
        let Some(Ends { peer, source, .. }) = self.ends else { return Ok(()) };
        let peer = async {
            match peer {
                Some(peer) => try_join(peer.out.finish(), peer.incoming.finish()).await.map(drop),
                None => Ok(()),
            }
        };
        let source = async {
            match source {
                Source::Helper(dealer) => dealer.finish().await,
                Source::Transfers(_) => Ok(()),
            }
        };
        try_join(peer, source).await.map(drop)
    }

    /// Shares of public numbers.
    pub fn public<R: Ring>(&self, values: &[R]) -> Shares<R> {
        match self.seat {
            Seat::First => Shares::new(values.to_vec()),
            Seat::Second => Shares::new(vec![R::ZERO; values.len()]),
            Seat::Helper => Shares::absent(values.len()),
        }
    }

    /// Shares of `len` numbers that the party at `owner` has, in `values`; the other has none of them. Costs nothing: the
    /// owner's share is the number. Every share that is ever sent is masked or an output, so this is as good as a random
    /// one between two parties; a third one must get [`Engine::refresh`]ed shares.
    pub fn input<R: Ring>(&self, owner: Seat, len: usize, values: Option<Vec<R>>) -> Shares<R> {
        match values {
            Some(values) if owner == self.seat => {
                assert_eq!(values.len(), len, "as many numbers as agreed");
                Shares::new(values)
            }
            _ if self.computes() => Shares::new(vec![R::ZERO; len]),
            _ => Shares::absent(len),
        }
    }

    /// As [`Engine::input`], for bits.
    pub fn input_bits(&self, owner: Seat, len: usize, bits: Option<Bits>) -> BitShares {
        match bits {
            Some(bits) if owner == self.seat => {
                assert_eq!(bits.len(), len, "as many bits as agreed");
                BitShares::new(bits)
            }
            _ if self.computes() => BitShares::new(Bits::zeros(len)),
            _ => BitShares::absent(len),
        }
    }

    /// Each bit the other way.
    pub fn not(&self, x: &BitShares) -> BitShares {
        let ones = Bits::from_blocks(vec![u128::MAX; x.len().div_ceil(128)], x.len());
        x ^ &self.input_bits(Seat::First, x.len(), (self.seat == Seat::First).then_some(ones))
    }

    /// Local work that gives shares of `len` numbers, as a job; absent, and not run, where this end holds no shares.
    ///
    /// # Errors
    /// As [`Session::compute`].
    pub async fn local<R: Ring>(
        &self,
        len: usize,
        work: impl FnOnce() -> Vec<R> + Send + 'static,
    ) -> Result<Shares<R>> {
        Ok(match self.job(work).await? {
            Some(values) => Shares::new(values),
            None => Shares::absent(len),
        })
    }

    /// As [`Engine::local`], for bits.
    ///
    /// # Errors
    /// As [`Session::compute`].
    pub async fn local_bits(&self, len: usize, work: impl FnOnce() -> Bits + Send + 'static) -> Result<BitShares> {
        Ok(match self.job(work).await? {
            Some(bits) => BitShares::new(bits),
            None => BitShares::absent(len),
        })
    }

    /// Local work as a job, at an end that holds shares.
    ///
    /// # Errors
    /// As [`Session::compute`].
    pub async fn job<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<Option<T>> {
        match &self.ends {
            Some(ends) if self.computes() => ends.session.compute(work).await.map(Some),
            _ => Ok(None),
        }
    }

    /// Correlated randomness, to use once.
    ///
    /// # Errors
    /// [`Error::Deviation`] names a peer or a helper that breaks the protocol.
    pub async fn deal<C: Correlation>(&mut self, shape: C::Shape) -> Result<C> {
        self.spent.deal::<C>(self.provider, &shape);
        let Some(ends) = &mut self.ends else { return Ok(C::absent(&shape)) };
        ends.dealt += 1;
        match &mut ends.source {
            Source::Helper(helper) => helper.deal(&ends.session, shape).await,
            Source::Transfers(pair) => {
                let step = ends.session.step("transfers").step(ends.dealt);
                C::transfer(pair, &step, &shape).await
            }
        }
    }

    /// Both parties say `mine` to each other: one round. Gives the peer's; nothing at an end without shares, where `mine`
    /// is not looked at. `len` is how many elements each says.
    ///
    /// What is said must be masked, or meant for the peer.
    ///
    /// # Errors
    /// [`Error::Deviation`] names a peer that says another number of elements.
    pub async fn exchange<R: Ring>(&mut self, len: usize, mine: Arc<Vec<R>>) -> Result<Vec<R>> {
        self.swap([len; 2], mine).await
    }

    /// The party at `from` says `len` elements to the other: one round. Gives them where they are heard.
    ///
    /// # Errors
    /// As [`Engine::exchange`].
    pub async fn tell<R: Ring>(&mut self, from: Seat, len: usize, mine: Arc<Vec<R>>) -> Result<Vec<R>> {
        self.swap(if from == Seat::First { [len, 0] } else { [0, len] }, mine).await
    }

    /// As [`Engine::exchange`], where the first party says as many elements as the first of `lens`, and the second as the
    /// second.
    ///
    /// # Errors
    /// As [`Engine::exchange`].
    pub async fn swap<R: Ring>(&mut self, lens: [usize; 2], mine: Arc<Vec<R>>) -> Result<Vec<R>> {
        let [first, second] = lens.map(msg::bytes::<R>);
        self.spent.round(u32::from(lens != [0, 0]), first, second);
        let Some(Ends { peer: Some(peer), .. }) = &mut self.ends else { return Ok(Vec::new()) };
        let [own, other] = if self.seat == Seat::First { lens } else { [lens[1], lens[0]] };
        let mine = if own == 0 { Arc::default() } else { mine };
        assert_eq!(mine.len(), own, "as many elements as stated");
        let ((), theirs) = try_join(msg::send(&mut peer.out, mine), msg::receive(&mut peer.incoming, other)).await?;
        Ok(theirs)
    }

    /// The numbers, to both parties: one round. Nothing at an end without shares.
    ///
    /// # Errors
    /// As [`Engine::exchange`].
    pub async fn open<R: Ring>(&mut self, x: &Shares<R>) -> Result<Vec<R>> {
        let mut opened = self.exchange(x.len(), Arc::new(x.values().to_vec())).await?;
        opened.iter_mut().zip(x.values()).for_each(|(theirs, mine)| *theirs = theirs.plus(*mine));
        Ok(opened)
    }

    /// The bits, to both parties: one round. No bits at an end without shares.
    ///
    /// # Errors
    /// As [`Engine::exchange`].
    pub async fn open_bits(&mut self, x: &BitShares) -> Result<Bits> {
        let blocks = x.len().div_ceil(128);
        let theirs = self.exchange(blocks, Arc::new(x.bits().blocks().to_vec())).await?;
        if x.is_absent() {
            return Ok(Bits::default());
        }
        let mut bits = Bits::from_blocks(theirs, x.len());
        bits ^= x.bits();
        Ok(bits)
    }

    /// The numbers, to the party at `to` only: one round. Nothing elsewhere.
    ///
    /// # Errors
    /// As [`Engine::exchange`].
    pub async fn reveal<R: Ring>(&mut self, to: Seat, x: &Shares<R>) -> Result<Option<Vec<R>>> {
        let from = match to {
            Seat::First => Seat::Second,
            Seat::Second => Seat::First,
            Seat::Helper => return Err(Error::Bug(Bug("a helper learns nothing"))),
        };
        let mut opened = self.tell(from, x.len(), Arc::new(x.values().to_vec())).await?;
        opened.iter_mut().zip(x.values()).for_each(|(theirs, mine)| *theirs = theirs.plus(*mine));
        Ok((to == self.seat).then_some(opened))
    }

    /// A public number, at most `most`, that the two parties have found by opening something, told to the helper: half a
    /// round trip, in which the helper cannot deal ahead. A rehearsal goes on with `most`. It must say nothing about data:
    /// the helper reads it.
    ///
    /// # Errors
    /// [`Error::Deviation`] names a second party that told the helper more than `most`.
    pub async fn agree(&mut self, most: u64, number: Option<u64>) -> Result<u64> {
        let bytes = msg::bytes::<u64>(1);
        if self.provider == Provider::Helper {
            self.spent.second.bytes_out += bytes;
        }
        let Some(ends) = &mut self.ends else { return Ok(most) };
        match &mut ends.source {
            Source::Helper(helper) => helper.agree(most, number).await,
            Source::Transfers(_) => number.ok_or(Error::Bug(Bug("a party that lacks an opened number"))),
        }
    }

    /// A deviation of the other compute party, for checks that a program makes on what was opened.
    pub fn peer_deviation(&self, fault: Fault) -> Error {
        match &self.ends {
            Some(Ends { session, peer: Some(peer), .. }) => session.deviation(&peer.party, fault),
            _ => Error::Bug(Bug("a check at an end without shares")),
        }
    }
}

impl Seats {
    fn of(&self, me: &PartyId) -> Result<Seat> {
        let seats = [
            (Some(&self.first), Seat::First),
            (Some(&self.second), Seat::Second),
            (self.helper.as_ref(), Seat::Helper),
        ];
        let mut mine = seats.into_iter().filter(|(party, _)| *party == Some(me)).map(|(_, seat)| seat);
        match (mine.next(), mine.next()) {
            (Some(seat), None) => Ok(seat),
            _ => Err(Error::Bug(Bug("a party needs one seat of a computation on shares"))),
        }
    }
}

impl Costs {
    /// What [`Engine::set_up`] and [`Engine::finish`] cost: in the end, everybody hears that nobody has more to say.
    fn of_set_up(provider: Provider) -> Self {
        match provider {
            Provider::Helper => helper::set_up_cost(),
            Provider::Transfers => Self {
                first: Pair::set_up_cost(Seat::First),
                second: Pair::set_up_cost(Seat::Second),
                helper: Cost::default(),
            },
        }
        .then_rounds(1)
    }

    fn then_rounds(mut self, rounds: u32) -> Self {
        for cost in [&mut self.first, &mut self.second, &mut self.helper] {
            cost.rounds += rounds;
        }
        self
    }

    fn round(&mut self, rounds: u32, first: u64, second: u64) {
        self.first = self.first.then(Cost { rounds, bytes_out: first, ..Cost::default() });
        self.second = self.second.then(Cost { rounds, bytes_out: second, ..Cost::default() });
    }

    fn deal<C: Correlation>(&mut self, provider: Provider, shape: &C::Shape) {
        match provider {
            Provider::Helper => self.helper.bytes_out += msg::bytes::<C::Word>(C::correction_len(shape)),
            Provider::Transfers => {
                self.first = self.first.then(C::transfer_cost(shape, Seat::First));
                self.second = self.second.then(C::transfer_cost(shape, Seat::Second));
            }
        }
    }
}

impl Index<Seat> for Costs {
    type Output = Cost;
    fn index(&self, seat: Seat) -> &Cost {
        match seat {
            Seat::First => &self.first,
            Seat::Second => &self.second,
            Seat::Helper => &self.helper,
        }
    }
}

impl IndexMut<Seat> for Costs {
    fn index_mut(&mut self, seat: Seat) -> &mut Cost {
        match seat {
            Seat::First => &mut self.first,
            Seat::Second => &mut self.second,
            Seat::Helper => &mut self.helper,
        }
    }
}
