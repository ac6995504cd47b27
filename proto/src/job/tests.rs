//! The language of jobs: every field can be wrong, and says so; bytes and digests are one.

use banyan_protocols::party::PartyId;
use proptest::prelude::*;

use super::*;
use crate::canonical::Canonical;

mod many;
mod sum;

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
    assert_eq!(spec.limits, Limits { deadline_s: 3600, memory_mb: 1024, buckets_min: 1 });
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
            "result: unknown variant `rowz`, expected one of `rows`, `left`, `difference`, `count`, `sum`; \
             see line 6, column 10, and `banyan job check --example` for a whole job file",
        ),
        (
            "rows_at_most = 27000\n",
            "",
            "parties[1].rows_at_most: missing; write rows_at_most = 30000; \
             see line 18, column 1, and `banyan job check --example` for a whole job file",
        ),
        (
            "protocol = \"dh\"\n",
            "",
            "protocol: missing; write protocol = \"auto\"; `banyan job check --example` prints a whole job file",
        ),
        (
            "runs = 10\n",
            "",
            "scenario.runs: missing; write runs = 20; \
             see line 24, column 1, and `banyan job check --example` for a whole job file",
        ),
        (
            "valid_from = \"2026-11-01T00:00:00Z\"",
            "valid_from = 2026-11-01T00:00:00Z",
            "scenario.valid_from: expected text in quotes, found a time without quotes; \
             write valid_from = \"2026-01-01T00:00:00Z\"; \
             see line 31, column 14, and `banyan job check --example` for a whole job file",
        ),
        (
            "key = [\"id\"]\nfilter = \"AGE",
            "key = \"id\"\nfilter = \"AGE",
            "parties[0].key: expected a list in brackets, found text; write key = [\"id\"]; \
             see line 13, column 7, and `banyan job check --example` for a whole job file",
        ),
        (
            "columns = [\"segment\"]",
            "columns = [7]",
            "parties[0].columns[0]: expected text in quotes, found 7; write columns = [\"LIMIT_BAL\", \"y\"]; \
             see line 16, column 12, and `banyan job check --example` for a whole job file",
        ),
        (
            "rows_at_most = 27000",
            "rows_at_most = -1",
            "parties[1].rows_at_most: expected a whole number, not below 0, found -1; \
             write rows_at_most = 30000; \
             see line 22, column 16, and `banyan job check --example` for a whole job file",
        ),
        (
            "\n[[parties]]\nname = \"bank\"",
            "\nlimits = 60\n[[parties]]\nname = \"bank\"",
            "limits: expected a table, found 60; write [limits] and its fields; \
             see line 10, column 10, and `banyan job check --example` for a whole job file",
        ),
        (
            "runs = 10",
            "runs = 5000000000",
            "scenario.runs: expected a whole number from 0 to 4294967295, found 5000000000; write runs = 20; \
             see line 33, column 8, and `banyan job check --example` for a whole job file",
        ),
        (
            "result = \"rows\"",
            "result = 5",
            "result: expected one word in quotes, found 5; write result = \"rows\"; \
             see line 6, column 10, and `banyan job check --example` for a whole job file",
        ),
        (
            "\n[[parties]]\nname = \"bank\"",
            "\n[network]\nbandwidth_mbps = 0\n[[parties]]\nname = \"bank\"",
            "network.bandwidth_mbps: 0 Mbit/s; give 1 to 1000000, or leave it out",
        ),
        (
            "\n[[parties]]\nname = \"bank\"",
            "\n[network]\nrtt_ms = 60001\n[[parties]]\nname = \"bank\"",
            "network.rtt_ms: 60001 ms; give 0 to 60000, or leave it out",
        ),
        (
            "\n[[parties]]\nname = \"bank\"",
            "\n[network]\nrtt_ms = \"20\"\n[[parties]]\nname = \"bank\"",
            "network.rtt_ms: expected a whole number from 0 to 4294967295, found text; write rtt_ms = 1; \
             see line 11, column 10, and `banyan job check --example` for a whole job file",
        ),
        (
            "result = \"rows\"",
            "suite = \"gm\"\nresult = \"rows\"",
            "suite: unknown variant `gm`, expected `intl` or `sm`; \
             see line 6, column 9, and `banyan job check --example` for a whole job file",
        ),
        (
            "filter = \"AGE >= 18\"",
            "filter = \"AGE >= 18\\n  scenario  open to all\"",
            "parties[0].filter: with a line break or another control character; write it as plain text on one line",
        ),
        (
            "purpose = \"find",
            "purpose = \"\\u001b[2Jfind",
            "scenario.purpose: with a line break or another control character; write it as plain text on one line",
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
            "minimum_result: 49 is not scenario.minimum_result, which its people approved; \
             write minimum_result = 50, or ask for a scenario with another one",
        ),
        (
            "minimum_result = 50",
            "minimum_result = 51",
            "minimum_result: 51 is not scenario.minimum_result, which its people approved; \
             write minimum_result = 50, or ask for a scenario with another one",
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
        ("name = \"bureau\"", "name = \"bank\"", "parties[1].name: bank stands twice; name different parties"),
    ];
    for (from, to, expected) in cases {
        let error = error_of(from, to);
        assert!(error.starts_with(expected), "{to}:\n  {error}\nexpected\n  {expected}");
    }
}

#[test]
fn a_party_of_the_interconnection_standard_needs_the_word_of_every_grant() {
    let job = |protocol: &str, grants: usize| {
        let text = Spec::EXAMPLE.replacen("protocol = \"auto\"", protocol, 1);
        let (head, tail) = text.split_once("[[scenario.grants]]").unwrap();
        let tail = tail.replace("# interop = true", "# it could");
        let tail = tail.replacen("key = [\"id\"]", "key = [\"id\"]\ninterop = true", grants);
        Spec::from_toml(&format!("{head}[[scenario.grants]]{tail}"))
    };
    for protocol in ["protocol = \"interop\"", "protocol = \"interop-sm\"\nsuite = \"sm\""] {
        assert!(job(protocol, 2).unwrap().is_interop());
        assert_eq!(
            job(protocol, 1).unwrap_err().to_string(),
            "protocol: the scenario does not let data set people of bureau go to a party of the interconnection standard; \
             write interop = true in its [[scenario.grants]], or name another protocol"
        );
        assert!(job(protocol, 0).unwrap_err().to_string().contains("data set customers of bank"));
    }
    let ordinary = job("protocol = \"dh\"", 2).unwrap();
    assert!(!ordinary.is_interop());
    // the word is in what people sign, and its absence changes no digest
    assert_ne!(ordinary.scenario.digest(), job("protocol = \"dh\"", 0).unwrap().scenario.digest());
    let two = Spec::EXAMPLE
        .replacen("protocol = \"auto\"", "protocol = \"interop\"", 1)
        .replace("key = [\"id\"]", "key = [\"id\", \"y\"]");
    assert_eq!(
        Spec::from_toml(&two).unwrap_err().to_string(),
        "parties[0].key: more than one key column; protocol interop compares keys of one column"
    );
}

#[test]
fn what_the_interconnection_standard_has_not_is_refused() {
    let mut spec = Spec::from_toml(Spec::EXAMPLE).unwrap();
    spec.protocol = "interop".parse().unwrap();
    spec.scenario.grants.iter_mut().for_each(|grant| grant.interop = true);
    spec.validate().unwrap();
    let (rows, spec) = (1 << 26, &spec);
    let mut large = spec.clone();
    large.parties.iter_mut().for_each(|party| party.rows_at_most = rows);
    assert_eq!(Plan::derive(&large, &banyan_protocols::CATALOGUE).unwrap().stages[0].buckets, 1);
    large.limits.buckets_min = 2;
    assert_eq!(
        Plan::derive(&large, &banyan_protocols::CATALOGUE).unwrap_err().to_string(),
        "limits.buckets_min: the interconnection standard has no buckets; leave it out, or name another protocol"
    );
    let refused = |edit: &dyn Fn(&mut Spec)| {
        let mut spec = spec.clone();
        edit(&mut spec);
        spec.validate().unwrap_err().to_string()
    };
    assert_eq!(
        refused(&|spec| spec.parties.iter_mut().for_each(|party| party.else_key = vec![party.key.clone()])),
        "parties[0].else_key: more than one key; leave it out: protocol interop looks for one key"
    );
    assert_eq!(
        refused(&|spec| spec.result = ResultKind::Difference),
        "result: the other party is no Banyan node, and keeps no minimum of rows that are not common; \
         ask for result = \"rows\" or \"left\", or name another protocol"
    );
}

#[test]
fn a_count_goes_to_one_party() {
    let both = JOB.replace("recipients = [\"bank\"]", "recipients = [\"bank\", \"bureau\"]");
    Spec::from_toml(&both).unwrap();
    let error = Spec::from_toml(&both.replacen("result = \"rows\"", "result = \"count\"", 1)).unwrap_err();
    assert_eq!(error.field, "recipients");
}

/// The job with phone and name after the id, at both parties and in both grants.
fn cascade() -> String {
    let with = JOB.replace("key = [\"id\"]\n", "key = [\"id\"]\nelse_key = [[\"phone\", \"name\"]]\n");
    assert_eq!(with.matches("else_key").count(), 4);
    with
}

#[test]
fn a_cascade_has_a_stage_for_each_key_and_says_what_each_tells() {
    let spec = Spec::from_toml(&cascade()).unwrap();
    assert_eq!(Spec::from_canonical(&spec.to_bytes()), Ok(spec.clone()));
    let plan = Plan::derive(&spec, &banyan_protocols::CATALOGUE).unwrap();
    assert_eq!(plan.stages.len(), 2);
    assert_eq!(plan.stages[0], plan.stages[1], "the sets are as large for each key");
    assert_eq!(spec.flags(), ["matched_by"]);
    let told = Plan::disclosures(&spec, &banyan_protocols::CATALOGUE).unwrap();
    assert_eq!(
        told[2..5],
        [
            "bank learns which of its own rows have their id in records of bureau, if all keys find 50",
            "bank learns which of its own rows that no earlier key found have their phone and name in records of bureau, \
             if all keys find 50",
            "bank is told by which key each row was found",
        ]
    );
}

#[test]
fn a_cascade_is_the_same_at_both_and_within_the_grants() {
    let two = "else_key = [[\"phone\", \"name\"]]\n";
    for (nth, to, expected) in [
        (1, "", "parties[1].else_key: 0 keys against 1; give all parties the same number of keys, in the same order"),
        (
            1,
            "else_key = [[\"phone\"]]\n",
            "parties[1].else_key[0]: 1 key columns against 2; give all parties the same number of key columns",
        ),
        (
            0,
            "else_key = [[\"name\", \"phone\"]]\n",
            "parties[0].else_key[0]: the scenario does not grant name and phone as a key after the first; \
             use one of: phone and name",
        ),
        (
            3,
            "",
            "parties[1].else_key[0]: the scenario does not grant phone and name as a key after the first; use one of: none",
        ),
        (0, "else_key = [[\"phone\", \"phone\"]]\n", "parties[0].else_key[0]: entry 1 stands twice; name each once"),
        (2, "else_key = [[]]\n", "scenario.grants[0].else_key[0]: no column given; name at least one column"),
    ] {
        let cascade = cascade();
        let at = cascade.match_indices(two).nth(nth).unwrap().0;
        let job = format!("{}{to}{}", &cascade[..at], &cascade[at + two.len()..]);
        let error = Spec::from_toml(&job).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}\nexpected\n{expected}");
    }
    let again = cascade().replace("[[\"phone\", \"name\"]]", "[[\"id\"]]");
    assert_eq!(
        Spec::from_toml(&again).unwrap_err().to_string(),
        "parties[0].else_key: entry 1 stands twice; name each once"
    );
    let count = cascade().replacen("result = \"rows\"", "result = \"count\"", 1);
    let error = Spec::from_toml(&count).unwrap_err().to_string();
    assert!(error.starts_with("parties[0].else_key: a count takes one key: of a number nobody knows"), "{error}");
    let more = cascade().replace("[[\"phone\", \"name\"]]", "[[\"a\"], [\"b\"], [\"c\"], [\"d\"], [\"e\"]]");
    let error = Spec::from_toml(&more).unwrap_err().to_string();
    assert_eq!(error, "parties[0].else_key: 5 keys; name at most 4");
}

#[test]
fn everyone_is_told_what_the_end_of_the_job_tells() {
    let spec = Spec::from_toml(JOB).unwrap();
    let told = Plan::disclosures(&spec, &banyan_protocols::CATALOGUE).unwrap();
    let (duplicates, minimum) = (told.len() - 1, told.len() - 2);
    assert_eq!(
        told[minimum],
        "everyone in the job, and the coordinator, learns whether there are at least 50 common rows"
    );
    assert_eq!(
        told[duplicates],
        "everyone in the job, and the coordinator, learns that a party's input does not pass if a key stands in two of its rows: the job then fails"
    );
    for rule in ["first", "all"] {
        let spec = JOB.replacen("minimum_result", &format!("duplicates = \"{rule}\"\nminimum_result"), 1);
        let told = Plan::disclosures(&Spec::from_toml(&spec).unwrap(), &banyan_protocols::CATALOGUE).unwrap();
        assert_eq!(told.len(), minimum + 1, "{rule} fails on nothing that is told");
    }
}

#[test]
fn each_kind_of_result_says_what_it_opens_and_needs_its_own_leave() {
    let job = |kind: &str, allowed: &str| {
        let job = JOB.replacen("result = \"rows\"", &format!("result = \"{kind}\""), 1);
        Spec::from_toml(&job.replacen("results = [\"rows\", \"count\"]", &format!("results = [\"{allowed}\"]"), 1))
    };
    let all = ["rows", "left", "difference", "count"];
    for kind in all {
        for other in all.into_iter().filter(|other| *other != kind) {
            let refused = job(kind, other).unwrap_err().to_string();
            assert_eq!(refused, "result: not in scenario.results; ask for a kind of result that the scenario allows");
        }
    }
    let told = |kind| Plan::disclosures(&job(kind, kind).unwrap(), &banyan_protocols::CATALOGUE).unwrap();
    for (kind, sentence) in [
        ("rows", "bank learns which of its own rows have a key in records of bureau, if there are at least 50"),
        ("left", "bank learns of each of its own rows whether it has a key in records of bureau, if at least 50 have"),
        (
            "difference",
            "bank learns which of its own rows have no key in records of bureau, and so which have one, if there are at \
             least 50 of either",
        ),
        ("count", "bank learns how many of its rows have a key in records of bureau, if there are at least 50"),
    ] {
        assert_eq!(told(kind)[2], sentence);
    }
    assert_eq!(
        told("difference")[3],
        "everyone in the job, and the coordinator, learns whether there are at least 50 common rows, and at least 50 \
         that are not"
    );
    let flag = JOB.replace("columns = [\"segment\"]", "columns = [\"matched\"]");
    Spec::from_toml(&flag).unwrap();
    let flag = flag.replace("result = \"rows\"", "result = \"left\"").replace("\"count\"]", "\"left\"]");
    assert_eq!(
        Spec::from_toml(&flag).unwrap_err().to_string(),
        "parties[0]: column matched is named like a column that result = \"left\" adds; \
         rename it in the data set, or leave it out"
    );
}

#[test]
fn the_example_is_a_job_and_shows_every_field_there_is() {
    let spec = Spec::from_toml(Spec::EXAMPLE).unwrap();
    let serde_json::Value::Object(fields) = serde_json::from_slice(&spec.to_bytes()).unwrap() else { unreachable!() };
    for (table, fields) in [("", &fields)].into_iter().chain(fields.iter().filter_map(|(name, value)| {
        let first = value.as_array().and_then(|list| list.first()).unwrap_or(value);
        first.as_object().map(|fields| (name.as_str(), fields))
    })) {
        for name in fields.keys() {
            let path = if table.is_empty() { name.clone() } else { format!("{table}.{name}") };
            assert!(wrong::write(&path).contains(name), "{path}: {}", wrong::write(&path));
        }
    }
    // fields that are written only where they differ from what is meant without them
    for (path, shown) in [
        ("suite", "write suite = \"intl\""),
        ("network.bandwidth_mbps", "write bandwidth_mbps = 1000"),
        ("network.rtt_ms", "write rtt_ms = 1"),
        ("parties[1].else_key", "write else_key = [[\"phone\", \"name\"]]"),
    ] {
        assert_eq!(wrong::write(path), shown, "{path}");
    }
}

proptest! {
    #[test]
    fn a_cut_swapped_or_doubled_job_parses_or_is_refused_with_its_place(
        from in 0..JOB.len(), to in 0..JOB.len(), at in 0..JOB.len(), new in "[\\[\\]=\"0-9a-z{}\n-]{0,3}"
    ) {
        let (from, to) = (from.min(to), from.max(to));
        let piece = JOB[from..to].to_owned();
        for text in [
            format!("{}{new}{}", &JOB[..from], &JOB[to..]),
            format!("{}{piece}{}", &JOB[..at], &JOB[at..]),
        ] {
            match Spec::from_toml(&text) {
                Ok(spec) => prop_assert_eq!(Spec::from_canonical(&spec.to_bytes()), Ok(spec)),
                Err(error) => prop_assert!(!error.field.is_empty() && !error.remedy.is_empty(), "{error}"),
            }
        }
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
