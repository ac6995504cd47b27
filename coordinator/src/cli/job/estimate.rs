//! What a plan will cost in time, before it runs: an estimate from its exact counts.

use std::time::Duration;

use banyan_proto::job::{Plan, Stage};
use banyan_protocols::sim::Net;

/// Microseconds of one core per scalar multiplication with its hashing and checks, ristretto255 without vector units:
/// 3.5 CPU-seconds per party at 2^16 against 2^16 rows make 2^17 of them. Processors with AVX-512 IFMA take about
/// a third of it; `banyan bench psi` measures a machine.
const GROUP_OP_US: u64 = 27;

/// The expected duration of a plan over one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Estimate {
    /// Until the result is held, on one core per party.
    pub(crate) total: Duration,
    /// The part in which the slower party computes.
    pub(crate) compute: Duration,
    /// The part in which frames cross the network, with what waits for them.
    pub(crate) wire: Duration,
}

/// The estimate for `plan` over `net`, on one core per party. Computing and sending overlap, rounds do not.
pub(crate) fn estimate(plan: &Plan, net: Net) -> Estimate {
    let stages = plan.stages.iter().map(|stage| stage_estimate(stage, net));
    stages.fold(Estimate { total: Duration::ZERO, compute: Duration::ZERO, wire: Duration::ZERO }, |sum, stage| {
        Estimate { total: sum.total + stage.total, compute: sum.compute + stage.compute, wire: sum.wire + stage.wire }
    })
}

fn stage_estimate(stage: &Stage, net: Net) -> Estimate {
    let slowest = |of: fn(&banyan_proto::job::Task) -> u64| stage.tasks.iter().map(of).max().unwrap_or(0);
    let compute = Duration::from_micros(slowest(|task| task.group_ops).saturating_mul(GROUP_OP_US));
    let sent = usize::try_from(slowest(|task| task.bytes_out)).unwrap_or(usize::MAX);
    let rounds = u32::try_from(slowest(|task| task.rounds.into())).unwrap_or(u32::MAX);
    let waiting = net.latency.saturating_mul(rounds);
    let wire = net.transmission(sent) + waiting;
    Estimate { total: compute.max(net.transmission(sent)) + waiting, compute, wire }
}

#[cfg(test)]
mod tests {
    use super::super::check::tests::example_plan;
    use super::*;

    #[test]
    fn a_slower_line_never_makes_it_faster() {
        let (_, plan) = example_plan();
        let (lan, wan) = (estimate(&plan, Net::LAN), estimate(&plan, Net::WAN));
        assert_eq!(lan.compute, wan.compute);
        assert!(lan.total < wan.total && lan.wire < wan.wire, "{lan:?} {wan:?}");
        assert!(lan.total >= lan.compute, "{lan:?}");
    }
}
