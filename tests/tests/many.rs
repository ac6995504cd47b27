//! Three parties in one job, by real processes: one learns which of its rows both others have, and nobody anything else.

use std::collections::BTreeSet;

use banyan_tests::local::Local;
use banyan_tests::office::{Office, at_once, id, table, until};
use banyan_tests::party::Party;

/// The rows of the bank, the bureau and the clinic: 10 to 29 are common to all, 10 to 39 to the bank and the bureau.
const ROWS: [std::ops::Range<usize>; 3] = [0..40, 10..50, 5..30];

/// A job of three over the data sets `bank-rows`, `bureau-rows` and `clinic-rows`, with this among its first fields.
fn job(name: &str, fields: &str) -> String {
    let party = |table: &str, name: &str, party: &str, rest: &str| {
        format!("[[{table}]]\n{name} = \"{party}\"\ndataset = \"{party}-rows\"\nkey = [\"id\"]\n{rest}\n")
    };
    let all = ["bank", "bureau", "clinic"];
    let parties: String = all.iter().map(|name| party("parties", "name", name, "rows_at_most = 40")).collect();
    let grants: String = all.iter().map(|name| party("scenario.grants", "party", name, "")).collect();
    let minimum = if fields.contains("minimum_result") { "" } else { "minimum_result = 5" };
    let of_scenario = fields.lines().find(|line| line.starts_with("minimum_result")).unwrap_or(minimum);
    format!(
        r#"
version = 1
name = "{name}"
operation = "intersect"
protocol = "auto"
recipients = ["bank"]
{fields}
{minimum}

[limits]
deadline_s = 60
memory_mb = 128

{parties}
[scenario]
name = "credit"
purpose = "find whom all three know"
operations = ["intersect"]
results = ["rows", "left", "difference"]
recipients = ["bank"]
{of_scenario}
valid_from = "2026-01-01T00:00:00Z"
valid_until = "2030-12-31T00:00:00Z"
runs = 5

{grants}"#
    )
}

fn local() -> Local {
    let file = |at: usize| table("limit", ROWS[at].clone());
    let clinic = table("ward", ROWS[2].clone());
    Local::new(&[
        ("bank/bank-rows.csv", file(0)),
        ("bureau/bureau-rows.csv", file(1)),
        ("clinic/clinic-rows.csv", clinic),
    ])
}

fn ids(rows: std::ops::Range<usize>) -> BTreeSet<String> {
    rows.map(id).collect()
}

fn ids_of(result: &str) -> BTreeSet<String> {
    result.lines().skip(1).map(|line| line.split(',').next().unwrap().to_owned()).collect()
}

#[test]
fn one_learns_what_all_three_have_and_each_keeps_the_word_of_each() {
    let end = local().run(&job("common-to-all", "result = \"rows\""), &[]).released();
    assert_eq!(ids_of(&end.file("bank/result.csv")), ids(10..30));
    for party in ["bureau", "clinic"] {
        assert!(!end.path(&format!("{party}/result.csv")).exists());
    }
    for party in ["bank", "bureau", "clinic"] {
        let manifest: serde_json::Value = serde_json::from_str(&end.file(&format!("{party}/manifest.json"))).unwrap();
        assert_eq!(manifest["protocol"], "multi");
        let count = |field: &str| manifest[field].as_array().unwrap().len();
        assert_eq!((count("signatures"), count("receipts"), count("bands")), (3, 2, 3), "{party}");
        let learned = if party == "bank" { 20.into() } else { serde_json::Value::Null };
        assert_eq!(manifest["matches"], learned, "{party}");
    }
}

#[test]
fn a_difference_in_buckets_through_the_relay_is_of_what_not_all_have() {
    let job = job("not-at-all", "result = \"difference\"").replace("memory_mb", "buckets_min = 4\nmemory_mb");
    let end = local().run(&job, &["--relay"]).released();
    assert_eq!(ids_of(&end.file("bank/result.csv")), &ids(0..10) | &ids(30..40));
}

#[test]
fn below_the_minimum_nothing_is_opened_to_anybody() {
    let why = local().run(&job("too-few", "result = \"rows\"\nminimum_result = 21"), &[]).failed();
    assert!(why.contains("bank: fewer than 21 common rows: nothing is opened"), "{why}");
}

#[test]
fn what_is_for_two_parties_is_refused_before_anything_runs() {
    let why = local().run(&job("how-many", "result = \"count\""), &[]).refused();
    assert!(why.contains("result: a count is of two parties, and the job has 3"), "{why}");
}

/// Joins a third party to an office of two.
fn third(office: &mut Office) -> Party {
    let mut clinic = Party::init(office.root(), "clinic", &table("ward", ROWS[2].clone()));
    clinic.call(&["join", &office.invite("clinic", &[])]).answer();
    clinic.confirm(&office.bank);
    clinic.confirm(&office.bureau);
    // who is confirmed before its node is up is dialled wherever the coordinator says, also after a restart
    for party in [&office.bank, &office.bureau] {
        until("it hears of the clinic", || party.call(&["peer", "list"]).answer().to_string().contains("clinic"));
        party.confirm(&clinic);
    }
    clinic.up();
    clinic
}

#[test]
fn one_that_dies_takes_nothing_with_it_but_the_attempt() {
    let mut office = Office::open(40);
    let mut clinic = third(&mut office);
    let file = office.root().join("all.toml");
    std::fs::write(&file, job("all", "result = \"rows\"")).unwrap();
    let propose = |office: &Office| office.developer(&["job", "propose", file.to_str().unwrap()]).answer();
    propose(&office);
    clinic.approve("all");
    office.bureau.approve("all");
    until("both senders have admitted it", || office.job("all").to_string().matches("\"admitted\"").count() >= 2);
    // the bank stands still, so that the senders are in the protocol for as long as it takes
    office.bank.approve("all");
    at_once("the clinic runs", || clinic.acts("run") > 0);
    clinic.kill();
    let reason = office.failed("all");
    assert!(office.bank.results().is_empty() && office.bureau.results().is_empty(), "{reason}");

    clinic.up();
    propose(&office);
    office.released("all", 2);
    let results = office.bank.results();
    let (_, _, _, result) = results.first().unwrap();
    // the bank has rows 0 to 39 and the bureau 20 to 59
    assert_eq!(ids_of(result.as_ref().unwrap()), ids(20..30));
    clinic.verify();
}
