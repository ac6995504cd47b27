//! The job of these tests: which rows are common to bank and bureau. What tests change are its fields.

/// A job file.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its name.
    pub name: String,
    /// Its protocol.
    pub protocol: String,
    /// Rows at each party, at most.
    pub rows_at_most: usize,
    /// Seconds for an attempt.
    pub deadline_s: u32,
    /// Buckets, at least.
    pub buckets_min: u32,
    /// The scenario's name: jobs of one scenario are approved together.
    pub scenario: String,
    /// The scenario's start.
    pub valid_from: String,
    /// The scenario's end.
    pub valid_until: String,
    /// The scenario's runs.
    pub runs: u32,
}

impl Job {
    /// A job over at most so many rows, under a scenario that is valid now.
    pub fn new(name: &str, rows_at_most: usize) -> Self {
        Self {
            name: name.to_owned(),
            protocol: "dh".into(),
            rows_at_most,
            deadline_s: 50,
            buckets_min: 1,
            scenario: "credit".into(),
            valid_from: "2026-01-01T00:00:00Z".into(),
            valid_until: "2030-12-31T00:00:00Z".into(),
            runs: 100,
        }
    }

    /// As a developer writes it.
    pub fn to_toml(&self) -> String {
        let Self { name, protocol, rows_at_most, deadline_s, buckets_min, scenario, valid_from, valid_until, runs } =
            self;
        format!(
            r#"
version = 1
name = "{name}"
operation = "intersect"
protocol = "{protocol}"
result = "rows"
recipients = ["bank"]
minimum_result = 5

[limits]
deadline_s = {deadline_s}
memory_mb = 128
buckets_min = {buckets_min}

[[parties]]
name = "bank"
dataset = "bank-rows"
key = ["id"]
rows_at_most = {rows_at_most}
columns = ["limit"]

[[parties]]
name = "bureau"
dataset = "bureau-rows"
key = ["id"]
rows_at_most = {rows_at_most}

[scenario]
name = "{scenario}"
purpose = "find common clients before a joint credit model"
operations = ["intersect"]
results = ["rows"]
recipients = ["bank"]
minimum_result = 5
valid_from = "{valid_from}"
valid_until = "{valid_until}"
runs = {runs}

[[scenario.grants]]
party = "bank"
dataset = "bank-rows"
key = ["id"]
columns = ["limit"]

[[scenario.grants]]
party = "bureau"
dataset = "bureau-rows"
key = ["id"]
"#
        )
    }
}
