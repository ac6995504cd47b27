//! One job at the coordinator: what the parties say moves it, and it says what they do next. Pure: no clock, no socket,
//! no store. The coordinator passes words on; it can stop a job, and make none run that the parties did not admit.

use banyan_proto::canonical::Digest;
use banyan_proto::job::{Event, IllegalEvent, State};
use banyan_proto::names::Name;
use banyan_protocols::party::PartyId;

/// How long after a job's deadline the coordinator ends it: the nodes, which count from the moment they heard of the
/// attempt, speak first, and say more.
const GRACE_MS: i64 = 2_000;

/// A job, without the bytes of its spec: they are kept apart and passed on as they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    /// The digest of its spec.
    pub(crate) id: Digest,
    /// What people call it.
    pub(crate) name: Name,
    /// Who proposed it.
    pub(crate) proposer: PartyId,
    /// The digest of its scenario.
    pub(crate) scenario: Digest,
    /// How many sessions an attempt has: one per stage of its plan.
    pub(crate) stages: u32,
    /// Seconds from the start of an attempt to its end.
    pub(crate) deadline_s: u32,
    /// The end of its scenario's validity.
    pub(crate) valid_until_ms: i64,
    /// Where it stands.
    pub(crate) state: State,
    /// The attempt, from 1.
    pub(crate) attempt: u32,
    /// Why it stands there.
    pub(crate) reason: String,
    /// When it was proposed.
    pub(crate) proposed_ms: i64,
    /// When it last changed.
    pub(crate) changed_ms: i64,
    /// When this attempt was started; none while it is offered.
    pub(crate) started_ms: Option<i64>,
    /// Its parties, in the order of the spec.
    pub(crate) parties: Vec<Party>,
}

/// A party of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Party {
    /// Who.
    pub(crate) name: PartyId,
    /// How far it is.
    pub(crate) phase: Phase,
    /// What it says about that.
    pub(crate) detail: String,
    /// Its signed admission, as it came. The other parties check it.
    pub(crate) admission: Vec<u8>,
    /// Its signed log checkpoint, as it came.
    pub(crate) receipt: Vec<u8>,
    /// The figures of its run, as they came.
    pub(crate) metrics: Vec<u8>,
}

/// How far a party is, in the order of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Asked,
    Waiting,
    Admitted,
    Prepared,
    Running,
    Held,
    Released,
    Ended,
    Refused,
    Failed,
}

/// A party's answer to an offer.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Admission(Vec<u8>),
    Refusal(String),
    Waiting(String),
}

/// What a party says at the end of an attempt.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    pub(crate) attempt: u32,
    pub(crate) failure: Option<String>,
    pub(crate) receipt: Vec<u8>,
    pub(crate) metrics: Vec<u8>,
}

/// What a party is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Say {
    Offer,
    Prepare,
    Run,
    Stop,
}

impl Phase {
    pub(crate) const ALL: [Self; 10] = [
        Self::Asked,
        Self::Waiting,
        Self::Admitted,
        Self::Prepared,
        Self::Running,
        Self::Held,
        Self::Released,
        Self::Ended,
        Self::Refused,
        Self::Failed,
    ];

    /// The name on the wire and in the store; empty while nothing was said.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Asked => "",
            Self::Waiting => "waiting",
            Self::Admitted => "admitted",
            Self::Prepared => "prepared",
            Self::Running => "running",
            Self::Held => "held",
            Self::Released => "released",
            Self::Ended => "ended",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.name() == name)
    }

    /// The phases that a node reports of an attempt.
    pub(crate) fn reported(name: &str) -> Option<Self> {
        [Self::Prepared, Self::Running, Self::Held, Self::Released].into_iter().find(|phase| phase.name() == name)
    }
}

impl Job {
    /// The party of that name.
    pub(crate) fn party(&self, name: &PartyId) -> Option<&Party> {
        self.parties.iter().find(|party| party.name == *name)
    }

    /// Everyone is asked.
    pub(crate) fn offer(&self) -> Vec<(PartyId, Say)> {
        self.all(Say::Offer)
    }

    /// A party's answer. Only an offer has one: later, a node that no longer admits a job ends its attempt.
    pub(crate) fn verdict(&mut self, from: &PartyId, answer: Answer, now_ms: i64) -> Vec<(PartyId, Say)> {
        if self.state != State::Proposed {
            return Vec::new();
        }
        let Some(party) = self.parties.iter_mut().find(|party| party.name == *from) else { return Vec::new() };
        match answer {
            Answer::Waiting(who) => {
                party.phase = Phase::Waiting;
                party.detail = who;
                party.admission.clear();
                Vec::new()
            }
            Answer::Refusal(why) => {
                party.phase = Phase::Refused;
                party.detail.clone_from(&why);
                party.admission.clear();
                self.finish(Event::Refused, format!("{from} refused: {why}"))
            }
            Answer::Admission(bytes) => {
                party.phase = Phase::Admitted;
                party.detail.clear();
                party.admission = bytes;
                if self.parties.iter().any(|party| party.phase != Phase::Admitted) {
                    return Vec::new();
                }
                self.start(Event::Admitted, now_ms)
            }
        }
    }

    /// A party came to a phase of this attempt. Phases only go up: a report that comes late changes nothing.
    pub(crate) fn phase(&mut self, from: &PartyId, attempt: u32, phase: Phase) -> Vec<(PartyId, Say)> {
        if attempt != self.attempt || !self.state.is_under_way() {
            return Vec::new();
        }
        match self.parties.iter_mut().find(|party| party.name == *from) {
            Some(party) if party.phase < phase => party.phase = phase,
            _ => return Vec::new(),
        }
        self.advance()
    }

    /// A party ended this attempt.
    pub(crate) fn ended(&mut self, from: &PartyId, ending: Ending) -> Vec<(PartyId, Say)> {
        if ending.attempt != self.attempt || self.started_ms.is_none() {
            return Vec::new();
        }
        let Some(party) = self.parties.iter_mut().find(|party| party.name == *from) else { return Vec::new() };
        if party.phase >= Phase::Ended {
            return Vec::new(); // the first word stands
        }
        party.receipt = ending.receipt;
        party.metrics = ending.metrics;
        match ending.failure {
            None => {
                party.phase = Phase::Ended;
                self.advance()
            }
            Some(why) => {
                party.phase = Phase::Failed;
                party.detail.clone_from(&why);
                self.finish(Event::Failed, format!("{from} failed: {why}"))
            }
        }
    }

    /// A person stops the job.
    pub(crate) fn stop(&mut self, by: &PartyId, reason: &str) -> Result<Vec<(PartyId, Say)>, IllegalEvent> {
        self.state.apply(Event::Stopped)?;
        let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        Ok(self.finish(Event::Stopped, format!("stopped by {by}{reason}")))
    }

    /// Ends the job where its time has run out. `away` tells which parties have no line.
    pub(crate) fn expire(&mut self, now_ms: i64, away: impl Fn(&PartyId) -> bool) -> Vec<(PartyId, Say)> {
        if self.state.is_over() || now_ms < self.expires_ms() {
            return Vec::new();
        }
        let late = |party: &&Party| party.phase < Phase::Ended;
        let missing = self.parties.iter().filter(late).map(|party| {
            let phase = if party.phase == Phase::Asked { "has not answered" } else { party.phase.name() };
            let away = if away(&party.name) { ", away" } else { "" };
            format!("{} ({phase}{away})", party.name)
        });
        let missing = missing.collect::<Vec<_>>().join(", ");
        let what = match self.started_ms {
            Some(_) if now_ms < self.valid_until_ms => {
                format!("the deadline of {} s passed (limits.deadline_s)", self.deadline_s)
            }
            _ => "the scenario is no longer valid (scenario.valid_until)".to_owned(),
        };
        self.finish(Event::Expired, format!("{what}; missing: {missing}"))
    }

    /// When [`Job::expire`] ends it.
    pub(crate) fn expires_ms(&self) -> i64 {
        self.valid_until_ms.min(self.gives_up_ms().unwrap_or(i64::MAX))
    }

    /// When every node has given this attempt up by itself.
    pub(crate) fn gives_up_ms(&self) -> Option<i64> {
        self.started_ms.map(|started_ms| started_ms + i64::from(self.deadline_s) * 1000 + GRACE_MS)
    }

    /// A new attempt: at once where everyone's admission still stands, else everyone is asked again.
    pub(crate) fn retry(&mut self, now_ms: i64) -> Result<Vec<(PartyId, Say)>, IllegalEvent> {
        let next = self.state.apply(Event::Retried)?;
        self.attempt += 1;
        self.reason.clear();
        for party in &mut self.parties {
            party.phase = if next == State::Approved { Phase::Admitted } else { Phase::Asked };
            party.detail.clear();
            party.receipt.clear();
            party.metrics.clear();
            if next != State::Approved {
                party.admission.clear();
            }
        }
        if next == State::Approved {
            return Ok(self.start(Event::Retried, now_ms));
        }
        self.state = next;
        self.started_ms = None;
        Ok(self.offer())
    }

    /// What a party that was away has to hear again. Everything said twice is harmless at a node.
    pub(crate) fn reminder(&self, to: &PartyId, now_ms: i64) -> Option<Say> {
        let phase = self.party(to)?.phase;
        match self.state {
            State::Proposed => Some(Say::Offer),
            State::Approved if phase == Phase::Admitted => Some(Say::Prepare),
            State::Running if phase == Phase::Prepared => Some(Say::Run),
            state if state.is_over() && phase < Phase::Ended && self.gives_up_ms()? > now_ms => Some(Say::Stop),
            _ => None,
        }
    }

    fn start(&mut self, event: Event, now_ms: i64) -> Vec<(PartyId, Say)> {
        self.go(event);
        self.started_ms = Some(now_ms);
        self.all(Say::Prepare)
    }

    /// Moves as far as the slowest party allows.
    fn advance(&mut self) -> Vec<(PartyId, Say)> {
        let mut said = Vec::new();
        let slowest = self.parties.iter().map(|party| party.phase).min().unwrap_or(Phase::Asked);
        if self.state == State::Approved && slowest >= Phase::Prepared {
            self.go(Event::Prepared);
            self.go(Event::Started);
            said = self.all(Say::Run);
        }
        if self.state == State::Running && slowest >= Phase::Held {
            self.go(Event::Held);
        }
        if self.state == State::Held && slowest >= Phase::Ended {
            self.go(Event::Released);
        }
        said
    }

    /// Ends the job, and tells everyone who has not ended it.
    fn finish(&mut self, event: Event, reason: String) -> Vec<(PartyId, Say)> {
        if self.state.apply(event).is_err() {
            return Vec::new();
        }
        self.go(event);
        self.reason = reason;
        let open = self.parties.iter().filter(|party| party.phase < Phase::Ended);
        open.map(|party| (party.name.clone(), Say::Stop)).collect()
    }

    fn go(&mut self, event: Event) {
        match self.state.apply(event) {
            Ok(state) => self.state = state,
            // callers look at the state first: a job that stays where it is ends at its deadline
            Err(error) => tracing::error!(job = %self.id.short(), %error, "a job did not move"),
        }
    }

    fn all(&self, say: Say) -> Vec<(PartyId, Say)> {
        self.parties.iter().map(|party| (party.name.clone(), say)).collect()
    }
}

#[cfg(test)]
mod tests {
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
            stages: 1,
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
        Ending { attempt, failure: None, receipt: vec![1], metrics: vec![2] }
    }

    fn failed(attempt: u32) -> Ending {
        Ending { attempt, failure: Some("input".into()), receipt: Vec::new(), metrics: Vec::new() }
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
        assert_eq!(job.reminder(&party("bureau"), 70_000), None, "it gave up by itself");
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
        assert!(waiting.expire(999_999, |_| false).is_empty());
        waiting.verdict(&party("bank"), Answer::Admission(vec![1]), 5);
        assert_eq!(waiting.expire(1_000_000, |name| name.as_str() == "bureau"), both(Say::Stop));
        assert_eq!(
            waiting.reason,
            "the scenario is no longer valid (scenario.valid_until); missing: bank (admitted), bureau (has not answered, away)"
        );
        let mut late = admitted();
        assert!(late.expire(20 + 60_000, |_| false).is_empty(), "the nodes speak first");
        late.expire(20 + 60_000 + GRACE_MS, |_| false);
        assert_eq!(late.state, State::Expired);
        assert!(late.reason.starts_with("the deadline of 60 s passed (limits.deadline_s); missing: bank (admitted)"));
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
        /// ended, and what is over moves by a retry only.
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
                    Word::Expire(now_ms) => job.expire(now_ms, |_| false),
                    Word::Retry => job.retry(1).unwrap_or_default(),
                };
                let all = |phase| job.parties.iter().all(|party| party.phase >= phase);
                let whole = job.parties.iter().all(|party| party.phase < Phase::Refused);
                for (_, what) in &said {
                    prop_assert!(*what != Say::Run || all(Phase::Prepared) && whole);
                    prop_assert!(*what != Say::Prepare || job.parties.iter().all(|party| !party.admission.is_empty()));
                }
                prop_assert!(job.state != State::Released || all(Phase::Ended) && whole);
                if before.state.is_over() && !matches!(word, Word::Retry) {
                    prop_assert_eq!(job.state, before.state);
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
}
