//! `banyan local`: any job on one machine, with every process, key, approval and log that the real thing has.

mod data;
mod homes;
mod outputs;
mod party;
mod process;
mod proxy;
mod run;
mod scene;
mod words;

use std::path::PathBuf;
use std::str::FromStr;

use banyan_protocols::party::PartyId;
use clap::Args;

use super::answer::{Answer, Failure};
use super::job::check;
use super::programs::Programs;
use super::progress::Progress;

pub(crate) use homes::Homes;
pub(crate) use outputs::Output;
pub(crate) use process::Calls;
pub(crate) use run::{Done, Order, run};
pub(crate) use scene::Way;
pub(crate) use words::{as_json, proven};

/// Flags of `local`.
#[derive(Args)]
#[command(after_help = "Example, from the root of the repository:
  banyan local examples/data/default_credit/job.toml --out out \\
    --data bank=examples/data/default_credit/bank bureau=examples/data/default_credit/bureau

Every party becomes a real banyan-node process in a throw-away home, with keys of its own, on loopback over TLS. Its data \
sets are the .csv and .parquet files of its directory: the file people.csv is the data set people. Fresh approver keys \
sign the scenario, the job goes through a real coordinator, and every audit log is verified at the end. Then \
OUT/<party>/manifest.json and, for recipients, OUT/<party>/result.csv (or .parquet) are yours; the homes are gone.")]
pub(crate) struct LocalArgs {
    /// The job file (TOML)
    job: PathBuf,
    /// The directory with the files of a party: once per party, or all behind one --data
    #[arg(long, value_name = "PARTY=DIR", required = true, num_args = 1..)]
    data: Vec<PartyData>,
    /// Where results and manifests go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Open no port at any node: sealed frames travel through the coordinator
    #[arg(long)]
    relay: bool,
}

/// `PARTY=DIR`.
#[derive(Clone, Debug)]
struct PartyData(PartyId, PathBuf);

impl FromStr for PartyData {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (party, dir) = text.split_once('=').ok_or("expected PARTY=DIR, such as bank=./bank-data")?;
        Ok(Self(PartyId::new(party).map_err(|error| error.to_string())?, dir.into()))
    }
}

/// Runs the command.
pub(crate) async fn command(args: LocalArgs, programs: &Programs, as_json: bool) -> Result<Answer, Failure> {
    let (spec, plan) = check::read(&args.job)?;
    let given: Vec<(PartyId, PathBuf)> = args.data.into_iter().map(|PartyData(party, dir)| (party, dir)).collect();
    let data = data::of_parties(&spec, &given)?;
    let way = if args.relay { Way::Relay } else { Way::Direct };
    let progress = Progress::new(as_json);
    let order = Order {
        programs,
        spec: &spec,
        plan: &plan,
        before: None,
        data: &data,
        out: &args.out,
        way,
        progress: &progress,
    };
    let done = run(&order).await?;
    drop(progress);
    Ok(Answer::yes(words::told(&done), words::as_json(&done)))
}
