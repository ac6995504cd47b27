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

/// What everybody has spent so far; the rounds of each are when it is there, as far as messages decide it.
#[derive(Clone, Copy, Default)]
pub(super) struct Tally(Costs);

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
        Self(costs)
    }

    /// The two parties say as many bytes to each other, at the same time.
    pub(super) fn swap(&mut self, [first, second]: [u64; 2]) {
        let costs = &mut self.0;
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
        let costs = &mut self.0;
        if provider == Provider::Helper {
            costs.second.bytes_out += msg::bytes::<u64>(1);
            costs.helper.rounds = costs.helper.rounds.max(costs.second.rounds + 1);
        }
    }

    pub(super) fn deal<C: Correlation>(&mut self, provider: Provider, shape: &C::Shape) {
        let costs = &mut self.0;
        match provider {
            Provider::Helper => {
                let bytes = msg::bytes::<C::Word>(C::correction_len(shape));
                costs.helper.bytes_out += bytes;
                if bytes > 0 {
                    costs.second.rounds = costs.second.rounds.max(costs.helper.rounds + 1);
                }
            }
            Provider::Transfers => {
                let begun = costs.first.rounds.max(costs.second.rounds);
                for (cost, seat) in [(&mut costs.first, Seat::First), (&mut costs.second, Seat::Second)] {
                    *cost = Cost { rounds: begun, ..*cost }.then(C::transfer_cost(shape, seat));
                }
            }
        }
    }

    /// With [`super::Engine::finish`], in which everybody hears that nobody has more to say. Rounds are then of the whole.
    pub(super) fn ended(&self) -> Costs {
        let Costs { mut first, mut second, mut helper } = self.0;
        let rounds = first.rounds.max(second.rounds).max(helper.rounds) + 1;
        for cost in [&mut first, &mut second, &mut helper] {
            cost.rounds = rounds;
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
