//! The protocol alone, both parties in this process over simulated links: the clock is virtual, the computing is real.

use std::time::{Duration, Instant};

use banyan_proto::job::Band;
use banyan_protocols::CATALOGUE;
use banyan_protocols::catalogue::{Form, Input, Output, Parameters, Protocol, Sizes};
use banyan_protocols::ideal;
use banyan_protocols::items::Items;
use banyan_protocols::party::{PartyId, Role, Roster};
use banyan_protocols::sim::{Net, World};
use rustix::time::{ClockId, clock_gettime};

use super::data::Sets;
use super::{Figures, PartyFigures};
use crate::cli::answer::Failure;

/// Everything that the world draws follows from this.
const SEED: u64 = 1;
/// Ids of each set where rounds are counted.
const SMALL: u64 = 64;

/// Runs `protocol` once. Each party has one virtual core.
///
/// # Errors
/// [`Failure::No`] where the protocol fails, which it should not.
pub(super) fn run(
    protocol: &str,
    parameters: Parameters,
    sets: Sets,
    net: Net,
    names: [&PartyId; 2],
) -> Result<Figures, Failure> {
    let begun = Instant::now();
    let protocol = CATALOGUE.find(protocol).ok_or_else(|| Failure::input("no such protocol"))?;
    let (x, y): (Items, Items) = (sets.of_receiver().collect(), sets.of_sender().collect());
    let expected = ideal::intersection(&x, &y);
    let roster = Roster::pair(names[0].clone(), names[1].clone());
    let setup = begun.elapsed();

    let items = |role| match role {
        Role::Receiver => x.clone(),
        Role::Sender => y.clone(),
    };
    let world = World::new("bench", SEED).net(net).charged_compute(processor_time);
    let run = world.run(&roster, |session, role| {
        let input = Input::Items(items(role));
        async move { protocol.run(&session, role, parameters, input).await }
    });
    let report = run.report.clone();
    let outputs = run.values().map_err(|error| Failure::No(error.to_string()))?;
    let found = outputs.into_iter().find_map(|output| match output {
        Output::Rows(rows) => Some((rows.len() as u64, rows == expected)),
        Output::Count(count) => Some((count, count == expected.len() as u64)),
        _ => None,
    });
    let (matches, correct) = found.ok_or_else(|| Failure::No("the receiver got nothing".into()))?;
    let peak_rss_mb = peak_rss_mb();
    let rounds = rounds(protocol, parameters.form, sets, &roster)?;
    let party = |party: &banyan_protocols::sim::PartyReport| PartyFigures {
        name: party.party.to_string(),
        cpu_s: party.compute.as_secs_f64(),
        peak_rss_mb,
        bytes_out: party.bytes_out,
    };
    Ok(Figures {
        wall_s: report.elapsed.as_secs_f64(),
        setup_s: setup.as_secs_f64(),
        rounds,
        bytes: report.bytes(),
        matches,
        correct,
        parties: report.parties.iter().map(party).collect(),
    })
}

/// Rounds as they are counted where each takes a second and nothing else takes time. Small sets do: rounds do not follow
/// sizes.
fn rounds(protocol: &'static dyn Protocol, form: Form, sets: Sets, roster: &Roster) -> Result<u32, Failure> {
    let sets = Sets { receiver: sets.receiver.min(SMALL), sender: sets.sender.min(SMALL) };
    let sizes = Sizes { receiver: Band::covering(SMALL).rows(), sender: Band::covering(SMALL).rows() };
    let run = World::new("bench", SEED).net(Net::ROUNDS).run(roster, |session, role| {
        let items = match role {
            Role::Receiver => sets.of_receiver().collect(),
            Role::Sender => sets.of_sender().collect(),
        };
        async move { protocol.run(&session, role, Parameters::new(sizes, form), Input::Items(items)).await }
    });
    let rounds = run.report.rounds();
    run.values().map_err(|error| Failure::No(error.to_string()))?;
    Ok(rounds)
}

/// Processor time of this thread: what else runs on this machine is not charged.
fn processor_time() -> Duration {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(spent.tv_sec.unsigned_abs(), u32::try_from(spent.tv_nsec).unwrap_or(0))
}

/// The largest resident memory of this process so far, both parties in it; 0 where the system does not say.
fn peak_rss_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).and_then(|kib| kib.parse::<f64>().ok());
    kib.unwrap_or(0.0) * 1024.0 / 1e6
}
