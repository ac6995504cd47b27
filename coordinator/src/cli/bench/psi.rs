//! `banyan bench psi`: the intersection of made-up files, by real nodes over real sockets.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use banyan_proto::evidence::RunMetrics;
use banyan_proto::job::{AUTO, Band, Network, Plan, ResultKind, Spec};
use banyan_protocols::CATALOGUE;
use banyan_protocols::catalogue::{Descriptor, Form, Parameters, Sizes, Suite};
use banyan_protocols::party::PartyId;
use banyan_protocols::psi::interop::Interop;
use banyan_protocols::sim::Net;
use clap::{Args, Parser, ValueEnum};
use serde_json::{Value, json};

use super::data::{IDS_MAX, Sets, write_amounts, write_csv};
use super::entry::entry;
use super::{Figures, KeptFigures, PartyFigures, interop, memory};
use crate::cli::answer::Failure;
use crate::cli::job::check;
use crate::cli::local::{self, Homes, Order, Way};
use crate::cli::oracle;
use crate::cli::programs::Programs;
use crate::cli::progress::Progress;

/// How many keys a node answers in an epoch if its people say nothing else (`answers_per_epoch`).
const ANSWERS: u64 = 1 << 20;

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
network's time is simulated, files are left out, and rounds are counted. What no job opens as a file is always measured \
so: circuit, whose shares are opened in the bench only. multi is measured with two senders, of whom the second has half as \
many ids in common with the receiver. interop runs between two nodes by the interconnection standard's wire, without TLS \
and without a coordinator.

unbalanced is run twice by the same nodes, and the figures are of the second job, which finds what the first prepared; \
offline_s and offline_bytes are what the first cost more, online_s is the second from its first message to the result \
written, without reading the files, and online_bytes what it sent. In memory it prepares and queries in one run, and so it \
does where the receiver has more ids than a node answers twice (524288).

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
    /// The job's memory at each node, beyond which it goes in buckets
    #[arg(long, default_value_t = 2048, value_parser = clap::value_parser!(u32).range(64..=1 << 20))]
    memory_mb: u32,
    /// Nodes over sockets, or the protocol alone in this process
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
pub(super) enum NetName {
    /// Loopback as it is; in memory: no time at all
    Raw,
    Lan,
    Wan,
}

impl PsiArgs {
    /// Those of a command line.
    pub(super) fn flags(protocol: &str, size: u64, flags: &[&str]) -> Result<Self, Failure> {
        let size = size.to_string();
        let line = ["psi", "--protocol", protocol, "--size", &size].into_iter().chain(flags.iter().copied());
        Line::try_parse_from(line).map(|line| line.args).map_err(Failure::input)
    }
}

/// The flags as a command of their own.
#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: PsiArgs,
}

/// What was asked for, beside the figures, and what the plan made of it.
pub(super) fn asked(args: &PsiArgs, measured: &Measured) -> Value {
    let name = |value: &dyn Fn() -> Option<clap::builder::PossibleValue>| value().map(|v| v.get_name().to_owned());
    json!({
        "protocol": args.protocol,
        "suite": suite(args).name(),
        "low_bandwidth": args.low_bandwidth,
        "runs": measured.protocol(),
        "reason": measured.reason(),
        "size": args.size,
        "receiver_size": sets(args).receiver,
        "memory_mb": args.memory_mb,
        "buckets": measured.buckets(),
        "via": name(&|| measured.via(args).to_possible_value()),
        "net": name(&|| args.net.to_possible_value()),
    })
}

/// What is measured.
pub(super) enum Measured {
    /// A job, and its plan.
    Job(Box<(Spec, Plan)>),
    /// A protocol by itself: its result is none that a job gives to people as a file.
    Alone(&'static Descriptor, Parameters),
}

impl Measured {
    /// What the flags describe.
    pub(super) fn of(args: &PsiArgs) -> Result<Self, Failure> {
        let known: Vec<_> = CATALOGUE.iter().map(|p| (p.descriptor().name, p.descriptor().suite)).collect();
        let entry = entry(&known, &args.protocol, args.suite.map(SuiteName::suite), args.low_bandwidth)?;
        let named = CATALOGUE.find(&entry).map(|protocol| protocol.descriptor());
        let sets = sets(args);
        if let Some(named) = named
            && let Some(parameters) = alone(named, sets)
        {
            return Ok(Self::Alone(named, parameters));
        }
        let suite = named.map_or(suite(args), |named| named.suite);
        let form = named.and_then(|named| named.forms.first());
        let (result, sum) = match form {
            Some(Form::Sum) => ("sum", ["\nsum = \"amount\"", "\nsum = [\"amount\"]"]),
            Some(Form::Cardinality) => ("count", [""; 2]),
            _ => ("rows", [""; 2]),
        };
        let network = args.net.declared();
        let interop = if Interop::named(&entry).is_some() { "interop = true" } else { "" };
        let each = |table: &str, name: &str, rest: &str| -> String {
            let set = "dataset = \"ids\"\nkey = [\"id\"]";
            let senders = senders(named.map_or("", |named| named.name));
            senders.iter().map(|sender| format!("[[{table}]]\n{name} = \"{sender}\"\n{set}{rest}\n\n")).collect()
        };
        let rows = format!("\nrows_at_most = {}{}", sets.sender, sum[0]);
        let text = include_str!("psi.toml")
            .replace("\"PROTOCOL\"", &toml::Value::String(entry).to_string())
            .replace("SUITE", suite.name())
            .replace("INTEROP", interop)
            .replace("RESULT", result)
            .replace("SENDERS", &each("parties", "name", &rows))
            .replace("SENDER_GRANTS", &each("scenario.grants", "party", &format!("{}\n{interop}", sum[1])))
            .replace("MBPS", &network.bandwidth_mbps.to_string())
            .replace("RTT_MS", &network.rtt_ms.to_string())
            .replace("MEMORY_MB", &args.memory_mb.to_string())
            .replace("RECEIVER_ROWS", &sets.receiver.to_string());
        check::bundled(&text).map(|job| Self::Job(Box::new(job)))
    }

    /// The name of the protocol that runs.
    pub(super) fn protocol(&self) -> &str {
        match self {
            Self::Job(job) => job.1.stages[0].protocol.as_str(),
            Self::Alone(named, _) => named.name,
        }
    }

    /// Why that one.
    pub(super) fn reason(&self) -> &str {
        match self {
            Self::Job(job) => &job.1.reason,
            Self::Alone(..) => "it was named; no job opens its result as a file, so it is measured in memory",
        }
    }

    /// Whether no job opens its result, so that it is always measured in memory.
    pub(super) fn in_memory(&self) -> bool {
        matches!(self, Self::Alone(..))
    }

    /// In how many buckets.
    fn buckets(&self) -> u32 {
        match self {
            Self::Job(job) => job.1.stages[0].buckets,
            Self::Alone(..) => 1,
        }
    }

    fn via(&self, args: &PsiArgs) -> Via {
        match self {
            Self::Job(_) => args.via,
            Self::Alone(..) => Via::Memory,
        }
    }
}

/// The parameters of a protocol that is measured by itself.
fn alone(named: &Descriptor, sets: Sets) -> Option<Parameters> {
    let form = *named.forms.first()?;
    let band = |rows| Band::covering(rows).rows();
    let p = Parameters::new(Sizes { receiver: band(sets.receiver), sender: band(sets.sender) }, form);
    match form {
        Form::Shares => Some(Parameters { columns: 1, ..p }),
        _ => None,
    }
}

/// Who sends: two where a protocol is for three parties or more.
fn senders(protocol: &str) -> &'static [&'static str] {
    if protocol == "multi" { &["sender-1", "sender-2"] } else { &["sender"] }
}

/// Measures.
pub(super) async fn run(
    args: &PsiArgs,
    measured: &Measured,
    programs: &Programs,
    as_json: bool,
) -> Result<Figures, Failure> {
    let sets = sets(args);
    let parameters = match measured {
        Measured::Job(job) if args.via == Via::Processes && job.0.is_interop() => {
            if args.net != NetName::Raw {
                return Err(Failure::input(
                    "between processes, interop is measured on loopback as it is: leave out --net, or add --via memory",
                ));
            }
            return interop::run(&job.0, sets, programs, as_json).await;
        }
        Measured::Job(job) if args.via == Via::Processes => {
            return processes(args, sets, &job.0, &job.1, programs, as_json).await;
        }
        Measured::Job(job) => job.1.stages[0].parameters().map_err(Failure::input)?,
        Measured::Alone(_, parameters) => *parameters,
    };
    let (net, protocol) = (args.net.net().unwrap_or(Net::INSTANT), measured.protocol().to_owned());
    // the world computes in this thread, for as long as the protocol takes
    let work = move || memory::run(&protocol, parameters, sets, net);
    tokio::task::spawn_blocking(work).await.map_err(Failure::not_now)?
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
    let before = keeps(plan, sets).then(|| before(spec)).transpose()?;
    let before = before.as_ref();
    let order = Order { programs, spec, plan, before, data: &data, out: &out, way, progress: &progress };
    let done = local::run(&order).await?;
    drop(progress);
    let csv = |index: usize| data[&spec.parties[index].name].join("ids.csv");
    let mut expected = oracle::common(&csv(0), &csv(1), "id")?;
    for other in 2..spec.parties.len() {
        let theirs = oracle::keys(&csv(other), "id")?;
        expected.retain(|id| theirs.contains(id));
    }
    let result = done.outputs.iter().find_map(|output| output.file());
    let result = result.ok_or_else(|| Failure::No("nobody received a result".into()))?;
    let (matches, correct) = match spec.result {
        ResultKind::Count => {
            let found = oracle::keys(&result, "count")?;
            let number = found.first().and_then(|count| count.parse().ok()).unwrap_or(0);
            (number, found.len() == 1 && number == expected.len() as u64)
        }
        ResultKind::Sum => {
            let found = oracle::keys(&result, "sum")?;
            let sum = oracle::sum(&csv(1), "amount", "id", &expected)?;
            (expected.len() as u64, found == [sum.to_string()].into())
        }
        ResultKind::Rows | ResultKind::Left | ResultKind::Difference => {
            let found = oracle::keys(&result, "id")?;
            (found.len() as u64, found == expected)
        }
    };
    let metrics: Vec<_> = done.outputs.iter().map(|output| (&output.party, &output.manifest.metrics)).collect();
    let first: Vec<_> = done.before.iter().map(|manifest| &manifest.metrics).collect();
    let second: Vec<_> = metrics.iter().map(|(_, metrics)| *metrics).collect();
    Ok(Figures { kept: kept(&first, &second), ..figures(done.setup, done.run, &metrics, matches, correct) })
}

/// Whether a job leaves something that a later one finds, and a later one may ask as much again.
fn keeps(plan: &Plan, sets: Sets) -> bool {
    plan.stages[0].protocol.as_str() == "unbalanced" && 2 * Band::covering(sets.receiver).rows() <= ANSWERS
}

/// The same job under another name.
fn before(spec: &Spec) -> Result<Spec, Failure> {
    Ok(Spec { name: format!("{}-before", spec.name).parse().map_err(Failure::input)?, ..spec.clone() })
}

fn slowest(metrics: &[&RunMetrics], of: fn(&RunMetrics) -> u64) -> f64 {
    metrics.iter().map(|m| of(m)).max().unwrap_or(0) as f64 / 1e3
}

/// Snapshots are made side by side; the run starts when the last of them stands.
fn wall_s(metrics: &[&RunMetrics]) -> f64 {
    slowest(metrics, |m| m.prepare_ms) + online_s(metrics)
}

fn online_s(metrics: &[&RunMetrics]) -> f64 {
    slowest(metrics, |m| m.run_ms + m.release_ms)
}

/// What the first of two jobs cost more.
fn kept(first: &[&RunMetrics], second: &[&RunMetrics]) -> Option<KeptFigures> {
    let bytes = |metrics: &[&RunMetrics]| metrics.iter().map(|m| m.bytes_out).sum::<u64>();
    (!first.is_empty()).then(|| KeptFigures {
        offline_s: wall_s(first) - wall_s(second),
        offline_bytes: bytes(first).saturating_sub(bytes(second)),
        online_s: online_s(second),
        online_bytes: bytes(second),
    })
}

/// Of parties that were set up and then ran for so long.
pub(super) fn figures(
    setup: Duration,
    run: Duration,
    parties: &[(&PartyId, &RunMetrics)],
    matches: u64,
    correct: bool,
) -> Figures {
    let metrics: Vec<&RunMetrics> = parties.iter().map(|(_, metrics)| *metrics).collect();
    let wall_s = wall_s(&metrics);
    let party = |(party, metrics): &(&PartyId, &RunMetrics)| PartyFigures {
        name: party.to_string(),
        cpu_s: metrics.cpu_ms as f64 / 1e3,
        peak_rss_mb: metrics.peak_rss_kb as f64 * 1024.0 / 1e6,
        bytes_out: metrics.bytes_out,
    };
    Figures {
        wall_s,
        setup_s: setup.as_secs_f64() + (run.as_secs_f64() - wall_s).max(0.0),
        rounds: parties.iter().map(|(_, m)| m.rounds).max().unwrap_or(0),
        bytes: parties.iter().map(|(_, m)| m.bytes_out).sum(),
        matches,
        correct,
        parties: parties.iter().map(party).collect(),
        kept: None,
    }
}

pub(super) fn write_files(spec: &Spec, sets: Sets, files: &Homes) -> Result<BTreeMap<PartyId, PathBuf>, Failure> {
    let mut data = BTreeMap::new();
    for (party, number) in spec.parties.iter().zip(0..) {
        let dir = files.home(party.name.as_str());
        let file = dir.join("ids.csv");
        let written = fs::create_dir(&dir).and_then(|()| match number {
            0 => write_csv(&file, sets.of_receiver()),
            _ if party.sum.is_some() => write_amounts(&file, sets.of_sender()),
            sender => write_csv(&file, sets.of_sender_number(sender - 1)),
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

    pub(super) fn net(self) -> Option<Net> {
        match self {
            Self::Raw => None,
            Self::Lan => Some(Net::LAN),
            Self::Wan => Some(Net::WAN),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked_for(flags: &str) -> PsiArgs {
        Line::try_parse_from(["psi"].into_iter().chain(flags.split(' '))).ok().unwrap().args
    }

    fn job(flags: &str) -> (Spec, Plan) {
        match Measured::of(&asked_for(flags)) {
            Ok(Measured::Job(job)) => *job,
            _ => panic!("{flags} is a job"),
        }
    }

    #[test]
    fn odd_sizes_in_memory_are_right_and_cost_what_the_plan_says() {
        let flags = "--protocol dh --size 6789 --receiver-size 31 --net wan";
        let (_, plan) = job(flags);
        let figures =
            memory::run("dh", plan.stages[0].parameters().unwrap(), sets(&asked_for(flags)), Net::WAN).unwrap();
        assert!(figures.correct && figures.matches == 15, "{figures:?}");
        let planned: u64 = plan.stages[0].tasks.iter().map(|task| task.bytes_out).sum();
        assert_eq!(figures.bytes, planned);
        assert_eq!(figures.rounds, plan.stages[0].tasks[0].rounds);
        assert!(figures.wall_s >= 0.02, "two rounds of 10 ms: {figures:?}");
    }

    #[test]
    fn whatever_is_measured_in_memory_is_right() {
        for (protocol, matches) in [("circuit", 15), ("sum", 15), ("multi", 7), ("cardinality", 15)] {
            let args = asked_for(&format!("--protocol {protocol} --size 333 --receiver-size 31 --via memory"));
            let measured = Measured::of(&args).ok().unwrap();
            let parameters = match &measured {
                Measured::Job(job) => job.1.stages[0].parameters().unwrap(),
                Measured::Alone(_, parameters) => *parameters,
            };
            let figures = memory::run(measured.protocol(), parameters, sets(&args), Net::INSTANT).unwrap();
            assert!(figures.correct && figures.matches == matches, "{protocol}: {figures:?}");
            assert_eq!(measured.via(&args), Via::Memory);
        }
    }

    #[test]
    fn sums_and_three_parties_are_jobs_and_shares_are_not() {
        let (spec, plan) = job("--protocol sum --size 333");
        assert_eq!(
            (spec.result, spec.parties.len(), plan.stages[0].parameters().unwrap().columns),
            (ResultKind::Sum, 2, 1)
        );
        let (spec, plan) = job("--protocol multi --size 333");
        assert_eq!((spec.parties.len(), plan.stages[0].parameters().unwrap().senders), (3, 2));
        assert!(matches!(Measured::of(&asked_for("--protocol circuit --size 333")), Ok(Measured::Alone(..))));
    }

    #[test]
    fn a_protocol_that_is_not_there_is_named() {
        let failure = Measured::of(&asked_for("--protocol magic --size 1")).err().unwrap().to_string();
        assert!(failure.starts_with("protocol: no protocol is called magic; use one of: auto, rr22"), "{failure}");
    }

    #[test]
    fn auto_is_told_the_network_it_is_measured_over() {
        let flags = "--size 65536 --net wan";
        let (spec, plan) = job(flags);
        assert_eq!(spec.network, Network { bandwidth_mbps: 100, rtt_ms: 20 });
        assert!(plan.reason.contains("over 100 Mbit/s and 20 ms"), "{}", plan.reason);
        let args = asked_for(flags);
        let told = asked(&args, &Measured::of(&args).ok().unwrap());
        assert_eq!(told["runs"], plan.stages[0].protocol.as_str());
    }
}
