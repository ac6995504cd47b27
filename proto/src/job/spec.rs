//! The spec of a job: what people write in TOML, read, and approve.

use std::fmt;
use std::str::FromStr;

use banyan_protocols::catalogue::Suite;
use banyan_protocols::party::PartyId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Line, wrong};
use crate::canonical::Canonical;
use crate::grant::Scenario;
use crate::names::Name;

/// A job, whole: who brings what, what is computed, who receives it, under which scenario and within which limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The version of this language: 1.
    pub version: u32,
    /// What people call the job; two jobs that differ in nothing else differ here.
    pub name: Name,
    /// What is computed.
    pub operation: Operation,
    /// The protocol that computes it, by its name in the catalogue, or [`AUTO`](super::AUTO): the plan chooses.
    pub protocol: Name,
    /// The cipher suite of the protocol.
    #[serde(default, skip_serializing_if = "is_default")]
    pub suite: Suite,
    /// What is opened to the recipients.
    pub result: ResultKind,
    /// Who receives it: one party, or of two both.
    pub recipients: Vec<PartyId>,
    /// Nothing is opened below this many common rows: the scenario's number.
    pub minimum_result: u64,
    /// What happens to a key that stands in several rows of one data set.
    #[serde(default)]
    pub duplicates: Duplicates,
    /// How keys are brought into one form, by a named and versioned rule.
    #[serde(default)]
    pub normalise: Normalise,
    /// The form of the result file.
    #[serde(default)]
    pub output: OutputSpec,
    /// What the job may use.
    #[serde(default)]
    pub limits: Limits,
    /// The network between the parties, which the choice of a protocol looks at.
    #[serde(default, skip_serializing_if = "is_default")]
    pub network: Network,
    /// The parties, each with its data set.
    pub parties: Vec<PartySpec>,
    /// The authorisation under which it runs.
    pub scenario: Scenario,
}

/// What one party brings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartySpec {
    /// The party.
    pub name: PartyId,
    /// The id of one of its registered data sets.
    pub dataset: Name,
    /// The key columns, in an order that all parties share.
    pub key: Vec<String>,
    /// Keys for rows that no earlier one found, one after the other: as many at all parties, of as many columns each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub else_key: Vec<Vec<String>>,
    /// A row filter: a SQL expression over columns that the grant lists.
    #[serde(default)]
    pub filter: Option<String>,
    /// No more rows than this enter, after the filter. Its band is what others learn; several senders are padded to one.
    pub rows_at_most: u64,
    /// Columns of its own that this party wants beside the key in its result.
    #[serde(default)]
    pub columns: Vec<String>,
    /// For result `sum`, at the party that does not receive it: the column whose numbers are summed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum: Option<String>,
}

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Which keys the parties' data sets share.
    Intersect,
}

/// What is opened: of each recipient its own rows, or a number. Among more than two parties, the others' data set is those
/// of all others, and a row is in it that is in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResultKind {
    /// The recipient's own rows that are in the other's data set too.
    Rows,
    /// All of the recipient's own rows, each with whether it is in the other's data set too.
    Left,
    /// The recipient's own rows that are not in the other's data set.
    Difference,
    /// How many rows are in both.
    Count,
    /// The sum of a column of the party that does not receive it, over its rows that are in both.
    Sum,
}

impl Operation {
    /// The name a spec uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Intersect => "intersect",
        }
    }
}

impl PartySpec {
    /// Its keys in the order in which rows are looked for by them.
    pub fn keys(&self) -> impl Iterator<Item = &Vec<String>> {
        std::iter::once(&self.key).chain(&self.else_key)
    }
}

impl ResultKind {
    /// The name a spec uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Left => "left",
            Self::Difference => "difference",
            Self::Count => "count",
            Self::Sum => "sum",
        }
    }
}

/// What happens to a key that stands in several rows. The set that a protocol sees has it once in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Duplicates {
    /// The job fails before anything is sent.
    #[default]
    Error,
    /// The first row in file order stands for the key; the others are no part of the job.
    First,
    /// All its rows are found or not found together.
    All,
}

/// A named rule for keys. A new rule gets a new name, so an approved spec never changes its meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Normalise {
    /// Spaces around the key go.
    #[serde(rename = "trim-v1")]
    TrimV1,
    /// Spaces around go, full-width characters become half-width, the check digit `x` of an 18-character id is upper case.
    #[default]
    #[serde(rename = "cn-id-v1")]
    CnIdV1,
}

/// The form of the result file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputSpec {
    /// CSV or Parquet.
    #[serde(default)]
    pub format: Format,
}

/// A file format for results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Comma-separated, UTF-8, header line.
    #[default]
    Csv,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// The file name's ending.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
}

/// What a job may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Seconds from the start of an attempt until every node gives up.
    pub deadline_s: u32,
    /// Memory of the job at each node, in MiB: sets that do not fit are cut into buckets.
    pub memory_mb: u32,
    /// At least so many buckets, a power of two. After each a job can be resumed where it was. Left out where it is 1, so
    /// that specs from before there were buckets keep their digests.
    #[serde(skip_serializing_if = "is_one")]
    pub buckets_min: u32,
}

fn is_one(buckets: &u32) -> bool {
    *buckets == 1
}

impl Default for Limits {
    fn default() -> Self {
        Self { deadline_s: 3600, memory_mb: 1024, buckets_min: 1 }
    }
}

/// The network between the parties, as far as a plan looks at it: what is expected of it, not a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// Megabits (10^6) per second in each direction.
    pub bandwidth_mbps: u32,
    /// Milliseconds from one party to the other and back.
    pub rtt_ms: u32,
}

impl Default for Network {
    /// One building.
    fn default() -> Self {
        Self { bandwidth_mbps: 1000, rtt_ms: 1 }
    }
}

impl Network {
    /// As an expectation of time takes it.
    pub fn line(&self) -> Line {
        Line { mbps: self.bandwidth_mbps.into(), rtt_us: u64::from(self.rtt_ms) * 1000 }
    }
}

/// Fields that came later are written only where they say something, so that earlier specs keep their digest.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A point in time in a spec: RFC 3339 with an offset, such as `"2027-11-01T00:00:00Z"`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct When(pub Timestamp);

impl FromStr for When {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| "expected a time in quotes such as \"2027-11-01T00:00:00Z\"")
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Serialize for When {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What is wrong with a spec: the field, the reason, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}; {remedy}")]
pub struct SpecError {
    /// The path of the field, such as `parties[1].key`.
    pub field: String,
    /// Why it is wrong.
    pub reason: String,
    /// What would be right.
    pub remedy: String,
}

impl SpecError {
    pub(crate) fn new(field: impl Into<String>, reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into(), remedy: remedy.into() }
    }
}

impl Canonical for Spec {
    const DOMAIN: &'static str = "banyan/spec/v1";
}

impl Spec {
    /// The column of a left join that says whether a row is in the other's data set too.
    pub const MATCHED: &str = "matched";
    /// The column of a job with several keys that says which of them found a row, counted from 1.
    pub const MATCHED_BY: &str = "matched_by";

    /// The version of this language.
    pub const VERSION: u32 = 1;

    /// A whole job file with a comment at every field.
    pub const EXAMPLE: &str = include_str!("example.toml");

    /// Reads a spec as people write it, and checks it.
    ///
    /// # Errors
    /// [`SpecError`] names the first field that is wrong.
    pub fn from_toml(text: &str) -> Result<Self, SpecError> {
        let whole = |error: toml::de::Error| {
            SpecError::new("job file", error.message().to_owned(), wrong::place(text, error.span()))
        };
        let deserializer = toml::Deserializer::parse(text).map_err(whole)?;
        let spec: Self = serde_path_to_error::deserialize(deserializer)
            .map_err(|error| wrong::field(text, &error.path().to_string(), error.inner()))?;
        spec.validate()?;
        Ok(spec)
    }

    /// Reads the canonical bytes that everyone approved, and checks them like any other spec.
    ///
    /// # Errors
    /// [`SpecError`] where the bytes are not canonical or a field is wrong.
    pub fn from_canonical(bytes: &[u8]) -> Result<Self, SpecError> {
        let spec = Self::from_bytes(bytes).map_err(|error| {
            SpecError::new("spec", error.to_string(), "send the canonical bytes that `banyan job check` digests")
        })?;
        spec.validate()?;
        Ok(spec)
    }

    /// Whether rows are looked for by several keys, one after the other.
    pub fn is_cascade(&self) -> bool {
        self.parties.iter().any(|party| !party.else_key.is_empty())
    }

    /// The columns that the result has beside those of the recipient's data set.
    pub fn flags(&self) -> Vec<&'static str> {
        let by = self.is_cascade().then_some(Self::MATCHED_BY);
        match self.result {
            ResultKind::Rows => Vec::from_iter(by),
            ResultKind::Left => [Self::MATCHED].into_iter().chain(by).collect(),
            ResultKind::Difference | ResultKind::Count | ResultKind::Sum => Vec::new(),
        }
    }

    /// The party of that name.
    pub fn party(&self, name: &PartyId) -> Option<&PartySpec> {
        self.parties.iter().find(|party| party.name == *name)
    }
}
