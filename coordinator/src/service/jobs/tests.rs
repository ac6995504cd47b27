//! What moves a job, and what does not.

use proptest::prelude::*;

use super::*;

fn party(name: &str) -> PartyId {
    PartyId::new(name).unwrap()
}

fn job() -> Job {
    let asked = |name| Party {
        name: party(name),
        phase: Phase::Asked,
        detail: String::new(),
        admission: Vec::new(),
        receipt: Vec::new(),
        metrics: Vec::new(),
    };
    Job {
        id: Digest([7; 32]),
        name: "match".parse().unwrap(),
        proposer: party("ada"),
        scenario: Digest([8; 32]),
        sessions: 1,
        resumable: false,
        resumes: 0,
        deadline_s: 60,
        valid_until_ms: 1_000_000,
        state: State::Proposed,
        attempt: 1,
        reason: String::new(),
        proposed_ms: 1,
        changed_ms: 1,
        started_ms: None,
        parties: vec![asked("bank"), asked("bureau")],
    }
}

fn both(say: Say) -> Vec<(PartyId, Say)> {
    vec![(party("bank"), say), (party("bureau"), say)]
}

fn ok(attempt: u32) -> Ending {
    Ending { attempt, failure: None, cut_off: false, receipt: vec![1], metrics: vec![2], at_ms: 90 }
}

fn failed(attempt: u32) -> Ending {
    Ending {
        attempt,
        failure: Some("input".into()),
        cut_off: false,
        receipt: Vec::new(),
        metrics: Vec::new(),
        at_ms: 90,
    }
}

fn admitted() -> Job {
    let mut job = job();
    assert!(job.verdict(&party("bank"), Answer::Admission(vec![1]), 10).is_empty());
    assert_eq!(job.verdict(&party("bureau"), Answer::Admission(vec![2]), 20), both(Say::Prepare));
    job
}

#[test]
fn every_step_waits_for_the_slowest() {
    let mut job = admitted();
    for (phase, expected) in [(Phase::Prepared, both(Say::Run)), (Phase::Running, vec![]), (Phase::Held, vec![])] {
        assert!(job.phase(&party("bank"), 1, phase).is_empty());
        assert_eq!(job.phase(&party("bureau"), 1, phase), expected, "{phase:?}");
    }
    assert_eq!(job.state, State::Held);
    assert!(job.ended(&party("bank"), ok(1)).is_empty());
    assert_eq!(job.state, State::Held, "one of two");
    job.ended(&party("bureau"), ok(1));
    assert_eq!((job.state, job.parties[1].receipt.clone()), (State::Released, vec![1]));
}

#[test]
fn a_refusal_ends_an_offer_and_nothing_later() {
    let mut job = job();
    job.verdict(&party("bank"), Answer::Waiting("its approver".into()), 5);
    assert_eq!(job.parties[0].detail, "its approver");
    let told = job.verdict(&party("bureau"), Answer::Refusal("level".into()), 10);
    assert_eq!((job.state, told), (State::Refused, vec![(party("bank"), Say::Stop)]));
    assert_eq!(job.reason, "bureau refused: level");
    let mut running = admitted();
    let before = running.clone();
    assert!(running.verdict(&party("bank"), Answer::Refusal("runs-exhausted".into()), 30).is_empty());
    assert!(running.verdict(&party("nobody"), Answer::Waiting(String::new()), 30).is_empty());
    assert_eq!(running, before);
}

#[test]
fn one_failure_stops_the_others_and_a_retry_is_a_new_attempt() {
    let mut job = admitted();
    assert_eq!(job.ended(&party("bank"), failed(1)), vec![(party("bureau"), Say::Stop)]);
    assert_eq!((job.state, &job.reason[..]), (State::Failed, "bank failed: input"));
    assert_eq!(job.reminder(&party("bureau"), 50), Some(Say::Stop));
    assert_eq!(job.reminder(&party("bureau"), 80_000), None, "it gave up by itself");
    assert_eq!(job.retry(100), Ok(both(Say::Prepare)));
    assert_eq!((job.state, job.attempt, job.started_ms), (State::Approved, 2, Some(100)));
    assert!(job.ended(&party("bank"), failed(1)).is_empty(), "word of the old attempt");
    assert!(job.phase(&party("bank"), 1, Phase::Held).is_empty());
    assert_eq!(job.parties[0].phase, Phase::Admitted);
}

#[test]
fn what_a_person_stopped_is_asked_again() {
    let mut job = admitted();
    assert_eq!(job.stop(&party("ada"), "wrong column").unwrap(), both(Say::Stop));
    assert_eq!((job.state, &job.reason[..]), (State::Stopped, "stopped by ada: wrong column"));
    assert!(job.stop(&party("ada"), "").is_err());
    assert_eq!(job.retry(100), Ok(both(Say::Offer)));
    assert_eq!((job.state, job.started_ms, job.parties[0].admission.len()), (State::Proposed, None, 0));
}

#[test]
fn time_runs_out_and_the_reason_names_who_is_missing() {
    let mut waiting = job();
    assert!(waiting.expire(999_999, 0, |_| false).is_empty());
    waiting.verdict(&party("bank"), Answer::Admission(vec![1]), 5);
    assert_eq!(waiting.expire(1_000_000, 0, |name| name.as_str() == "bureau"), both(Say::Stop));
    assert_eq!(
        waiting.reason,
        "the scenario is no longer valid (scenario.valid_until); missing: bank (admitted), bureau (has not answered, away)"
    );
    let mut late = admitted();
    assert!(late.expire(20 + 60_000, 0, |_| false).is_empty(), "the nodes speak first");
    late.expire(20 + 60_000 + GRACE_MS, 0, |_| false);
    assert_eq!(late.state, State::Expired);
    assert!(late.reason.starts_with("the deadline of 60 s passed (limits.deadline_s); missing: bank (admitted)"));
}

#[test]
fn what_all_released_is_released_however_late_the_word_comes() {
    let held = || {
        let mut job = admitted();
        for phase in [Phase::Prepared, Phase::Running, Phase::Held] {
            job.phase(&party("bank"), 1, phase);
            job.phase(&party("bureau"), 1, phase);
        }
        assert_eq!(job.state, State::Held);
        job
    };
    let over = 20 + 60_000 + GRACE_MS;
    let mut unheard = held();
    let up_ms = over + 5;
    assert!(unheard.expire(up_ms + RETURN_MS - 1, up_ms, |_| true).is_empty(), "it was away, not the parties");
    assert_eq!(unheard.expire(up_ms + RETURN_MS, up_ms, |_| true), both(Say::Stop));

    let mut stopped = held();
    stopped.stop(&party("ada"), "").unwrap();
    for mut job in [unheard, stopped.clone()] {
        assert!(job.ended(&party("bank"), ok(1)).is_empty());
        assert!(matches!(job.state, State::Expired | State::Stopped), "one of two");
        assert!(job.ended(&party("bureau"), ok(1)).is_empty());
        assert_eq!((job.state, &job.reason[..]), (State::Released, ""));
    }
    stopped.ended(&party("bank"), ok(1));
    stopped.ended(&party("bureau"), failed(1));
    assert_eq!(
        (stopped.state, &stopped.reason[..]),
        (State::Stopped, "stopped by ada"),
        "one of them heard it in time"
    );
    assert_eq!(stopped.retry(100), Ok(both(Say::Offer)));
    stopped.ended(&party("bureau"), ok(1));
    assert_eq!(stopped.state, State::Proposed, "word of the old attempt");
}

/// What may happen to a job, in any order and from anyone.
#[derive(Clone, Debug)]
enum Word {
    Answer(usize, u8),
    Phase(usize, u32, Phase),
    Ended(usize, u32, bool),
    Stop,
    Expire(i64),
    Retry,
}

fn word() -> impl Strategy<Value = Word> {
    let who = 0_usize..3; // the third is no party
    let phase = proptest::sample::select(&[Phase::Prepared, Phase::Running, Phase::Held, Phase::Released][..]);
    prop_oneof![
        4 => (who.clone(), 0_u8..6).prop_map(|(who, answer)| Word::Answer(who, answer)),
        8 => (who.clone(), 1_u32..3, phase).prop_map(|(who, attempt, phase)| Word::Phase(who, attempt, phase)),
        4 => (who, 1_u32..3, proptest::bool::weighted(0.8)).prop_map(|(who, attempt, ok)| Word::Ended(who, attempt, ok)),
        1 => Just(Word::Stop),
        1 => (0_i64..100_000).prop_map(Word::Expire),
        1 => Just(Word::Retry),
    ]
}

proptest! {
    /// Whatever is said, in whatever order: nobody runs before all are prepared, nothing is released before all have
    /// ended, and what is over moves by a retry or by the release of all only.
    #[test]
    fn no_order_of_words_gets_around_a_party(words in proptest::collection::vec(word(), 0..80)) {
        let names = ["bank", "bureau", "eve"].map(party);
        let mut job = job();
        for word in words {
            let before = job.clone();
            let said = match word.clone() {
                Word::Answer(who, 0) => job.verdict(&names[who], Answer::Refusal("no".into()), 1),
                Word::Answer(who, 1) => job.verdict(&names[who], Answer::Waiting("ann".into()), 1),
                Word::Answer(who, _) => job.verdict(&names[who], Answer::Admission(vec![1]), 1),
                Word::Phase(who, attempt, phase) => job.phase(&names[who], attempt, phase),
                Word::Ended(who, attempt, true) => job.ended(&names[who], ok(attempt)),
                Word::Ended(who, attempt, false) => job.ended(&names[who], failed(attempt)),
                Word::Stop => job.stop(&names[0], "").unwrap_or_default(),
                Word::Expire(now_ms) => job.expire(now_ms, 0, |_| false),
                Word::Retry => job.retry(1).unwrap_or_default(),
            };
            let all = |phase| job.parties.iter().all(|party| party.phase >= phase);
            let whole = job.parties.iter().all(|party| party.phase < Phase::Refused);
            for (_, what) in &said {
                prop_assert!(*what != Say::Run || all(Phase::Prepared) && whole);
                prop_assert!(*what != Say::Prepare || job.parties.iter().all(|party| !party.admission.is_empty()));
            }
            let ended = job.parties.iter().all(|party| party.phase == Phase::Ended);
            prop_assert!(job.state != State::Released || ended);
            if before.state.is_over() && !matches!(word, Word::Retry) {
                let late = matches!(before.state, State::Stopped | State::Expired) && ended;
                prop_assert_eq!(job.state, if late { State::Released } else { before.state });
                prop_assert!(said.is_empty());
            }
            prop_assert!(!job.state.is_over() || job.state == State::Released || !job.reason.is_empty());
        }
    }
}

#[test]
fn who_comes_back_hears_what_it_missed() {
    let mut job = admitted();
    assert_eq!(job.reminder(&party("bank"), 30), Some(Say::Prepare));
    job.phase(&party("bank"), 1, Phase::Prepared);
    assert_eq!(job.reminder(&party("bank"), 30), None);
    job.phase(&party("bureau"), 1, Phase::Prepared);
    assert_eq!(job.reminder(&party("bank"), 30), Some(Say::Run));
    job.phase(&party("bank"), 1, Phase::Running);
    assert_eq!(job.reminder(&party("bank"), 30), None);
    assert_eq!(job.reminder(&party("nobody"), 30), None);
}

#[test]
fn a_job_in_buckets_that_was_cut_off_goes_on_by_itself_a_few_times() {
    let cut_off = |attempt| Ending { failure: Some("link".into()), cut_off: true, ..failed(attempt) };
    let mut whole = admitted();
    assert_eq!(whole.ended(&party("bank"), cut_off(1)), [(party("bureau"), Say::Stop)]);
    assert_eq!(whole.state, State::Failed, "a job without buckets waits for a person");

    let mut job = Job { resumable: true, ..admitted() };
    for attempt in 1..=RESUMES_MAX {
        assert_eq!(job.ended(&party("bank"), cut_off(attempt)), both(Say::Prepare));
        assert_eq!(
            (job.state, job.attempt, job.resumes, job.started_ms),
            (State::Approved, attempt + 1, attempt, Some(90))
        );
        assert_eq!(job.reason, "goes on by itself: bank failed: link");
        assert!(job.ended(&party("bureau"), cut_off(attempt)).is_empty(), "a late word of the attempt before");
    }
    assert_eq!(job.ended(&party("bank"), cut_off(RESUMES_MAX + 1)), [(party("bureau"), Say::Stop)]);
    assert_eq!(job.state, State::Failed);
    job.retry(100).unwrap();
    assert_eq!(job.resumes, 0, "a person asked");
    assert_eq!(
        job.ended(&party("bank"), failed(job.attempt)),
        [(party("bureau"), Say::Stop)],
        "what is wrong stays so"
    );
    assert_eq!(job.state, State::Failed);
}
