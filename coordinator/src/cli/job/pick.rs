//! Which job a person means: its name, or the first digits of its digest. The whole digest finds any job, also one that
//! `banyan job list` has no room for.

use banyan_proto::canonical::Digest;

use crate::cli::answer::Failure;
use crate::cli::client::Client;
use crate::cli::view::{JobView, Listing};

/// The job that `wanted` names.
///
/// # Errors
/// [`Failure::Input`] where no job, or more than one, is meant.
pub(crate) async fn pick(client: &mut Client, wanted: &str) -> Result<JobView, Failure> {
    match wanted.parse::<Digest>() {
        Ok(digest) => client.job(&digest).await,
        Err(_) => meant(client.jobs().await?, wanted),
    }
}

fn meant(listing: Listing, wanted: &str) -> Result<JobView, Failure> {
    if let Some(unreadable) = listing.unreadable.iter().find(|job| job.starts_with(wanted)) {
        return Err(Failure::not_now(unreadable));
    }
    let meant = |job: &JobView| job.spec.name.as_str() == wanted || job.digest.to_string().starts_with(wanted);
    let mut jobs: Vec<JobView> = listing.jobs.into_iter().filter(meant).collect();
    match (jobs.len(), jobs.pop()) {
        (1, Some(job)) => Ok(job),
        (0, _) => {
            let older = if listing.cut { "; an older one is found by its whole digest" } else { "" };
            Err(Failure::input(format!("no job is called {wanted}; `banyan job list` shows those there are{older}")))
        }
        (n, last) => {
            jobs.extend(last);
            let digests: Vec<String> = jobs.iter().map(|job| job.digest.short()).collect();
            Err(Failure::input(format!("{wanted} names {n} jobs; say which by its digest: {}", digests.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use banyan_proto::canonical::Canonical;
    use banyan_proto::wire;

    use super::*;
    use crate::cli::job::check::{EXAMPLE, parse};

    #[test]
    fn a_job_is_meant_by_name_or_first_digits_and_an_unreadable_one_hides_no_other() {
        let reply = |text: &str| {
            let (spec, _) = parse(text).unwrap();
            let (job, spec) = (spec.digest().0.to_vec().into(), spec.to_bytes().into());
            wire::JobReply { job, spec, state: "failed".into(), ..wire::JobReply::default() }
        };
        let (one, two) = (reply(EXAMPLE), reply(&EXAMPLE.replace("runs = 20", "runs = 21")));
        let first = parse(EXAMPLE).unwrap().0.digest();
        let broken = wire::JobReply { job: vec![0xfe; 32].into(), ..one.clone() };
        let found = |wanted: &str, cut| {
            let jobs = vec![one.clone(), two.clone(), broken.clone()];
            meant(Listing::from(wire::JobsReply { jobs, cut }), wanted).map(|job| job.digest)
        };
        assert_eq!(found(&first.short(), false), Ok(first));
        let said = |wanted: &str, cut| found(wanted, cut).unwrap_err().to_string();
        assert!(
            said("common-customers", false).starts_with("common-customers names 2 jobs; say which by its digest: ")
        );
        assert_eq!(said("tax", false), "no job is called tax; `banyan job list` shows those there are");
        assert!(said("tax", true).ends_with("; an older one is found by its whole digest"));
        assert!(said("fefe", false).contains("the spec it sent is not the one of this job's digest"));
    }
}
