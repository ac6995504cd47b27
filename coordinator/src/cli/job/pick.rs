//! Which job a person means: its name, or the first digits of its digest.

use crate::cli::answer::Failure;
use crate::cli::client::Client;
use crate::cli::view::JobView;

/// The job that `wanted` names.
///
/// # Errors
/// [`Failure::Input`] where no job, or more than one, is meant.
pub(crate) async fn pick(client: &mut Client, wanted: &str) -> Result<JobView, Failure> {
    let meant = |job: &JobView| job.spec.name.as_str() == wanted || job.digest.to_string().starts_with(wanted);
    let mut jobs: Vec<JobView> = client.jobs().await?.into_iter().filter(meant).collect();
    match (jobs.len(), jobs.pop()) {
        (1, Some(job)) => Ok(job),
        (0, _) => Err(Failure::input(format!("no job is called {wanted}; `banyan job list` shows those there are"))),
        (n, last) => {
            jobs.extend(last);
            let digests: Vec<String> = jobs.iter().map(|job| job.digest.short()).collect();
            Err(Failure::input(format!("{wanted} names {n} jobs; say which by its digest: {}", digests.join(", "))))
        }
    }
}
