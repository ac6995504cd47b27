//! A finished local run, for people and for programs.

use std::fmt::Write;

use serde_json::{Value, json};

use super::outputs::Output;
use super::run::Done;
use crate::cli::text::{grouped, span};

/// For people.
pub(crate) fn told(done: &Done) -> String {
    let mut out = format!("released: {}  {}\n", done.job.spec.name, done.job.digest);
    for output in &done.outputs {
        let _ = writeln!(out, "  {:<10} {}", output.party.as_str(), got(output));
    }
    let _ = writeln!(out, "evidence:");
    for line in proven(done) {
        let _ = writeln!(out, "  - {line}");
    }
    let _ = writeln!(
        out,
        "took {}: {} to set up processes, keys and approvals, {} from admission to release",
        span(done.total),
        span(done.setup),
        span(done.run)
    );
    out
}

/// What was verified, one sentence each.
pub(crate) fn proven(done: &Done) -> Vec<String> {
    let evidence = &done.evidence;
    let signers: Vec<&str> = evidence.signers.iter().map(|party| party.as_str()).collect();
    let mut lines = vec![format!(
        "{} signed one commitment to inputs and result before anything was opened: {}",
        signers.join(" and "),
        banyan_proto::canonical::Canonical::digest(&evidence.commitment).short()
    )];
    lines.extend(evidence.receipts.iter().map(|receipt| {
        format!(
            "{} keeps {}'s signed word on its log up to record {}: {} cannot rewrite it",
            receipt.holder, receipt.of, receipt.size, receipt.of
        )
    }));
    lines.extend(done.logs.iter().map(|log| {
        format!("the log of {} holds, offline and against that word: {} records", log.party, grouped(log.records))
    }));
    lines
}

/// For programs.
pub(crate) fn as_json(done: &Done) -> Value {
    let party = |output: &Output| {
        json!({
            "name": output.party,
            "result": output.file(),
            "manifest": output.dir.join("manifest.json"),
            "matches": output.manifest.matches,
            "metrics": output.manifest.metrics,
            "log": done.logs.iter().find(|log| log.party == output.party).map(|log| &log.answer),
        })
    };
    json!({
        "job": done.job.digest,
        "name": done.job.spec.name,
        "state": done.job.state,
        "attempt": done.job.attempt,
        "matches": done.evidence.matches,
        "commitment": banyan_proto::canonical::Canonical::digest(&done.evidence.commitment),
        "proven": proven(done),
        "parties": done.outputs.iter().map(party).collect::<Vec<_>>(),
        "setup_s": done.setup.as_secs_f64(),
        "run_s": done.run.as_secs_f64(),
        "total_s": done.total.as_secs_f64(),
    })
}

fn got(output: &Output) -> String {
    match (output.file(), output.manifest.matches) {
        (Some(file), Some(matches)) => format!("{} common keys; its result is {}", grouped(matches), file.display()),
        (Some(file), None) => format!("its result in {}", file.display()),
        (None, Some(matches)) => format!("learned that {} keys are common", grouped(matches)),
        (None, None) => "received nothing, as agreed".to_owned(),
    }
}
