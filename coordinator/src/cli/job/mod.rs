//! `banyan job …`: a job from its file to its report.

mod cancel;
pub(crate) mod check;
mod list;
mod pick;
mod propose;
mod report;
mod review;
mod status;
pub(crate) mod watch;
pub(crate) mod words;

use clap::Subcommand;

use super::answer::{Answer, Failure};

/// What can be done with a job.
#[derive(Subcommand)]
pub(crate) enum JobCommand {
    /// Read a job file: plan, cost, and who will learn what. Needs no server
    Check(check::CheckArgs),
    /// Give a job to the coordinator, which offers it to its parties
    Propose(propose::ProposeArgs),
    /// Follow a job until it is over
    Watch(watch::WatchArgs),
    /// Where a job stands, and what every party waits for
    Status(status::StatusArgs),
    /// Stop a job at every party
    Cancel(cancel::CancelArgs),
    /// What was planned, what it cost, and what can be proven of it
    Report(report::ReportArgs),
    /// Allow or refuse a job's scenario as the operator or the authority
    Review(review::ReviewArgs),
    /// The jobs there are
    List(list::ListArgs),
}

/// Runs the command.
pub(crate) async fn run(command: JobCommand, as_json: bool) -> Result<Answer, Failure> {
    match command {
        JobCommand::Check(args) => check::run(args),
        JobCommand::Propose(args) => propose::run(args).await,
        JobCommand::Watch(args) => watch::run(args, as_json).await,
        JobCommand::Status(args) => status::run(args).await,
        JobCommand::Cancel(args) => cancel::run(args).await,
        JobCommand::Report(args) => report::run(args).await,
        JobCommand::Review(args) => review::run(args).await,
        JobCommand::List(args) => list::run(args).await,
    }
}
