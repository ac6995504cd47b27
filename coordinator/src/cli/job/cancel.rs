//! `banyan job cancel`: stops a job at every party.

use clap::Args;

use super::pick::pick;
use super::status::describe;
use crate::cli::answer::{Answer, Failure};
use crate::cli::client::Client;
use crate::cli::developer::{Developer, HomeArg};

/// Flags of `job cancel`.
#[derive(Args)]
#[command(after_help = "Example:
  banyan job cancel common-customers --reason \"wrong column\"

Proposed again, everyone is asked again. Runs that were spent stay spent.")]
pub(crate) struct CancelArgs {
    /// The job, by its name or the first digits of its digest
    job: String,
    /// Why, for everybody's log
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    home: HomeArg,
}

/// Runs the command.
pub(crate) async fn run(args: CancelArgs) -> Result<Answer, Failure> {
    let developer = Developer::open(&args.home.path()?)?;
    let mut client = Client::of(&developer).await?;
    let job = pick(&mut client, &args.job).await?;
    if job.state.is_over() {
        let state = job.state.name();
        return Err(Failure::input(format!("{} is over already: {state}; nothing was changed", job.spec.name)));
    }
    let job = client.cancel(&job.digest, &args.reason).await?;
    Ok(Answer::yes(describe(&job), job.as_json()))
}
