//! `kill -9` at every moment: of the receiver, of the sender, of the coordinator. Whatever was cut off, every job ends
//! released with the right result or failed with a reason, logs hold, no partial file is left, no run is given back, and
//! the same job goes through as a new attempt.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use banyan_tests::job::Job;
use banyan_tests::office::{Office, at_once, is_over, result};
use banyan_tests::party::Party;

/// Enough for a protocol that takes a moment, so that kills land inside.
const ROWS: usize = 3000;
/// What an attempt puts on record at the receiver, in this order.
const MOMENTS: [&str; 6] = ["spend", "snapshot", "run", "hold", "receipt", "release"];

/// Who is killed.
#[derive(Clone, Copy, Debug)]
enum Victim {
    Receiver,
    Sender,
    Coordinator,
}

impl Victim {
    fn kill(self, office: &mut Office) {
        match self {
            Self::Receiver => office.bank.kill(),
            Self::Sender => office.bureau.kill(),
            Self::Coordinator => office.coordinator.take().expect("it runs").kill(),
        }
    }

    fn restart(self, office: &mut Office) {
        match self {
            Self::Receiver => office.bank.up(),
            Self::Sender => office.bureau.up(),
            Self::Coordinator => office.serve(),
        }
    }

    /// Whose log tells the moment.
    fn watched(self, office: &Office) -> &Party {
        match self {
            Self::Sender => &office.bureau,
            Self::Receiver | Self::Coordinator => &office.bank,
        }
    }
}

#[test]
fn the_receiver_killed_at_every_record() {
    killed_at_every_record(Victim::Receiver);
}

#[test]
fn the_sender_killed_at_every_record() {
    killed_at_every_record(Victim::Sender);
}

#[test]
fn the_coordinator_killed_at_every_record() {
    killed_at_every_record(Victim::Coordinator);
}

#[test]
fn anyone_killed_at_any_moment() {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    println!("seed {seed}");
    let mut state = seed | 1;
    let mut below = |limit: u64| {
        // xorshift64: any spread of delays does
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % limit
    };
    let mut office = Office::open(ROWS);
    for round in 0..8 {
        let victim = [Victim::Receiver, Victim::Sender, Victim::Coordinator][below(3) as usize];
        let delay = Duration::from_millis(below(700));
        let job = Job::new(&format!("round-{round}"), ROWS);
        propose(&office, &job, round == 0);
        std::thread::sleep(delay);
        victim.kill(&mut office);
        victim.restart(&mut office);
        settled(&office, &job, &format!("seed {seed}, round {round}: {victim:?} after {delay:?}"));
    }
}

#[test]
fn a_run_is_spent_by_an_attempt_that_was_cut_off() {
    let mut office = Office::open(ROWS);
    let job = Job { runs: 2, ..Job::new("first", ROWS) };
    office.propose_and_wait_for_the_bureau(&job);
    office.bank.kill();
    office.bank.up();
    assert_eq!(
        office.failed("first"),
        "bank failed: restarted: the node was restarted during the attempt; the job may be tried again"
    );
    office.bureau.daemon().go_on();
    assert_eq!(office.bank.runs_spent(), 1);
    let attempt = office.bank.ended("first");
    assert_eq!(attempt["reason"], "the node was restarted during the attempt: propose the job again");
    office.propose(&job);
    office.released("first", 2);
    assert_eq!(office.bank.runs_spent(), 2);
    office.propose(&Job { runs: 2, ..Job::new("second", ROWS) });
    let refused = office.over("second");
    assert_eq!(refused["state"], "refused", "{refused:#}");
    assert_eq!(
        office.bank.offered("second")["why"],
        "runs-exhausted: all 2 runs of scenario credit are spent; propose a new one with more"
    );
}

/// A node that is told to stop ends what is under way, on the record, and tells the others.
#[test]
fn a_node_that_is_stopped_ends_its_attempt_and_says_so() {
    let mut office = Office::open(ROWS);
    let job = Job::new("stopped", ROWS);
    office.propose_and_stand_still(&job);
    let stopped = office.bank.daemon.take().expect("it runs").terminate();
    assert_eq!(stopped, Some(0), "{}", office.bank.log());
    let attempt = office.bank.attempts("stopped").pop().unwrap();
    assert_eq!((&attempt["state"], &attempt["code"]), (&"failed".into(), &"stopped".into()), "{attempt:#}");
    assert_eq!(attempt["reason"], "the node was shut down during the attempt");
    // it told the coordinator itself: nobody else could have
    assert_eq!(office.failed("stopped"), "bank failed: stopped: stopped, or the node was shut down");
    assert!(office.bank.results().is_empty());
    office.bank.verify();
    office.bureau.daemon().go_on();
    in_order(&office, &job, "stopped");
    office.bank.up();
    office.propose(&job);
    office.released("stopped", 2);
}

/// What lies in the socket of a coordinator that is killed is lost; the nodes say it again.
#[test]
fn what_the_coordinator_did_not_hear_is_told_again() {
    let mut office = Office::open(ROWS);
    office.propose_and_stand_still(&Job::new("unheard", ROWS));
    office.coordinator.as_ref().expect("it runs").freeze();
    office.bureau.daemon().go_on();
    for party in [&office.bank, &office.bureau] {
        assert_eq!(party.ended("unheard")["state"], "completed", "the nodes need it no more");
    }
    office.coordinator.take().expect("it runs").kill();
    office.serve();
    office.released("unheard", 1);
}

/// Between the written manifest and the note of it in the database there is a moment too: the manifest is believed.
#[test]
fn a_result_whose_end_was_not_noted_is_a_result() {
    let mut office = Office::open(ROWS);
    office.propose_and_stand_still(&Job::new("noted", ROWS));
    office.bank.daemon().freeze();
    let state = |name: &str| office.bank.home.join(name);
    let files = ["state.sqlite", "state.sqlite-wal"].map(|name| (state(name), std::fs::read(state(name)).unwrap()));
    office.bank.daemon().go_on();
    office.bureau.daemon().go_on();
    office.released("noted", 1);
    office.bank.ended("noted");
    office.bank.kill();
    let _ = std::fs::remove_file(office.bank.home.join("state.sqlite-shm"));
    for (file, before) in files {
        std::fs::write(file, before).unwrap();
    }
    assert_eq!(office.bank.attempts("noted").pop().unwrap()["state"], "under-way", "the database knows no end");
    office.bank.up();
    assert_eq!(office.bank.ended("noted")["state"], "completed");
    in_order(&office, &Job::new("noted", ROWS), "noted");
}

fn killed_at_every_record(victim: Victim) {
    let mut office = Office::open(ROWS);
    for (round, moment) in MOMENTS.into_iter().enumerate() {
        let job = Job::new(&format!("at-{moment}"), ROWS);
        let before = victim.watched(&office).acts(moment);
        propose(&office, &job, round == 0);
        reached(victim.watched(&office), moment, before, || is_over(&office.job(&job.name)));
        victim.kill(&mut office);
        victim.restart(&mut office);
        settled(&office, &job, &format!("{victim:?} at {moment}"));
    }
}

/// Later jobs are of the same scenario: nobody is asked again.
fn propose(office: &Office, job: &Job, first: bool) {
    match first {
        true => drop(office.propose_and_approve(job)),
        false => drop(office.propose(job)),
    }
}

/// Waits for the next record of an act, without a pause: that is the moment.
fn reached(party: &Party, act: &str, before: usize, mut is_over: impl FnMut() -> bool) {
    let mut looks = 0_u32;
    at_once(&format!("{} records {act}", party.name), || {
        looks += 1;
        // a job that ended early is told as such
        party.acts(act) > before || looks.is_multiple_of(2000) && is_over()
    });
}

/// The job ends by itself; what it left is in order; where it failed it is tried again, and then it goes through.
fn settled(office: &Office, job: &Job, when: &str) {
    let end = office.over(&job.name);
    let state = end["state"].as_str().unwrap();
    println!("{when}: {state} {}", end["reason"]);
    in_order(office, job, when);
    if state == "released" {
        assert!(has_result(office, job, 1), "{when}");
        return;
    }
    assert_eq!(state, "failed", "{when}: {end:#}{}", office.logs());
    assert!(end["reason"].as_str().is_some_and(|reason| reason.contains(" failed: ")), "{when}: {end:#}");
    let spent = [&office.bank, &office.bureau].map(Party::runs_spent);
    office.propose(job);
    office.released(&job.name, 2);
    in_order(office, job, when);
    assert!(has_result(office, job, 2), "{when}");
    let now = [&office.bank, &office.bureau].map(Party::runs_spent);
    assert_eq!(now, spent.map(|runs| runs + 1), "{when}: the new attempt spends a run, the old one keeps its own");
}

fn has_result(office: &Office, job: &Job, attempt: u64) -> bool {
    [&office.bank, &office.bureau]
        .iter()
        .all(|party| party.results().iter().any(|result| result.0 == job.name && result.1 == attempt))
}

/// Every attempt ended, every file is whole, every result is right, every log holds, and every run that was used is
/// spent.
fn in_order(office: &Office, job: &Job, when: &str) {
    for party in [&office.bank, &office.bureau] {
        let last = party.ended(&job.name);
        let failed = last["state"] == "failed";
        assert!(!failed || last["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{when}: {last:#}");
        for (name, attempt, manifest, text) in party.results() {
            assert_eq!(manifest["party"], *party.name, "{when}: {name} {attempt}");
            assert_eq!(text.is_some(), party.name == "bank", "{when}: {name} {attempt}");
            assert!(text.is_none_or(|text| text == result(ROWS)), "{when}: {name} {attempt} is another result");
        }
        let here = party.results().iter().any(|result| result.0 == job.name && result.1 == last["attempt"]);
        assert_eq!(here, !failed, "{when}: {} has a result where its attempt completed: {last:#}", party.name);
        party.verify();
        assert!(party.runs_spent() >= party.acts("snapshot") as u64, "{when}: {} used what it spent", party.name);
    }
}
