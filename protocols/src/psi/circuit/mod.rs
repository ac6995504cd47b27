//! `circuit`: intersection into shares. Both parties end with shares of which bins match and of the sender's columns there,
//! in the receiver's bin order; nobody learns what is common, nor how much.
//!
//! ```text
//! receiver, X in a cuckoo table of B bins             sender, each y of Y in its three bins
//!                                                      for each bin a uniform target s and mask r
//!
//! step "bins"      seed of the bins            ── ──→
//! step "oprf"      F(x, h) for the x in each bin,  ←→  F
//!                  which is the h-th of its bins
//! step "hints"                                 ←── P   P: (y, h) ↦ F(y, h) ^ s_b, F'(y, h) ^ (v_y - r_b), b the h-th bin
//!                  t_b = P(x, h) ^ F(x, h)             of y, for each column v
//! step "equal"     shares of  t_b = s_b        ←──→
//! output           P'(x, h) ^ F'(x, h)                 r      add up to v where the bin matches, to anything elsewhere
//! ```
//!
//! Sizes are bands: each set is padded with dummies that nobody else has. An empty bin of the receiver has a uniform t.
//!
//! **Claim.** Semi-honest peers, 128 bits computational and 40 bits statistical, under the assumptions of
//! [`crate::ot::vole`] and [`crate::ot::extension`] with AES as an ideal cipher and SHA-256 as a random oracle: each party
//! learns the other's band and nothing else. Without a common element a bin matches with probability 2^-w for targets of
//! w = 40 + log2 B bits, so that all bins are right but with probability 2^-40. The receiver's table and the store of hints
//! may not come about, each with probability about 2^-40: then the attempt ends, and no row is ever dropped.
//!
//! **Not claimed.** Anything against a malicious peer: transfers and vector evaluations are checked, but stores and hints may
//! be made of other sets than a party's own. A shared value where a bin does not match is no value: multiply it by the bit.
//!
//! **On a party's own machine.** Bins, the table of them and the store of hints are built by indexing memory with hashes of the
//! own keys under seeds of this run: who watches the caches of that machine during a run can test guesses of keys there. No
//! message depends on it. Shares, transfers and the equality have no index and no branch by a secret.
//!
//! **Sources.** Pinkas, Schneider, Tkachenko and Yanai 2019 (EUROCRYPT, "Efficient circuit-based PSI with linear
//! communication", eprint 2019/241, figures 3 and 5: bins, one target per bin by a programmable function, equality on
//! shares). The function: `psi::oprf`, put into circuits as Raghuraman and Rindal 2022 (CCS, eprint 2022/320, section 7) do. Equality: [`crate::share`].

mod cuckoo;
mod entry;
mod local;
mod msg;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures::future::{try_join, try_join3};

use super::oprf;
use super::set::Padded;
use crate::bits::random_blocks;
use crate::catalogue::{Parameters, Shared};
use crate::error::{Error, InputError, Result};
use crate::items::{Column, Items};
use crate::party::Role;
use crate::session::Session;
use crate::share::Transfers;

use local::{Found, Keys, Targets};
use msg::{Hints, Seed};

pub(super) use cuckoo::Bins;
pub(super) use entry::{cost, work};

/// The largest band: B stays below 2^23, and 40 + log2 B bits are what [`Transfers::equal`] compares.
pub const BAND_MAX: u64 = 1 << 22;

/// The most columns of the sender.
pub const COLUMNS_MAX: u32 = 16;

/// The protocol of this module.
#[derive(Clone, Copy, Debug)]
pub struct Circuit;

/// A party's rows: keys, and columns of as many numbers.
pub(super) struct Table {
    pub(super) items: Items,
    pub(super) columns: Vec<Column>,
}

/// What a run needs of its parameters.
#[derive(Clone, Copy)]
struct Plan {
    receiver: u32,
    sender: u32,
    columns: usize,
}

/// The receiver's half, and its end of the transfers, as their receiver.
pub(super) async fn receive(s: &Session, p: &Parameters, x: Table) -> Result<(Shared, Transfers)> {
    let plan = Plan::new(p)?;
    let sender = s.holder(Role::Sender)?;
    check_columns(&x)?;
    let items = Padded::prepare(s, x.items, plan.receiver).await?;
    let seed = random_blocks(1, &mut s.rng("bins"))[0];
    let (keys, bins) = (Keys::new(s), plan.bins(seed));
    let found = {
        let items = items.clone();
        s.compute_long(move |stop| Found::new(&items, &keys, &bins, stop)).await?
    };
    let found = Arc::new(found.ok_or(Error::Chance("the table of bins"))?);

    let say_seed = async {
        let (out, unused) = s.step("bins").channel(sender)?.split();
        try_join(out.last(&Seed(seed)), unused.finish()).await.map(drop)
    };
    let (s_oprf, s_transfers) = (s.step("oprf"), s.step("transfers"));
    let values = oprf::receive(&s_oprf, sender, found.queries());
    let ((), values, mut transfers) =
        try_join3(say_seed, values, Transfers::set_up(&s_transfers, sender, Role::Receiver)).await?;

    let hints = Hints::receive(&s.step("hints"), sender, plan.hint_keys(), plan.columns).await?;
    let (mut rng, binding) = (s.rng("empty bins"), s.binding("circuit/hints"));
    let (targets, columns, own) = s
        .compute(move || {
            let (targets, columns) = found.open(&values, &hints, plan.hint_keys(), &binding, &mut rng);
            let rows = found.rows(&items);
            let own = x.columns.iter().map(|column| column.at(&rows)).collect();
            (targets, columns, (rows, own))
        })
        .await?;
    let matches = transfers.equal(&s.step("equal"), targets, plan.width()).await?;
    s.count_work(oprf::work(plan.receiver as usize));
    let (rows, receiver_columns) = own;
    Ok((Shared { rows, matches, sender_columns: columns, receiver_columns }, transfers))
}

/// The sender's half, and its end of the transfers, as their sender.
pub(super) async fn send(s: &Session, p: &Parameters, y: Table) -> Result<(Shared, Transfers)> {
    let plan = Plan::new(p)?;
    let receiver = s.holder(Role::Receiver)?;
    check_columns(&y)?;
    if y.columns.len() != plan.columns {
        return Err(InputError::Columns { got: y.columns.len(), agreed: plan.columns }.into());
    }
    let items = Padded::prepare(s, y.items, plan.sender).await?;

    let hear_seed = async {
        let (unused, seed) = s.step("bins").channel(receiver)?.split();
        try_join(seed.last::<Seed>(()), unused.finish()).await
    };
    let (s_oprf, s_transfers) = (s.step("oprf"), s.step("transfers"));
    let oprf = oprf::send(&s_oprf, receiver, plan.receiver as usize);
    let ((Seed(seed), ()), oprf, mut transfers) =
        try_join3(hear_seed, oprf, Transfers::set_up(&s_transfers, receiver, Role::Sender)).await?;

    let (keys, bins, mut rng) = (Keys::new(s), plan.bins(seed), s.rng("targets"));
    let binding = s.binding("circuit/hints");
    let (targets, hints) = s
        .compute(move || {
            let targets = Targets::new(bins.count(), plan.columns, &mut rng);
            let hints = targets.hints(&items, &keys, &bins, &y.columns, &oprf, &binding, &mut rng);
            (targets, hints)
        })
        .await?;
    hints.map_err(|_| Error::Chance("the store of hints"))?.send(&s.step("hints"), receiver).await?;
    let Targets { targets, masks } = targets;
    let matches = transfers.equal(&s.step("equal"), targets, plan.width()).await?;
    s.count_work(oprf::work(plan.receiver as usize));
    Ok((Shared { rows: Vec::new(), matches, sender_columns: masks, receiver_columns: Vec::new() }, transfers))
}

impl Plan {
    fn new(p: &Parameters) -> Result<Self, InputError> {
        let band = |band: u64| match u32::try_from(band) {
            Ok(fits) if band <= BAND_MAX => Ok(fits),
            _ => Err(InputError::Unsupported { protocol: "circuit", reason: "a band above 2^22 rows; split the job" }),
        };
        if p.columns > COLUMNS_MAX {
            return Err(InputError::Unsupported { protocol: "circuit", reason: "more than 16 columns; split the job" });
        }
        Ok(Self { receiver: band(p.sizes.receiver)?, sender: band(p.sizes.sender)?, columns: p.columns as usize })
    }

    fn bins(self, seed: u128) -> Bins {
        Bins::new(self.receiver as usize, seed)
    }

    /// Keys of the store of hints: three for each element of the sender.
    fn hint_keys(self) -> usize {
        3 * self.sender as usize
    }

    /// Bits of a target: 40, and as many as bins have, for the union bound.
    fn width(self) -> u32 {
        40 + Bins::count_for(self.receiver as usize).next_power_of_two().ilog2()
    }
}

fn check_columns(table: &Table) -> Result<(), InputError> {
    let rows = table.items.len();
    match table.columns.iter().find(|column| column.len() != rows) {
        Some(odd) => Err(InputError::Rows { got: odd.len() as u64, rows: rows as u64 }),
        None => Ok(()),
    }
}
