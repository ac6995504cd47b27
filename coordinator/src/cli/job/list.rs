//! `banyan job list`: the jobs the coordinator knows, the newest first.

use std::fmt::Write;

use clap::Args;

use crate::cli::answer::{Answer, Failure};
use crate::cli::client::Client;
use crate::cli::developer::{Developer, HomeArg};
use crate::cli::text::table;
use crate::cli::view::{JobView, Listing};

/// Flags of `job list`.
#[derive(Args)]
#[command(after_help = "Example:\n  banyan job list")]
pub(crate) struct ListArgs {
    #[command(flatten)]
    home: HomeArg,
}

/// Runs the command.
pub(crate) async fn run(args: ListArgs) -> Result<Answer, Failure> {
    let developer = Developer::open(&args.home.path()?)?;
    let Listing { mut jobs, unreadable, cut } = Client::of(&developer).await?.jobs().await?;
    jobs.sort_by_key(|job| std::cmp::Reverse((job.proposed, job.digest)));
    let mut rows = vec![["JOB", "DIGEST", "STATE", "ATTEMPT", "PROPOSED"].map(str::to_owned).to_vec()];
    rows.extend(jobs.iter().map(row));
    let mut text = match jobs.len() {
        0 => "no jobs yet: `banyan job propose FILE`\n".to_owned(),
        _ => table(&rows),
    };
    for job in &unreadable {
        let _ = writeln!(text, "cannot be read: {job}");
    }
    if cut {
        text.push_str(
            "there are more, changed longer ago: each is found by its whole digest, as in `banyan job status`\n",
        );
    }
    let jobs: Vec<_> = jobs.iter().map(JobView::as_json).collect();
    Ok(Answer::yes(text, serde_json::json!({ "jobs": jobs, "unreadable": unreadable, "cut": cut })))
}

fn row(job: &JobView) -> Vec<String> {
    vec![
        job.spec.name.to_string(),
        job.digest.short(),
        job.state.name().to_owned(),
        job.attempt.to_string(),
        job.proposed.to_string(),
    ]
}
