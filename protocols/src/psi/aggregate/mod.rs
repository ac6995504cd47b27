//! `cardinality` and `sum`: how much is common, or the sum of the sender's numbers over what is, to the receiver alone and
//! only where at least an agreed number of rows is common.
//!
//! ```text
//! step "circuit"    shares of which bins match, and of the column there       psi::circuit
//! step "count"      shares of how many                                        Σ x + y - 2xy
//! step "minimum"    opened to both: is it the minimum or more?                the one bit
//!                   no:  both end here, told so; nothing else is opened
//! step "sum"        shares of Σ match · number                                (sum)
//! step "open"       the sender's share goes to the receiver
//! ```
//!
//! **Claim.** Semi-honest peers, as [`super::circuit`]: the sender learns the receiver's band and whether the minimum is
//! reached; the receiver learns the sender's band, whether the minimum is reached, and if so the size or the sum, and not
//! which rows are common. A sum does not wrap: the owner refuses numbers that it could wrap with.
//!
//! **Not claimed.** Anything against a malicious peer. That a size or a sum tells nothing about a single row: whoever may
//! repeat runs with inputs that differ by one row learns that row, whatever the minimum.
//!
//! **Sources.** As [`super::circuit`]; what is computed: Ion et al. 2020 (EuroS&P, "On deploying secure computation: private
//! intersection-sum-with-cardinality"), but with the minimum inside the computation.

mod entry;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use zeroize::Zeroizing;

use super::circuit::{self, Table};
use crate::catalogue::{Form, Output, Parameters};
use crate::error::{InputError, Result};
use crate::items::Column;
use crate::party::Role;
use crate::session::Session;
use crate::share::Transfers;

/// `cardinality`.
#[derive(Clone, Copy, Debug)]
pub struct Cardinality;

/// `sum`.
#[derive(Clone, Copy, Debug)]
pub struct Sum;

/// A minimum above every band is never reached, and fits what [`Transfers::at_least`] compares.
const MINIMUM_MAX: u64 = circuit::BAND_MAX + 1;

/// Both halves: what differs is who the last share goes to.
async fn run(s: &Session, role: Role, p: &Parameters, table: Table) -> Result<Output> {
    let s_circuit = s.step("circuit");
    let (shared, mut transfers) = match role {
        Role::Receiver => circuit::receive(&s_circuit, p, table).await?,
        Role::Sender => circuit::send(&s_circuit, p, table).await?,
    };
    let matches = Arc::new(shared.matches);

    let count = transfers.count(&s.step("count"), &matches).await?;
    let minimum = p.minimum.min(MINIMUM_MAX) as u32;
    if !transfers.at_least(&s.step("minimum"), count, minimum).await? {
        return Ok(Output::BelowMinimum);
    }
    let share = match shared.sender_columns.into_iter().next() {
        None => count,
        Some(column) => {
            let numbers = Arc::new(Zeroizing::new(column.as_slice().to_vec()));
            let mut back = Transfers::set_up(&s.step("back"), s.holder(role.other())?, role.other()).await?;
            transfers.sum_where(&mut back, &s.step("sum"), &matches, numbers).await?
        }
    };
    Ok(match transfers.reveal(&s.step("open"), Role::Receiver, share).await? {
        None => Output::Nothing,
        Some(count) if p.form == Form::Cardinality => Output::Count(count),
        Some(sum) => Output::Sum(sum),
    })
}

/// Refuses numbers that all together do not fit 64 bits: those of any rows that can be common then do.
fn check_sum(column: &Column) -> Result<(), InputError> {
    let mut total = 0_u64;
    for (row, number) in (0..).zip(column.as_slice()) {
        total = total.checked_add(*number).ok_or(InputError::TooLarge { row })?;
    }
    Ok(())
}
