//! The language of jobs: every field can be wrong, and says so; bytes and digests are one.

use banyan_protocols::party::PartyId;
use proptest::prelude::*;

use super::*;
use crate::canonical::Canonical;

const JOB: &str = r#"
version = 1
name = "common-customers"
operation = "intersect"
protocol = "dh"
result = "rows"
recipients = ["bank"]
minimum_result = 50

[[parties]]
name = "bank"
dataset = "customers"
key = ["id"]
filter = "AGE >= 18"
rows_at_most = 30000
columns = ["segment"]

[[parties]]
name = "bureau"
dataset = "records"
key = ["id"]
rows_at_most = 27000

[scenario]
name = "credit-risk"
purpose = "find the customers both know, before a joint model"
operations = ["intersect"]
results = ["rows", "count"]
recipients = ["bank"]
minimum_result = 50
valid_from = "2026-11-01T00:00:00Z"
valid_until = "2027-11-01T00:00:00Z"
runs = 10

[[scenario.grants]]
party = "bank"
dataset = "customers"
key = ["id"]
filter = ["AGE"]
columns = ["segment"]

[[scenario.grants]]
party = "bureau"
dataset = "records"
key = ["id"]
"#;

fn error_of(from: &str, to: &str) -> String {
    assert!(JOB.contains(from), "{from}");
    Spec::from_toml(&JOB.replacen(from, to, 1)).unwrap_err().to_string()
}

#[test]
fn a_good_job_parses_and_its_bytes_come_back() {
    let spec = Spec::from_toml(JOB).unwrap();
    assert_eq!(Spec::from_canonical(&spec.to_bytes()), Ok(spec.clone()));
    assert_eq!(spec.party(&PartyId::new("bureau").unwrap()).unwrap().rows_at_most, 27_000);
    assert_eq!(spec.limits, Limits { deadline_s: 3600, memory_mb: 1024 });
}

#[test]
fn the_digest_of_a_known_job_never_changes() {
    // a changed digest means that jobs approved before no longer verify: that needs a new version, not a new number here
    let digest = Spec::from_toml(JOB).unwrap().digest().to_string();
    assert_eq!(digest, "56c0cc9b349da6f977a0c4ac4b89767c82303f4dca2f9aaebe3dceb534ccc723");
}

#[test]
fn every_wrong_field_is_named_with_its_remedy() {
    let cases = [
        ("version = 1", "version = 2", "version: 2 is not a version of this language; write version = 1"),
        (
            "protocol = \"dh\"",
            "protocol = \"DH!\"",
            "protocol: a name has 1 to 64 characters from a-z, 0-9, '-' and '_', and starts with a letter or digit; \
             see line 5, column 12, and `banyan job check --example` for a whole job file",
        ),
        (
            "result = \"rows\"",
            "result = \"rowz\"",
            "result: unknown variant `rowz`, expected `rows` or `count`; \
             see line 6, column 10, and `banyan job check --example` for a whole job file",
        ),
        (
            "rows_at_most = 27000\n",
            "",
            "parties[1]: missing field `rows_at_most`; \
             see line 18, column 1, and `banyan job check --example` for a whole job file",
        ),
        (
            "rows_at_most = 27000",
            "rows_at_most = 0",
            "parties[1].rows_at_most: 0 rows; give an upper bound of the rows that enter, 1 to 268435456",
        ),
        (
            "recipients = [\"bank\"]",
            "recipients = []",
            "recipients: nobody receives the result; name one party, or both",
        ),
        (
            "recipients = [\"bank\"]",
            "recipients = [\"tax\"]",
            "recipients: tax is no party of this job; name one of: bank, bureau",
        ),
        (
            "recipients = [\"bank\"]",
            "recipients = [\"bureau\"]",
            "recipients: bureau is not in scenario.recipients; name a recipient that the scenario allows",
        ),
        (
            "minimum_result = 50",
            "minimum_result = 49",
            "minimum_result: 49 is below scenario.minimum_result; give at least 50",
        ),
        (
            "key = [\"id\"]\nfilter",
            "key = [\"name\"]\nfilter",
            "parties[0].key: the scenario does not grant column name for this use; use one of: id",
        ),
        (
            "columns = [\"segment\"]",
            "columns = [\"income\"]",
            "parties[0].columns: the scenario does not grant column income for this use; use one of: segment",
        ),
        (
            "dataset = \"records\"\nkey = [\"id\"]\nrows",
            "dataset = \"tax\"\nkey = [\"id\"]\nrows",
            "parties[1].dataset: the scenario grants no data set tax of bureau; \
             use a data set of a [[scenario.grants]] of this party",
        ),
        (
            "valid_until = \"2027-11-01T00:00:00Z\"",
            "valid_until = \"2026-11-01\"",
            "scenario.valid_until: expected a time in quotes such as \"2027-11-01T00:00:00Z\"; \
             see line 32, column 15, and `banyan job check --example` for a whole job file",
        ),
        (
            "valid_until = \"2027-11-01T00:00:00Z\"",
            "valid_until = \"2026-10-01T00:00:00Z\"",
            "scenario.valid_until: not after scenario.valid_from; give a later time",
        ),
        (
            "valid_until = \"2027-11-01T00:00:00Z\"",
            "valid_until = \"2037-11-01T00:00:00Z\"",
            "scenario.valid_until: more than five years after valid_from; give an earlier time",
        ),
        ("runs = 10", "runs = 0", "scenario.runs: 0 runs; give the number of attempts that may start, at least 1"),
        ("purpose = \"find", "purpose = \"\"\nsecret = \"find", "scenario.secret: unknown field `secret`"),
        ("name = \"bureau\"", "name = \"bank\"", "parties[1].name: bank stands twice; name two different parties"),
    ];
    for (from, to, expected) in cases {
        let error = error_of(from, to);
        assert!(error.starts_with(expected), "{to}:\n  {error}\nexpected\n  {expected}");
    }
}

#[test]
fn a_count_goes_to_one_party() {
    let both = JOB.replace("recipients = [\"bank\"]", "recipients = [\"bank\", \"bureau\"]");
    Spec::from_toml(&both).unwrap();
    let error = Spec::from_toml(&both.replacen("result = \"rows\"", "result = \"count\"", 1)).unwrap_err();
    assert_eq!(error.field, "recipients");
}

proptest! {
    #[test]
    fn any_bytes_parse_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Spec::from_canonical(&bytes);
        let _ = std::str::from_utf8(&bytes).map(Spec::from_toml);
    }

    #[test]
    fn any_changed_byte_of_a_spec_is_another_spec_or_none(at in 0_usize..1200, to in any::<u8>()) {
        let spec = Spec::from_toml(JOB).unwrap();
        let mut bytes = spec.to_bytes();
        let at = at % bytes.len();
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        if let Ok(changed) = Spec::from_canonical(&bytes) {
            prop_assert_ne!(changed.digest(), spec.digest());
            prop_assert_eq!(changed.to_bytes(), bytes);
        }
    }
}
