//! Operations on shares between two parties, and a helper or none: what each costs, in memory.
//!
//! `cargo bench -p banyan-benches --bench shares [-- OPERATION … SIZE … helper|transfers]`, by default all operations on a million
//! numbers with a helper, and on ten thousand without.
//!
//! Each party has one core; `cpu` is what its jobs took of one, by processor time. `process` is the processor time of the
//! whole process for each party: with it comes what the simulated network takes, sealing and copying. Results are checked.
//! Bytes and rounds are those of set-up, operation, end, and the opening of the result: 8 bytes of each number each way.

use std::time::Duration;

use banyan_protocols::share::measure::{Op, measure};
use banyan_protocols::share::{Provider, Seat};
use banyan_protocols::sim::Net;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let mut ops: Vec<_> = Op::ALL.into_iter().filter(|(name, _)| has(name)).collect();
    if ops.is_empty() {
        ops = Op::ALL.to_vec();
    }
    let sizes: Vec<usize> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    println!(
        "| operation | provider | size | rounds | cpu s first | second | helper | process s | MB first | second | helper |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for (provider, name, size) in [(Provider::Helper, "helper", 1_000_000), (Provider::Transfers, "transfers", 10_000)]
    {
        let other = if name == "helper" { "transfers" } else { "helper" };
        if has(other) && !has(name) {
            continue;
        }
        let sizes = if sizes.is_empty() { vec![size] } else { sizes.clone() };
        for size in sizes {
            ops.iter().for_each(|op| row(*op, provider, name, size));
        }
    }
}

fn row((name, op): (&str, Op), provider: Provider, source: &str, size: usize) {
    let before = spent(rustix::time::ClockId::ProcessCPUTime);
    let measured = match measure(op, size, provider, Net::LAN, || spent(rustix::time::ClockId::ThreadCPUTime)) {
        Ok(measured) => measured,
        Err(error) => return println!("| {name} | {source} | {size} | {error} |"),
    };
    let process = spent(rustix::time::ClockId::ProcessCPUTime) - before;
    assert!(measured.correct, "{name} is wrong");
    let cpu = |n: usize| measured.report.parties.get(n).map_or(0.0, |party| party.compute.as_secs_f64());
    let mb = |seat: Seat| measured.declared[seat].bytes_out as f64 / 1e6;
    println!(
        "| {name} | {source} | {size} | {} | {:.4} | {:.4} | {:.4} | {:.4} | {:.2} | {:.2} | {:.2} |",
        measured.declared.first.rounds,
        cpu(0),
        cpu(1),
        cpu(2),
        process.as_secs_f64(),
        mb(Seat::First),
        mb(Seat::Second),
        mb(Seat::Helper)
    );
}

fn spent(clock: rustix::time::ClockId) -> Duration {
    let spent = rustix::time::clock_gettime(clock);
    Duration::new(spent.tv_sec.unsigned_abs(), u32::try_from(spent.tv_nsec).unwrap_or(0))
}
