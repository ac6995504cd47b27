//! The helper as source of correlated randomness: seeds once, then corrections in one stream, made as the link takes them
//! and never stored.
//!
//! **Claim.** A helper that colludes with neither party learns the program and its sizes: it receives nothing but what
//! [`super::Engine::agree`] tells it. Each party's part is uniform to it but for the correlation.
//! **Not claimed.** That what a helper deals is right: a wrong correction spoils results.

use futures::future::try_join;

use super::correlation::Correlation;
use super::engine::{Costs, Seat, Seats};
use super::msg;
use crate::bits::random_blocks;
use crate::catalogue::Cost;
use crate::channel::{Incoming, Outgoing};
use crate::error::{Bug, Error, Fault, Result};
use crate::message::Malformed;
use crate::party::PartyId;
use crate::ring::Prg;
use crate::session::Session;

use std::sync::Arc;

/// A seat's end.
pub(super) enum Dealer {
    First { prg: Prg, helper: Link },
    Second { prg: Prg, helper: Link },
    Helper { prgs: [Prg; 2], first: Link, second: Link },
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
                Self::First { prg: helper.seed().await?, helper }
            }
            Seat::Second => {
                let mut helper = Link::open(s, helper)?;
                Self::Second { prg: helper.seed().await?, helper }
            }
            Seat::Helper => {
                let (mut first, mut second) = (Link::open(s, &seats.first)?, Link::open(s, &seats.second)?);
                let seeds = random_blocks(2, &mut s.rng("seeds"));
                let prgs = [Prg::new(seeds[0]), Prg::new(seeds[1])];
                let (to_first, to_second) = (Arc::new(vec![seeds[0]]), Arc::new(vec![seeds[1]]));
                try_join(msg::send(&mut first.out, to_first), msg::send(&mut second.out, to_second)).await?;
                Self::Helper { prgs, first, second }
            }
        })
    }

    pub(super) async fn deal<C: Correlation>(&mut self, s: &Session, shape: C::Shape) -> Result<C> {
        let len = C::correction_len(&shape);
        match self {
            Self::First { prg, .. } => draw(s, prg, shape, Seat::First).await,
            Self::Second { prg, helper } => {
                let drawn = draw(s, prg, shape.clone(), Seat::Second);
                let (drawn, correction) = try_join(drawn, msg::receive(&mut helper.incoming, len)).await?;
                Ok(C::corrected(drawn, &shape, correction))
            }
            Self::Helper { prgs: [first, second], second: link, .. } => {
                let one: C = draw(s, first, shape.clone(), Seat::First).await?;
                let other: C = draw(s, second, shape.clone(), Seat::Second).await?;
                let made = s.compute(move || (C::correction(&shape, &one, &other), C::kept(&shape, one, other)));
                let (correction, kept) = made.await?;
                msg::send(&mut link.out, Arc::new(correction)).await?;
                Ok(kept)
            }
        }
    }

    pub(super) async fn agree(&mut self, most: u64, number: Option<u64>) -> Result<u64> {
        match (self, number) {
            (Self::First { .. }, Some(number)) => Ok(number),
            (Self::Second { helper, .. }, Some(number)) => {
                msg::send(&mut helper.out, Arc::new(vec![number])).await?;
                Ok(number)
            }
            (Self::Helper { second, .. }, _) => match msg::receive::<u64>(&mut second.incoming, 1).await?[..] {
                [number] if number <= most => Ok(number),
                _ => {
                    Err(second.session.deviation(&second.party, Fault::Malformed(Malformed::Range { field: "number" })))
                }
            },
            (_, None) => Err(Error::Bug(Bug("a party that lacks an opened number"))),
        }
    }

    pub(super) async fn finish(self) -> Result<()> {
        match self {
            Self::First { helper, .. } | Self::Second { helper, .. } => helper.finish().await,
            Self::Helper { first, second, .. } => try_join(first.finish(), second.finish()).await.map(drop),
        }
    }
}

/// What [`Dealer::set_up`] costs.
pub(super) fn set_up_cost() -> Costs {
    let waits = Cost { rounds: 1, ..Cost::default() };
    Costs {
        first: waits,
        second: waits,
        helper: Cost { rounds: 1, bytes_out: 2 * msg::bytes::<u128>(1), ..Cost::default() },
    }
}

/// A part drawn as a job; the generator comes back from it.
async fn draw<C: Correlation>(s: &Session, prg: &mut Prg, shape: C::Shape, seat: Seat) -> Result<C> {
    let mut stream = std::mem::replace(prg, Prg::new(0));
    let (drawn, stream) = s
        .compute(move || {
            let drawn = C::draw(&shape, seat, &mut stream);
            (drawn, stream)
        })
        .await?;
    *prg = stream;
    Ok(drawn)
}

impl Link {
    fn open(s: &Session, party: &PartyId) -> Result<Self> {
        let (out, incoming) = s.channel(party)?.split();
        Ok(Self { out, incoming, session: s.clone(), party: party.clone() })
    }

    async fn seed(&mut self) -> Result<Prg> {
        let seed = msg::receive(&mut self.incoming, 1).await?;
        Ok(Prg::new(seed[0]))
    }

    async fn finish(self) -> Result<()> {
        try_join(self.out.finish(), self.incoming.finish()).await.map(drop)
    }
}
