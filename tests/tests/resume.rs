//! A job in many buckets, of which both sides are killed with `kill -9` in the middle, one after the other: it goes on by
//! itself, with other keys and masks, runs no more than one bucket again for each kill, and spends one run.

use std::collections::{BTreeMap, BTreeSet};

use banyan_proto::canonical::Digest;
use banyan_protocols::session::SessionId;
use banyan_tests::job::Job;
use banyan_tests::office::{Office, at_once, is_over, result};
use banyan_tests::party::Party;
use serde_json::Value;

/// Enough for buckets that take a moment each.
const ROWS: usize = 6789;
const BUCKETS: u32 = 16;

/// The records of bucket runs of a job in a log: of each attempt, the numbers of the buckets, in order.
fn runs(party: &Party, job: &str) -> BTreeMap<u32, Vec<u32>> {
    let log = std::fs::read_to_string(party.home.join("audit/log.jsonl")).unwrap_or_default();
    let mut runs: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for line in log.lines().filter(|line| line.contains(job)) {
        let words: Vec<&str> = match line.split("\"outcome\":\"attempt ").nth(1) {
            Some(rest) => rest.split(['"', ' ']).collect(),
            None => continue,
        };
        if let [attempt, "bucket", bucket, ..] = words[..] {
            runs.entry(attempt.parse().unwrap()).or_default().push(bucket.parse().unwrap());
        }
    }
    runs
}

/// Waits until a party has begun so many bucket runs of a job in all.
fn begun(party: &Party, job: &str, buckets: usize) {
    let count = || runs(party, job).values().map(Vec::len).sum::<usize>();
    at_once(&format!("{} begins {buckets} buckets", party.name), || count() >= buckets);
}

fn digest(proposed: &Value) -> String {
    proposed["job"].as_str().expect("a digest").to_owned()
}

fn job(name: &str) -> Job {
    Job { buckets_min: BUCKETS, runs: 1, ..Job::new(name, ROWS) }
}

#[test]
fn killed_twice_it_goes_on_by_itself_where_it_was() {
    let mut office = Office::open(ROWS);
    let cut = digest(&office.propose_and_approve(&Job { runs: 3, ..job("cut") }));
    begun(&office.bank, &cut, 4);
    office.bank.kill();
    office.bank.up();
    begun(&office.bureau, &cut, 9);
    office.bureau.kill();
    office.bureau.up();
    office.released("cut", 3);
    for party in [&office.bank, &office.bureau] {
        let runs = runs(party, &cut);
        let mut all: Vec<u32> = runs.values().flatten().copied().collect();
        all.sort_unstable();
        let twice = all.windows(2).filter(|pair| pair[0] == pair[1]).count();
        all.dedup();
        assert_eq!(all, (0..BUCKETS).collect::<Vec<_>>(), "{}: {runs:?}", party.name);
        assert!(twice <= 2, "{}: {runs:?}", party.name);
        assert!(runs.keys().eq(&[1, 2, 3]), "{}: a bucket that ran twice ran in two attempts: {runs:?}", party.name);
        let session = |(attempt, bucket)| SessionId::derive(&cut.parse::<Digest>().unwrap().0, bucket, attempt);
        let pairs = runs.iter().flat_map(|(attempt, buckets)| buckets.iter().map(|bucket| (*attempt, *bucket)));
        let sessions: BTreeSet<SessionId> = pairs.map(session).collect();
        assert_eq!(sessions.len(), BUCKETS as usize + twice, "no session, so no key and no mask, twice");
        assert_eq!(party.runs_spent(), 1, "{}", party.name);
        party.verify();
        let spill = party.home.join("tmp/spill");
        assert_eq!(std::fs::read_dir(spill).unwrap().count(), 0, "no key is left");
    }
    let results = office.bank.results();
    assert_eq!(results.len(), 1);
    assert_eq!(results[0].3.as_deref(), Some(&*result(ROWS)), "as the oracle says");
    all_done_and_killed_before_the_release(&mut office);
}

/// Nothing is left to run: the attempt goes on with the release.
fn all_done_and_killed_before_the_release(office: &mut Office) {
    let held = office.bank.acts("hold");
    let job = Job { runs: 3, ..job("late") };
    let late = digest(&office.propose(&job));
    let mut looks = 0_u32;
    at_once("the bank holds the result", || {
        looks += 1;
        office.bank.acts("hold") > held || looks.is_multiple_of(2000) && is_over(&office.job("late"))
    });
    office.bank.kill();
    office.bank.up();
    if office.over("late")["state"] != "released" {
        office.propose(&job); // the bureau had released before the bank was gone
        office.released("late", 3);
    } else {
        assert_eq!(runs(&office.bank, &late).into_iter().collect::<Vec<_>>(), [(1, (0..BUCKETS).collect())]);
        assert_eq!(office.bank.runs_spent(), 2, "one for each job");
    }
    let results = office.bank.results();
    let late = results.iter().find(|(name, ..)| name == "late").expect("a result");
    assert_eq!(late.3.as_deref(), Some(&*result(ROWS)));
}

#[test]
fn over_other_data_everything_is_run_anew_on_a_run_that_a_person_asks_for() {
    let mut office = Office::open(ROWS);
    let job = Job { runs: 2, ..job("changed") };
    let digest = digest(&office.propose_and_approve(&job));
    begun(&office.bureau, &digest, 4);
    office.bureau.kill();
    let table = std::fs::read_to_string(&office.bureau.table).unwrap();
    let changed = table.replacen("age\n", "age\n999999999999999999,1\n", 1);
    let cut = changed.lines().count() - 1; // as many rows as before
    let lines: Vec<&str> = changed.lines().take(cut).collect();
    std::fs::write(&office.bureau.table, lines.join("\n") + "\n").unwrap();
    office.bureau.up();
    assert!(office.failed("changed").contains("not-resumed"), "nobody asked for a new run");
    assert_eq!([office.bank.runs_spent(), office.bureau.runs_spent()], [1, 1]);
    office.propose(&job);
    office.released("changed", 3);
    assert_eq!([office.bank.runs_spent(), office.bureau.runs_spent()], [2, 2]);
    assert_eq!(runs(&office.bank, &digest)[&3], (0..BUCKETS).collect::<Vec<_>>());
    assert_eq!(office.bank.results()[0].3.as_deref(), Some(&*result(ROWS)), "the last row was in no bank's table");
}
