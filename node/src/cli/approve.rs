//! `banyan-node approve` and `deny`: this department's own word on a scenario, signed with the approver's key.

use std::path::{Path, PathBuf};

use crate::config::{Config, Home};
use crate::keys;
use crate::policy::reviewed;
use crate::store::{Standing, Store};
use banyan_proto::audit::Act;
use banyan_proto::canonical::Canonical;
use banyan_proto::grant::{Approval, Reviewer};
use banyan_proto::identity::Identity;
use banyan_proto::job::When;
use banyan_protocols::CATALOGUE;
use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::answer::{Answer, Failure};
use super::evidence::record_of;
use super::offers::{self, Read};
use super::parse::reason;
use super::prompt::confirm;
use super::words;

/// Allow a scenario: sign it with the approver's key
///
/// The signature covers the scenario of the job, to the byte: purpose, parties, columns, recipients, limits, validity,
/// runs. Every later job within it runs without asking again, until its runs or its validity end, or `halt`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  banyan-node approve fraud-check      (shows the job and its scenario, then asks)
  banyan-node approve fraud-check --key /media/approver/approver.pem --yes")]
pub(crate) struct Approve {
    /// The job, by its name or the first digits of its digest
    job: String,
    /// The approver's private key, if it is not in the home
    #[arg(long, value_name = "PATH")]
    key: Option<PathBuf>,
    /// Do not ask again
    #[arg(long)]
    yes: bool,
}

/// Refuse a scenario for good: sign a no with the approver's key
///
/// A no stands against every later yes of the same approver. A changed scenario is another one.
#[derive(Args)]
#[command(after_help = "\
Example:
  banyan-node deny fraud-check --reason \"the purpose is too wide\"")]
pub(crate) struct Deny {
    /// The job, by its name or the first digits of its digest
    job: String,
    /// Why, for this node's log
    #[arg(long, value_parser = reason)]
    reason: String,
    /// The approver's private key, if it is not in the home
    #[arg(long, value_name = "PATH")]
    key: Option<PathBuf>,
    /// Do not ask again
    #[arg(long)]
    yes: bool,
}

impl Approve {
    pub(crate) fn run(self, home: &Home) -> Result<Answer, Failure> {
        let desk = Desk::open(home, &self.job, self.key.as_deref())?;
        let Desk { config, store, read, .. } = &desk;
        let scenario = &read.spec.scenario;
        let digest = scenario.digest();
        if When(Timestamp::now()) > scenario.valid_until {
            return Err(Failure::refused(format!(
                "scenario {} ended at {}: an approval would allow nothing; ask for a new one",
                scenario.name, scenario.valid_until
            )));
        }
        if store.revoked(&digest)? {
            return Err(Failure::refused(format!(
                "scenario {} was ended at this node, for good; ask for a new one",
                scenario.name
            )));
        }
        let after = reviewed(&digest, &read.offer.reviews, &config.required_reviews).map_err(|error| {
            Failure::refused(format!(
                "the reviews before yours do not stand: {error}; ask the operator to have it reviewed"
            ))
        })?;
        if !self.yes {
            confirm(&desk.question("Allow")?)?;
        }
        desk.sign(true, after, "approved")?;
        let next = match &read.offer.standing {
            Standing::Refused { code, .. } if code == "stopped" => {
                format!("Job {} was stopped; it goes on when it is proposed again.", read.spec.name)
            }
            // an offer that was refused is not looked at again
            Standing::Refused { code, .. } => format!(
                "Job {} itself was refused before ({code}), which stands: propose it under another name.",
                read.spec.name
            ),
            _ if read.spec.is_interop() => {
                format!("Job {} runs when this node's people run it again: `banyan-node interop run`.", read.spec.name)
            }
            _ => format!("Job {} goes on as soon as every party has admitted it.", read.spec.name),
        };
        let text = format!(
            "approved: scenario {} ({}), until {} or {} runs\n{next}",
            scenario.name, digest, scenario.valid_until, scenario.runs
        );
        Ok(Answer::yes(text, desk.object(true)))
    }
}

impl Deny {
    pub(crate) fn run(self, home: &Home) -> Result<Answer, Failure> {
        let desk = Desk::open(home, &self.job, self.key.as_deref())?;
        let scenario = &desk.read.spec.scenario;
        if !self.yes {
            confirm(&desk.question("Refuse, for good,")?)?;
        }
        desk.sign(false, None, &format!("denied: {}", self.reason))?;
        let text = format!("denied: scenario {} ({}), for good", scenario.name, scenario.digest());
        Ok(Answer::yes(text, desk.object(false)))
    }
}

/// What lies before the approver: the offer, and the key to sign with.
struct Desk {
    home: Home,
    config: Config,
    store: Store,
    read: Read,
    approver: Identity,
}

impl Desk {
    fn open(home: &Home, job: &str, key: Option<&Path>) -> Result<Self, Failure> {
        let config = Config::load(home)?;
        let store = Store::open(home)?;
        let read = offers::find(&store, job)?;
        if !read.spec.scenario.grants.iter().any(|grant| grant.party == config.name) {
            return Err(Failure::refused(format!(
                "scenario {} lets in nothing of {}: there is nothing to decide here",
                read.spec.scenario.name, config.name
            )));
        }
        let approver = approver(home, &config, key)?;
        Ok(Self { home: home.clone(), config, store, read, approver })
    }

    /// What is asked of the approver: the job and its scenario in plain words, as `inbox` shows them, then the question.
    fn question(&self, what: &str) -> Result<String, Failure> {
        let spec = &self.read.spec;
        let whole = words::job(spec, &self.config.name, &CATALOGUE, When(Timestamp::now()))?;
        let (name, digest) = (&spec.scenario.name, spec.scenario.digest());
        Ok(format!("{whole}\n{what} scenario {name} ({}) with your signature?", digest.short()))
    }

    /// Signs a word on the scenario, logs it, and hands it to the daemon.
    fn sign(
        &self,
        approved: bool,
        after: Option<banyan_proto::canonical::Digest>,
        outcome: &str,
    ) -> Result<(), Failure> {
        let scenario = self.read.spec.scenario.digest();
        let approval = Approval {
            scenario,
            reviewer: Reviewer::Source,
            party: Some(self.config.name.clone()),
            approved,
            after,
            at: When(Timestamp::now()),
        };
        let signed = self.approver.sign(&approval);
        let mine = self.store.approvals(&scenario)?.into_iter().find(|word| word.signer() == signed.signer());
        if approved && mine.is_some_and(|word| word.verify(&signed.signer()).is_ok_and(|word| !word.approved)) {
            return Err(Failure::refused(format!(
                "this key denied scenario {} before, and a no is final; ask for a new scenario",
                self.read.spec.scenario.name
            )));
        }
        record_of(&self.home, &actor(&self.approver), Act::Approve, scenario, outcome)?;
        Ok(self.store.put_approval(&signed)?)
    }

    fn object(&self, approved: bool) -> serde_json::Value {
        json!({
            "job": self.read.offer.job,
            "scenario": self.read.spec.scenario.digest(),
            "approved": approved,
            "approver": self.approver.public(),
        })
    }
}

/// The approver's name in the log.
pub(crate) fn actor(approver: &Identity) -> String {
    format!("approver {}", approver.public())
}

/// The approver's key, if it is one that counts here.
pub(crate) fn approver(home: &Home, config: &Config, key: Option<&Path>) -> Result<Identity, Failure> {
    let approver = match key {
        Some(path) => keys::load(path)?,
        None => keys::approver(home)?,
    };
    if config.approvers.contains(&approver.public()) {
        return Ok(approver);
    }
    Err(Failure::refused(format!(
        "the key {} is no approver of this node; the approvers are in {}: give one of their keys with --key",
        approver.public(),
        home.config().display()
    )))
}
