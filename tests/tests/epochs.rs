//! `unbalanced` from job to job: tags are prepared and fetched once, then only what changed; keys end; answers are counted, and
//! stay counted when the sender is killed before it gives them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use banyan_proto::job::Band;
use banyan_tests::job::Job;
use banyan_tests::office::{Office, at_once, id, result, table, until};
use banyan_tests::party::Party;
use serde_json::Value;

const ROWS: usize = 2000;

fn job(name: &str) -> Job {
    Job { protocol: "unbalanced".into(), ..Job::new(name, ROWS) }
}

/// What one party asks for in a job, and how many tags the other has.
fn band() -> u64 {
    Band::covering(ROWS as u64).rows()
}

/// What a party sent in the protocol of a job that was released.
fn sent(party: &Party, job: &str) -> u64 {
    let results = party.results();
    let manifest = &results.iter().find(|(name, ..)| name == job).expect("a manifest").2;
    manifest["metrics"]["bytes_out"].as_u64().expect("a number")
}

/// What the bank received.
fn received(office: &Office, job: &str) -> String {
    let results = office.bank.results();
    results.into_iter().find(|(name, ..)| name == job).and_then(|(.., text)| text).expect("a result")
}

/// What a party keeps.
fn kept(party: &Party) -> Vec<PathBuf> {
    let entries = fs::read_dir(party.home.join("epochs")).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// How its status tells of it.
fn epoch(party: &Party) -> Value {
    party.call(&["status"]).answer()["epochs"][0].clone()
}

fn configure(party: &Party, field: &str, value: u64) {
    let file = party.home.join("config.toml");
    let text = fs::read_to_string(&file).unwrap();
    let set = |line: &str| if line.starts_with(field) { format!("{field} = {value}\n") } else { format!("{line}\n") };
    fs::write(&file, text.lines().map(set).collect::<String>()).unwrap();
}

#[test]
fn tags_are_fetched_once_and_then_only_what_changed() {
    let office = Office::open(ROWS);
    office.propose_and_approve(&job("first"));
    office.released("first", 1);
    assert_eq!(received(&office, "first"), result(ROWS));
    for (party, is) in [(&office.bank, "tags"), (&office.bureau, "prepared")] {
        let files = kept(party);
        assert_eq!(files.len(), 1, "{files:?}");
        assert!(files[0].extension().is_some_and(|extension| extension == is));
        assert_eq!(fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o600);
        let told = epoch(party);
        assert_eq!((&told["kept"], &told["dataset"]), (&is.into(), &"bureau-rows".into()), "{told:#}");
    }
    assert_eq!(epoch(&office.bureau)["answered"], band());

    office.propose(&job("second"));
    office.released("second", 1);
    assert_eq!(received(&office, "second"), result(ROWS));
    let (whole, alone) = (sent(&office.bureau, "first"), sent(&office.bureau, "second"));
    assert!(whole - alone >= 12 * band() && alone < 500_000, "{whole} and then {alone} bytes");
    assert_eq!(sent(&office.bank, "first"), sent(&office.bank, "second"));

    // Ten of the bureau's go, five of the bank's come.
    let rows = |text: String| text.lines().skip(1).map(|line| format!("{line}\n")).collect::<String>();
    let changed = table("age", 0..5) + &rows(table("age", ROWS / 2 + 10..ROWS + ROWS / 2));
    fs::write(&office.bureau.table, changed).unwrap();
    office.propose(&job("third"));
    office.released("third", 1);
    assert_eq!(received(&office, "third"), table("limit", 0..5) + &rows(table("limit", ROWS / 2 + 10..ROWS)));
    let third = sent(&office.bureau, "third");
    assert!(third > alone && third - alone <= 2 * 15 * 12 + 16, "{third} bytes for fifteen changes, {alone} without");
    assert_eq!(epoch(&office.bureau)["answered"], 3 * band());

    let text = fs::read(&kept(&office.bank)[0]).unwrap();
    assert!(!text.windows(18).any(|window| window == id(ROWS).as_bytes()), "no key is in what the receiver keeps");
    for party in [&office.bank, &office.bureau] {
        party.verify();
    }
    // A scenario that has ended leaves neither key nor tags.
    for party in [&office.bank, &office.bureau] {
        party.call(&["halt", "third", "--reason", "over"]).answer();
        until("nothing is kept", || kept(party).is_empty());
    }
}

#[test]
fn a_key_ends_and_answers_are_no_more_than_a_department_allows() {
    let office = Office::open(ROWS);
    configure(&office.bureau, "epoch_s", 3);
    office.propose_and_approve(&job("one"));
    office.released("one", 1);
    let ends = epoch(&office.bureau)["ends"].as_str().map(|ends| ends.parse::<jiff::Timestamp>().unwrap());
    until("the key has ended", || ends.is_none_or(|ends| jiff::Timestamp::now() > ends));
    office.propose(&job("two"));
    office.released("two", 1);
    assert_eq!(sent(&office.bureau, "one"), sent(&office.bureau, "two"), "all tags, of another key");
    assert_eq!(received(&office, "two"), result(ROWS));

    configure(&office.bureau, "epoch_s", 3600);
    configure(&office.bureau, "answers_per_epoch", 3 * band() - 1);
    office.propose(&job("three"));
    office.failed("three"); // by whose word the coordinator heard first: the bank sees a link that ended
    let why = office.bureau.ended("three");
    let why = why["reason"].as_str().unwrap();
    assert!(why.starts_with(&format!("bank asks for {} answers, and {} are left", band(), band() - 1)), "{why}");

    configure(&office.bureau, "answers_per_epoch", 3 * band());
    office.propose(&job("four"));
    office.released("four", 1);
}

#[test]
fn what_was_counted_stays_counted_when_the_sender_is_killed_before_it_answers() {
    let mut office = Office::open(ROWS);
    configure(&office.bureau, "answers_per_epoch", band());
    let job = job("cut");
    office.propose_and_wait_for_the_bureau(&job);
    office.bank.daemon().freeze();
    office.bureau.daemon().go_on();
    at_once("the bureau has prepared", || {
        kept(&office.bureau).iter().any(|file| file.extension().is_some_and(|kind| kind == "prepared"))
    });
    office.bureau.kill();
    office.bank.daemon().go_on();
    office.bureau.up();
    office.failed("cut");
    assert_eq!(epoch(&office.bureau)["answered"], band(), "spent, and not one was given");
    office.propose(&job);
    office.failed("cut");
    until("the bureau says that no answers are left", || {
        let why = office.bureau.ended("cut");
        why["reason"].as_str().is_some_and(|why| why.contains(&format!("asks for {} answers, and 0 are left", band())))
    });
}
