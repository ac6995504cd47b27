//! `banyan-node halt`: stop now. Ends a scenario for good, or everything until it is resumed.

use std::path::PathBuf;

use crate::config::{Config, Home};
use crate::store::Store;
use banyan_proto::audit::Act;
use banyan_proto::canonical::{Canonical, Digest};
use banyan_proto::grant::Revocation;
use banyan_proto::job::When;
use clap::{ArgGroup, Args};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::answer::{Answer, Failure};
use super::approve::{actor, approver};
use super::evidence::{ACTOR, record_of, record_stop, state};
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
        let unrecorded = record_stop(home, &actor(&approver), scenario, &format!("ended: {}", self.reason));
        store.put_revocation(&revocation)?;
        let text = format!("scenario {scenario} is ended at this node, for good; its jobs stop now");
        Ok(stopped(text, json!({ "scenario": scenario, "ended": true }), unrecorded))
    }

    /// Halts everything. Whoever is at this machine may: to stop is always safe.
    fn everything(&self, home: &Home) -> Result<Answer, Failure> {
        let store = match state(home) {
            // an error in the configuration keeps nobody from stopping
            Err(_) if home.config().is_file() => Store::open(home)?,
            store => store?,
        };
        let unrecorded = record_stop(home, ACTOR, Digest::default(), &format!("halted: {}", self.reason));
        store.halt_all(&self.reason)?;
        let text =
            "everything is halted at this node; `banyan-node halt --resume --reason …` lets jobs run again".to_owned();
        Ok(stopped(text, json!({ "halted": true }), unrecorded))
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

/// What a stop says: it is made, and whether it is on the record too.
fn stopped(text: String, json: Value, unrecorded: Option<String>) -> Answer {
    let mut answer = match &unrecorded {
        None => Answer::yes(text, json),
        Some(why) => Answer::no(
            format!(
                "{text}\nNOT recorded: {why}; write down who stopped what and when, and put the log right: nothing runs again \
                 without it"
            ),
            json,
        ),
    };
    answer.tell("recorded", unrecorded.is_none().into());
    answer.tell("why", unrecorded.into());
    answer
}
