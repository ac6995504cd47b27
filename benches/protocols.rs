//! Protocols over simulated networks: what each costs on a LAN and a WAN, without a socket and without sleeping.
//!
//! `cargo bench -p banyan-benches --bench protocols [-- LOG2_SIZE …]`, by default 10 12 14.
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
    for protocol in CATALOGUE.iter() {
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
    let parameters = Parameters::new(Sizes { receiver: size, sender: size }, form);
    let (x, y) = (keys(0, size), keys(size / 2, size));
    let world = World::new(protocol.descriptor().name, u64::from(log)).net(net).charged_compute(processor_time);
    let run = world.run(&roster(), |session, role| {
        let items = match role {
            Role::Receiver => keys(0, size),
            Role::Sender => keys(size / 2, size),
        };
        async move { protocol.run(&session, role, parameters, Input::Items(items)).await }
    });
    let report = run.report.clone();
    let outputs = run.values().expect("an honest run ends well");
    let rows = |own, other| Output::Rows(ideal::intersection(own, other));
    let right = match form {
        Form::RowsToReceiver => [rows(&x, &y), Output::Nothing],
        Form::RowsToBoth => [rows(&x, &y), rows(&y, &x)],
        Form::Cardinality => [Output::Count(ideal::cardinality(&x, &y)), Output::Nothing],
    };
    assert_eq!(outputs, right, "both outputs are the oracle's");

    let [receiver, sender] = [0, 1].map(|party| report.parties[party].compute.as_secs_f64());
    println!(
        "| {} | {} | {name} | 2^{log} | {} | {} | {:.3} | {receiver:.3} | {sender:.3} | {:.1} |",
        protocol.descriptor().name,
        form.name(),
        protocol.cost(&parameters, Role::Receiver).rounds,
        report.bytes(),
        report.elapsed.as_secs_f64(),
        1e6 * (receiver + sender) / (report.parties[0].group_ops + report.parties[1].group_ops) as f64,
    );
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
