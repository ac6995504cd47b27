//! A job in plain words: what an approver reads before signing. Pure, so that a test can read it too.

use banyan_proto::canonical::Canonical;
use banyan_proto::grant::{Grant, Scenario};
use banyan_proto::job::validate::{all_together, together};
use banyan_proto::job::{Band, Duplicates, Normalise, PartySpec, Plan, ResultKind, Spec, SpecError, When};
use banyan_protocols::catalogue::Catalogue;
use banyan_protocols::party::PartyId;
use std::fmt::Write;

use super::text::{bytes, grouped, list, plain};

/// The whole of `spec`, as seen by `me`: what would be computed now, what an approval would allow from now on, and who
/// would learn what.
///
/// # Errors
/// [`SpecError`] where no plan follows from the spec in this build.
pub(crate) fn job(spec: &Spec, me: &PartyId, catalogue: &Catalogue, now: When) -> Result<String, SpecError> {
    let plan = Plan::derive(spec, catalogue)?;
    let mut out = String::new();
    line(&mut out, "job", &format!("{}  {}", spec.name, spec.digest()));
    line(&mut out, "purpose", &plain(&spec.scenario.purpose));
    line(&mut out, "computes", &computes(spec));
    if let Some(stage) = plan.stages.first() {
        line(&mut out, "protocol", &format!("{}: {}", stage.protocol, plan.reason));
    }
    let used = plan.stages.first().and_then(|stage| catalogue.find(stage.protocol.as_str()));
    line(&mut out, "security", used.map_or("unknown", |protocol| protocol.descriptor().security));
    line(&mut out, "recipients", &list(&spec.recipients, "nobody"));
    line(&mut out, "minimum", &format!("nothing is opened below {} common rows", grouped(spec.minimum_result)));
    line(&mut out, "keys", &keys(spec.normalise, spec.duplicates));
    line(
        &mut out,
        "limits",
        &format!(
            "{} s from start to end, {} MiB of memory at each node",
            spec.limits.deadline_s, spec.limits.memory_mb
        ),
    );
    for party in &spec.parties {
        line(&mut out, if party.name == *me { "you bring" } else { "they bring" }, &brings(party));
    }
    for task in plan.stages.iter().flat_map(|stage| &stage.tasks) {
        line(&mut out, "cost", &format!("{} sends {} in {} rounds", task.party, bytes(task.bytes_out), task.rounds));
    }
    out.push_str("\nWho learns what, under the claim of this protocol, and nothing else:\n");
    for sentence in Plan::disclosures(spec, catalogue)? {
        let _ = writeln!(out, "  - {}", plain(&sentence));
    }
    out.push_str("\nAn approval covers every job within this scenario, until it ends:\n");
    scenario(&mut out, &spec.scenario, me, now);
    Ok(out)
}

fn scenario(out: &mut String, scenario: &Scenario, me: &PartyId, now: When) {
    line(out, "scenario", &format!("{}  {}", scenario.name, scenario.digest()));
    let results: Vec<&str> = scenario.results.iter().map(|kind| opens(*kind)).collect();
    line(out, "may open", &results.join(" or "));
    line(out, "to", &list(&scenario.recipients, "nobody"));
    line(out, "minimum", &format!("{} common rows", grouped(scenario.minimum_result)));
    line(out, "valid", &format!("{} to {} ({})", scenario.valid_from, scenario.valid_until, standing(scenario, now)));
    line(out, "runs", &format!("at most {}", scenario.runs));
    for grant in &scenario.grants {
        line(out, if grant.party == *me { "you let in" } else { "they let in" }, &lets_in(grant));
    }
}

/// Where `now` stands in the validity of a scenario.
pub(crate) fn standing(scenario: &Scenario, now: When) -> &'static str {
    if now < scenario.valid_from {
        "not yet valid"
    } else if now > scenario.valid_until {
        "expired"
    } else {
        "valid now"
    }
}

fn computes(spec: &Spec) -> String {
    let told = match spec.result {
        ResultKind::Rows => "which keys both data sets have, opened as the recipient's own rows",
        ResultKind::Left => "which keys both data sets have, opened as a flag on each of the recipient's own rows",
        ResultKind::Difference => "which keys both data sets have, opened as the recipient's own rows without one",
        ResultKind::Count => "how many keys both data sets have, opened as one number",
        ResultKind::Sum => "the sum of one party's column over the keys both data sets have, opened as one number",
    };
    if spec.parties.len() == 2 { told.to_owned() } else { told.replacen("both", "all", 1) }
}

fn opens(kind: ResultKind) -> &'static str {
    match kind {
        ResultKind::Rows => "a recipient's own common rows",
        ResultKind::Left => "all of a recipient's own rows, flagged",
        ResultKind::Difference => "a recipient's own rows that are not common",
        ResultKind::Count => "one count",
        ResultKind::Sum => "one sum",
    }
}

fn keys(normalise: Normalise, duplicates: Duplicates) -> String {
    let rule = match normalise {
        Normalise::TrimV1 => "trim-v1: spaces around go",
        Normalise::CnIdV1 => "cn-id-v1: spaces around go, full width becomes half width, check digit X",
    };
    let twice = match duplicates {
        Duplicates::Error => "a key in two rows stops the job",
        Duplicates::First => "of two rows with one key the first counts",
        Duplicates::All => "all rows of a key are found together",
    };
    format!("{rule}; {twice}; a row without a key matches nothing")
}

/// The rows are those of the band: that many pass, and are padded to.
fn brings(party: &PartySpec) -> String {
    let filter = party.filter.as_ref().map_or("all rows".to_owned(), |filter| format!("rows where {}", plain(filter)));
    format!(
        "{}: data set {}, matched by {}, {filter}, at most {} rows; beside the key in its own result: {}{}",
        party.name,
        party.dataset,
        by_keys(party),
        grouped(Band::covering(party.rows_at_most).rows()),
        list(&party.columns, "nothing"),
        party.sum.as_ref().map_or_else(String::new, |column| format!("; summed: {}", plain(column))),
    )
}

/// The keys that rows are looked for by.
fn by_keys(party: &PartySpec) -> String {
    let keys: Vec<String> = party.keys().map(|key| plain(&together(key))).collect();
    keys.join(", else by ")
}

fn lets_in(grant: &Grant) -> String {
    let interop = match grant.interop {
        true => {
            "; its keys may go to a party that is no Banyan node, under the interconnection standard's security, not Banyan's"
        }
        false => "",
    };
    format!(
        "{}: data set {}; as key: {}; after it: {}; in filters: {}; beside the key in its own result: {}{}{interop}",
        grant.party,
        grant.dataset,
        list(&grant.key, "nothing"),
        plain(&all_together(&grant.else_key)),
        list(&grant.filter, "nothing"),
        list(&grant.columns, "nothing"),
        if grant.sum.is_empty() { String::new() } else { format!("; to be summed: {}", list(&grant.sum, "")) },
    )
}

fn line(out: &mut String, label: &str, text: &str) {
    let _ = writeln!(out, "  {label:<12} {text}");
}
