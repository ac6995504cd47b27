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
//! on public values that all have. A number that only the two parties know and that tells nothing of data, such as the sizes in a
//! sort of rows that were shuffled first and of which no two are equal, is told by [`Engine::agree`].
//!
//! All exchanges of two parties share one channel, and a vector is one exchange: rounds are what a reader counts.

#[cfg(test)]
mod helper_tests;
#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod world_tests;

mod check;
mod cost;
mod talk;
mod values;

use std::sync::Arc;

use futures::FutureExt;
use futures::future::try_join;
use zeroize::Zeroizing;

use super::correlation::Correlation;
use super::helper::{Auditor, Dealer, Dealt, Evidence};
use super::msg;
use super::shares::{BitShares, Shares};
use super::transfers::Pair;
use crate::bits::{Bits, random_blocks};
use crate::channel::{Incoming, Outgoing};
use crate::error::{Bug, Error, Fault, Result};
use crate::party::PartyId;
use crate::ring::{Prg, Ring};
use crate::session::{Session, SessionId};

pub(super) use check::CORRELATION;
pub use cost::Costs;
use cost::Tally;

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

/// One end of a computation. See the module.
pub struct Engine {
    seat: Seat,
    provider: Provider,
    place: Place,
    spent: Tally,
    /// How often each correlation is dealt, of which one is used.
    copies: u32,
    #[cfg(test)]
    pub(super) heard: Vec<u128>,
}

/// Where a program runs.
enum Place {
    /// Without anybody.
    Rehearsal,
    /// At an auditor, who deals again what a helper dealt.
    Audit(Box<Auditor>),
    /// At its seat.
    Network(Box<Ends>),
}

#[cfg(test)]
impl Place {
    fn session(&self) -> Option<SessionId> {
        match self {
            Self::Network(ends) => Some(ends.session.id()),
            _ => None,
        }
    }
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
    /// What both parties draw alike, and the helper does not know.
    common: Prg,
}

enum Source {
    Helper(Box<Dealer>),
    Transfers(Box<Pair>),
}

impl Engine {
    /// Sets up at `s`, where everybody in `seats` does.
    ///
    /// # Errors
    /// [`Error::Bug`] where this party has no seat or anybody has two; the others name a peer that breaks the protocol.
    pub async fn set_up(s: &Session, seats: &Seats) -> Result<Self> {
        let seat = seats.of(s.me())?;
        let other = match seat {
            Seat::First => Some(&seats.second),
            Seat::Second => Some(&seats.first),
            Seat::Helper => None,
        };
        let peer = async {
            match other {
                Some(party) => Peer::set_up(s, party.clone(), seat).await.map(Some),
                None => Ok(None),
            }
        };
        let source = async {
            match (&seats.helper, other) {
                (Some(_), _) => {
                    let dealer = Dealer::set_up(&s.step("helper"), seats, seat).await?;
                    Ok((Provider::Helper, Source::Helper(Box::new(dealer))))
                }
                (None, Some(other)) => {
                    let pair = Pair::set_up(&s.step("transfers"), other, seat).await?;
                    Ok((Provider::Transfers, Source::Transfers(Box::new(pair))))
                }
                (None, None) => Err(Error::Bug(Bug("a helper in a computation without one"))),
            }
        };
        let (peer, (provider, source)) = try_join(peer, source).await?;
        let place = Place::Network(Box::new(Ends { session: s.clone(), peer, source, dealt: 0 }));
        Ok(Self::at(seat, provider, place))
    }

    fn at(seat: Seat, provider: Provider, place: Place) -> Self {
        let spent = Tally::of_set_up(provider);
        Self {
            seat,
            provider,
            place,
            spent,
            copies: 1,
            #[cfg(test)]
            heard: Vec::new(),
        }
    }

    /// Runs `program` without anybody, and tells what it costs everybody, set-up and end included. Shares are absent in it, and
    /// opened values too; it talks to nobody, so it never waits.
    ///
    /// # Errors
    /// Those of the program, and [`Error::Bug`] where it waits for something else than the engine.
    pub fn rehearse<T>(provider: Provider, program: impl AsyncFnOnce(&mut Self) -> Result<T>) -> Result<(T, Costs)> {
        let mut engine = Self::at(Seat::Helper, provider, Place::Rehearsal);
        let value = program(&mut engine).now_or_never().ok_or(Error::Bug(Bug("a rehearsal that waits")))??;
        Ok((value, engine.spent.ended()))
    }

    /// Runs `program` as the helper of an earlier run did, from its seeds, and gives what the two parties have evidence of
    /// where it dealt honestly: to be compared with theirs. `agreed` is what the second party told that helper. Seeds unmask
    /// what was sent: who has them must not have that.
    ///
    /// # Errors
    /// As [`Engine::rehearse`].
    pub fn replay<T>(
        session: SessionId,
        seeds: [u128; 2],
        agreed: Vec<u64>,
        program: impl AsyncFnOnce(&mut Self) -> Result<T>,
    ) -> Result<[Evidence; 2]> {
        let auditor = Box::new(Auditor::new(session, seeds, agreed));
        let mut engine = Self::at(Seat::Helper, Provider::Helper, Place::Audit(auditor));
        program(&mut engine).now_or_never().ok_or(Error::Bug(Bug("a replay that waits")))??;
        match engine.place {
            Place::Audit(auditor) => Ok(auditor.evidence()),
            _ => Err(Error::Bug(Bug("an audit that is none"))),
        }
    }

    /// Who this end is. A rehearsal sits where the helper does.
    pub fn seat(&self) -> Seat {
        self.seat
    }

    /// Where correlated randomness comes from.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Whether this end holds shares.
    pub fn computes(&self) -> bool {
        self.seat != Seat::Helper
    }

    /// What everything so far costs, as declared, if it ended here: the same at every seat.
    pub fn spent(&self) -> Costs {
        self.spent.ended()
    }

    /// Ends the computation at this seat; everybody else must have nothing more to say. Gives what a job's log keeps, for an
    /// audit of the helper: nothing at a seat without evidence, and none of a computation that ended early.
    ///
    /// # Errors
    /// [`Error::Deviation`] where somebody had.
    pub async fn finish(self) -> Result<Option<Evidence>> {
        let Place::Network(ends) = self.place else { return Ok(None) };
        let Ends { peer, source, .. } = *ends;
        let peer = async {
            match peer {
                Some(peer) => try_join(peer.out.finish(), peer.incoming.finish()).await.map(drop),
                None => Ok(()),
            }
        };
        let source = async {
            match source {
                Source::Helper(dealer) => dealer.finish().await,
                Source::Transfers(_) => Ok(None),
            }
        };
        let ((), evidence) = try_join(peer, source).await?;
        Ok(evidence)
    }

    /// The helper's seeds, for an audit after the job and for nobody else: see [`Engine::replay`].
    pub fn seeds(&self) -> Option<Zeroizing<[u128; 2]>> {
        match &self.place {
            Place::Network(ends) => match &ends.source {
                Source::Helper(dealer) => dealer.seeds(),
                Source::Transfers(_) => None,
            },
            _ => None,
        }
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
        match &self.place {
            Place::Network(ends) if self.computes() => ends.session.compute(work).await.map(Some),
            _ => Ok(None),
        }
    }

    /// Correlated randomness, to use once.
    ///
    /// # Errors
    /// [`Error::Deviation`] names a peer or a helper that breaks the protocol.
    pub async fn deal<C: Correlation>(&mut self, shape: C::Shape) -> Result<C> {
        if self.checks::<C>(&shape) {
            self.deal_checked(shape).await
        } else {
            self.deal_one(shape, false).await.map(|one| one.part)
        }
    }

    async fn deal_one<C: Correlation>(&mut self, shape: C::Shape, checked: bool) -> Result<Dealt<C>> {
        self.spent.deal::<C>(self.provider, &shape);
        match &mut self.place {
            Place::Rehearsal => Ok(Dealt::absent(&shape)),
            Place::Audit(auditor) => Ok(auditor.deal(&shape)),
            Place::Network(ends) => {
                ends.dealt += 1;
                match &mut ends.source {
                    Source::Helper(dealer) => dealer.deal(&ends.session, shape, checked).await,
                    Source::Transfers(pair) => {
                        let step = ends.session.step("transfers").step(ends.dealt);
                        C::transfer(pair, &step, &shape).await.map(Dealt::of)
                    }
                }
            }
        }
    }

    /// A deviation of the other compute party, for checks that a program makes on what was opened.
    pub fn peer_deviation(&self, fault: Fault) -> Error {
        match &self.place {
            Place::Network(ends) => match &ends.peer {
                Some(peer) => ends.session.deviation(&peer.party, fault),
                None => Error::Bug(Bug("a check at an end without shares")),
            },
            _ => Error::Bug(Bug("a check at an end without shares")),
        }
    }

    /// A generator that both parties have alike and the helper does not know, from the next of their common randomness: for
    /// challenges that the helper must not foresee. Some generator at an end without shares.
    pub fn coins(&mut self) -> Prg {
        self.peer().map_or_else(|| Prg::new(0), |peer| peer.common.fork())
    }

    fn peer(&mut self) -> Option<&mut Peer> {
        match &mut self.place {
            Place::Network(ends) => ends.peer.as_mut(),
            _ => None,
        }
    }
}

impl Peer {
    /// Opens the channel that all exchanges share, over which the first party says what both draw alike.
    async fn set_up(s: &Session, party: PartyId, seat: Seat) -> Result<Self> {
        let (mut out, mut incoming) = s.step("shares").channel(&party)?.split();
        let seed = if seat == Seat::First {
            let seed = random_blocks(1, &mut s.rng("common"));
            msg::send(&mut out, Arc::new(seed.clone())).await?;
            seed
        } else {
            msg::receive(&mut incoming, 1).await?
        };
        Ok(Self { party, out, incoming, common: Prg::new(seed[0]) })
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
            (Some(seat), None) if self.apart() => Ok(seat),
            _ => Err(Error::Bug(Bug("a party needs one seat of a computation on shares"))),
        }
    }

    /// Nobody is the helper of a computation and a party to it, or both of its parties.
    fn apart(&self) -> bool {
        let helper = self.helper.as_ref();
        self.first != self.second && helper != Some(&self.first) && helper != Some(&self.second)
    }
}
