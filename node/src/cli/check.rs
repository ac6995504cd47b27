//! `banyan-node check`: a doctor. Looks at everything a job will need, and says what to do where something is missing.

mod files;
mod line;
mod machine;
mod network;

use crate::admin::Snapshot;
use crate::config::{Config, Home};
use crate::jobs::ATTEMPTS_MAX;
use crate::keys;
use crate::store::Store;
use banyan_proto::identity::Identity;
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::answer::{Answer, Failure};
use super::daemon;
use line::Line;

/// Look at everything that a job needs, and say what is missing
///
/// Home, keys, ports, processor, memory, disk, clock, data sets, peers, coordinator, audit log: each line is ✓ in order,
/// ✗ not in order with what to do about it, or · worth knowing. Answers 1 where any line is ✗.
#[derive(Args)]
#[command(after_help = "\
Examples:
  banyan-node check
  banyan-node --json check | jq '.checks[] | select(.verdict == \"bad\")'")]
pub(crate) struct Check {}

impl Check {
    pub(crate) fn run(self, home: &Home) -> Result<Answer, Failure> {
        let mut lines = vec![files::home(home)];
        match Config::load(home) {
            Ok(config) => lines.extend(examine(home, &config)),
            Err(error) => lines.push(Line::bad("config", error.to_string(), "everything else waits for it")),
        }
        Ok(answer(&lines))
    }
}

fn examine(home: &Home, config: &Config) -> Vec<Line> {
    let daemon = daemon::ask(home);
    let me = keys::identity(home);
    let mut lines = vec![
        Line::good("config", format!("this node is {}", config.name)),
        files::identity(&me),
        files::approver(home, config),
        network::daemon(daemon.as_ref()),
        network::listen(config, daemon.as_ref()),
        network::url(config),
        network::admin(config, daemon.as_ref()),
        machine::processor(),
        machine::memory(config.memory_mb.into(), ATTEMPTS_MAX as u64),
        machine::disk(home.root()),
    ];
    let (audit, last_record) = files::audit(home, me.as_ref().ok());
    let (data, catalogue) = files::data(home, config);
    let (coordinator, ahead) = reach(config, me.as_ref().ok(), daemon.as_ref(), catalogue);
    lines.extend([coordinator, machine::clock(Timestamp::now(), last_record, ahead)]);
    lines.extend(data);
    match Store::open(home) {
        Ok(store) => lines.extend(network::peers(&store, me.as_ref().ok())),
        Err(error) => lines.push(Line::bad("state", error.to_string(), "no job can run without it")),
    }
    lines.push(audit);
    lines
}

/// The coordinator, by the daemon's word where one runs, else by a greeting of our own.
fn reach(
    config: &Config,
    me: Option<&Identity>,
    daemon: Option<&Snapshot>,
    catalogue: Vec<u8>,
) -> (Line, Option<SignedDuration>) {
    match (&config.coordinator, daemon, me) {
        (None, ..) => {
            (Line::note("coordinator", "none yet: ask the operator for an invite, then `banyan-node join TOKEN`"), None)
        }
        (Some(_), Some(daemon), _) => {
            (network::attended(daemon), daemon.clock_ahead_ms.map(SignedDuration::from_millis))
        }
        (Some(_), None, None) => (Line::note("coordinator", "unknown: this node has no key to show it"), None),
        (Some(coordinator), None, Some(me)) => network::greet(config, coordinator, me, catalogue),
    }
}

fn answer(lines: &[Line]) -> Answer {
    let bad = lines.iter().filter(|line| line.is_bad()).count();
    let mut text: String = lines.iter().map(Line::text).collect();
    let checks: Vec<Value> = lines.iter().map(Line::json).collect();
    let object = json!({ "bad": bad, "checks": checks });
    match bad {
        0 => {
            text.push_str("\nall in order\n");
            Answer::yes(text, object)
        }
        _ => {
            text.push_str(&format!("\nnot in order: {bad}\n"));
            Answer::no(text, object)
        }
    }
}
