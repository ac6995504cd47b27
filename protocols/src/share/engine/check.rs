//! Spot checks of a helper: each correlation is dealt several times, and all but one are opened.
//!
//! ```text
//! first                             second                           helper
//! draw from seeds s_1 … s_n         draw from t_1 … t_n         ←──  corrections c_1 … c_n
//! k: from coins that the helper does not know
//! s_i, i ≠ k                   ←──→ t_i and a hash of c_i, i ≠ k
//! draw both parts again from s_i and t_i, work out c_i, compare
//! use k
//! ```
//!
//! **Claim.** A helper that deals a wrong correction in one place goes unnoticed with probability 1/n where only one copy is
//! wrong, and for each such place. The parties are semi-honest, and what they open is of copies that are never used. Products
//! with a held matrix ([`crate::share::correlation::Held`]) are dealt once and not checked: their copies would share its mask.
//!
//! **Not claimed.** Anything of the helper's seeds, which are trusted to be fresh and to be told to one party each. One that
//! gives both parties the same seed, or one of a few, lets each unmask what the other sends, and no check finds it.

use std::sync::Arc;

use super::{Engine, Place, Provider, Seat, Source};
use crate::error::{Bug, Error, Fault, Result};
use crate::ring::Prg;
use crate::share::correlation::Correlation;
use crate::share::helper::{Dealt, digest};

/// What fails where a helper dealt what does not belong together.
pub(in crate::share) const CORRELATION: Fault = Fault::Check { check: "correlated randomness" };

impl Engine {
    /// From here on, deals each correlation `copies` times and opens all but one of them, at every seat alike. 1 checks nothing;
    /// without a helper there is none to check.
    pub fn spot_check(&mut self, copies: u32) {
        self.copies = copies.max(1);
    }

    pub(super) fn checks<C: Correlation>(&self, shape: &C::Shape) -> bool {
        C::checkable() && self.copies > 1 && self.provider == Provider::Helper && C::correction_len(shape) > 0
    }

    pub(super) async fn deal_checked<C: Correlation>(&mut self, shape: C::Shape) -> Result<C> {
        let copies = self.copies as usize;
        let mut dealt = Vec::with_capacity(copies);
        for _ in 0..copies {
            dealt.push(self.deal_one::<C>(shape.clone(), true).await?);
        }
        let coin = self.coins().blocks(1)[0] % copies as u128;
        let used = dealt.swap_remove(coin as usize);

        // The first party says its seeds, the second its seeds and hashes of its corrections.
        let mine = dealt.iter().map(|copy| copy.seed).chain(dealt.iter().flat_map(|copy| copy.digest()));
        let said = if self.seat() == Seat::First { dealt.len() } else { 3 * dealt.len() };
        let mine = Arc::new(mine.take(said).collect::<Vec<u128>>());
        let theirs = self.swap([dealt.len(), 3 * dealt.len()], mine).await?;
        let seat = self.seat();
        if self.computes() {
            let count = dealt.len();
            let good = self.job(move || {
                let good = |(n, copy): (usize, &Dealt<C>)| {
                    let seeds = if seat == Seat::First { [copy.seed, theirs[n]] } else { [theirs[n], copy.seed] };
                    let first = C::draw(&shape, Seat::First, &mut Prg::new(seeds[0]));
                    let second = C::draw(&shape, Seat::Second, &mut Prg::new(seeds[1]));
                    let right = C::correction(&shape, &first, &second);
                    match &copy.correction {
                        Some(correction) => *correction == right,
                        None => digest(&right)[..] == theirs[count + 2 * n..][..2],
                    }
                };
                dealt.iter().enumerate().all(good)
            });
            if good.await? != Some(true) {
                return Err(self.helper_deviation(CORRELATION));
            }
        }
        Ok(used.part)
    }

    /// A deviation of the helper, for checks that a program makes on what it dealt.
    pub fn helper_deviation(&self, fault: Fault) -> Error {
        match &self.place {
            Place::Network(ends) => match &ends.source {
                Source::Helper(dealer) => dealer.deviation(fault),
                Source::Transfers(_) => Error::Bug(Bug("a check of a helper without one")),
            },
            _ => Error::Bug(Bug("a check at an end without shares")),
        }
    }
}
