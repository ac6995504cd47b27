//! How long a plan is expected to take: one model for what people are told and for what `protocol = "auto"` chooses by.
//! Integers only, so that every node finds the same.

use banyan_protocols::catalogue::Cost;

use super::{Plan, Stage, Task};

/// The network between two parties, as far as time is expected from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Megabits (10^6) per second, each direction by itself. Not 0.
    pub mbps: u64,
    /// Microseconds from one party to the other and back.
    pub rtt_us: u64,
}

/// What is expected, in microseconds, on one core per party.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Until the output is there.
    pub total_us: u64,
    /// The part in which the slower party computes.
    pub compute_us: u64,
    /// The part in which frames cross the network, with what waits for them.
    pub wire_us: u64,
}

impl Line {
    /// One building: 1 Gbit/s, 0.2 ms round trip.
    pub const LAN: Self = Self { mbps: 1000, rtt_us: 200 };
    /// One city: 100 Mbit/s, 20 ms round trip.
    pub const WAN: Self = Self { mbps: 100, rtt_us: 20_000 };

    /// How long the bytes of one party occupy its direction.
    fn transmission_us(&self, bytes: u64) -> u64 {
        bytes.saturating_mul(8).div_ceil(self.mbps.max(1)) // a megabit per second is a bit per microsecond
    }
}

impl Expected {
    /// Of one protocol run in which each party spends a cost. Computing and sending overlap, rounds do not: each is half a
    /// round trip.
    pub fn of(costs: &[Cost], line: Line) -> Self {
        let most = |of: fn(&Cost) -> u64| costs.iter().map(of).max().unwrap_or(0);
        let compute_us = most(|cost| cost.cpu_us);
        let sending = line.transmission_us(most(|cost| cost.bytes_out));
        let waiting = most(|cost| cost.rounds.into()).saturating_mul(line.rtt_us) / 2;
        Self {
            total_us: compute_us.max(sending).saturating_add(waiting),
            compute_us,
            wire_us: sending.saturating_add(waiting),
        }
    }

    /// One after the other.
    fn then(self, other: Self) -> Self {
        Self {
            total_us: self.total_us.saturating_add(other.total_us),
            compute_us: self.compute_us.saturating_add(other.compute_us),
            wire_us: self.wire_us.saturating_add(other.wire_us),
        }
    }
}

impl Plan {
    /// What is expected of the whole plan over one network, all stages one after the other.
    pub fn expect(&self, line: Line) -> Expected {
        self.stages.iter().map(|stage| stage.expect(line)).fold(Expected::default(), Expected::then)
    }
}

impl Stage {
    fn expect(&self, line: Line) -> Expected {
        Expected::of(&self.tasks.iter().map(Task::cost).collect::<Vec<_>>(), line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn computing_hides_sending_and_rounds_wait() {
        let cost = |cpu_us, bytes_out| Cost { rounds: 3, bytes_out, group_ops: 0, cpu_us };
        let costs = [cost(5_000, 1_000_000), cost(9_000, 10)];
        let lan = Expected::of(&costs, Line::LAN);
        assert_eq!(lan, Expected { total_us: 9_000 + 300, compute_us: 9_000, wire_us: 8_000 + 300 });
        let wan = Expected::of(&costs, Line::WAN);
        assert_eq!(wan, Expected { total_us: 80_000 + 30_000, compute_us: 9_000, wire_us: 80_000 + 30_000 });
        assert_eq!(Expected::of(&[cost(u64::MAX, u64::MAX)], Line::WAN).total_us, u64::MAX, "no overflow");
    }
}
