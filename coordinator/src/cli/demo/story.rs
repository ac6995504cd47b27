//! The demo in words: the question, what each side learned, what it did not, and the evidence.

use std::fmt::Write;

use banyan_proto::job::{Plan, Spec};
use banyan_protocols::CATALOGUE;
use serde_json::{Value, json};

use super::Shown;
use crate::cli::job::words::{hidden, listed, protocol};
use crate::cli::local::{as_json as run_as_json, proven};
use crate::cli::text::{bytes, grouped, span};

/// The question.
pub(super) fn before(spec: &Spec) -> String {
    let parties: Vec<&str> = spec.parties.iter().map(|party| party.name.as_str()).collect();
    format!(
        "\
A bank and a public credit bureau want to build a credit model together. First they need to know which clients both of
them have. The bank may not show its client list, the bureau may not show its register, and neither trusts a third
party with both.

  {bank:<8} 27 000 clients: id, credit limit, bills, payments, who defaulted
  {bureau:<8} 27 000 people: id, sex, education, age, months of delay

Now one coordinator, a node for {bank} and a node for {bureau} start as processes of their own on this machine. Each has
its own keys; they talk over TLS with keys pinned by fingerprint; an approver at each signs what may be computed, for
what, until when. The job file is examples/data/default_credit/job.toml.
",
        bank = parties[0],
        bureau = parties[1],
    )
}

/// What happened.
pub(super) fn after(shown: &Shown) -> String {
    let mut out = String::new();
    for party in &shown.spec.parties {
        let (learned, not) = (learned(shown, party.name.as_str()), not_learned(shown, party.name.as_str()));
        let _ = write!(out, "{} learned\n{}", party.name, listed(&learned));
        if learned.last().is_some_and(|line| line.ends_with(':')) {
            let _ = writeln!(out, "      {}", shown.head.join("\n      "));
        }
        let _ = write!(out, "{} did not learn\n{}\n", party.name, listed(&not));
    }
    let _ = write!(out, "The coordinator learned\n{}\n", listed(&[COORDINATOR.to_owned()]));
    let _ = write!(out, "Evidence\n{}", listed(&evidence(shown)));
    let _ = write!(out, "\nTook {}. ", span(shown.done.total));
    out.push_str(match &shown.kept {
        Some(_) => "Results and manifests are in the directory you named.\n",
        None => "Everything was thrown away; `banyan demo --out DIR` keeps results and manifests.\n",
    });
    out.push_str(NEXT);
    out
}

const COORDINATOR: &str = "who computed what with whom, when, under which scenario, size bands and byte counts, and that there \
                           were enough common rows; no id, no row, no number of rows";

const NEXT: &str = "
Next
  banyan job check --example > job.toml      a job file of your own, with a comment at every field
  banyan local job.toml --data … --out …     your own files, the same way
  README.md                                  the same between two machines
";

/// The same for programs.
pub(super) fn as_json(shown: &Shown) -> Value {
    let party = |party: &banyan_proto::job::PartySpec| {
        let name = party.name.as_str();
        json!({ "name": name, "learned": learned(shown, name), "did_not_learn": not_learned(shown, name) })
    };
    json!({
        "correct": shown.correct,
        "expected": shown.expected,
        "story": shown.spec.parties.iter().map(party).collect::<Vec<_>>(),
        "evidence": evidence(shown),
        "run": run_as_json(&shown.done),
    })
}

fn learned(shown: &Shown, party: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let matches = shown.done.outputs.iter().find(|output| output.party.as_str() == party);
    if let Some(matches) = matches.and_then(|output| output.manifest.matches) {
        lines.push(format!(
            "which {} of its own 27 000 clients the other knows too, and has them as a table:",
            grouped(matches)
        ));
    }
    // the plan's own sentences, so that the story says no more and no less than the approver read
    let sentences = Plan::disclosures(&shown.spec, &CATALOGUE).unwrap_or_default();
    let prefix = format!("{party} learns that ");
    let bands =
        sentences.iter().filter_map(|sentence| sentence.strip_prefix(&prefix)).map(|band| format!("that {band}"));
    // a result was released: so there were
    let enough = sentences.iter().filter_map(|sentence| sentence.split_once(", learns whether "));
    let enough = enough.map(|(_, rest)| format!("that {rest}"));
    lines.splice(0..0, bands.chain(enough));
    lines
}

fn not_learned(shown: &Shown, party: &str) -> Vec<String> {
    let sentences = hidden(&shown.spec, &shown.done.plan).unwrap_or_default();
    let (learns_nothing, does_not) = (format!("{party} learns nothing of "), format!("{party} does not learn "));
    let mut lines: Vec<String> = sentences
        .iter()
        .filter_map(|sentence| {
            let rest = sentence.strip_prefix(&learns_nothing).map(|rest| format!("anything of {rest}"));
            rest.or_else(|| sentence.strip_prefix(&does_not).map(str::to_owned))
        })
        .collect();
    lines.push("any column of the other".into());
    lines
}

fn evidence(shown: &Shown) -> Vec<String> {
    let mut lines = Vec::new();
    let sum = grouped(shown.expected);
    lines.push(if shown.correct {
        format!("right: the result has exactly the {sum} ids of a plain join, which only a demo can make")
    } else {
        format!("WRONG: the result is not the {sum} ids of a plain join; please report it with this output")
    });
    lines.push(format!("the plan took protocol {}", protocol(&shown.done.plan)));
    for task in shown.done.plan.stages.iter().flat_map(|stage| &stage.tasks) {
        let Some(output) = shown.done.outputs.iter().find(|output| output.party == task.party) else { continue };
        let sent = output.manifest.metrics.bytes_out;
        let as_planned =
            if sent == task.bytes_out { "to the byte what the plan said" } else { "not what the plan said" };
        lines.push(format!(
            "{} sent {} that hide its keys, in {} rounds, {as_planned}",
            task.party,
            bytes(sent),
            task.rounds
        ));
    }
    lines.extend(proven(&shown.done));
    lines
}
