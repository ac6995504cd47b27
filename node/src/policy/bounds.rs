//! The bounds that need nobody's signature: this node's data, the time, and the scenario's own words.

use std::collections::BTreeSet;

use banyan_proto::decision::RuleId;
use banyan_proto::job::PartySpec;
use banyan_proto::job::validate::{all_together, together};
use jiff::Timestamp;

use super::{Ask, ColumnFacts, LEVEL_HIDDEN, Rules, rule};

/// Whether this node has the data, and its grades allow the use.
pub(super) fn dataset(ask: &Ask<'_>, rules: &Rules, mine: &PartySpec) -> Vec<RuleId> {
    let Some(set) = rules.datasets.iter().find(|set| set.id == mine.dataset) else {
        let known = list(rules.datasets.iter().map(|set| set.id.as_str()));
        let reason = format!("no data set {} is registered here; there are: {known}", mine.dataset);
        return vec![RuleId::new(rule::UNKNOWN_DATASET, reason)];
    };
    let find = |name: &String| set.columns.iter().find(|column| column.name == *name);
    let missing = |name: &String| {
        let known = list(set.columns.iter().map(|column| column.name.as_str()));
        RuleId::new(rule::MISSING_COLUMN, format!("data set {} has no column {name}; it has: {known}", set.id))
    };
    let hidden = |column: &ColumnFacts, used: &str| {
        let reason = format!(
            "column {} is of level {} and may not be {used}; from level {LEVEL_HIDDEN} a column may be a key and nothing \
             else",
            column.name, column.level
        );
        RuleId::new(rule::LEVEL, reason)
    };
    let used = [
        (&mine.columns[..], "in a result"),
        (mine.sum.as_slice(), "summed"),
        (ask.filter_columns, "read by a row filter"),
    ];
    let visible =
        used.iter().flat_map(|(names, used)| names.iter().filter_map(find).map(move |column| (column, *used)));
    let keys: BTreeSet<&String> = mine.keys().flatten().collect();
    let all = keys.into_iter().chain(&mine.columns).chain(&mine.sum).chain(ask.filter_columns);
    let mut because: Vec<RuleId> = all.filter(|name| find(name).is_none()).map(missing).collect();
    because
        .extend(visible.filter(|(column, _)| column.level >= LEVEL_HIDDEN).map(|(column, used)| hidden(column, used)));
    because
}

/// Whether the scenario holds now.
pub(super) fn validity(ask: &Ask<'_>, now: Timestamp) -> Option<RuleId> {
    let scenario = &ask.spec.scenario;
    if now < scenario.valid_from.0 {
        let reason = format!("scenario {} is valid from {}, it is {now}", scenario.name, scenario.valid_from);
        return Some(RuleId::new(rule::SCENARIO_NOT_YET_VALID, reason));
    }
    if now > scenario.valid_until.0 {
        let until = scenario.valid_until;
        let reason = format!("scenario {} was valid until {until}, it is {now}; propose a new one", scenario.name);
        return Some(RuleId::new(rule::SCENARIO_EXPIRED, reason));
    }
    None
}

/// Whether the job stays within what its scenario says, whoever parsed it before.
pub(super) fn scenario(ask: &Ask<'_>, mine: &PartySpec) -> Vec<RuleId> {
    let (spec, scenario) = (ask.spec, &ask.spec.scenario);
    let mut because = Vec::new();
    for recipient in &spec.recipients {
        if spec.party(recipient).is_none() || !scenario.recipients.contains(recipient) {
            let allowed = list(scenario.recipients.iter().map(|party| party.as_str()));
            let reason =
                format!("{recipient} may not receive a result of scenario {}; allowed: {allowed}", scenario.name);
            because.push(RuleId::new(rule::RECIPIENT, reason));
        }
    }
    if !scenario.operations.contains(&spec.operation) || !scenario.results.contains(&spec.result) {
        let reason = format!(
            "scenario {} allows {} with results {}, not {} with {}",
            scenario.name,
            list(scenario.operations.iter().map(|operation| operation.name())),
            list(scenario.results.iter().map(|kind| kind.name())),
            spec.operation.name(),
            spec.result.name()
        );
        because.push(RuleId::new(rule::OPERATION, reason));
    }
    because.extend(grant(ask, mine));
    if spec.minimum_result < scenario.minimum_result {
        let (asked, least) = (spec.minimum_result, scenario.minimum_result);
        let reason = format!("results from {asked} rows are asked for; the scenario opens none below {least}");
        because.push(RuleId::new(rule::MINIMUM_RESULT, reason));
    }
    because
}

/// Whether a party that is no Banyan node is where it may be. Such a party has no node that would hold it to a minimum: where
/// it alone receives, nothing does.
pub(super) fn interop(ask: &Ask<'_>, mine: &PartySpec) -> Option<RuleId> {
    let spec = ask.spec;
    let deny = |reason: String| Some(RuleId::new(rule::INTEROP, reason));
    match (spec.is_interop(), ask.interop) {
        (false, false) => return None,
        (false, true) => {
            return deny(format!(
                "protocol {} is between Banyan nodes: propose the job to a coordinator",
                spec.protocol
            ));
        }
        (true, false) => {
            return deny(format!(
                "protocol {} is with a party that is no Banyan node: this node's people run it, with `banyan-node interop run`",
                spec.protocol
            ));
        }
        (true, true) => {}
    }
    let scenario = &spec.scenario;
    if !scenario.grant(ask.me, mine.dataset.as_str()).is_some_and(|grant| grant.interop) {
        let (name, set) = (&scenario.name, &mine.dataset);
        return deny(format!(
            "scenario {name} does not let data set {set} go to a party of the interconnection standard"
        ));
    }
    if spec.minimum_result > 1 && !spec.recipients.contains(ask.me) {
        return deny(format!(
            "a minimum of {} rows is asked for, and a party of the interconnection standard that receives alone keeps none; \
             receive the rows too, or ask for a scenario without a minimum",
            spec.minimum_result
        ));
    }
    None
}

fn grant(ask: &Ask<'_>, mine: &PartySpec) -> Vec<RuleId> {
    let scenario = &ask.spec.scenario;
    let Some(grant) = scenario.grant(ask.me, mine.dataset.as_str()) else {
        let reason = format!("scenario {} grants no data set {} of {}", scenario.name, mine.dataset, ask.me);
        return vec![RuleId::new(rule::OUTSIDE_GRANT, reason)];
    };
    let uses = [
        (&mine.key[..], &grant.key, "as a key"),
        (ask.filter_columns, &grant.filter, "in a row filter"),
        (&mine.columns[..], &grant.columns, "in a result"),
        (mine.sum.as_slice(), &grant.sum, "to be summed"),
    ];
    let outside = uses.iter().flat_map(|(used, granted, how)| {
        used.iter().filter(|column| !granted.contains(column)).map(move |column| {
            let granted = list(granted.iter().map(String::as_str));
            let reason = format!("the scenario does not grant column {column} {how}; granted: {granted}");
            RuleId::new(rule::OUTSIDE_GRANT, reason)
        })
    });
    let later = mine.else_key.iter().filter(|key| !grant.else_key.contains(key)).map(|key| {
        let (key, granted) = (together(key), all_together(&grant.else_key));
        let reason = format!("the scenario does not grant {key} as a key after the first; granted: {granted}");
        RuleId::new(rule::OUTSIDE_GRANT, reason)
    });
    outside.chain(later).collect()
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}
