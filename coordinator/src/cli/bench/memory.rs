//! The protocol alone, both parties in this process over simulated links: the clock is virtual, the computing is real.

use std::time::{Duration, Instant};

use banyan_proto::job::Band;
use banyan_protocols::CATALOGUE;
use banyan_protocols::catalogue::{Input, Output, Parameters, Protocol, Sizes};
use banyan_protocols::ideal;
use banyan_protocols::items::{Column, Items, Rows};
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

/// The one receiver and the senders that a bench has.
pub(super) fn roster(senders: u32) -> Roster {
    let party = |name: &str| PartyId::new(name).unwrap_or_else(|_| unreachable!("a good name"));
    match senders {
        0 | 1 => Roster::pair(party("receiver"), party("sender")),
        many => Roster::star(party("receiver"), (1..=many).map(|number| party(&format!("sender-{number}")))),
    }
}

/// Runs `protocol` once. Each party has one virtual core. Where its form takes numbers, those of the sender are its rows'.
///
/// # Errors
/// [`Failure::No`] where the protocol fails, which it should not.
pub(super) fn run(protocol: &str, parameters: Parameters, sets: Sets, net: Net) -> Result<Figures, Failure> {
    let begun = Instant::now();
    let protocol = CATALOGUE.find(protocol).ok_or_else(|| Failure::input("no such protocol"))?;
    let roster = roster(parameters.senders);
    let x: Items = sets.of_receiver().collect();
    let ys: Vec<Items> = (0..parameters.senders).map(|number| sets.of_sender_number(number).collect()).collect();
    let setup = begun.elapsed();

    let world = World::new("bench", SEED).net(net).charged_compute(processor_time);
    let run = world.run(&roster, |session, role| {
        let items = match (role, roster.holders(Role::Sender).position(|party| party == session.me())) {
            (Role::Sender, Some(number)) => ys[number].clone(),
            _ => x.clone(),
        };
        let input = match role {
            Role::Sender if parameters.columns > 0 => {
                let column = || numbers(items.len());
                let columns = (0..parameters.columns).map(|_| column()).collect();
                Input::Table { items, columns }
            }
            _ => Input::Items(items),
        };
        async move { protocol.run(&session, role, parameters, input).await }
    });
    let report = run.report.clone();
    let outputs = run.values().map_err(|error| Failure::No(error.to_string()))?;
    let (matches, correct) = compare(outputs, &x, &ys).ok_or_else(|| Failure::No("nobody got a result".into()))?;
    let peak_rss_mb = peak_rss_mb();
    let rounds = rounds(protocol, parameters, sets, &roster)?;
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
        kept: None,
    })
}

/// How many rows match, and whether what came out is what the oracle says. Shares are opened here, and nowhere else.
fn compare(outputs: Vec<Output>, x: &Items, ys: &[Items]) -> Option<(u64, bool)> {
    let y = ys.first()?;
    let mut expected = ideal::intersection(x, y);
    for other in &ys[1..] {
        let also = ideal::intersection(x, other);
        let both = expected.as_slice().iter().filter(|row| also.as_slice().binary_search(row).is_ok());
        expected = Rows::new(both.copied().collect());
    }
    let common = expected.len() as u64;
    if let [Output::Shares(mine), Output::Shares(theirs)] = &outputs[..] {
        let matching = mine.matches.iter().zip(theirs.matches.iter()).map(|(mine, theirs)| mine != theirs);
        let rows = mine.rows.iter().zip(matching).filter(|(_, matches)| *matches);
        let found = Rows::new(rows.filter_map(|(row, _)| row.map(u64::from)).collect());
        return Some((found.len() as u64, found == expected));
    }
    outputs.into_iter().find_map(|output| match output {
        Output::Rows(rows) => Some((rows.len() as u64, rows == expected)),
        Output::Count(count) => Some((count, count == common)),
        Output::Sum(sum) => Some((common, sum == ideal::sum(x, y, &numbers(y.len())))),
        Output::BelowMinimum => Some((0, false)),
        Output::Nothing | Output::Shares(_) => None,
    })
}

/// The numbers of a sender: its rows', from 0.
fn numbers(rows: usize) -> Column {
    (0..rows as u64).collect()
}

/// Rounds as they are counted where each takes a second and nothing else takes time. Small sets do: rounds do not follow
/// sizes, as far as one message holds a step.
fn rounds(
    protocol: &'static dyn Protocol,
    parameters: Parameters,
    sets: Sets,
    roster: &Roster,
) -> Result<u32, Failure> {
    let sets = Sets { receiver: sets.receiver.min(SMALL), sender: sets.sender.min(SMALL) };
    let sizes = Sizes { receiver: Band::covering(SMALL).rows(), sender: Band::covering(SMALL).rows() };
    let parameters = Parameters { sizes, minimum: 0, ..parameters };
    let run = World::new("bench", SEED).net(Net::ROUNDS).run(roster, |session, role| {
        let items: Items = match role {
            Role::Receiver => sets.of_receiver().collect(),
            Role::Sender => sets.of_sender_number(0).collect(),
        };
        let columns = match role {
            Role::Sender => (0..parameters.columns).map(|_| numbers(items.len())).collect(),
            Role::Receiver => Vec::new(),
        };
        let input = if columns.is_empty() { Input::Items(items) } else { Input::Table { items, columns } };
        async move { protocol.run(&session, role, parameters, input).await }
    });
    let rounds = run.report.rounds();
    run.values().map_err(|error| Failure::No(error.to_string()))?;
    Ok(rounds)
}

/// Processor time of this thread: what else runs on this machine is not charged.
pub(super) fn processor_time() -> Duration {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(spent.tv_sec.unsigned_abs(), u32::try_from(spent.tv_nsec).unwrap_or(0))
}

/// The largest resident memory of this process so far, both parties in it; 0 where the system does not say.
pub(super) fn peak_rss_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).and_then(|kib| kib.parse::<f64>().ok());
    kib.unwrap_or(0.0) * 1024.0 / 1e6
}
