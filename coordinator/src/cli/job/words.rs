//! A job in plain words: plan, cost, and who will learn what and what not. Pure, so that a test can read it too.

use std::fmt::Write;
use std::time::Duration;

use banyan_proto::canonical::Canonical;
use banyan_proto::grant::{Grant, Scenario};
use banyan_proto::job::validate::{all_together, together};
use banyan_proto::job::{Duplicates, Expected, Line, Normalise, PartySpec, Plan, ResultKind, Spec, SpecError, Task};
use banyan_protocols::CATALOGUE;
use banyan_protocols::catalogue::Learns;
use banyan_protocols::party::{PartyId, Role};
use serde_json::{Value, json};

use crate::cli::text::{bytes, grouped, list, plain, span, table};

/// The networks that time is expected for, with their names for programs and for people: two that people know, and the
/// one that the job declares.
fn networks(spec: &Spec) -> [(&'static str, String, Line); 3] {
    let network = &spec.network;
    let declared = format!("as the job declares ({} Mbit/s, {} ms)", network.bandwidth_mbps, network.rtt_ms);
    [
        ("lan", "in one building (1 Gbit/s, 0.2 ms)".into(), Line::LAN),
        ("wan", "across a city (100 Mbit/s, 20 ms)".into(), Line::WAN),
        ("declared", declared, network.line()),
    ]
}

/// The whole job for people.
///
/// # Errors
/// [`SpecError`] where no plan follows from the spec in this build.
pub(crate) fn explain(spec: &Spec, plan: &Plan) -> Result<String, SpecError> {
    let mut out = String::new();
    line(&mut out, "job", &format!("{}  {}", spec.name, spec.digest()));
    line(&mut out, "computes", &computes(spec));
    line(&mut out, "protocol", &protocol(plan));
    line(&mut out, "recipients", &list(&spec.recipients, "nobody"));
    line(&mut out, "minimum", &format!("nothing is opened below {} common rows", grouped(spec.minimum_result)));
    line(&mut out, "keys", &keys(spec));
    let limits = &spec.limits;
    line(
        &mut out,
        "limits",
        &format!("{} s from start to end, {} MiB of memory at each node", limits.deadline_s, limits.memory_mb),
    );
    for party in &spec.parties {
        line(&mut out, party.name.as_str(), &brings(party));
    }

    let _ = writeln!(out, "\nPlan {}: the same at every node, or nothing runs", plan.digest().short());
    out.push_str(&indented(&plan_table(plan)));

    out.push_str("\nTime, estimated from the plan on one core per party; reading and writing files comes on top:\n");
    for (_, name, network) in networks(spec) {
        let _ = writeln!(out, "  {name:<42} {}", in_words(plan.expect(network)));
    }

    let _ = writeln!(out, "\nWho will learn what (claim: {}):", claim(plan));
    out.push_str(&listed(&Plan::disclosures(spec, &CATALOGUE)?));
    out.push_str("\nWho will not learn what:\n");
    out.push_str(&listed(&hidden(spec, plan)?));

    out.push_str("\nThe scenario, which every party's approver signs; it covers later jobs within it too:\n");
    scenario(&mut out, &spec.scenario);
    Ok(out)
}

/// The same for programs.
///
/// # Errors
/// [`SpecError`] where no plan follows from the spec in this build.
pub(crate) fn as_json(spec: &Spec, plan: &Plan) -> Result<Value, SpecError> {
    let seconds = |us: u64| Duration::from_micros(us).as_secs_f64();
    let estimates: serde_json::Map<String, Value> = networks(spec)
        .into_iter()
        .map(|(key, _, network)| {
            let e = plan.expect(network);
            let (total, compute, wire) = (seconds(e.total_us), seconds(e.compute_us), seconds(e.wire_us));
            (key.to_owned(), json!({ "total_s": total, "compute_s": compute, "wire_s": wire }))
        })
        .collect();
    Ok(json!({
        "name": spec.name,
        "spec_digest": spec.digest(),
        "plan_digest": plan.digest(),
        "scenario_digest": spec.scenario.digest(),
        "plan": plan,
        "estimate": estimates,
        "protocol": plan.stages.first().map(|stage| &stage.protocol),
        "reason": plan.reason,
        "claim": claim(plan),
        "learns": Plan::disclosures(spec, &CATALOGUE)?,
        "hidden": hidden(spec, plan)?,
        "spec": spec,
    }))
}

/// What stays hidden, one sentence each: everything a party could learn in this operation and is not told.
///
/// # Errors
/// [`SpecError`] where the plan names a protocol that this build does not have.
pub(crate) fn hidden(spec: &Spec, plan: &Plan) -> Result<Vec<String>, SpecError> {
    let mut sentences = Vec::new();
    // the stages of a cascade differ in their key only
    for stage in plan.stages.iter().take(1) {
        let (Some(protocol), Some(roster)) = (CATALOGUE.find(stage.protocol.as_str()), stage.roster()) else {
            continue;
        };
        let disclosed = protocol.disclosures(stage.parameters()?.form);
        let told = |to: Role, what: Learns| disclosed.iter().any(|d| d.to == to && d.learns == what);
        for (party, role) in roster.iter() {
            let others: Vec<&str> = roster.holders(role.other()).map(PartyId::as_str).collect();
            let other = others.join(" or ");
            if told(role, Learns::IntersectionOfAll) {
                sentences
                    .push(format!("{party} does not learn which of its rows only some of {} have", others.join(", ")));
            }
            if told(role, Learns::Intersection) || told(role, Learns::IntersectionOfAll) {
                let but = match told(role, Learns::Changes) {
                    true => ", but about how many of them came or went since an earlier job",
                    false => "",
                };
                sentences.push(format!("{party} learns nothing of {other}'s rows that have no key among its own{but}"));
            } else if told(role, Learns::IntersectionSize) {
                sentences.push(format!("{party} does not learn which rows are common, only how many"));
            } else if told(role, Learns::Sum) {
                sentences.push(format!(
                    "{party} learns no number of a single row, and not which rows are common nor how many"
                ));
            } else {
                let least = grouped(spec.minimum_result);
                sentences.push(format!(
                    "{party} does not learn which rows are common, nor how many, but whether there are at least {least}"
                ));
            }
            if told(role, Learns::SizeBand) {
                sentences.push(format!("{party} does not learn how many rows {other} brings, only the band"));
            }
        }
    }
    let columns = spec.parties.iter().map(|p| format!("{}'s", p.name)).collect::<Vec<_>>().join(" and ");
    let cross =
        if spec.result == ResultKind::Sum { "what hides its keys and its numbers" } else { "what hides its keys" };
    sentences.push(format!("no column of {columns} crosses to the other: only {cross} does"));
    sentences.push(
        "the coordinator learns names, plan, bands, byte counts and states: no key, no row, no number of rows".into(),
    );
    Ok(sentences)
}

/// The plan as a table, a line per party.
pub(crate) fn plan_table(plan: &Plan) -> String {
    let header = ["party", "role", "padded to", "rounds", "sends", "group operations"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    let row = |buckets: u32, task: &Task| {
        let padded = match buckets {
            1 => format!("{} rows", grouped(task.band.rows())),
            _ => format!("{buckets} buckets of {} rows", grouped(task.bucket_rows)),
        };
        vec![
            task.party.to_string(),
            task.role().to_string(),
            padded,
            task.rounds.to_string(),
            bytes(task.bytes_out),
            grouped(task.group_ops),
        ]
    };
    rows.extend(
        plan.stages.iter().take(1).flat_map(|stage| stage.tasks.iter().map(move |task| row(stage.buckets, task))),
    );
    let every = match plan.stages.len() {
        0 | 1 => String::new(),
        keys => format!("the same for each of {keys} keys, one after the other\n"),
    };
    table(&rows) + &every
}

fn in_words(expected: Expected) -> String {
    let computing = expected.compute_us > expected.wire_us;
    let share = if computing { "mostly computing" } else { "mostly waiting for the network" };
    format!("about {}, {share}", span(Duration::from_micros(expected.total_us)))
}

/// What runs, and why it.
pub(crate) fn protocol(plan: &Plan) -> String {
    let name = plan.stages.first().map_or("none", |stage| stage.protocol.as_str());
    format!("{name}: {}", plan.reason)
}

fn claim(plan: &Plan) -> &'static str {
    let protocol = plan.stages.first().and_then(|stage| CATALOGUE.find(stage.protocol.as_str()));
    protocol.map_or("none", |protocol| protocol.descriptor().security)
}

fn computes(spec: &Spec) -> String {
    let told = match (spec.result, spec.recipients.len()) {
        (ResultKind::Rows, 1) => "which keys both data sets have; the recipient gets its own rows of them",
        (ResultKind::Rows, _) => "which keys both data sets have; each recipient gets its own rows of them",
        (ResultKind::Left, _) => "which keys both data sets have; a recipient gets all its own rows, flagged by it",
        (ResultKind::Difference, _) => "which keys both data sets have; a recipient gets its own rows without one",
        (ResultKind::Count, _) => "how many keys both data sets have; the recipient gets one number",
        (ResultKind::Sum, _) => "the sum of a column over the keys both data sets have; the recipient gets one number",
    };
    if spec.parties.len() == 2 { told.to_owned() } else { told.replacen("both", "all", 1) }
}

fn keys(spec: &Spec) -> String {
    let rule = match spec.normalise {
        Normalise::TrimV1 => "trim-v1: spaces around go",
        Normalise::CnIdV1 => "cn-id-v1: spaces around go, full width becomes half width, check digit X",
    };
    let twice = match spec.duplicates {
        Duplicates::Error => "a key in two rows stops the job",
        Duplicates::First => "of two rows with one key the first counts",
        Duplicates::All => "all rows of a key are found together",
    };
    format!("{rule}; {twice}; a row without a key matches nothing")
}

fn brings(party: &PartySpec) -> String {
    let filter = party.filter.as_ref().map_or_else(String::new, |filter| format!(" where {}", plain(filter)));
    let beside = match party.columns.len() {
        0 => String::new(),
        _ => format!("; wants beside the key in its own result: {}", list(&party.columns, "")),
    };
    let summed = party.sum.as_ref().map_or_else(String::new, |column| format!("; summed: {}", plain(column)));
    format!(
        "brings data set {}{filter}, matched by {}, at most {} rows{beside}{summed}",
        party.dataset,
        by_keys(party),
        grouped(party.rows_at_most)
    )
}

fn scenario(out: &mut String, scenario: &Scenario) {
    line(out, "scenario", &format!("{}  {}", scenario.name, scenario.digest()));
    line(out, "purpose", &plain(&scenario.purpose));
    let results: Vec<&str> = scenario.results.iter().map(|kind| opens(*kind)).collect();
    line(out, "may open", &format!("{} to {}", results.join(" or "), list(&scenario.recipients, "nobody")));
    line(out, "minimum", &format!("{} common rows", grouped(scenario.minimum_result)));
    line(out, "valid", &format!("{} to {}", scenario.valid_from, scenario.valid_until));
    line(out, "runs", &format!("at most {}, counted by each node for itself", scenario.runs));
    for grant in &scenario.grants {
        line(out, grant.party.as_str(), &lets_in(grant));
    }
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

/// The keys that rows are looked for by.
fn by_keys(party: &PartySpec) -> String {
    let keys: Vec<String> = party.keys().map(|key| plain(&together(key))).collect();
    keys.join(", else by ")
}

fn lets_in(grant: &Grant) -> String {
    format!(
        "lets in data set {}; as key: {}; after it: {}; in filters: {}; beside the key in its own result: {}{}",
        grant.dataset,
        list(&grant.key, "nothing"),
        plain(&all_together(&grant.else_key)),
        list(&grant.filter, "nothing"),
        list(&grant.columns, "nothing"),
        if grant.sum.is_empty() { String::new() } else { format!("; to be summed: {}", list(&grant.sum, "")) }
    )
}

fn line(out: &mut String, label: &str, text: &str) {
    let _ = writeln!(out, "  {label:<12} {text}");
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

/// Sentences as a list.
pub(crate) fn listed(sentences: &[String]) -> String {
    sentences.iter().map(|sentence| format!("  - {}\n", plain(sentence))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::check::tests::example_plan;
    use super::super::check::{EXAMPLE, parse};
    use super::*;

    #[test]
    fn the_example_is_explained_whole() {
        let (spec, plan) = example_plan();
        let text = explain(&spec, &plan).unwrap();
        for said in [
            "  job          common-customers  ",
            "receiver  32 768 rows  10",
            "bank learns which of its own rows have a key in people of bureau, if there are at least 100",
            "everyone in the job, and the coordinator, learns whether there are at least 100 common rows",
            "bureau does not learn which rows are common, nor how many, but whether there are at least 100",
            "bank does not learn how many rows bureau brings, only the band",
            "the coordinator learns names, plan",
            "valid        2026-01-01T00:00:00Z to 2028-01-01T00:00:00Z",
            "in one building (1 Gbit/s, 0.2 ms)",
            "as the job declares (1000 Mbit/s, 1 ms)",
            ": the first to be done of suite intl over 1000 Mbit/s and 1 ms round trip, as expected: ",
        ] {
            assert!(text.contains(said), "{said:?} is missing in:\n{text}");
        }
    }

    #[test]
    fn of_three_parties_each_reads_what_it_does_not_learn() {
        let (at, scenario) = (EXAMPLE.rfind("\n[[parties]]").unwrap(), EXAMPLE.find("# The scenario is").unwrap());
        let third = |text: &str| text.replace("bureau", "clinic");
        let grant = EXAMPLE.rfind("[[scenario.grants]]").unwrap();
        let (theirs, scenario) = (&EXAMPLE[at..scenario], &EXAMPLE[scenario..]);
        let job = format!("{}{theirs}{}{scenario}\n{}", &EXAMPLE[..at], third(theirs), third(&EXAMPLE[grant..]));
        let (spec, plan) = parse(&job).unwrap();
        let text = explain(&spec, &plan).unwrap();
        for said in [
            "which keys all data sets have; the recipient gets its own rows of them",
            "bank learns which of its own rows have a key in each of people of bureau and people of clinic, if there are",
            "bank does not learn which of its rows only some of bureau, clinic have",
            "bank learns nothing of bureau or clinic's rows that have no key among its own",
            "clinic does not learn how many rows bank brings, only the band",
        ] {
            assert!(text.contains(said), "{said:?} is missing in:\n{text}");
        }
    }

    #[test]
    fn what_is_learned_is_never_listed_as_hidden() {
        let both = EXAMPLE
            .replace("recipients = [\"bank\"]            #", "recipients = [\"bank\", \"bureau\"] #")
            .replace("recipients = [\"bank\"]\nminimum", "recipients = [\"bank\", \"bureau\"]\nminimum");
        let (spec, plan) = parse(&both).unwrap();
        let hidden = hidden(&spec, &plan).unwrap().join("\n");
        assert!(
            !hidden.contains("nor how many") && hidden.contains("bureau learns nothing of bank's rows"),
            "{hidden}"
        );
        let learns = as_json(&spec, &plan).unwrap()["learns"].as_array().unwrap().len();
        assert_eq!(learns, 6, "two bands, two intersections, whether there are enough, and whether a key repeats");
    }
}
