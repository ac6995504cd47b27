//! `banyan-node halt`: stop now. Ends a scenario for good, or everything until it is resumed.

use std::path::PathBuf;

use crate::config::{Config, Home};
use banyan_proto::audit::Act;
use banyan_proto::canonical::{Canonical, Digest};
use banyan_proto::grant::Revocation;
use banyan_proto::job::When;
use clap::{ArgGroup, Args};
use jiff::Timestamp;
use serde_json::json;

use super::answer::{Answer, Failure};
use super::approve::{actor, approver};
use super::evidence::{record, record_of, state};
use super::offers;
use super::parse::reason;

/// Stop: end a scenario for good, or halt everything
///
/// Running jobs are stopped within a second, new ones are refused at once. Ending a scenario cannot be undone: a new
/// scenario needs a new approval. `--all` stops every job at this node until `--resume`.
#[derive(Args)]
#[command(group = ArgGroup::new("what").required(true))]
#[command(after_help = "\
Examples:
  banyan-node halt fraud-check --reason \"consent withdrawn\"
  banyan-node halt --all --reason \"incident 17\"
  banyan-node halt --resume --reason \"incident 17 closed\"")]
pub(crate) struct Halt {
    /// A job: its scenario is ended
    #[arg(group = "what")]
    job: Option<String>,
    /// A scenario, by its digest
    #[arg(long, group = "what", value_name = "DIGEST")]
    scenario: Option<Digest>,
    /// Everything at this node, until it is resumed
    #[arg(long, group = "what")]
    all: bool,
    /// Let jobs run again after --all
    #[arg(long, group = "what")]
    resume: bool,
    /// Why, for the log
    #[arg(long, value_parser = reason)]
    reason: String,
    /// The approver's private key, if it is not in the home
    #[arg(long, value_name = "PATH")]
    key: Option<PathBuf>,
}

impl Halt {
    pub(crate) fn run(self, home: &Home) -> Result<Answer, Failure> {
        match (&self.job, self.scenario) {
            (Some(job), _) => {
                let scenario = offers::find(&state(home)?, job)?.spec.scenario.digest();
                self.end(home, scenario)
            }
            (None, Some(scenario)) => self.end(home, scenario),
            (None, None) if self.resume => self.resume(home),
            (None, None) => self.everything(home),
        }
    }

    /// Ends a scenario for good.
    fn end(&self, home: &Home, scenario: Digest) -> Result<Answer, Failure> {
        let store = state(home)?;
        let approver = approver(home, &Config::load(home)?, self.key.as_deref())?;
        let revocation =
            approver.sign(&Revocation { scenario, reason: self.reason.clone(), at: When(Timestamp::now()) });
        // a stop does not wait for a log that cannot be written: it is made, and the failure told after
        let logged = record_of(home, &actor(&approver), Act::Halt, scenario, &format!("ended: {}", self.reason));
        store.put_revocation(&revocation)?;
        logged?;
        let text = format!("scenario {scenario} is ended at this node, for good; its jobs stop now");
        Ok(Answer::yes(text, json!({ "scenario": scenario, "ended": true })))
    }

    /// Halts everything. Whoever is at this machine may: to stop is always safe.
    fn everything(&self, home: &Home) -> Result<Answer, Failure> {
        let store = state(home)?;
        let logged = record(home, Act::Halt, Digest::default(), &format!("halted: {}", self.reason));
        store.halt_all(&self.reason)?;
        logged?;
        let text = "everything is halted at this node; `banyan-node halt --resume` lets jobs run again";
        Ok(Answer::yes(text, json!({ "halted": true })))
    }

    /// Lets jobs run again. That takes an approver, as allowing them did.
    fn resume(&self, home: &Home) -> Result<Answer, Failure> {
        let store = state(home)?;
        let approver = approver(home, &Config::load(home)?, self.key.as_deref())?;
        if store.halted()?.is_none() {
            return Err(Failure::input("nothing is halted at this node"));
        }
        record_of(home, &actor(&approver), Act::Halt, Digest::default(), &format!("resumed: {}", self.reason))?;
        store.resume()?;
        Ok(Answer::yes("jobs may run again; ended scenarios stay ended", json!({ "halted": false })))
    }
}
