//! `banyan job watch`: follows a job until it is over.

use banyan_proto::canonical::Digest;
use banyan_proto::job::State;
use clap::Args;
use futures::StreamExt;

use super::pick::pick;
use super::status::describe;
use crate::cli::answer::{Answer, Failure};
use crate::cli::client::Client;
use crate::cli::developer::{Developer, HomeArg};
use crate::cli::progress::Progress;
use crate::cli::view::JobView;

/// Flags of `job watch`.
#[derive(Args)]
#[command(after_help = "Examples:
  banyan job watch common-customers
  banyan job watch c49456 --json     # progress as JSON lines on stderr, the end on stdout

Ends with exit code 0 when the result was released, 1 when the job ended without one.")]
pub(crate) struct WatchArgs {
    /// The job, by its name or the first digits of its digest
    job: String,
    #[command(flatten)]
    home: HomeArg,
}

/// Runs the command.
pub(crate) async fn run(args: WatchArgs, as_json: bool) -> Result<Answer, Failure> {
    let developer = Developer::open(&args.home.path()?)?;
    let mut client = Client::of(&developer).await?;
    let job = pick(&mut client, &args.job).await?;
    let progress = Progress::new(as_json);
    let end = follow(&mut client, &job.digest, |job| {
        progress.step(&now(job));
        progress.far(&far(job), job.fraction());
    })
    .await?;
    drop(progress);
    let answer = if end.state == State::Released { Answer::yes } else { Answer::no };
    Ok(answer(describe(&end), end.as_json()))
}

/// Calls `seen` at every change of a job, and gives it when it is over.
///
/// # Errors
/// [`Failure::NotNow`] where the coordinator is lost before that.
pub(crate) async fn follow(
    client: &mut Client,
    job: &Digest,
    mut seen: impl FnMut(&JobView),
) -> Result<JobView, Failure> {
    let mut changes = client.watch(job).await?;
    while let Some(change) = changes.next().await {
        let job = change?;
        seen(&job);
        if job.state.is_over() {
            return Ok(job);
        }
    }
    Err(Failure::not_now("the coordinator ended the line before the job was over; the job goes on: watch it again"))
}

/// How far the slowest party is.
pub(crate) fn far(job: &JobView) -> String {
    job.slowest().map(|party| format!("{} {}", party.name, party.far())).unwrap_or_default()
}

/// What happens now, in one line.
pub(crate) fn now(job: &JobView) -> String {
    let parties: Vec<String> = job
        .parties
        .iter()
        .map(|party| match (party.phase.as_str(), party.detail.as_str()) {
            ("", _) if party.online => format!("{} is asked", party.name),
            ("", _) => format!("{} is away", party.name),
            (phase, "") => format!("{} {phase}", party.name),
            (phase, detail) => format!("{} {phase} ({detail})", party.name),
        })
        .collect();
    format!("{} {}: {}", job.spec.name, job.state.name(), parties.join(", "))
}
