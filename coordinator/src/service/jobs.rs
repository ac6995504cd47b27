//! One job at the coordinator: what the parties say moves it, and it says what they do next. Pure: no clock, no socket,
//! no store. The coordinator passes words on; it can stop a job, and make none run that the parties did not admit.

use banyan_proto::canonical::Digest;
use banyan_proto::job::{Event, IllegalEvent, State};
use banyan_proto::names::Name;
use banyan_protocols::party::PartyId;

/// How long after a job's deadline the coordinator ends it: the nodes, which count from the moment they heard of the
/// attempt, speak first, and say more.
const GRACE_MS: i64 = 10_000;

/// How long after a start of the coordinator the jobs under way are left alone: nodes dial again after at most 10 seconds,
/// and what they say of the time when nobody heard them counts first.
const RETURN_MS: i64 = 60_000;

/// How many times in a row a job goes on by itself. What fails more often needs a person.
const RESUMES_MAX: u32 = 8;

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
    /// How many sessions an attempt has, by its plan.
    pub(crate) sessions: u32,
    /// Whether a new attempt can go on with one that was cut off, without a run of its own.
    pub(crate) resumable: bool,
    /// How many attempts in a row were started by the coordinator, to go on with the one before.
    pub(crate) resumes: u32,
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
    /// It says that it was cut off: by a restart, a stop of the node, or a broken link.
    pub(crate) cut_off: bool,
    pub(crate) receipt: Vec<u8>,
    pub(crate) metrics: Vec<u8>,
    pub(crate) at_ms: i64,
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

    /// A party ended this attempt. What all parties released is released, also where a person or the clock had ended the job
    /// here: the word may come late.
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
                let said = self.finish(Event::Failed, format!("{from} failed: {why}"));
                if ending.cut_off && self.resumable && self.state == State::Failed && self.resumes < RESUMES_MAX {
                    return self.go_on(ending.at_ms);
                }
                said
            }
        }
    }

    /// A person stops the job.
    pub(crate) fn stop(&mut self, by: &PartyId, reason: &str) -> Result<Vec<(PartyId, Say)>, IllegalEvent> {
        self.state.apply(Event::Stopped)?;
        let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        Ok(self.finish(Event::Stopped, format!("stopped by {by}{reason}")))
    }

    /// Ends the job where its time has run out. `up_ms` is when the coordinator was started, `away` tells which parties have
    /// no line.
    pub(crate) fn expire(&mut self, now_ms: i64, up_ms: i64, away: impl Fn(&PartyId) -> bool) -> Vec<(PartyId, Say)> {
        let unheard = self.started_ms.is_some_and(|started_ms| started_ms < up_ms) && now_ms < up_ms + RETURN_MS;
        if self.state.is_over() || now_ms < self.expires_ms() || unheard {
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

    /// When the nodes that heard of this attempt at its start have given it up by themselves. One that heard of it later
    /// counts from then, and ends it later.
    pub(crate) fn gives_up_ms(&self) -> Option<i64> {
        self.started_ms.map(|started_ms| started_ms + i64::from(self.deadline_s) * 1000 + GRACE_MS)
    }

    /// A new attempt: at once where everyone's admission still stands, else everyone is asked again.
    pub(crate) fn retry(&mut self, now_ms: i64) -> Result<Vec<(PartyId, Say)>, IllegalEvent> {
        let next = self.state.apply(Event::Retried)?;
        self.attempt += 1;
        self.resumes = 0;
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

    /// A new attempt that nobody asked for: the nodes spend no run on it. It takes the place of the one before, which they
    /// end by themselves when they hear of it.
    fn go_on(&mut self, now_ms: i64) -> Vec<(PartyId, Say)> {
        let (resumes, reason) = (self.resumes, format!("goes on by itself: {}", self.reason));
        match self.retry(now_ms) {
            Ok(said) => {
                (self.resumes, self.reason) = (resumes + 1, reason);
                said
            }
            Err(_) => Vec::new(), // it stays failed
        }
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
        let released = self.parties.iter().all(|party| party.phase == Phase::Ended);
        if released && matches!(self.state, State::Held | State::Stopped | State::Expired) {
            self.go(Event::Released);
            self.reason.clear();
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
mod tests;
