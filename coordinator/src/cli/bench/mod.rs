//! `banyan bench`: what a job costs on this machine, as one JSON object.

mod data;
mod entry;
mod interop;
mod memory;
mod mpc;
mod psi;
mod table;

use clap::Subcommand;
use serde::Serialize;
use serde_json::Value;

use super::answer::{Answer, Failure};
use super::programs::Programs;
use super::text::{self, bytes, grouped};

/// What can be measured.
#[derive(Subcommand)]
pub(crate) enum BenchCommand {
    /// Intersect two files of made-up national ids, CSV in to CSV out
    Psi(psi::PsiArgs),
    /// Measure the intersection protocols one after another, and print a table
    Table(table::TableArgs),
    /// Compute on shared numbers, in this process
    Mpc(mpc::MpcArgs),
}

/// What every bench answers. Later kinds keep these fields and add their own.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Figures {
    /// From reading the input to the output written, in seconds, between nodes that are connected.
    wall_s: f64,
    /// Before that: processes, keys, approvals, handshakes.
    setup_s: f64,
    /// Messages one after another: counted in memory, the plan's with processes.
    rounds: u32,
    /// Bytes of the protocol, all parties, before sealing.
    bytes: u64,
    /// Common keys found.
    matches: u64,
    /// Whether they are those of the oracle.
    correct: bool,
    /// Each party.
    parties: Vec<PartyFigures>,
    /// Of a protocol that keeps what it prepared: what the first job costs beside, and what a later one does.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    kept: Option<KeptFigures>,
}

/// What is paid once, and what each job costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct KeptFigures {
    /// What the first job took longer than the second, in seconds: preparing, and what is sent once.
    offline_s: f64,
    /// What the first job sent more than the second.
    offline_bytes: u64,
    /// From the first message of the second job to its result written, in seconds: without reading the files.
    online_s: f64,
    /// What the second job sent, all parties.
    online_bytes: u64,
}

/// One party's part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct PartyFigures {
    /// Who.
    name: String,
    /// CPU time of its process during the attempt, in seconds.
    cpu_s: f64,
    /// The largest resident memory of its process, in MB (10^6 bytes).
    peak_rss_mb: f64,
    /// Bytes it sent in the protocol, before sealing.
    bytes_out: u64,
}

/// Runs the command.
pub(crate) async fn run(command: BenchCommand, programs: &Programs, as_json: bool) -> Result<Answer, Failure> {
    let args = match command {
        BenchCommand::Psi(args) => args,
        BenchCommand::Table(args) => return table::run(&args, programs, as_json).await,
        BenchCommand::Mpc(args) => return mpc::run(args).await,
    };
    let measured = psi::Measured::of(&args)?;
    let figures = psi::run(&args, &measured, programs, as_json).await?;
    let answer = if figures.correct { Answer::yes } else { Answer::no };
    let protocol = format!("{}: {}", measured.protocol(), measured.reason());
    Ok(answer(format!("{protocol}\n{}", told(&figures)), answered(&figures, psi::asked(&args, &measured))?))
}

/// The figures and what was asked for, in one object.
fn answered(figures: &Figures, asked: Value) -> Result<Value, Failure> {
    let mut json = serde_json::to_value(figures).map_err(Failure::not_now)?;
    if let (Value::Object(json), Value::Object(asked)) = (&mut json, asked) {
        json.extend(asked);
    }
    Ok(json)
}

fn told(figures: &Figures) -> String {
    let mut rows = vec![["PARTY", "CPU", "PEAK MEMORY", "SENT"].map(str::to_owned).to_vec()];
    rows.extend(figures.parties.iter().map(|party| {
        vec![
            party.name.clone(),
            format!("{:.2} s", party.cpu_s),
            format!("{:.0} MB", party.peak_rss_mb),
            bytes(party.bytes_out),
        ]
    }));
    let kept = figures.kept.map_or_else(String::new, |kept| {
        format!(
            "once: {:.3} s, {}; then each query {:.3} s online, {}\n",
            kept.offline_s,
            bytes(kept.offline_bytes),
            kept.online_s,
            bytes(kept.online_bytes)
        )
    });
    format!(
        "{kept}{:.3} s from read to written ({:.2} s to set up), {} rounds, {} in all\n{} common keys, {}\n{}",
        figures.wall_s,
        figures.setup_s,
        figures.rounds,
        bytes(figures.bytes),
        grouped(figures.matches),
        if figures.correct { "as the oracle says" } else { "NOT what the oracle says" },
        text::table(&rows)
    )
}
