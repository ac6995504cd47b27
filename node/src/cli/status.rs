//! `banyan-node status`: who this node is, whether its daemon runs, its jobs, budgets and peers.

use std::path::PathBuf;

use crate::admin::Snapshot;
use crate::audit;
use crate::config::{Config, Home};
use crate::jobs::epochs::{self, Label};
use crate::keys;
use crate::store::{Attempt, Ending, Store};
use banyan_proto::audit::Act;
use banyan_proto::canonical::Canonical;
use banyan_proto::job::When;
use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::answer::{Answer, Failure};
use super::offers::{self, Read};
use super::text::{bytes, grouped, plain, row, table};
use super::{daemon, words};

/// See who this node is, whether the daemon runs, and where its jobs, budgets and peers stand
///
/// Answers 0 also where the daemon does not run: what is in the home is shown all the same.
#[derive(Args)]
#[command(after_help = "\
Examples:
  banyan-node status
  banyan-node --json status | jq .daemon.not_ready")]
pub(crate) struct Status {}

impl Status {
    pub(crate) fn run(self, home: &Home) -> Result<Answer, Failure> {
        let config = Config::load(home)?;
        let me = keys::identity(home)?.public();
        let store = Store::open(home)?;
        let daemon = daemon::ask(home);
        let offers = offers::all(&store)?;
        let (jobs_text, jobs) = jobs(home, &store, &offers.read)?;
        let (budgets_text, budgets) = budgets(home, &store, &offers.read)?;
        let (epochs_text, epochs) = epochs(home, &config, &store)?;
        let halted = store.halted()?;
        let peers: Vec<String> = store.peers()?.iter().map(|peer| peer.name.to_string()).collect();

        let mut text = format!("{} {}\n", config.name, me.fingerprint());
        text.push_str(&format!("daemon  {}\n", daemon.as_ref().map_or("does not run".to_owned(), running)));
        if let Some(halt) = &halted {
            text.push_str(&format!("halted  everything, since {}: {}\n", halt.since, plain(&halt.reason)));
        }
        let peers_text = if peers.is_empty() { "none pinned".to_owned() } else { peers.join(", ") };
        let waiting: Vec<String> = store.introductions()?.iter().map(|peer| peer.name.to_string()).collect();
        let waiting: Vec<String> = waiting.into_iter().filter(|name| !peers.contains(name)).collect();
        text.push_str(&format!("peers   {peers_text}\n"));
        if !waiting.is_empty() {
            let names = waiting.join(", ");
            text.push_str(&format!(
                "        introduced, not confirmed: {names} (`banyan-node peer confirm NAME FINGERPRINT`)\n"
            ));
        }
        text.push_str(&format!("{jobs_text}{}{budgets_text}{epochs_text}", offers.passed_over()));
        let object = json!({
            "name": config.name,
            "key": me,
            "fingerprint": me.fingerprint(),
            "daemon": daemon,
            "halted": halted.map(|halt| json!({ "since": halt.since, "reason": halt.reason })),
            "peers": peers,
            "introduced": waiting,
            "jobs": jobs,
            "unreadable": offers.unreadable(),
            "budgets": budgets,
            "epochs": epochs,
        });
        Ok(Answer::yes(text, object))
    }
}

fn running(daemon: &Snapshot) -> String {
    let mut text = format!("runs since {} s, process {}", daemon.uptime_s, daemon.pid);
    if daemon.not_ready.is_empty() {
        text.push_str(", ready");
    }
    for (service, reason) in &daemon.not_ready {
        text.push_str(&format!("\n        not ready: {service}: {}", plain(reason)));
    }
    text
}

fn jobs(home: &Home, store: &Store, reads: &[Read]) -> Result<(String, Vec<Value>), Failure> {
    let mut rows = vec![row(["JOB", "DIGEST", "STANDING", "ATTEMPT", "PHASE", "DONE", "SENT"])];
    let mut jobs = Vec::new();
    let mut any_result = false;
    for read in reads {
        let attempts = store.attempts(&read.offer.job)?;
        let (standing, _) = read.standing();
        let (number, phase, done, sent) = attempts.last().map_or_else(Default::default, |last| {
            let progress = &last.progress;
            (last.attempt.to_string(), ending(last), percent(progress.done, progress.total), bytes(progress.bytes))
        });
        rows.push(row([read.spec.name.as_str(), &read.offer.job.short(), standing, &number, &phase, &done, &sent]));
        let result = |number| home.result(&read.spec.name, &read.offer.job, number);
        let there = |attempt: &Attempt| Some(result(attempt.attempt)).filter(|dir| dir.is_dir());
        let attempts: Vec<Value> = attempts.iter().map(|one| attempt(one, there(one))).collect();
        any_result |= attempts.iter().any(|one| !one["result"].is_null());
        jobs.push(json!({
            "name": read.spec.name,
            "job": read.offer.job,
            "standing": standing,
            "attempts": attempts,
        }));
    }
    let mut text = if jobs.is_empty() { "jobs    none offered\n".to_owned() } else { format!("\n{}", table(&rows)) };
    if any_result {
        text.push_str(&format!("Results and manifests lie under {}\n", home.results().display()));
    }
    Ok((text, jobs))
}

fn attempt(attempt: &Attempt, result: Option<PathBuf>) -> Value {
    let (state, code, reason) = match &attempt.ending {
        None => ("under-way", None, None),
        Some(Ending::Completed) => ("completed", None, None),
        Some(Ending::Failed { code, reason }) => ("failed", Some(code), Some(reason)),
    };
    json!({
        "attempt": attempt.attempt,
        "state": state,
        "phase": attempt.phase.as_str(),
        "code": code,
        "reason": reason,
        "begun": attempt.begun,
        "changed": attempt.changed,
        "done": attempt.progress.done,
        "total": attempt.progress.total,
        "bytes_out": attempt.progress.bytes,
        "result": result,
    })
}

fn ending(attempt: &Attempt) -> String {
    match &attempt.ending {
        None => attempt.phase.as_str().to_owned(),
        Some(Ending::Completed) => "completed".to_owned(),
        Some(Ending::Failed { code, .. }) => format!("failed ({})", plain(code)),
    }
}

fn percent(done: u64, total: u64) -> String {
    if total == 0 { String::new() } else { format!("{} %", u128::from(done) * 100 / u128::from(total)) }
}

/// One line for each prepared set, with how many answers it gave, and for each set of tags that is kept.
fn epochs(home: &Home, config: &Config, store: &Store) -> Result<(String, Vec<Value>), Failure> {
    let labels = epochs::labels(&home.epochs()).map_err(|error| Failure::not_now(format!("the epochs: {error}")))?;
    let since_s = Timestamp::now().as_second() - i64::from(config.epoch_s);
    let mut rows = vec![row(["KEPT", "SCENARIO", "DATA SET", "WITH", "ENDS", "ANSWERED"])];
    let mut epochs = Vec::new();
    for (_, Label { of, scenario, ends }) in labels {
        let mine = of.sender == config.name;
        let (kept, with) = if mine { ("prepared", &of.receiver) } else { ("tags", &of.sender) };
        let answered = match mine {
            true => Some(store.answered(&of.scenario, &of.receiver, since_s)?),
            false => None,
        };
        let max = config.answers_per_epoch;
        let of_max = answered.map_or_else(String::new, |n| format!("{} of {}", grouped(n), grouped(max)));
        rows.push(row([kept, scenario.as_str(), of.dataset.as_str(), with.as_str(), &ends.to_string(), &of_max]));
        epochs.push(json!({
            "kept": kept,
            "scenario": of.scenario,
            "dataset": of.dataset,
            "key": of.key,
            "with": with,
            "ends": ends,
            "answered": answered,
            "answers_at_most": answered.map(|_| max),
        }));
    }
    Ok((if epochs.is_empty() { String::new() } else { format!("\n{}", table(&rows)) }, epochs))
}

/// One line per scenario: what is spent of it, by the store or the log, whichever has more, as the policy counts.
fn budgets(home: &Home, store: &Store, reads: &[Read]) -> Result<(String, Vec<Value>), Failure> {
    // a log that cannot be read stops every job, and `check` says so; what the store has is shown all the same
    let log = audit::records(&home.audit()).unwrap_or_default();
    let logged = |scenario| log.iter().filter(|record| record.act == Act::Spend && record.subject == scenario).count();
    let now = When(Timestamp::now());
    let mut rows = vec![row(["SCENARIO", "DIGEST", "RUNS SPENT", "VALID UNTIL", "STANDS"])];
    let mut budgets: Vec<Value> = Vec::new();
    let mut seen = Vec::new();
    for scenario in reads.iter().map(|read| &read.spec.scenario) {
        let digest = scenario.digest();
        if seen.contains(&digest) {
            continue;
        }
        seen.push(digest);
        let spent = u64::from(store.runs_spent(&digest)?).max(logged(digest) as u64);
        let stands = if store.revoked(&digest)? { "ended here" } else { words::standing(scenario, now) };
        let runs = format!("{} of {}", grouped(spent), grouped(u64::from(scenario.runs)));
        let until = scenario.valid_until.to_string();
        rows.push(row([scenario.name.as_str(), &digest.short(), &runs, &until, stands]));
        budgets.push(json!({
            "name": scenario.name,
            "scenario": digest,
            "runs": scenario.runs,
            "spent": spent,
            "valid_from": scenario.valid_from,
            "valid_until": scenario.valid_until,
            "stands": stands,
        }));
    }
    Ok((if budgets.is_empty() { String::new() } else { format!("\n{}", table(&rows)) }, budgets))
}
