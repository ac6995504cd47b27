//! Everything has a limit, and every limit ends in words: deadlines, silent peers, validity, halts, ports, homes, files
//! that change under a job. And no identifier is anywhere but in the data and in the result.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use banyan_tests::job::Job;
use banyan_tests::office::{Office, id, result, until};
use banyan_tests::process::call;
use banyan_tests::{bin, party::Party};
use jiff::{Timestamp, ToSpan};
use serde_json::Value;

const ROWS: usize = 200;
/// A running node asks its store so often whether it is halted. What is promised is a second, to people; a machine that
/// runs these tests may be late by more.
const HALTED_WITHIN_MS: i64 = 10_000;

#[test]
fn a_peer_that_never_prepares_ends_at_the_deadline() {
    let office = Office::open(ROWS);
    let job = Job { deadline_s: 6, ..Job::new("late", ROWS) };
    office.propose_and_wait_for_the_bureau(&job);
    deadline_of(&office.bank.ended("late"), 6);
    assert_eq!(office.failed("late"), "bank failed: deadline: the deadline passed");
    office.bureau.daemon().go_on();
    nothing_left(&office);
}

#[test]
fn a_peer_that_goes_silent_ends_at_the_deadline() {
    let office = Office::open(ROWS);
    // sooner than the bank gives up to open its step there: 10 s from when it runs, a second after it begins
    let job = Job { deadline_s: 10, ..Job::new("silent", ROWS) };
    office.propose_and_stand_still(&job);
    deadline_of(&office.bank.ended("silent"), 10);
    assert_eq!(office.failed("silent"), "bank failed: deadline: the deadline passed");
    office.bureau.daemon().go_on();
    let bureau = office.bureau.ended("silent");
    assert_eq!(bureau["state"], "failed", "{bureau:#}");
    nothing_left(&office);
}

#[test]
fn a_scenario_counts_from_its_start_to_its_end() {
    let office = Office::open(ROWS);
    let now = Timestamp::now();
    let early = Job {
        scenario: "early".into(),
        valid_from: (now + 1.hours()).to_string(),
        valid_until: (now + 2.hours()).to_string(),
        ..Job::new("early", ROWS)
    };
    office.propose(&early);
    let refused = office.over("early");
    assert_eq!(refused["state"], "refused", "{refused:#}");
    let why = office.bank.offered("early")["why"].as_str().unwrap().to_owned();
    let expected = format!("scenario-not-yet-valid: scenario early is valid from {}, it is ", early.valid_from);
    assert!(why.starts_with(&expected), "{why}");

    let past = Job {
        scenario: "past".into(),
        valid_from: (now - 2.hours()).to_string(),
        valid_until: (now - 1.hours()).to_string(),
        ..Job::new("past", ROWS)
    };
    let file = office.root().join("past.toml");
    fs::write(&file, past.to_toml()).unwrap();
    let refused = office.developer(&["job", "propose", file.to_str().unwrap()]);
    assert_ne!(refused.exit, Some(0));
    let message = refused.json["error"]["message"].as_str().unwrap();
    let expected = format!("scenario.valid_until: {} is past; ask for a new scenario", past.valid_until);
    assert!(message.ends_with(&expected), "{message}");

    // one that ends before its people have looked
    let soon = Timestamp::now() + 10.seconds();
    let short = Job { scenario: "short".into(), valid_until: soon.to_string(), ..Job::new("short", ROWS) };
    office.propose(&short);
    office.bank.offered("short");
    until("its validity ends", || Timestamp::now() > soon);
    assert_eq!(
        office.bank.call(&["approve", "short", "--yes"]).refusal(4),
        format!("scenario short ended at {}: an approval would allow nothing; ask for a new one", short.valid_until)
    );
    let end = office.over("short");
    assert_eq!(end["state"], "expired", "{end:#}");
    assert!(
        end["reason"]
            .as_str()
            .unwrap()
            .starts_with("the scenario is no longer valid (scenario.valid_until); missing: "),
        "{end:#}"
    );
}

#[test]
fn a_halt_stops_a_running_job() {
    let office = Office::open(ROWS);
    let job = Job::new("halted", ROWS);
    office.propose_and_stand_still(&job);
    office.bank.call(&["halt", "--all", "--reason", "incident 17"]).answer();
    let ended = office.bank.ended("halted");
    let changed: Timestamp = ended["changed"].as_str().unwrap().parse().unwrap();
    let status = office.bank.call(&["status"]).answer();
    let since: Timestamp = status["halted"]["since"].as_str().unwrap().parse().unwrap();
    let took_ms = changed.as_millisecond() - since.as_millisecond();
    assert!(took_ms < HALTED_WITHIN_MS, "halted {since}, ended {changed}");
    assert_eq!(ended["code"], "halted");
    assert_eq!(
        ended["reason"],
        "everything is halted here: incident 17; `banyan-node halt --resume --reason …` ends it"
    );
    let log = fs::read_to_string(office.bank.home.join("audit/log.jsonl")).unwrap();
    assert!(log.contains("\"outcome\":\"halted: incident 17\"") && log.contains("\"outcome\":\"attempt 1 halted\""));
    assert!(office.failed("halted").starts_with("bank failed: halted"));
    office.bureau.daemon().go_on();
    office.bureau.ended("halted");
    nothing_left(&office);

    // new ones are refused at once, until it is resumed
    office.propose(&Job::new("another", ROWS));
    assert_eq!(office.over("another")["state"], "refused");
    assert_eq!(
        office.bank.offered("another")["why"],
        "halted: everything is halted here: incident 17; `banyan-node halt --resume --reason …` ends it"
    );
    office.bank.call(&["halt", "--resume", "--reason", "incident 17 closed"]).answer();
    office.propose(&job);
    office.released("halted", 2);
}

#[test]
fn a_home_has_one_daemon_and_a_port_one_program() {
    let mut office = Office::open(ROWS);
    let home = office.bank.home.clone();
    let up = |home: &Path| call(&bin("banyan-node"), &["up", "--json", "--home", home.to_str().unwrap()]);
    assert_eq!(
        up(&home).refusal(3),
        format!("another banyan-node runs on {}: stop it first, or give another --home", home.display())
    );
    let served = office.home();
    let second = call(&bin("banyan"), &["serve", "--json", "--home", served.to_str().unwrap()]);
    assert_eq!(
        second.refusal(3),
        format!("another `banyan serve` uses {}; stop it first, or give --home another directory", served.display())
    );

    // the bureau's port, wanted by the bank
    office.bank.kill();
    let taken = fs::read_to_string(office.bureau.home.join("listen.addr")).unwrap().trim().to_owned();
    let config = fs::read_to_string(home.join("config.toml")).unwrap();
    let changed = config.replace("listen = \"127.0.0.1:0\"", &format!("listen = \"{taken}\""));
    assert_ne!(changed, config);
    fs::write(home.join("config.toml"), changed).unwrap();
    assert_eq!(
        up(&home).refusal(3),
        format!(
            "listen = \"{taken}\" in config.toml cannot be used (Address already in use (os error 98)): stop the program \
             that has it, or give another port"
        )
    );
}

#[test]
fn a_file_that_changes_under_a_job_gives_no_result() {
    let office = Office::open(ROWS);
    let job = Job::new("moved", ROWS);
    office.propose_and_stand_still(&job);
    let mut table = OpenOptions::new().append(true).open(&office.bank.table).unwrap();
    writeln!(table, "{},1", id(ROWS * 10)).unwrap();
    drop(table);
    office.bureau.daemon().go_on();
    assert!(office.failed("moved").starts_with("bank failed: changed"), "{:#}", office.job("moved"));
    let ended = office.bank.ended("moved");
    assert_eq!(ended["code"], "changed");
    assert_eq!(
        ended["reason"],
        "bank-rows.csv changed during the job: what it computed is for the old content; leave the file alone and start \
         the job again"
    );
    office.bureau.ended("moved");
    nothing_left(&office);
    // with the file left alone it goes through, over the new content
    office.propose(&Job { rows_at_most: ROWS + 1, ..Job::new("again", ROWS) });
    office.released("again", 1);
}

/// The planted identifiers are searched in every file that the parties, the coordinator and their processes left.
#[test]
fn identifiers_are_in_the_data_and_the_result_and_nowhere_else() {
    let office = Office::open(ROWS);
    let answers = [office.propose_and_approve(&Job::new("canary", ROWS)), office.released("canary", 1)];
    let results = office.bank.results();
    assert_eq!(results[0].3.as_deref(), Some(&result(ROWS)[..]), "the recipient has them");
    let said = [
        office.bank.call(&["status"]).text,
        office.bank.call(&["inbox", "canary"]).text,
        office.bank.call(&["data", "show", "bank-rows"]).text,
        office.bank.call(&["audit", "verify"]).text,
        office.bank.call(&["check"]).text,
        office.developer(&["job", "report", "canary"]).text,
        answers.iter().map(Value::to_string).collect(),
    ];
    let ids: BTreeSet<String> = (0..ROWS + ROWS / 2).map(id).collect();
    let found = |bytes: &[u8]| {
        let mut places = bytes.windows(id(0).len()).filter(|place| place.starts_with(b"3201"));
        places.find_map(|place| ids.get(std::str::from_utf8(place).ok()?))
    };
    for text in &said {
        assert_eq!(found(text.as_bytes()), None, "{text}");
    }
    let mut looked = 0;
    for file in files(office.root()) {
        let is_data = [&office.bank, &office.bureau].iter().any(|party| party.table == file);
        if is_data || file.starts_with(office.bank.home.join("results")) && file.ends_with("result.csv") {
            assert!(found(&fs::read(&file).unwrap()).is_some(), "the search finds what is there: {}", file.display());
            continue;
        }
        assert_eq!(found(&fs::read(&file).unwrap()), None, "{}", file.display());
        looked += 1;
    }
    assert!(looked > 20, "homes, states, logs and captured output: {looked} files");
}

fn deadline_of(attempt: &Value, seconds: u32) {
    assert_eq!(attempt["code"], "deadline", "{attempt:#}");
    assert_eq!(
        attempt["reason"],
        format!(
            "the deadline of {seconds} seconds passed: raise limits.deadline_s in the spec, or look at the slower party"
        )
    );
}

/// No result, no part of one, and logs that hold.
fn nothing_left(office: &Office) {
    for party in [&office.bank, &office.bureau] {
        let left = files(&party.home.join("results"));
        assert!(left.is_empty(), "{left:?}");
        assert!(files(&party.home.join("tmp")).is_empty());
        Party::verify(party);
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}
