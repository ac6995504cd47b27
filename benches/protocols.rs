//! Protocols over simulated networks: what each costs on a LAN and a WAN, without a socket and without sleeping.
//!
//! `cargo bench -p banyan-benches --bench protocols [-- PROTOCOL … LOG2_SIZE …]`, by default all protocols and 10 12 14.
//!
//! Each party has one core and a line of its own in each direction. Seconds are the world's: measured processor time of one
//! thread, and modelled wire. `cpu` is a party's computing alone, so what `elapsed` has above the larger of the two is wire
//! that did not overlap. Every result is compared with the oracle.

use std::time::Duration;

use banyan_protocols::CATALOGUE;
use banyan_protocols::catalogue::{Form, Input, Output, Parameters, Protocol, Sizes};
use banyan_protocols::ideal;
use banyan_protocols::items::Items;
use banyan_protocols::party::{PartyId, Role, Roster};
use banyan_protocols::sim::{Net, World};

fn main() {
    let mut logs: Vec<u32> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    if logs.is_empty() {
        logs = vec![10, 12, 14];
    }
    println!(
        "| protocol | result | net | sets of | rounds | bytes | elapsed s | cpu s receiver | cpu s sender | µs/op |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let names: Vec<String> = std::env::args().skip(1).filter(|a| CATALOGUE.find(a).is_some()).collect();
    let wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    for protocol in CATALOGUE.iter().filter(|protocol| wanted(protocol.descriptor().name)) {
        for form in protocol.descriptor().forms {
            for log in &logs {
                for (name, net) in [("LAN", Net::LAN), ("WAN", Net::WAN)] {
                    row(protocol, *form, name, net, *log);
                }
            }
        }
    }
}

fn row(protocol: &'static dyn Protocol, form: Form, name: &str, net: Net, log: u32) {
    let size = 1u64 << log;
    let columns = u32::from(matches!(form, Form::Sum | Form::Shares));
    let sizes = Sizes { receiver: size, sender: size };
    let parameters = Parameters { columns, minimum: size / 4, ..Parameters::new(sizes, form) };
    let (x, y) = (keys(0, size), keys(size / 2, size));
    let world = World::new(protocol.descriptor().name, u64::from(log)).net(net).charged_compute(processor_time);
    let run = world.run(&roster(), |session, role| {
        let input = match role {
            Role::Receiver => Input::Items(keys(0, size)),
            Role::Sender if columns == 0 => Input::Items(keys(size / 2, size)),
            Role::Sender => Input::Table { items: keys(size / 2, size), columns: vec![(0..size).collect()] },
        };
        async move { protocol.run(&session, role, parameters, input).await }
    });
    let report = run.report.clone();
    let outputs = run.values().expect("an honest run ends well");
    let rows = |own, other| Output::Rows(ideal::intersection(own, other));
    match form {
        Form::RowsToReceiver => assert_eq!(outputs, [rows(&x, &y), Output::Nothing]),
        Form::RowsToBoth => assert_eq!(outputs, [rows(&x, &y), rows(&y, &x)]),
        Form::Cardinality => assert_eq!(outputs, [Output::Count(ideal::cardinality(&x, &y)), Output::Nothing]),
        Form::Sum => assert_eq!(outputs, [Output::Sum(ideal::sum(&x, &y, &(0..size).collect())), Output::Nothing]),
        Form::Shares => assert_eq!(opened(&outputs), ideal::cardinality(&x, &y)),
    }

    let [receiver, sender] = [0, 1].map(|party| report.parties[party].compute.as_secs_f64());
    let ops = report.parties[0].group_ops + report.parties[1].group_ops;
    let per_op = if ops == 0 { "-".into() } else { format!("{:.1}", 1e6 * (receiver + sender) / ops as f64) };
    println!(
        "| {} | {} | {name} | 2^{log} | {} | {} | {:.3} | {receiver:.3} | {sender:.3} | {per_op} |",
        protocol.descriptor().name,
        form.name(),
        protocol.cost(&parameters, Role::Receiver).rounds,
        report.bytes(),
        report.elapsed.as_secs_f64(),
    );
}

/// How many bins match, by the shares of both.
fn opened(outputs: &[Output]) -> u64 {
    let [Output::Shares(one), Output::Shares(other)] = outputs else { panic!("both have shares") };
    let mut matches = one.matches.clone();
    matches ^= &other.matches;
    matches.iter().map(u64::from).sum()
}

/// Keys of 18 characters, as national ids have.
fn keys(first: u64, count: u64) -> Items {
    (first..first + count).map(|number| format!("{:018}", number.wrapping_mul(0x9e37_79b9) % 10u64.pow(18))).collect()
}

/// What this thread has computed, whatever else the machine does.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

fn roster() -> Roster {
    let party = |name| PartyId::new(name).expect("a good name");
    Roster::pair(party("receiver"), party("sender"))
}
