//! What a computation costs everybody.

use std::ops::Index;

use super::{Provider, Seat};
use crate::catalogue::Cost;
use crate::share::correlation::Correlation;
use crate::share::transfers::Pair;
use crate::share::{helper, msg};

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

/// Picoseconds that a byte takes which the two parties say to each other, at either: masking, combining, and drawing the
/// correlation it takes. From products and truncations of `--bench shares` on the reference core. What a program computes besides
/// is not in the estimate.
const SAID_PS: u64 = 500;
/// The same for a byte of a correction, at the helper, which draws for both, and at who receives it.
const CORRECTED_PS: [u64; 2] = [3500, 700];
/// The same for a byte of transfers, which is most of their messages' hashing.
const TRANSFERRED_PS: u64 = 3500;

/// What everybody has spent so far; the rounds of each are when it is there, as far as messages decide it.
#[derive(Clone, Copy, Default)]
pub(super) struct Tally {
    costs: Costs,
    /// Of the first party, the second, and the helper.
    ps: [u64; 3],
}

impl Tally {
    /// What [`super::Engine::set_up`] costs.
    pub(super) fn of_set_up(provider: Provider) -> Self {
        let mut costs = match provider {
            Provider::Helper => helper::set_up_cost(),
            Provider::Transfers => Costs {
                first: Pair::set_up_cost(Seat::First),
                second: Pair::set_up_cost(Seat::Second),
                helper: Cost::default(),
            },
        };
        costs.first.bytes_out += msg::bytes::<u128>(1);
        Self { costs, ps: [0; 3] }
    }

    /// The two parties say as many bytes to each other, at the same time.
    pub(super) fn swap(&mut self, [first, second]: [u64; 2]) {
        self.ps[..2].iter_mut().for_each(|ps| *ps += (first + second) * SAID_PS);
        let costs = &mut self.costs;
        costs.first.bytes_out += first;
        costs.second.bytes_out += second;
        let (at_first, at_second) = (costs.first.rounds, costs.second.rounds);
        if first > 0 {
            costs.second.rounds = at_second.max(at_first + 1);
        }
        if second > 0 {
            costs.first.rounds = at_first.max(at_second + 1);
        }
    }

    /// The second party tells the helper a number.
    pub(super) fn agree(&mut self, provider: Provider) {
        let costs = &mut self.costs;
        if provider == Provider::Helper {
            costs.second.bytes_out += msg::bytes::<u64>(1);
            costs.helper.rounds = costs.helper.rounds.max(costs.second.rounds + 1);
        }
    }

    pub(super) fn deal<C: Correlation>(&mut self, provider: Provider, shape: &C::Shape) {
        let costs = &mut self.costs;
        match provider {
            Provider::Helper => {
                let bytes = msg::bytes::<C::Word>(C::correction_len(shape));
                costs.helper.bytes_out += bytes;
                self.ps[2] += bytes * CORRECTED_PS[0];
                self.ps[1] += bytes * CORRECTED_PS[1];
                if bytes > 0 {
                    costs.second.rounds = costs.second.rounds.max(costs.helper.rounds + 1);
                }
            }
            Provider::Transfers => {
                let begun = costs.first.rounds.max(costs.second.rounds);
                let before = costs.first.bytes_out + costs.second.bytes_out;
                for (cost, seat) in [(&mut costs.first, Seat::First), (&mut costs.second, Seat::Second)] {
                    *cost = Cost { rounds: begun, ..*cost }.then(C::transfer_cost(shape, seat));
                }
                let bytes = costs.first.bytes_out + costs.second.bytes_out - before;
                self.ps[..2].iter_mut().for_each(|ps| *ps += bytes * TRANSFERRED_PS);
            }
        }
    }

    /// With [`super::Engine::finish`], in which everybody hears that nobody has more to say. Rounds are then of the whole.
    pub(super) fn ended(&self) -> Costs {
        let Costs { mut first, mut second, mut helper } = self.costs;
        let rounds = first.rounds.max(second.rounds).max(helper.rounds) + 1;
        for (cost, ps) in [&mut first, &mut second, &mut helper].into_iter().zip(self.ps) {
            cost.rounds = rounds;
            cost.cpu_us += ps / 1_000_000;
        }
        Costs { first, second, helper }
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
