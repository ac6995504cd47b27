//! `banyan job status`: where a job stands, and what every party waits for.

use std::fmt::Write;

use banyan_proto::job::State;
use clap::Args;

use super::pick::pick;
use crate::cli::answer::{Answer, Failure};
use crate::cli::client::Client;
use crate::cli::developer::{Developer, HomeArg};
use crate::cli::text::{bytes, table};
use crate::cli::view::{JobView, PartyView};

/// Flags of `job status`.
#[derive(Args)]
#[command(after_help = "Example:\n  banyan job status common-customers")]
pub(crate) struct StatusArgs {
    /// The job, by its name or the first digits of its digest
    job: String,
    #[command(flatten)]
    home: HomeArg,
}

/// Runs the command.
pub(crate) async fn run(args: StatusArgs) -> Result<Answer, Failure> {
    let developer = Developer::open(&args.home.path()?)?;
    let job = pick(&mut Client::of(&developer).await?, &args.job).await?;
    Ok(Answer::yes(describe(&job), job.as_json()))
}

/// A job for people.
pub(crate) fn describe(job: &JobView) -> String {
    let mut out = format!("{}  {}  {}", job.spec.name, job.digest.short(), job.state.name());
    if !job.reason.is_empty() {
        let _ = write!(out, ": {}", job.reason);
    }
    let _ = writeln!(out, "\nattempt {}, proposed {}, last change {}", job.attempt, job.proposed, job.changed);
    let mut rows = vec![["PARTY", "NODE", "PHASE", "DONE", "SENT", "DETAIL"].map(str::to_owned).to_vec()];
    rows.extend(job.parties.iter().map(row));
    out.push_str(&table(&rows));
    if let Some(hint) = hint(job) {
        out.push_str(hint);
        out.push('\n');
    }
    out
}

fn row(party: &PartyView) -> Vec<String> {
    let online = if party.online { "online" } else { "away" };
    let phase = if party.phase.is_empty() { "asked" } else { &party.phase };
    vec![party.name.to_string(), online.into(), phase.into(), party.far(), bytes(party.bytes_out), party.detail.clone()]
}

fn hint(job: &JobView) -> Option<&'static str> {
    match job.state {
        State::Proposed if job.parties.iter().any(|party| !party.online) => {
            Some("a party is away: the job waits until its node is up (`banyan-node up`)")
        }
        State::Proposed => Some("waits for the approvers: `banyan-node inbox` and `banyan-node approve` at each party"),
        State::Failed => {
            Some("propose the same file again for a new attempt, which spends another run unless it goes on in buckets")
        }
        State::Refused => Some("each node's own log has the reason: `banyan-node inbox` at the party that refused"),
        _ => None,
    }
}
