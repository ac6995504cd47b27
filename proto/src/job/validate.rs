//! The checks of a spec that need no node: every one names the field, the reason and what would be right.

use std::collections::BTreeSet;

use banyan_protocols::party::PartyId;
use banyan_protocols::psi::circuit;
use banyan_protocols::psi::interop::Interop;

use super::BUCKETS_MAX;
use super::spec::{PartySpec, ResultKind, Spec, SpecError};
use crate::grant::{Grant, Scenario};

/// Rows of one party in one job: the largest band of every protocol, so that no approved job fails on its size after its
/// run was spent. A job above it is split by its owner.
pub const ROWS_MAX: u64 = banyan_protocols::psi::ecdh::BAND_MAX;
/// Parties of one job. A protocol has at most three steps open at once with each other party, and the line to the relay,
/// which all of them may share, carries 15.
pub const PARTIES_MAX: usize = 6;
/// Columns in one list of a spec.
pub const COLUMNS_MAX: usize = 64;
/// Keys after the first: each is a protocol run of its own over all rows.
pub const ELSE_KEYS_MAX: usize = 4;
/// The largest number in a summed column: as many as the largest sum is over add up to less than 2^63. The same for every
/// job, and for every row of the file, since whoever writes a job must not steer which numbers make it fail.
pub const NUMBER_MAX: u64 = (1 << 41) - 1;

const _: () = assert!(NUMBER_MAX <= i64::MAX as u64 / circuit::BAND_MAX);

/// Bytes of a column name, a filter or a purpose.
pub const TEXT_MAX: usize = 4096;
/// The longest deadline: a week.
pub const DEADLINE_S_MAX: u32 = 7 * 24 * 3600;
/// The widest line a job may declare: a terabit.
pub const BANDWIDTH_MBPS_MAX: u32 = 1_000_000;
/// The longest round trip a job may declare: a minute.
pub const RTT_MS_MAX: u32 = 60_000;
/// The longest an authorisation may last: five years, the longest term in the regulations (yangzhou 8, nanjing 12).
pub const VALIDITY_DAYS_MAX: i64 = 5 * 366;

impl Spec {
    /// Checks everything that can be checked without data or keys.
    pub(crate) fn validate(&self) -> Result<(), SpecError> {
        if self.version != Self::VERSION {
            return fail(
                "version",
                format!("{} is not a version of this language", self.version),
                format!("write version = {}", Self::VERSION),
            );
        }
        self.validate_parties()?;
        self.validate_recipients()?;
        self.validate_limits()?;
        self.scenario.validate()?;
        self.validate_under_scenario()
    }

    fn validate_parties(&self) -> Result<(), SpecError> {
        if !(2..=PARTIES_MAX).contains(&self.parties.len()) {
            return fail(
                "parties",
                format!("{} parties given", self.parties.len()),
                format!("operation intersect takes 2 to {PARTIES_MAX} [[parties]]"),
            );
        }
        let mut names = BTreeSet::new();
        if let Some(at) = self.parties.iter().position(|party| !names.insert(&party.name)) {
            return fail(
                format!("parties[{at}].name"),
                format!("{} stands twice", self.parties[at].name),
                "name different parties",
            );
        }
        let columns = self.parties[0].key.len();
        if let Some(at) = self.parties.iter().position(|party| party.key.len() != columns) {
            return fail(
                format!("parties[{at}].key"),
                format!("{} key columns against {columns}", self.parties[at].key.len()),
                "give all parties the same number of key columns, in the same order of meaning",
            );
        }
        (1..self.parties.len()).try_for_each(|at| self.validate_else_keys(at))?;
        self.validate_many()?;
        self.validate_interop()?;
        self.validate_sum()?;
        self.parties
            .iter()
            .enumerate()
            .try_for_each(|(index, party)| validate_party(&format!("parties[{index}]"), party))
    }

    /// Among three parties or more one learns which of its rows all others have, and nobody anything else.
    fn validate_many(&self) -> Result<(), SpecError> {
        if self.parties.len() == 2 {
            return Ok(());
        }
        if matches!(self.result, ResultKind::Count | ResultKind::Sum) {
            return fail(
                "result",
                format!("a {} is of two parties, and the job has {}", self.result.name(), self.parties.len()),
                "ask for result = \"rows\", \"left\" or \"difference\"",
            );
        }
        if self.recipients.len() > 1 {
            return fail(
                "recipients",
                format!("{} recipients of a job of {} parties", self.recipients.len(), self.parties.len()),
                "name one: what all have in common is opened to one party",
            );
        }
        Ok(())
    }

    fn validate_else_keys(&self, at: usize) -> Result<(), SpecError> {
        let (first, second) = (&self.parties[0].else_key, &self.parties[at].else_key);
        if first.len() != second.len() {
            return fail(
                format!("parties[{at}].else_key"),
                format!("{} keys against {}", second.len(), first.len()),
                "give all parties the same number of keys, in the same order of meaning",
            );
        }
        if let Some(key) = first.iter().zip(second).position(|(first, second)| first.len() != second.len()) {
            return fail(
                format!("parties[{at}].else_key[{key}]"),
                format!("{} key columns against {}", second[key].len(), first[key].len()),
                "give all parties the same number of key columns, in the same order of meaning",
            );
        }
        if self.is_cascade() && matches!(self.result, ResultKind::Count | ResultKind::Sum) {
            return fail(
                "parties[0].else_key",
                format!(
                    "a {} takes one key: of a number nobody knows which rows a later key need not look for",
                    self.result.name()
                ),
                "leave else_key out, or ask for result = \"rows\", whose number its recipient knows",
            );
        }
        Ok(())
    }

    /// The standard compares one column, in one run, and a party of it signs no word on what a difference must keep.
    fn validate_interop(&self) -> Result<(), SpecError> {
        if !self.is_interop() {
            return Ok(());
        }
        let protocol = &self.protocol;
        if self.parties[0].key.len() != 1 {
            return fail(
                "parties[0].key",
                "more than one key column",
                format!("protocol {protocol} compares keys of one column"),
            );
        }
        if self.is_cascade() {
            return fail(
                "parties[0].else_key",
                "more than one key",
                format!("leave it out: protocol {protocol} looks for one key"),
            );
        }
        if self.result == ResultKind::Difference {
            return fail(
                "result",
                "the other party is no Banyan node, and keeps no minimum of rows that are not common",
                "ask for result = \"rows\" or \"left\", or name another protocol",
            );
        }
        Ok(())
    }

    /// A column is summed where it is asked for, and at the party that does not receive the sum.
    fn validate_sum(&self) -> Result<(), SpecError> {
        self.parties.iter().enumerate().try_for_each(|(index, party)| {
            let field = format!("parties[{index}].sum");
            let sums = self.result == ResultKind::Sum && !self.recipients.contains(&party.name);
            match &party.sum {
                None if sums => fail(
                    field,
                    "no column is named, and the result is a sum",
                    format!("write sum = \"COLUMN\": a column of whole numbers of data set {}", party.dataset),
                ),
                Some(_) if self.result != ResultKind::Sum => fail(
                    field,
                    format!("the result is {}", self.result.name()),
                    "leave it out, or ask for result = \"sum\"",
                ),
                Some(_) if !sums => {
                    fail(field, format!("{} receives the sum", party.name), "name the column at the other party")
                }
                Some(column) => text(&field, column, "give a column name of the data set"),
                None => Ok(()),
            }
        })
    }

    fn validate_recipients(&self) -> Result<(), SpecError> {
        distinct("recipients", self.recipients.iter())?;
        match (self.recipients.len(), self.result) {
            (0, _) => fail("recipients", "nobody receives the result", "name one party, or both"),
            (2, ResultKind::Count | ResultKind::Sum) => fail(
                "recipients",
                format!("a {} is opened to one party", self.result.name()),
                "name one recipient, or ask for result = \"rows\", whose number both then know",
            ),
            (1 | 2, _) => self.recipients.iter().try_for_each(|recipient| match self.party(recipient) {
                Some(_) => Ok(()),
                None => fail("recipients", format!("{recipient} is no party of this job"), self.one_of_the_parties()),
            }),
            (n, _) => fail("recipients", format!("{n} recipients"), "name one party, or of two both"),
        }
    }

    fn validate_limits(&self) -> Result<(), SpecError> {
        let limits = &self.limits;
        if !(1..=DEADLINE_S_MAX).contains(&limits.deadline_s) {
            return fail(
                "limits.deadline_s",
                format!("{} seconds", limits.deadline_s),
                format!("give 1 to {DEADLINE_S_MAX} seconds"),
            );
        }
        if !(64..=1 << 20).contains(&limits.memory_mb) {
            return fail("limits.memory_mb", format!("{} MiB", limits.memory_mb), "give 64 to 1048576 MiB");
        }
        let network = &self.network;
        if !(1..=BANDWIDTH_MBPS_MAX).contains(&network.bandwidth_mbps) {
            return fail(
                "network.bandwidth_mbps",
                format!("{} Mbit/s", network.bandwidth_mbps),
                format!("give 1 to {BANDWIDTH_MBPS_MAX}, or leave it out"),
            );
        }
        if network.rtt_ms > RTT_MS_MAX {
            return fail(
                "network.rtt_ms",
                format!("{} ms", network.rtt_ms),
                format!("give 0 to {RTT_MS_MAX}, or leave it out"),
            );
        }
        if !(1..=BUCKETS_MAX).contains(&limits.buckets_min) || !limits.buckets_min.is_power_of_two() {
            return fail(
                "limits.buckets_min",
                format!("{} buckets", limits.buckets_min),
                format!("give a power of two from 1 to {BUCKETS_MAX}"),
            );
        }
        Ok(())
    }

    fn validate_under_scenario(&self) -> Result<(), SpecError> {
        let scenario = &self.scenario;
        if !scenario.operations.contains(&self.operation) {
            return fail("operation", "not in scenario.operations", "ask for an operation of the scenario");
        }
        if !scenario.results.contains(&self.result) {
            return fail("result", "not in scenario.results", "ask for a kind of result that the scenario allows");
        }
        if let Some(recipient) = self.recipients.iter().find(|r| !scenario.recipients.contains(r)) {
            return fail(
                "recipients",
                format!("{recipient} is not in scenario.recipients"),
                "name a recipient that the scenario allows",
            );
        }
        // everyone in the job learns whether the common rows are as many: jobs with a number of their own, one after the
        // other, would find out how many there are
        if self.minimum_result != scenario.minimum_result {
            return fail(
                "minimum_result",
                format!("{} is not scenario.minimum_result, which its people approved", self.minimum_result),
                format!("write minimum_result = {}, or ask for a scenario with another one", scenario.minimum_result),
            );
        }
        self.parties.iter().enumerate().try_for_each(|(index, party)| {
            let Some(grant) = scenario.grant(&party.name, party.dataset.as_str()) else {
                return fail(
                    format!("parties[{index}].dataset"),
                    format!("the scenario grants no data set {} of {}", party.dataset, party.name),
                    "use a data set of a [[scenario.grants]] of this party",
                );
            };
            let granted = |field: &str, used: &[String], allowed: &[String]| match used
                .iter()
                .find(|column| !allowed.contains(column))
            {
                None => Ok(()),
                Some(column) => fail(
                    format!("parties[{index}].{field}"),
                    format!("the scenario does not grant column {column} for this use"),
                    format!("use one of: {}", if allowed.is_empty() { "(none)".into() } else { allowed.join(", ") }),
                ),
            };
            granted("key", &party.key, &grant.key)?;
            if let Some(at) = party.else_key.iter().position(|key| !grant.else_key.contains(key)) {
                return fail(
                    format!("parties[{index}].else_key[{at}]"),
                    format!("the scenario does not grant {} as a key after the first", together(&party.else_key[at])),
                    format!("use one of: {}", all_together(&grant.else_key)),
                );
            }
            let flag = |name: &&String| self.flags().contains(&name.as_str());
            if let Some(taken) = party.keys().flatten().chain(&party.columns).find(flag) {
                return fail(
                    format!("parties[{index}]"),
                    format!("column {taken} is named like a column that result = \"{}\" adds", self.result.name()),
                    "rename it in the data set, or leave it out",
                );
            }
            granted("columns", &party.columns, &grant.columns)?;
            granted("sum", party.sum.as_slice(), &grant.sum)?;
            if self.is_interop() && !grant.interop {
                return fail(
                    "protocol",
                    format!(
                        "the scenario does not let data set {} of {} go to a party of the interconnection standard",
                        party.dataset, party.name
                    ),
                    "write interop = true in its [[scenario.grants]], or name another protocol",
                );
            }
            Ok(())
        })
    }

    /// Whether the job is with a party of the interconnection standard, which is no Banyan node.
    pub fn is_interop(&self) -> bool {
        Interop::named(self.protocol.as_str()).is_some()
    }

    fn one_of_the_parties(&self) -> String {
        let names: Vec<&str> = self.parties.iter().map(|party| party.name.as_str()).collect();
        format!("name one of: {}", names.join(", "))
    }
}

impl Scenario {
    /// The grant of `party` for `dataset`.
    pub fn grant(&self, party: &PartyId, dataset: &str) -> Option<&Grant> {
        self.grants.iter().find(|grant| grant.party == *party && grant.dataset.as_str() == dataset)
    }

    fn validate(&self) -> Result<(), SpecError> {
        text("scenario.purpose", &self.purpose, "say what the data is used for, in a sentence a reviewer can judge")?;
        if self.operations.is_empty() {
            return fail("scenario.operations", "none given", "write operations = [\"intersect\"]");
        }
        if self.results.is_empty() {
            return fail(
                "scenario.results",
                "none given",
                "write those it may open, as in results = [\"rows\", \"count\"]",
            );
        }
        distinct("scenario.recipients", self.recipients.iter())?;
        if self.runs == 0 {
            return fail("scenario.runs", "0 runs", "give the number of attempts that may start, at least 1");
        }
        let (from, until) = (self.valid_from.0, self.valid_until.0);
        if from >= until {
            return fail("scenario.valid_until", "not after scenario.valid_from", "give a later time");
        }
        if until.duration_since(from).as_hours() > VALIDITY_DAYS_MAX * 24 {
            return fail("scenario.valid_until", "more than five years after valid_from", "give an earlier time");
        }
        distinct("scenario.grants", self.grants.iter().map(|grant| (&grant.party, &grant.dataset)))?;
        self.grants.iter().enumerate().try_for_each(|(index, grant)| {
            let field = format!("scenario.grants[{index}]");
            columns(&format!("{field}.key"), &grant.key, true)?;
            else_keys(&format!("{field}.else_key"), &grant.else_key)?;
            columns(&format!("{field}.filter"), &grant.filter, false)?;
            columns(&format!("{field}.columns"), &grant.columns, false)?;
            columns(&format!("{field}.sum"), &grant.sum, false)
        })
    }
}

fn validate_party(field: &str, party: &PartySpec) -> Result<(), SpecError> {
    columns(&format!("{field}.key"), &party.key, true)?;
    else_keys(&format!("{field}.else_key"), &party.else_key)?;
    distinct(&format!("{field}.else_key"), party.keys())?;
    columns(&format!("{field}.columns"), &party.columns, false)?;
    if let Some(filter) = &party.filter {
        text(&format!("{field}.filter"), filter, "give a SQL expression such as \"AGE >= 18\", or leave it out")?;
    }
    if !(1..=ROWS_MAX).contains(&party.rows_at_most) {
        return fail(
            format!("{field}.rows_at_most"),
            format!("{} rows", party.rows_at_most),
            format!("give an upper bound of the rows that enter, 1 to {ROWS_MAX}"),
        );
    }
    Ok(())
}

fn else_keys(field: &str, keys: &[Vec<String>]) -> Result<(), SpecError> {
    if keys.len() > ELSE_KEYS_MAX {
        return fail(field, format!("{} keys", keys.len()), format!("name at most {ELSE_KEYS_MAX}"));
    }
    keys.iter().enumerate().try_for_each(|(at, key)| columns(&format!("{field}[{at}]"), key, true))
}

/// The columns of one key, as people read them.
pub fn together(key: &[String]) -> String {
    key.join(" and ")
}

/// Several keys, as people read them.
pub fn all_together(keys: &[Vec<String>]) -> String {
    let keys: Vec<String> = keys.iter().map(|key| together(key)).collect();
    if keys.is_empty() { "none".into() } else { keys.join("; ") }
}

fn columns(field: &str, columns: &[String], needed: bool) -> Result<(), SpecError> {
    if needed && columns.is_empty() {
        return fail(field, "no column given", "name at least one column");
    }
    if columns.len() > COLUMNS_MAX {
        return fail(field, format!("{} columns", columns.len()), format!("name at most {COLUMNS_MAX}"));
    }
    distinct(field, columns.iter())?;
    columns.iter().try_for_each(|column| text(field, column, "give a column name of the data set"))
}

fn text(field: &str, text: &str, remedy: &str) -> Result<(), SpecError> {
    if text.trim().is_empty() {
        return fail(field, "empty", remedy);
    }
    if text.len() > TEXT_MAX {
        return fail(field, format!("{} bytes", text.len()), format!("give at most {TEXT_MAX} bytes"));
    }
    // a line break could write a line of its own into what an approver reads
    if text.chars().any(char::is_control) {
        return fail(field, "with a line break or another control character", "write it as plain text on one line");
    }
    Ok(())
}

fn distinct<T: Ord>(field: &str, values: impl Iterator<Item = T>) -> Result<(), SpecError> {
    let mut seen = BTreeSet::new();
    for (index, value) in values.enumerate() {
        if !seen.insert(value) {
            return fail(field, format!("entry {index} stands twice"), "name each once");
        }
    }
    Ok(())
}

fn fail(field: impl Into<String>, reason: impl Into<String>, remedy: impl Into<String>) -> Result<(), SpecError> {
    Err(SpecError::new(field, reason, remedy))
}
