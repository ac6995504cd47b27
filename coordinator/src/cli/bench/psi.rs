//! `banyan bench psi`: the intersection of two made-up files, by two real nodes over real sockets.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use banyan_proto::evidence::RunMetrics;
use banyan_proto::job::{AUTO, Network, Plan, ResultKind, Spec};
use banyan_protocols::CATALOGUE;
use banyan_protocols::catalogue::{Form, Suite};
use banyan_protocols::party::{PartyId, Role};
use banyan_protocols::sim::Net;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::data::{IDS_MAX, Sets, write_csv};
use super::entry::entry;
use super::{Figures, PartyFigures, memory};
use crate::cli::answer::Failure;
use crate::cli::job::check;
use crate::cli::local::{self, Done, Homes, Order, Way};
use crate::cli::oracle;
use crate::cli::programs::Programs;
use crate::cli::progress::Progress;

/// Flags of `bench psi`.
#[derive(Args)]
#[command(after_help = "Examples:
  banyan bench psi --size 65536                      # the protocol that a plan takes, and why
  banyan bench psi --protocol dh --size 6789 --receiver-size 31 --net wan --json
  banyan bench psi --protocol dh --size 65536 --via memory --net lan

--suite sm and --low-bandwidth ask for a protocol's variant of that kind, where it has one.

Both files have 18-character ids, half of the smaller one in common. wall_s is reading the CSV, the protocol, the release, \
and writing the CSV, between nodes that are connected; processes, keys, approvals and handshakes are in setup_s. rounds are \
the plan's. cpu_s and peak_rss_mb are of each node's process. With --via memory both parties are in one process, the \
network's time is simulated, files are left out, and rounds are counted.

--net lan is 1 Gbit/s and 0.2 ms round trip, wan is 100 Mbit/s and 20 ms, each direction by itself: with processes by a \
proxy on loopback that delays and rations bytes (waits below its timer's millisecond are left out), in memory by a \
virtual clock.")]
pub(crate) struct PsiArgs {
    /// The protocol, by its name in the catalogue, or auto
    #[arg(long, default_value = AUTO)]
    protocol: String,
    /// The cipher suite
    #[arg(long, value_enum)]
    suite: Option<SuiteName>,
    /// The protocol's mode with fewer bytes
    #[arg(long)]
    low_bandwidth: bool,
    /// Ids of the sender, and of the receiver if that is not said apart
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=(IDS_MAX / 2)))]
    size: u64,
    /// Ids of the receiver
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=(IDS_MAX / 2)))]
    receiver_size: Option<u64>,
    /// Two nodes over sockets, or the protocol alone in this process
    #[arg(long, value_enum, default_value_t = Via::Processes)]
    via: Via,
    /// The network between the parties
    #[arg(long, value_enum, default_value_t = NetName::Raw)]
    net: NetName,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Via {
    Processes,
    Memory,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SuiteName {
    Intl,
    Sm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum NetName {
    /// Loopback as it is; in memory: no time at all
    Raw,
    Lan,
    Wan,
}

/// What was asked for, beside the figures, and what the plan made of it.
pub(super) fn asked(args: &PsiArgs, plan: &Plan) -> Value {
    let name = |value: &dyn Fn() -> Option<clap::builder::PossibleValue>| value().map(|v| v.get_name().to_owned());
    json!({
        "protocol": args.protocol,
        "suite": suite(args).name(),
        "low_bandwidth": args.low_bandwidth,
        "runs": plan.stages[0].protocol,
        "reason": plan.reason,
        "size": args.size,
        "receiver_size": sets(args).receiver,
        "via": name(&|| args.via.to_possible_value()),
        "net": name(&|| args.net.to_possible_value()),
    })
}

/// What is measured: the job that the flags describe, and its plan.
pub(super) fn job(args: &PsiArgs) -> Result<(Spec, Plan), Failure> {
    let known: Vec<_> = CATALOGUE.iter().map(|p| (p.descriptor().name, p.descriptor().suite)).collect();
    let entry = entry(&known, &args.protocol, args.suite.map(SuiteName::suite), args.low_bandwidth)?;
    let named = CATALOGUE.find(&entry).map(|protocol| protocol.descriptor());
    let suite = named.map_or(suite(args), |named| named.suite);
    let rows = named.is_none_or(|named| named.forms.contains(&Form::RowsToReceiver));
    let network = args.net.declared();
    let sets = sets(args);
    let text = include_str!("psi.toml")
        .replace("\"PROTOCOL\"", &toml::Value::String(entry).to_string())
        .replace("SUITE", suite.name())
        .replace("RESULT", if rows { "rows" } else { "count" })
        .replace("MBPS", &network.bandwidth_mbps.to_string())
        .replace("RTT_MS", &network.rtt_ms.to_string())
        .replace("RECEIVER_ROWS", &sets.receiver.to_string())
        .replace("SENDER_ROWS", &sets.sender.to_string());
    check::bundled(&text)
}

/// Measures.
pub(super) async fn run(
    args: &PsiArgs,
    (spec, plan): &(Spec, Plan),
    programs: &Programs,
    as_json: bool,
) -> Result<Figures, Failure> {
    let sets = sets(args);
    match args.via {
        Via::Processes => processes(args, sets, spec, plan, programs, as_json).await,
        Via::Memory => {
            let parameters = plan.stages[0].parameters().map_err(Failure::input)?;
            let (net, protocol) = (args.net.net().unwrap_or(Net::INSTANT), plan.stages[0].protocol.to_string());
            let names = spec.parties.iter().map(|party| party.name.clone()).collect::<Vec<_>>();
            // the world computes in this thread, for as long as the protocol takes
            let work = move || memory::run(&protocol, parameters, sets, net, [&names[0], &names[1]]);
            tokio::task::spawn_blocking(work).await.map_err(Failure::not_now)?
        }
    }
}

async fn processes(
    args: &PsiArgs,
    sets: Sets,
    spec: &Spec,
    plan: &Plan,
    programs: &Programs,
    as_json: bool,
) -> Result<Figures, Failure> {
    let files = Homes::new()?;
    let progress = Progress::new(as_json);
    progress.step("making up ids");
    let data = write_files(spec, sets, &files)?;
    let out = files.home("out");
    let way = args.net.net().map_or(Way::Direct, Way::Slow);
    let done = local::run(&Order { programs, spec, plan, data: &data, out: &out, way, progress: &progress }).await?;
    drop(progress);
    let csv = |index: usize| data[&spec.parties[index].name].join("ids.csv");
    let expected = oracle::common(&csv(0), &csv(1), "id")?;
    let result = done.outputs.iter().find_map(|output| output.file());
    let result = result.ok_or_else(|| Failure::No("nobody received a result".into()))?;
    let (matches, correct) = match spec.result {
        ResultKind::Count => {
            let found = oracle::keys(&result, "count")?;
            let number = found.first().and_then(|count| count.parse().ok()).unwrap_or(0);
            (number, found.len() == 1 && number == expected.len() as u64)
        }
        ResultKind::Rows | ResultKind::Left | ResultKind::Difference => {
            let found = oracle::keys(&result, "id")?;
            (found.len() as u64, found == expected)
        }
    };
    Ok(figures(&done, matches, correct))
}

fn figures(done: &Done, matches: u64, correct: bool) -> Figures {
    let metrics: Vec<&RunMetrics> = done.outputs.iter().map(|output| &output.manifest.metrics).collect();
    let slowest = |of: fn(&RunMetrics) -> u64| metrics.iter().map(|m| of(m)).max().unwrap_or(0);
    // snapshots are made side by side; the run starts when the last of them stands
    let wall_ms = slowest(|m| m.prepare_ms) + slowest(|m| m.run_ms + m.release_ms);
    let wall_s = wall_ms as f64 / 1e3;
    let party = |output: &local::Output| PartyFigures {
        name: output.party.to_string(),
        cpu_s: output.manifest.metrics.cpu_ms as f64 / 1e3,
        peak_rss_mb: output.manifest.metrics.peak_rss_kb as f64 * 1024.0 / 1e6,
        bytes_out: output.manifest.metrics.bytes_out,
    };
    Figures {
        wall_s,
        setup_s: done.setup.as_secs_f64() + (done.run.as_secs_f64() - wall_s).max(0.0),
        rounds: metrics.iter().map(|m| m.rounds).max().unwrap_or(0),
        bytes: metrics.iter().map(|m| m.bytes_out).sum(),
        matches,
        correct,
        parties: done.outputs.iter().map(party).collect(),
    }
}

fn write_files(spec: &Spec, sets: Sets, files: &Homes) -> Result<BTreeMap<PartyId, PathBuf>, Failure> {
    let mut data = BTreeMap::new();
    for (party, role) in spec.parties.iter().zip([Role::Receiver, Role::Sender]) {
        let dir = files.home(party.name.as_str());
        let file = dir.join("ids.csv");
        let written = fs::create_dir(&dir).and_then(|()| match role {
            Role::Receiver => write_csv(&file, sets.of_receiver()),
            Role::Sender => write_csv(&file, sets.of_sender()),
        });
        written.map_err(|error| Failure::not_now(format!("{}: cannot be written: {error}", file.display())))?;
        data.insert(party.name.clone(), dir);
    }
    Ok(data)
}

fn sets(args: &PsiArgs) -> Sets {
    Sets { receiver: args.receiver_size.unwrap_or(args.size), sender: args.size }
}

/// The suite that was asked for; a named protocol has its own.
fn suite(args: &PsiArgs) -> Suite {
    args.suite.map(SuiteName::suite).unwrap_or_default()
}

impl SuiteName {
    fn suite(self) -> Suite {
        match self {
            Self::Intl => Suite::Intl,
            Self::Sm => Suite::Sm,
        }
    }
}

impl NetName {
    /// What the job says of it.
    fn declared(self) -> Network {
        match self {
            Self::Raw | Self::Lan => Network::default(),
            Self::Wan => Network { bandwidth_mbps: 100, rtt_ms: 20 },
        }
    }

    fn net(self) -> Option<Net> {
        match self {
            Self::Raw => None,
            Self::Lan => Some(Net::LAN),
            Self::Wan => Some(Net::WAN),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: PsiArgs,
    }

    fn asked_for(flags: &str) -> PsiArgs {
        Line::try_parse_from(["psi"].into_iter().chain(flags.split(' '))).ok().unwrap().args
    }

    #[test]
    fn odd_sizes_in_memory_are_right_and_cost_what_the_plan_says() {
        let args = asked_for("--protocol dh --size 6789 --receiver-size 31 --net wan");
        let (spec, plan) = job(&args).unwrap();
        let names = [&spec.parties[0].name, &spec.parties[1].name];
        let figures = memory::run("dh", plan.stages[0].parameters().unwrap(), sets(&args), Net::WAN, names).unwrap();
        assert!(figures.correct && figures.matches == 15, "{figures:?}");
        let planned: u64 = plan.stages[0].tasks.iter().map(|task| task.bytes_out).sum();
        assert_eq!(figures.bytes, planned);
        assert_eq!(figures.rounds, plan.stages[0].tasks[0].rounds);
        assert!(figures.wall_s >= 0.02, "two rounds of 10 ms: {figures:?}");
    }

    #[test]
    fn a_protocol_that_is_not_there_is_named() {
        let failure = job(&asked_for("--protocol magic --size 1")).unwrap_err().to_string();
        assert!(failure.starts_with("protocol: no protocol is called magic; use one of: auto, dh"), "{failure}");
    }

    #[test]
    fn auto_is_told_the_network_it_is_measured_over() {
        let args = asked_for("--size 65536 --net wan");
        let (spec, plan) = job(&args).unwrap();
        assert_eq!(spec.network, Network { bandwidth_mbps: 100, rtt_ms: 20 });
        assert!(plan.reason.contains("over 100 Mbit/s and 20 ms"), "{}", plan.reason);
        assert_eq!(asked(&args, &plan)["runs"], plan.stages[0].protocol.as_str());
    }
}
