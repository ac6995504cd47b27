//! `banyan-node inbox`: what was offered to this node, and what an approval of it would mean.

use crate::config::{Config, Home};
use banyan_proto::canonical::Canonical;
use banyan_proto::job::{Plan, When};
use banyan_protocols::CATALOGUE;
use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::answer::{Answer, Failure};
use super::evidence::state;
use super::offers::{self, Offers, Read};
use super::text::{plain, row, table};
use super::words;

/// See the jobs that were offered; with a job, read in plain words what would be approved
///
/// For one job: purpose, parties, columns by use, recipients, minimum result, validity, runs, and who learns what about
/// whom. Read it before `banyan-node approve`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  banyan-node inbox
  banyan-node inbox fraud-check")]
pub(crate) struct Inbox {
    /// A job, by its name or the first digits of its digest
    job: Option<String>,
}

impl Inbox {
    pub(crate) fn run(self, home: &Home) -> Result<Answer, Failure> {
        let store = state(home)?;
        match self.job {
            None => list(&offers::all(&store)?),
            Some(job) => one(&Config::load(home)?, &offers::find(&store, &job)?),
        }
    }
}

fn list(all: &Offers) -> Result<Answer, Failure> {
    let mut rows = vec![row(["JOB", "DIGEST", "STANDING", "PURPOSE", "WHY"])];
    let mut jobs = Vec::new();
    for read in &all.read {
        let (standing, why) = read.standing();
        let purpose = plain(&read.spec.scenario.purpose);
        rows.push(row([read.spec.name.as_str(), &read.offer.job.short(), standing, &purpose, &plain(&why)]));
        jobs.push(json!({
            "name": read.spec.name,
            "job": read.offer.job,
            "scenario": read.spec.scenario.digest(),
            "standing": standing,
            "why": why,
            "purpose": read.spec.scenario.purpose,
            "received": read.offer.received,
        }));
    }
    let mut text = match jobs.len() {
        0 if all.unread.is_empty() => "nothing was offered to this node yet".to_owned(),
        0 => String::new(),
        _ => format!("{}\nRead one whole with `banyan-node inbox JOB`.\n", table(&rows)),
    };
    text.push_str(&all.passed_over());
    Ok(Answer::yes(text, json!({ "jobs": jobs, "unreadable": all.unreadable() })))
}

fn one(config: &Config, read: &Read) -> Result<Answer, Failure> {
    let spec = &read.spec;
    let (standing, why) = read.standing();
    let mut text = words::job(spec, &config.name, &CATALOGUE, When(Timestamp::now()))?;
    let why = if why.is_empty() { why } else { format!(" ({})", plain(&why)) };
    text.push_str(&format!("\nIt is {standing}{why}.\n"));
    if standing == "waiting" {
        text.push_str(&format!(
            "To allow the scenario: banyan-node approve {name}\nTo refuse it:          banyan-node deny {name} --reason …\n",
            name = spec.name
        ));
    }
    let object = json!({
        "job": read.offer.job,
        "spec": spec,
        "plan": Plan::derive(spec, &CATALOGUE)?,
        "scenario": spec.scenario.digest(),
        "discloses": Plan::disclosures(spec, &CATALOGUE)?,
        "standing": standing,
        "received": read.offer.received,
    });
    Ok(Answer::yes(text, object))
}
