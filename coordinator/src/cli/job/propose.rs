//! `banyan job propose`: gives a job to the coordinator, which offers it to its parties.

use std::path::PathBuf;

use banyan_proto::job::State;
use clap::Args;

use super::{check, words};
use crate::cli::answer::{Answer, Failure};
use crate::cli::client::Client;
use crate::cli::developer::{Developer, HomeArg};

/// Flags of `job propose`.
#[derive(Args)]
#[command(after_help = "Examples:
  banyan job propose job.toml
  banyan job propose job.toml && banyan job watch common-customers

Every node checks the job against its own grants; an approver signs its scenario once. Proposing a failed job again \
starts a new attempt, which spends another run of the scenario.")]
pub(crate) struct ProposeArgs {
    /// The job file (TOML)
    file: PathBuf,
    #[command(flatten)]
    home: HomeArg,
}

/// Runs the command.
pub(crate) async fn run(args: ProposeArgs) -> Result<Answer, Failure> {
    let (spec, plan) = check::read(&args.file)?;
    let developer = Developer::open(&args.home.path()?)?;
    let explained = words::explain(&spec, &plan).map_err(Failure::input)?;
    let job = Client::of(&developer).await?.propose(&spec).await?;
    let short = job.digest.short();
    match job.state {
        State::Refused => {
            let text = format!(
                "this very job was refused ({}), and a refusal stands; once the reason is gone, propose it under another name",
                job.reason
            );
            Ok(Answer::no(text, job.as_json()))
        }
        State::Released => {
            let text = format!(
                "this very job was released in attempt {}: nothing is run again; see `banyan job report {short}`, or propose \
                 it under another name",
                job.attempt
            );
            Ok(Answer::yes(text, job.as_json()))
        }
        _ => {
            let (url, state) = (&developer.config.coordinator.url, job.state.name());
            let text = format!(
                "{explained}\nproposed to {url} as {short}, attempt {}: {state}\nfollow it with `banyan job watch {short}`",
                job.attempt
            );
            Ok(Answer::yes(text, job.as_json()))
        }
    }
}
